/**
 * The Fetch request of one partition, versions 4 to 11. A broker that speaks version 12 and above (flexible headers)
 * also answers 11, which carries all we use: the isolation level, the leader epoch and zstd (10 and above).
 */
import { type Reader, Writer } from '@platformatic/kafka';
import { type Api, toSafeInteger } from './protocol.ts';

export interface FetchRequest {
  readonly topic: string;
  readonly partition: number;
  readonly fetchOffset: number;
  /** -1: not checked by the broker. */
  readonly leaderEpoch: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly isolationLevel: 0 | 1;
  readonly clientRack: string;
}

export interface AbortedTransaction {
  readonly producerId: number;
  /** First offset of the aborted transaction: it may lie before the offset that was asked for. */
  readonly firstOffset: number;
}

export interface FetchResponse {
  readonly throttleMs: number;
  readonly errorCode: number;
  readonly highWatermark: number;
  /** Equal to the high watermark where the broker does not say. */
  readonly lastStableOffset: number;
  /** -1 before version 5. */
  readonly logStartOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Replica to read from instead (KIP-392); -1: this one. */
  readonly preferredReadReplica: number;
  /** Record batches as they lie in the log, the last one possibly cut short. A view of the response's one buffer. */
  readonly records: Buffer;
}

const CONSUMER = -1;
const FULL_FETCH_EPOCH = -1;
const NO_BYTES = Buffer.alloc(0);

export const fetchApi: Api<FetchRequest, FetchResponse> = {
  name: 'Fetch',
  key: 1,
  minVersion: 4,
  maxVersion: 11,
  flexibleFrom: 12,
  encode(request, version) {
    const writer = Writer.create()
      .appendInt32(CONSUMER)
      .appendInt32(request.maxWaitMs)
      .appendInt32(1) // min_bytes
      .appendInt32(request.maxBytes)
      .appendInt8(request.isolationLevel);
    if (version >= 7) writer.appendInt32(0).appendInt32(FULL_FETCH_EPOCH); // no fetch session
    writer.appendInt32(1).appendString(request.topic, false).appendInt32(1).appendInt32(request.partition);
    if (version >= 9) writer.appendInt32(request.leaderEpoch);
    writer.appendInt64(BigInt(request.fetchOffset));
    if (version >= 5) writer.appendInt64(-1n); // log_start_offset is for followers
    writer.appendInt32(request.maxBytes);
    if (version >= 7) writer.appendInt32(0); // forgotten_topics_data
    if (version >= 11) writer.appendString(request.clientRack, false);
    return writer;
  },
  parse(reader, version) {
    const throttleMs = reader.readInt32();
    const topLevelError = version >= 7 ? reader.readInt16() : 0;
    if (version >= 7) reader.readInt32(); // session_id
    if (topLevelError !== 0 || reader.readInt32() === 0) return failed(throttleMs, topLevelError);
    reader.readString(false);
    if (reader.readInt32() === 0) return failed(throttleMs, topLevelError);
    reader.readInt32(); // partition
    const errorCode = reader.readInt16();
    const highWatermark = toSafeInteger(reader.readInt64(), 'high watermark');
    const lastStable = toSafeInteger(reader.readInt64(), 'last stable offset');
    const logStartOffset = version >= 5 ? toSafeInteger(reader.readInt64(), 'log start offset') : -1;
    const aborted = readAborted(reader);
    const preferredReadReplica = version >= 11 ? reader.readInt32() : -1;
    return {
      throttleMs,
      errorCode,
      highWatermark,
      lastStableOffset: lastStable < 0 ? highWatermark : lastStable,
      logStartOffset,
      aborted,
      preferredReadReplica,
      records: readRecords(reader),
    };
  },
};

function failed(throttleMs: number, errorCode: number): FetchResponse {
  return {
    throttleMs,
    errorCode,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    aborted: [],
    preferredReadReplica: -1,
    records: NO_BYTES,
  };
}

function readAborted(reader: Reader): AbortedTransaction[] {
  const count = reader.readInt32();
  const aborted: AbortedTransaction[] = [];
  for (let index = 0; index < count; index++) {
    aborted.push({
      producerId: toSafeInteger(reader.readInt64(), 'producer id'),
      firstOffset: toSafeInteger(reader.readInt64(), 'first offset'),
    });
  }
  return aborted;
}

function readRecords(reader: Reader): Buffer {
  const length = reader.readInt32();
  if (length <= 0) return NO_BYTES;
  if (length > reader.remaining) {
    throw new RangeError(`the answer claims ${length} bytes of records and has ${reader.remaining}`);
  }
  return reader.buffer.slice(reader.position, reader.position + length);
}
