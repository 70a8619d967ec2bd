import type { BatchHeader } from './batchHeader.ts';
import type { BinaryColumn, HeaderColumn, MessageColumns } from './columns.ts';
import {
  checkCount,
  checkEnd,
  MIN_RECORD_BYTES,
  overlong,
  wrongDelta,
  wrongEnd,
  wrongField,
  wrongLength,
} from './recordChecks.ts';
import type { WantedOffsets } from './recordWalk.ts';
import { LongVarint, VarintReader } from './varint.ts';

/*
 * Records of one batch, inflated (Kafka protocol guide, "Record"). Numbers are zigzag varints:
 *
 *     length, attributes (1 byte), timestamp delta, offset delta, key length, key, value length, value,
 *     number of headers, then for each: key length, key, value length, value. Length -1 is null.
 *
 * The loop below is where the time of the whole decoder goes. It makes no object a message, keeps all positions in local
 * variables and writes varints out instead of calling a function for them. A read behind the end of the section
 * gives `undefined`, which ends every varint, and what was read is checked against the record's own length before a
 * byte is copied: nothing outside the section is ever taken, whatever the lengths say.
 */

/** Up to here a loop over the bytes is quicker than the call of `copy` (measured in bench/decode.bench.ts). */
const MAX_LOOPED_BYTES = 24;
const TWO_POW_32 = 0x1_0000_0000;

const EMPTY = Buffer.alloc(0);
const longDelta = new LongVarint();

/**
 * Adds the records of a batch to the columns.
 *
 * @throws MalformedRecords that says which check failed, with both values; the caller adds where the batch stands.
 */
export function decodeRecords(section: Buffer, batch: BatchHeader, wanted: WantedOffsets, into: MessageColumns): void {
  const { recordCount, lastOffsetDelta } = batch;
  checkCount(section, recordCount);
  into.reserveRows(recordCount);

  const { key, value, headers, offsetWords, timestampWords } = into;
  let keyData = key?.data ?? EMPTY;
  let valueData = value?.data ?? EMPTY;
  const keyOffsets = key?.offsets ?? null;
  const valueOffsets = value?.offsets ?? null;
  let keyEnd = key?.bytes ?? 0;
  let valueEnd = value?.bytes ?? 0;
  let keyNulls = 0;
  let valueNulls = 0;
  let headerRows = headers?.keys.rows ?? 0;

  const firstDelta = Math.max(0, wanted.startOffset - batch.baseOffset);
  const endDelta = wanted.endOffset - batch.baseOffset;
  const baseOffsetLow = batch.baseOffset % TWO_POW_32;
  const baseOffsetHigh = Math.floor(batch.baseOffset / TWO_POW_32);
  // Under LogAppendTime the producer's deltas stay in the records and mean nothing.
  const useDeltas = timestampWords !== null && !batch.logAppendTime;
  const baseTimestampLow = (batch.logAppendTime ? batch.maxTimestampLow : batch.baseTimestampLow) >>> 0;
  const baseTimestampHigh = batch.logAppendTime ? batch.maxTimestampHigh : batch.baseTimestampHigh;

  let row = into.rows;
  let position = 0;
  let previousDelta = -1;
  for (let record = 0; record < recordCount; record++) {
    let byte = section[position++] as number;
    let word = byte & 0x7f;
    let shift = 7;
    while (byte > 0x7f) {
      if (shift > 28) throw overlong('length', record);
      byte = section[position++] as number;
      word |= (byte & 0x7f) << shift;
      shift += 7;
    }
    const length = (word >>> 1) ^ -(word & 1);
    const start = position;
    const next = position + length;
    if (length < MIN_RECORD_BYTES - 1 || next > section.length)
      throw wrongLength(record, recordCount, length, section.length - start);

    position++; // attributes: none are defined
    // A delta of up to four bytes is inline; a longer one, above 37 hours either way, is rare.
    byte = section[position++] as number;
    word = byte & 0x7f;
    shift = 7;
    while (byte > 0x7f && shift < 28) {
      byte = section[position++] as number;
      word |= (byte & 0x7f) << shift;
      shift += 7;
    }
    let deltaLow = (word >>> 1) ^ -(word & 1);
    let deltaHigh = deltaLow >> 31;
    if (byte > 0x7f) {
      longDelta.read(section, start + 1, 'timestamp delta', record);
      deltaLow = longDelta.low;
      deltaHigh = longDelta.high;
      position = longDelta.end;
    }

    byte = section[position++] as number;
    word = byte & 0x7f;
    shift = 7;
    while (byte > 0x7f) {
      if (shift > 28) throw overlong('offset delta', record);
      byte = section[position++] as number;
      word |= (byte & 0x7f) << shift;
      shift += 7;
    }
    const offsetDelta = (word >>> 1) ^ -(word & 1);
    if (offsetDelta <= previousDelta || offsetDelta > lastOffsetDelta) {
      throw wrongDelta(record, offsetDelta, previousDelta, lastOffsetDelta);
    }
    previousDelta = offsetDelta;
    if (offsetDelta < firstDelta || offsetDelta >= endDelta) {
      position = next;
      continue;
    }

    byte = section[position++] as number;
    word = byte & 0x7f;
    shift = 7;
    while (byte > 0x7f) {
      if (shift > 28) throw overlong('key length', record);
      byte = section[position++] as number;
      word |= (byte & 0x7f) << shift;
      shift += 7;
    }
    const keyLength = (word >>> 1) ^ -(word & 1);
    if (keyLength < -1 || position + keyLength > next) throw wrongField('key', record, keyLength, next - position);
    if (keyLength > 0) {
      if (keyOffsets !== null) {
        const end = keyEnd + keyLength;
        if (end > keyData.length) keyData = key?.reserveBytes(keyEnd, end) ?? keyData;
        if (keyLength <= MAX_LOOPED_BYTES) {
          for (let i = 0; i < keyLength; i++) keyData[keyEnd + i] = section[position + i] as number;
        } else {
          section.copy(keyData, keyEnd, position, position + keyLength);
        }
        keyEnd = end;
      }
      position += keyLength;
    } else if (keyLength < 0 && key !== null) {
      key.setNull(row);
      keyNulls++;
    }

    byte = section[position++] as number;
    word = byte & 0x7f;
    shift = 7;
    while (byte > 0x7f) {
      if (shift > 28) throw overlong('value length', record);
      byte = section[position++] as number;
      word |= (byte & 0x7f) << shift;
      shift += 7;
    }
    const valueLength = (word >>> 1) ^ -(word & 1);
    if (valueLength < -1 || position + valueLength > next)
      throw wrongField('value', record, valueLength, next - position);
    if (valueLength > 0) {
      if (valueOffsets !== null) {
        const end = valueEnd + valueLength;
        if (end > valueData.length) valueData = value?.reserveBytes(valueEnd, end) ?? valueData;
        if (valueLength <= MAX_LOOPED_BYTES) {
          for (let i = 0; i < valueLength; i++) valueData[valueEnd + i] = section[position + i] as number;
        } else {
          section.copy(valueData, valueEnd, position, position + valueLength);
        }
        valueEnd = end;
      }
      position += valueLength;
    } else if (valueLength < 0 && value !== null) {
      value.setNull(row);
      valueNulls++;
    }

    if (headers !== null) {
      headerRows = decodeHeaders(section, position, next, record, headers, headerRows);
      headers.offsets[row + 1] = headerRows;
    } else if (position >= next) {
      throw wrongEnd(record, next, position);
    }

    const low = baseOffsetLow + offsetDelta;
    offsetWords[2 * row] = low;
    offsetWords[2 * row + 1] = low >= TWO_POW_32 ? baseOffsetHigh + 1 : baseOffsetHigh;
    if (timestampWords !== null) {
      const sum = useDeltas ? baseTimestampLow + (deltaLow >>> 0) : baseTimestampLow;
      const carry = sum >= TWO_POW_32 ? 1 : 0;
      timestampWords[2 * row] = sum;
      timestampWords[2 * row + 1] = useDeltas ? baseTimestampHigh + deltaHigh + carry : baseTimestampHigh;
    }
    row++;
    if (keyOffsets !== null) keyOffsets[row] = keyEnd;
    if (valueOffsets !== null) valueOffsets[row] = valueEnd;
    position = next;
  }
  checkEnd(section, position, recordCount);

  if (key !== null) {
    key.rows = row;
    key.nullCount += keyNulls;
  }
  if (value !== null) {
    value.rows = row;
    value.nullCount += valueNulls;
  }
  if (headers !== null) {
    headers.keys.rows = headerRows;
    headers.values.rows = headerRows;
  }
  into.timestampTypes?.fill(batch.logAppendTime ? 1 : 0, into.rows, row);
  into.rows = row;
}

