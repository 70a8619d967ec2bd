import { isUtf8 } from 'node:buffer';
import type { BinaryColumn } from '../decode/columns.ts';

/** Rows of one STRING or BINARY column in Arrow's layout. */
export interface ByteRows {
  readonly offsets: Int32Array<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer>;
  /** Null where no row is null. */
  readonly validity: Uint8Array<ArrayBuffer> | null;
  readonly nullCount: number;
}

/** The column as it stands, without a copy: valid only until the columns are cleared. */
export function sharedRows(column: BinaryColumn, rows: number): ByteRows {
  const offsets = column.offsets.subarray(0, rows + 1);
  return {
    offsets,
    data: column.data.subarray(0, offsets[rows]),
    validity: column.nullCount === 0 ? null : column.validity.subarray(0, (rows + 7) >>> 3),
    nullCount: column.nullCount,
  };
}

/**
 * First row that is not UTF-8, or -1. Nearly always one look at the whole arena answers: it is valid as one text, and no
 * row begins inside a character. That none ends inside one follows, since the next would begin there.
 */
export function findInvalidRow(column: BinaryColumn, rows: number): number {
  const { offsets, data } = column;
  const used = offsets[rows] as number;
  if (isUtf8(data.subarray(0, used)) && !anyRowStartsInside(offsets, data, rows)) return -1;
  for (let row = 0; row < rows; row++) {
    if (!isUtf8(data.subarray(offsets[row], offsets[row + 1]))) return row;
  }
  return -1;
}

/** Rows that are not UTF-8. @param firstRow The first of them. */
export function* invalidRows({ offsets, data }: BinaryColumn, rows: number, firstRow: number): Generator<number> {
  for (let row = firstRow; row < rows; row++) {
    if (!isUtf8(data.subarray(offsets[row], offsets[row + 1]))) yield row;
  }
}

function anyRowStartsInside(offsets: Int32Array, data: Uint8Array, rows: number): boolean {
  const used = offsets[rows] as number;
  for (let row = 1; row < rows; row++) {
    const start = offsets[row] as number;
    // 10xxxxxx: a continuation byte. An empty row looks at the first byte of the row after it, which is as telling.
    if (start < used && ((data[start] as number) & 0xc0) === 0x80) return true;
  }
  return false;
}

/** What `repairRows` did with the rows that were not UTF-8. */
export interface RepairedRows extends ByteRows {
  readonly repaired: number;
}

/**
 * A copy of the column in which every row is UTF-8: in the others each invalid sequence becomes U+FFFD, as a
 * `TextDecoder` does it, or the row becomes null.
 *
 * @param firstRow Rows before it are known to be valid.
 */
export function repairRows(
  column: BinaryColumn,
  rows: number,
  firstRow: number,
  policy: 'replace' | 'null',
): RepairedRows {
  const shared = sharedRows(column, rows);
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const replacements = new Map<number, Buffer>();
  let bytes = shared.data.length;
  for (let row = firstRow; row < rows; row++) {
    const value = column.data.subarray(shared.offsets[row], shared.offsets[row + 1]);
    if (isUtf8(value)) continue;
    const replacement = policy === 'replace' ? Buffer.from(decoder.decode(value)) : Buffer.alloc(0);
    replacements.set(row, replacement);
    bytes += replacement.length - value.length;
  }
  const offsets = new Int32Array(rows + 1);
  const data = Buffer.allocUnsafeSlow(bytes);
  const validity = new Uint8Array((rows + 7) >>> 3).fill(0xff);
  if (shared.validity !== null) validity.set(shared.validity);
  let end = 0;
  for (let row = 0; row < rows; row++) {
    const replacement = replacements.get(row);
    end +=
      replacement === undefined
        ? column.data.copy(data, end, shared.offsets[row], shared.offsets[row + 1])
        : replacement.copy(data, end);
    offsets[row + 1] = end;
    if (replacement !== undefined && policy === 'null')
      validity[row >>> 3] = (validity[row >>> 3] as number) & ~(1 << (row & 7));
  }
  const nullCount = shared.nullCount + (policy === 'null' ? replacements.size : 0);
  return { offsets, data, validity: nullCount === 0 ? null : validity, nullCount, repaired: replacements.size };
}
