/** Layout of a record batch (magic 2) as far as its length and last offset. @see https://kafka.apache.org/documentation/#recordbatch */
const BASE_OFFSET = 0;
const BATCH_LENGTH = 8;
const MAGIC = 16;
const LAST_OFFSET_DELTA = 23;
const LENGTH_OVERHEAD = 12;
const HEADER_BYTES = 61;

/**
 * Finds where the complete record batches of a Fetch answer end, without decoding them.
 *
 * A batch of an older format ends the scan behind itself: the decoder names it.
 *
 * @returns `end`: bytes of complete batches, 0 if the first is cut short; `nextOffset`: offset after the last of them.
 */
export function scanBatches(records: Buffer): { end: number; nextOffset: number } {
  let end = 0;
  let nextOffset = 0;
  while (end + LENGTH_OVERHEAD + 5 <= records.length) {
    const next = end + LENGTH_OVERHEAD + records.readInt32BE(end + BATCH_LENGTH);
    if (next > records.length || next <= end) break;
    const baseOffset = Number(records.readBigInt64BE(end + BASE_OFFSET));
    if (magicOf(records, end) !== 2) return { end: next, nextOffset: baseOffset };
    if (next < end + HEADER_BYTES) break;
    nextOffset = baseOffset + records.readInt32BE(end + LAST_OFFSET_DELTA) + 1;
    end = next;
  }
  return { end, nextOffset };
}

/** Format of the record batch that begins at `position`: 2 since Kafka 0.11; what is older is not read. */
export function magicOf(records: Buffer, position = 0): number {
  return records[position + MAGIC] ?? -1;
}
