import type { ByteRows } from './utf8.ts';

/** The same text in every row. */
export function constantRows(text: string, rows: number): ByteRows {
  const bytes = Buffer.byteLength(text);
  const offsets = new Int32Array(rows + 1);
  for (let row = 0; row <= rows; row++) offsets[row] = row * bytes;
  const data = Buffer.allocUnsafeSlow(rows * bytes);
  if (bytes > 0 && rows > 0) data.fill(text);
  return { offsets, data, validity: null, nullCount: 0 };
}

/** A timestamp has 23 characters at most, an offset 16. */
const MAX_TEXT_BYTES = 24;

/** One short ASCII text a row: a number or a time. */
export function textRows(rows: number, textOf: (row: number) => string): ByteRows {
  const offsets = new Int32Array(rows + 1);
  const data = Buffer.allocUnsafeSlow(MAX_TEXT_BYTES * rows);
  let end = 0;
  for (let row = 0; row < rows; row++) {
    end += data.write(textOf(row), end, 'latin1');
    offsets[row + 1] = end;
  }
  return { offsets, data: data.subarray(0, end), validity: null, nullCount: 0 };
}