/** Adds the headers of one record, which end it at `next`; returns the number of header rows then. */
function decodeHeaders(
  section: Buffer,
  start: number,
  next: number,
  record: number,
  headers: HeaderColumn,
  firstRow: number,
): number {
  const reader = new VarintReader(section, start);
  const count = reader.next('number of headers', record);
  const left = next - reader.position;
  // A header has two lengths of one byte at least; this also bounds what a lying count can make us reserve.
  if (count < 0 || 2 * count > left) throw wrongField(`list of ${count} headers`, record, 2 * count, left);
  const { keys, values } = headers;
  const endRow = firstRow + count;
  keys.reserveRows(endRow);
  values.reserveRows(endRow);
  for (let row = firstRow; row < endRow; row++) {
    const keyLength = reader.next('header key length', record);
    if (keyLength < 0) throw wrongField('header key', record, keyLength, next - reader.position);
    addHeaderPart(section, reader, keyLength, next, record, keys, row);
    addHeaderPart(section, reader, reader.next('header value length', record), next, record, values, row);
  }
  if (reader.position !== next) throw wrongEnd(record, next, reader.position);
  return endRow;
}

function addHeaderPart(
  section: Buffer,
  reader: VarintReader,
  length: number,
  next: number,
  record: number,
  column: BinaryColumn,
  row: number,
): void {
  const from = reader.position;
  if (length < -1 || from + length > next) throw wrongField('header', record, length, next - from);
  const used = column.offsets[row] as number;
  if (length === -1) {
    column.setNull(row);
    column.nullCount++;
    column.offsets[row + 1] = used;
    return;
  }
  const end = used + length;
  section.copy(column.reserveBytes(used, end), used, from, from + length);
  column.offsets[row + 1] = end;
  reader.position = from + length;
}
