/**
 * The Fetch request of one partition, and of many that one broker leads, versions 4 to 11. A broker that speaks version 12 and above (flexible headers)
 * also answers 11, which carries all we use: the isolation level, the leader epoch and zstd (10 and above).
 */
import { OffloadError } from '../errors.ts';
import type { BrokerConnection } from './connection.ts';
import type { Api } from './protocol.ts';
import { byTopic, type TopicPartition } from './transactionProtocol.ts';
import { type WireReader, WireWriter } from './wire.ts';

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
  /** What the answer is about; null where it names nothing, as one that a quota throttled. */
  readonly topic: string | null;
  readonly partition: number;
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
    const writer = new WireWriter()
      .int32(CONSUMER)
      .int32(request.maxWaitMs)
      .int32(1) // min_bytes
      .int32(request.maxBytes)
      .int8(request.isolationLevel);
    if (version >= 7) writer.int32(0).int32(FULL_FETCH_EPOCH); // no fetch session
    writer.int32(1).string(request.topic).int32(1).int32(request.partition);
    if (version >= 9) writer.int32(request.leaderEpoch);
    writer.int64(request.fetchOffset);
    if (version >= 5) writer.int64(-1); // log_start_offset is for followers
    writer.int32(request.maxBytes);
    if (version >= 7) writer.int32(0); // forgotten_topics_data
    if (version >= 11) writer.string(request.clientRack);
    return writer;
  },
  parse(reader, version) {
    const throttleMs = reader.int32();
    const topLevelError = version >= 7 ? reader.int16() : 0;
    if (version >= 7) reader.int32(); // session_id
    if (topLevelError !== 0 || reader.int32() === 0) return failed(throttleMs, topLevelError);
    const topic = reader.string();
    if (reader.int32() === 0) return failed(throttleMs, topLevelError);
    return readPartition(reader, version, topic, throttleMs);
  },
};

function readPartition(reader: WireReader, version: number, topic: string, throttleMs: number): FetchResponse {
  const partition = reader.int32();
  const errorCode = reader.int16();
  const highWatermark = reader.int64();
  const lastStable = reader.int64();
  const logStartOffset = version >= 5 ? reader.int64() : -1;
  const aborted = readAborted(reader);
  const preferredReadReplica = version >= 11 ? reader.int32() : -1;
  return {
    topic,
    partition,
    throttleMs,
    errorCode,
    highWatermark,
    lastStableOffset: lastStable < 0 ? highWatermark : lastStable,
    logStartOffset,
    aborted,
    preferredReadReplica,
    records: reader.bytes(),
  };
}

/** One partition of a request for many. */
export interface FetchedPartition extends TopicPartition {
  readonly fetchOffset: number;
  /** -1: not checked by the broker. */
  readonly leaderEpoch: number;
  readonly maxBytes: number;
}

export interface FetchManyRequest {
  /** Each once. A broker fills its answer in this order until `maxBytes` are reached. */
  readonly partitions: readonly FetchedPartition[];
  readonly maxBytes: number;
  /** The broker answers after so long, if nothing comes before; at once when there is one record in any of them. */
  readonly maxWaitMs: number;
  readonly isolationLevel: 0 | 1;
}

export interface FetchManyResponse {
  readonly throttleMs: number;
  /** Of the request as a whole. */
  readonly errorCode: number;
  /** Of those asked for, in any order; some may be missing. */
  readonly partitions: readonly FetchResponse[];
}

/** From leaders alone: a replica that is named instead would be asked for one partition of many. */
const fetchManyApi: Api<FetchManyRequest, FetchManyResponse> = {
  name: 'Fetch',
  key: 1,
  minVersion: 4,
  maxVersion: 10,
  flexibleFrom: 12,
  encode({ partitions, maxBytes, maxWaitMs, isolationLevel }, version) {
    const writer = new WireWriter()
      .int32(CONSUMER)
      .int32(maxWaitMs)
      .int32(1) // min_bytes
      .int32(maxBytes)
      .int8(isolationLevel);
    if (version >= 7) writer.int32(0).int32(FULL_FETCH_EPOCH); // no fetch session
    writer.array(byTopic(partitions), ([topic, together]) => {
      writer.string(topic).array(together, (entry) => {
        writer.int32(entry.partition);
        if (version >= 9) writer.int32(entry.leaderEpoch);
        writer.int64(entry.fetchOffset);
        if (version >= 5) writer.int64(-1); // log_start_offset is for followers
        writer.int32(entry.maxBytes);
      });
    });
    if (version >= 7) writer.int32(0); // forgotten_topics_data
    return writer;
  },
  parse(reader, version) {
    const throttleMs = reader.int32();
    const errorCode = version >= 7 ? reader.int16() : 0;
    if (version >= 7) reader.int32(); // session_id
    const topics = reader.array(() => {
      const topic = reader.string();
      return reader.array(() => readPartition(reader, version, topic, throttleMs));
    });
    return { throttleMs, errorCode, partitions: topics.flat() };
  },
};

/** Up to this version a leader answers itself; later it may name a replica to ask instead (KIP-392). */
const leaderFetchApi: typeof fetchApi = { ...fetchApi, maxVersion: 10 };

/**
 * Asks for the messages of one partition.
 *
 * @throws OffloadError what `connection.request` throws; BROKER_UNREACHABLE if the answer is about another partition.
 */
export async function fetchFrom(
  connection: BrokerConnection,
  request: FetchRequest,
  from: 'anyReplica' | 'leader' = 'anyReplica',
): Promise<FetchResponse> {
  const response = await connection.request(from === 'leader' ? leaderFetchApi : fetchApi, request);
  const { topic, partition } = response;
  if (topic === null || (topic === request.topic && partition === request.partition)) return response;
  const message = `broker ${connection.address} was asked for ${request.topic}/${request.partition} and answered for ${topic}/${partition}`;
  throw new OffloadError('BROKER_UNREACHABLE', message, { context: { address: connection.address } });
}

/**
 * Asks for the messages of many partitions that one broker leads, in one request that waits for the first of them.
 *
 * @throws OffloadError what `connection.request` throws; BROKER_UNREACHABLE if the answer has a partition that was not asked
 *   for, or one twice.
 */
export async function fetchManyFrom(
  connection: BrokerConnection,
  request: FetchManyRequest,
): Promise<FetchManyResponse> {
  const response = await connection.request(fetchManyApi, request);
  const asked = new Set(request.partitions.map(({ topic, partition }) => `${topic}/${partition}`));
  for (const { topic, partition } of response.partitions) {
    if (asked.delete(`${topic}/${partition}`)) continue;
    const message = `broker ${connection.address} answered for ${topic}/${partition}, which it was not asked for, or twice`;
    throw new OffloadError('BROKER_UNREACHABLE', message, { context: { address: connection.address } });
  }
  return response;
}

function failed(throttleMs: number, errorCode: number): FetchResponse {
  return {
    topic: null,
    partition: -1,
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

/** Null, as an older broker writes it, reads as none. */
function readAborted(reader: WireReader): AbortedTransaction[] {
  return reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.int64() }));
}
