/** The headers of records, which most offloads leave out: only those that ask for them pay for a pass of their own. */
import type { BinaryColumn, HeaderColumn } from './columns.ts';
import { wrongEnd, wrongField } from './recordChecks.ts';
import { VarintReader } from './varint.ts';

/** Words about the headers of a record: where they begin, where the record ends, and which it is in its batch. */
const PLACE_WORDS = 3;

/**
 * Adds the headers of some records.
 *
 * @param section The records of a batch, inflated.
 * @param places Three words a record: where its headers begin in the section, where it ends, its number.
 * @param firstRow Row of the first of them.
 * @throws MalformedRecords; nothing was added then.
 */
export function decodeHeaders(section: Buffer, places: Int32Array, headers: HeaderColumn, firstRow: number): void {
  const { keys, values } = headers;
  const [keyNulls, valueNulls] = [keys.nullCount, values.nullCount];
  let headerRow = keys.rows;
  try {
    for (let at = 0, row = firstRow; at < places.length; at += PLACE_WORDS) {
      const [start = 0, next = 0, record = 0] = [places[at], places[at + 1], places[at + 2]];
      headerRow = headersOfRecord(section, start, next, record, headers, headerRow);
      headers.offsets[++row] = headerRow;
    }
  } catch (error) {
    keys.nullCount = keyNulls;
    values.nullCount = valueNulls;
    throw error;
  }
  keys.rows = headerRow;
  values.rows = headerRow;
}

/** Adds the headers of one record, which end it at `next`; returns the number of header rows then. */
function headersOfRecord(
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
