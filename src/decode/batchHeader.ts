import { crc32c } from '@node-rs/crc32';
import { batchCorrupt, formatUnsupported } from './errors.ts';

/**
 * Header of a record batch of magic 2 (Kafka protocol guide, "Record Batch"); all numbers are big-endian:
 *
 *      0 base offset, 8 bytes       21 attributes, 2        43 producer id, 8
 *      8 length of what follows, 4  23 last offset delta, 4 51 producer epoch, 2
 *     12 leader epoch, 4            27 base timestamp, 8    53 base sequence, 4
 *     16 magic, 1                   35 max timestamp, 8     57 number of records, 4
 *     17 CRC-32C of 21 to end, 4                            61 records, compressed as one
 */
const LENGTH_AT = 8;
const MAGIC_AT = 16;
const CRC_AT = 17;
const CRC_FROM = 21;
const HEADER_BYTES = 61;
/** What the length counts begins after the length itself. */
const LENGTH_FROM = 12;

export interface BatchHeader {
  readonly baseOffset: number;
  /** Offset after the last one of the batch, whether or not a record still has it. */
  readonly nextOffset: number;
  readonly lastOffsetDelta: number;
  /** Bits 0 to 2 of the attributes. */
  readonly codec: number;
  readonly logAppendTime: boolean;
  readonly transactional: boolean;
  readonly control: boolean;
  /** Words of two Int64: what record timestamps are relative to, and the latest of them. */
  readonly baseTimestampHigh: number;
  readonly baseTimestampLow: number;
  readonly maxTimestampHigh: number;
  readonly maxTimestampLow: number;
  readonly producerId: bigint;
  readonly recordCount: number;
  /** Where the records begin and end in the buffer. */
  readonly recordsStart: number;
  readonly end: number;
}

/**
 * Reads the header of the batch at `position`.
 *
 * @returns null if the batch is cut short by the end of `records`, as the last one of a Fetch response may be.
 * @throws OffloadError FORMAT_UNSUPPORTED for another magic than 2, BATCH_CORRUPT for a length or count that cannot be.
 */
export function readBatchHeader(
  records: Buffer,
  position: number,
  topic: string,
  partition: number,
): BatchHeader | null {
  if (position + CRC_AT > records.length) return null;
  const baseOffset = records.readInt32BE(position) * 0x1_0000_0000 + records.readUInt32BE(position + 4);
  const place = { topic, partition, offset: baseOffset };
  const magic = records.readInt8(position + MAGIC_AT);
  if (magic !== 2) throw formatUnsupported(place, magic);
  const length = records.readInt32BE(position + LENGTH_AT);
  if (length < HEADER_BYTES - LENGTH_FROM) {
    throw batchCorrupt(place, `its length is ${length} bytes, and the header alone has ${HEADER_BYTES - LENGTH_FROM}`, {
      length,
    });
  }
  const end = position + LENGTH_FROM + length;
  if (end > records.length) return null;
  const attributes = records.readInt16BE(position + 21);
  const lastOffsetDelta = records.readInt32BE(position + 23);
  const recordCount = records.readInt32BE(position + 57);
  const nextOffset = baseOffset + lastOffsetDelta + 1;
  if (baseOffset < 0 || lastOffsetDelta < 0 || !Number.isSafeInteger(nextOffset)) {
    throw batchCorrupt(place, `its last offset delta is ${lastOffsetDelta}`, { lastOffsetDelta });
  }
  // Each record has an offset of its own; after compaction there are fewer records than offsets, never more.
  if (recordCount < 0 || recordCount > lastOffsetDelta + 1) {
    throw batchCorrupt(place, `it claims ${recordCount} records within ${lastOffsetDelta + 1} offsets`, {
      recordCount,
      lastOffsetDelta,
    });
  }
  return {
    baseOffset,
    nextOffset,
    lastOffsetDelta,
    codec: attributes & 0x07,
    logAppendTime: (attributes & 0x08) !== 0,
    transactional: (attributes & 0x10) !== 0,
    control: (attributes & 0x20) !== 0,
    baseTimestampHigh: records.readInt32BE(position + 27),
    baseTimestampLow: records.readInt32BE(position + 31),
    maxTimestampHigh: records.readInt32BE(position + 35),
    maxTimestampLow: records.readInt32BE(position + 39),
    producerId: records.readBigInt64BE(position + 43),
    recordCount,
    recordsStart: position + HEADER_BYTES,
    end,
  };
}

/** @throws OffloadError BATCH_CORRUPT, with both checksums, if the batch is not what its producer or broker wrote. */
export function checkCrc(
  records: Buffer,
  position: number,
  header: BatchHeader,
  topic: string,
  partition: number,
): void {
  const stored = records.readUInt32BE(position + CRC_AT);
  const computed = crc32c(records.subarray(position + CRC_FROM, header.end));
  if (stored === computed) return;
  throw batchCorrupt(
    { topic, partition, offset: header.baseOffset },
    `its checksum is ${hex(stored)}, but its bytes give ${hex(computed)}`,
    { storedCrc: stored, computedCrc: computed },
  );
}

function hex(crc: number): string {
  return `0x${crc.toString(16).padStart(8, '0')}`;
}
