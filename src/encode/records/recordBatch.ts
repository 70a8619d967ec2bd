/**
 * The record batch of magic 2 as a producer sends it: what an encoder leaves open is filled in by whoever holds the
 * transaction.
 */
import { crc32c } from '@node-rs/crc32';

/*
 * Header (Kafka protocol guide, "Record Batch"); all numbers are big-endian:
 *
 *      0 base offset, 8 bytes       21 attributes, 2        43 producer id, 8
 *      8 length of what follows, 4  23 last offset delta, 4 51 producer epoch, 2
 *     12 leader epoch, 4            27 base timestamp, 8    53 base sequence, 4
 *     16 magic, 1                   35 max timestamp, 8     57 number of records, 4
 *     17 CRC-32C of 21 to end, 4                            61 records, compressed as one
 */
export const BATCH_HEADER_BYTES = 61;
const LENGTH_AT = 8;
const LENGTH_FROM = 12;
const LEADER_EPOCH_AT = 12;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const BASE_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const PRODUCER_EPOCH_AT = 51;
const BASE_SEQUENCE_AT = 53;
const COUNT_AT = 57;

const MAGIC = 2;
const TRANSACTIONAL = 0x10;
const TWO_POW_32 = 0x1_0000_0000;

/** A batch without its producer: complete after `stampBatch`. */
export interface EncodedRecordBatch {
  readonly topic: string;
  readonly partition: number;
  /** Records in it: the sequence of the partition's next batch is so much higher. */
  readonly rows: number;
  /** The whole batch in an ArrayBuffer of its own, which can be transferred between threads. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** -1 if no record has a timestamp. */
  readonly maxTimestampMs: number;
}

/** Who sends a batch, and the sequence number of its first record in its partition. */
export interface BatchProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

export interface BatchContent {
  /** Number of the codec, as in the attributes. */
  readonly codec: number;
  readonly rows: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
}

/**
 * Puts a header before records that are compressed already. Base offset 0, transactional, no producer and no checksum.
 *
 * @returns A copy in an ArrayBuffer of its own.
 */
export function assembleBatch(records: Uint8Array, content: BatchContent): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(BATCH_HEADER_BYTES + records.length));
  const view = new DataView(bytes.buffer);
  view.setInt32(LENGTH_AT, bytes.length - LENGTH_FROM);
  view.setInt32(LEADER_EPOCH_AT, -1);
  view.setInt8(MAGIC_AT, MAGIC);
  view.setInt16(ATTRIBUTES_AT, content.codec | TRANSACTIONAL);
  view.setInt32(LAST_OFFSET_DELTA_AT, content.rows - 1);
  setInt64(view, BASE_TIMESTAMP_AT, content.baseTimestampMs);
  setInt64(view, MAX_TIMESTAMP_AT, content.maxTimestampMs);
  setInt64(view, PRODUCER_ID_AT, -1);
  view.setInt16(PRODUCER_EPOCH_AT, -1);
  view.setInt32(BASE_SEQUENCE_AT, -1);
  view.setInt32(COUNT_AT, content.rows);
  bytes.set(records, BATCH_HEADER_BYTES);
  return bytes;
}

/** Fills in the producer, and the checksum last, in place. A batch can be stamped again for another attempt. */
export function stampBatch(bytes: Uint8Array, { producerId, producerEpoch, baseSequence }: BatchProducer): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  setInt64(view, PRODUCER_ID_AT, producerId);
  view.setInt16(PRODUCER_EPOCH_AT, producerEpoch);
  view.setInt32(BASE_SEQUENCE_AT, baseSequence);
  view.setUint32(CRC_AT, crc32c(bytes.subarray(ATTRIBUTES_AT)));
}

/** A safe integer as two words; the high one of a negative number is its floor. */
function setInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / TWO_POW_32));
  view.setUint32(at + 4, value % TWO_POW_32);
}
