/**
 * Definition levels: 1 for a value, 0 for a null.
 *
 * Where a page has both they are one bit-packed run, whose bytes are those of Arrow's validity bitmap.
 *
 * @see https://github.com/apache/parquet-format/blob/master/Encodings.md#RLE
 */
import type { Data } from 'apache-arrow';
import { putVarint } from './varint.ts';

/** In front of the levels of a v1 data page. */
const LENGTH_BYTES = 4;
const MAX_VARINT_BYTES = 5;

/** Most bytes that `putLevels` takes. */
export function levelsBytes(rows: number): number {
  return LENGTH_BYTES + MAX_VARINT_BYTES + Math.ceil(rows / 8);
}

/**
 * Writes the levels of the rows `[from, to)` at the start of a page.
 *
 * @returns Where they end, and the number of nulls.
 */
export function putLevels(page: Buffer, data: Data, from: number, to: number): { end: number; nulls: number } {
  const rows = to - from;
  const bytes = Math.ceil(rows / 8);
  let nulls = 0;
  let end = LENGTH_BYTES;
  if (data.nullCount > 0) {
    end = putVarint(page, end, bytes * 2 + 1);
    putBits(page, end, data.nullBitmap, data.offset + from, rows);
    nulls = rows - countBits(page, end, bytes);
    end += bytes;
  }
  if (nulls === 0 || nulls === rows) {
    end = putVarint(page, LENGTH_BYTES, rows * 2);
    page[end++] = nulls === 0 ? 1 : 0;
  }
  page.writeUInt32LE(end - LENGTH_BYTES, 0);
  return { end, nulls };
}

/** Copies bits that begin anywhere in a byte to the start of one; the bits that fill up the last byte are 0. */
export function putBits(page: Uint8Array, position: number, bits: Uint8Array, firstBit: number, count: number): void {
  const bytes = Math.ceil(count / 8);
  const first = firstBit >>> 3;
  const shift = firstBit & 7;
  if (shift === 0) {
    page.set(bits.subarray(first, first + bytes), position);
  } else {
    for (let index = 0; index < bytes; index++) {
      const low = bits[first + index] ?? 0;
      const high = bits[first + index + 1] ?? 0;
      page[position + index] = (low >>> shift) | (high << (8 - shift));
    }
  }
  const last = position + bytes - 1;
  if ((count & 7) !== 0) page[last] = (page[last] ?? 0) & ((1 << (count & 7)) - 1);
}

function countBits(page: Uint8Array, position: number, bytes: number): number {
  let count = 0;
  for (let index = position; index < position + bytes; index++) {
    let byte = page[index] as number;
    byte -= (byte >>> 1) & 0x55;
    byte = (byte & 0x33) + ((byte >>> 2) & 0x33);
    count += (byte + (byte >>> 4)) & 0x0f;
  }
  return count;
}

/** Whether a row has a value. */
export function isPresent(data: Data, row: number): boolean {
  const bit = data.offset + row;
  return (((data.nullBitmap[bit >>> 3] ?? 0) >>> (bit & 7)) & 1) === 1;
}
