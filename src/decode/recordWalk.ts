import type { BatchHeader } from './batchHeader.ts';
import { checkCount, checkEnd, MIN_RECORD_BYTES, wrongField, wrongLength } from './recordChecks.ts';
import { LongVarint, VarintReader } from './varint.ts';

/** Offsets `[startOffset, endOffset)` of a partition that are wanted. */
export interface WantedOffsets {
  readonly startOffset: number;
  readonly endOffset: number;
}

/**
 * Number of records of a batch within the wanted offsets, for batches that give no rows.
 *
 * @throws MalformedRecords
 */
export function countRecords(section: Buffer, batch: BatchHeader, wanted: WantedOffsets): number {
  checkCount(section, batch.recordCount);
  const reader = new VarintReader(section);
  let count = 0;
  for (let record = 0; record < batch.recordCount; record++) {
    const length = reader.next('length', record);
    const next = reader.position + length;
    if (length < MIN_RECORD_BYTES - 1 || next > section.length) {
      throw wrongLength(record, batch.recordCount, length, section.length - reader.position);
    }
    const offset = batch.baseOffset + offsetDelta(section, reader, record);
    if (offset >= wanted.startOffset && offset < wanted.endOffset) count++;
    reader.position = next;
  }
  checkEnd(section, reader.position, batch.recordCount);
  return count;
}

/**
 * Whether a control batch ends an aborted transaction: the key of its record is a version and a type of two bytes each,
 * and type 0 is ABORT (KIP-98).
 *
 * @throws MalformedRecords
 */
export function isAbortMarker(section: Buffer): boolean {
  const reader = new VarintReader(section);
  reader.next('length', 0);
  offsetDelta(section, reader, 0);
  const keyLength = reader.next('key length', 0);
  if (keyLength < 4 || reader.position + keyLength > section.length) {
    throw wrongField('control key', 0, keyLength, section.length - reader.position);
  }
  return section.readInt16BE(reader.position + 2) === 0;
}

/** Reads over attributes and timestamp delta, which follow the length, to the offset delta. */
function offsetDelta(section: Buffer, reader: VarintReader, record: number): number {
  const timestamp = new LongVarint();
  timestamp.read(section, reader.position + 1, 'timestamp delta', record);
  reader.position = timestamp.end;
  return reader.next('offset delta', record);
}
