/** Binary columns of which a statement wants the text. */
import { type Binary, type Data, makeData, Utf8 } from 'apache-arrow';
import { BinaryColumn } from '../../decode/columns.ts';
import { findInvalidRow, repairRows } from '../utf8.ts';

/** Whether every value is UTF-8. */
export function isText(data: Data<Binary>): boolean {
  return findInvalidRow(asColumn(data), data.length) === -1;
}

/** The column with U+FFFD in the place of what is not UTF-8. */
export function repairedText(data: Data<Binary>): Data<Utf8> {
  const { offsets, data: bytes, validity, nullCount } = repairRows(asColumn(data), data.length, 0, 'replace');
  const nullBitmap = validity;
  return makeData({ type: new Utf8(), length: data.length, nullCount, nullBitmap, valueOffsets: offsets, data: bytes });
}

/** The same memory as the decoder keeps it, rows from the first byte on. */
function asColumn({ valueOffsets, values, nullBitmap, nullCount, offset, length }: Data<Binary>): BinaryColumn {
  const first = valueOffsets[0] ?? 0;
  const column = new BinaryColumn(0, 0);
  column.offsets = valueOffsets as Int32Array<ArrayBuffer>;
  column.data = Buffer.from(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
  if (first > 0) {
    column.offsets = valueOffsets.map((end) => end - first) as Int32Array<ArrayBuffer>;
    column.data = column.data.subarray(first);
  }
  column.rows = length;
  column.nullCount = nullCount;
  if (nullCount > 0 && nullBitmap) column.validity = shifted(nullBitmap, offset, length);
  return column;
}

function shifted(bits: Uint8Array, offset: number, length: number): Uint8Array<ArrayBuffer> {
  if (offset === 0) return bits as Uint8Array<ArrayBuffer>;
  const own = new Uint8Array((length + 7) >>> 3).fill(0xff);
  for (let row = 0; row < length; row++) {
    const at = offset + row;
    if ((((bits[at >>> 3] as number) >>> (at & 7)) & 1) === 0)
      own[row >>> 3] = (own[row >>> 3] as number) & ~(1 << (row & 7));
  }
  return own;
}
