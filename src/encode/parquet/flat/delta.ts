/**
 * DELTA_BINARY_PACKED: blocks of 128 differences, each as what it has above the smallest of its block, in as few bits as
 * the largest of 32 needs.
 *
 * @see https://github.com/apache/parquet-format/blob/master/Encodings.md#DELTAENC
 */
import { putVarint, putZigzag } from './varint.ts';

const BLOCK_VALUES = 128;
const MINIBLOCKS = 4;
const MINIBLOCK_VALUES = BLOCK_VALUES / MINIBLOCKS;
const TWO_32 = 2 ** 32;

/** Values below this, and from its negative on, have differences and sums of two that a number holds exactly. */
export const DELTA_INT64_LIMIT = 2 ** 51;

/** One block is made at a time, and nothing waits in between. */
const deltas = new Float64Array(BLOCK_VALUES);

/** Most bytes that `count` values take: 8 each at most, header and block headers. */
export function deltaBytes(count: number): number {
  return 32 + count * 8 + (Math.floor(count / BLOCK_VALUES) + 1) * (16 + MINIBLOCK_VALUES * 8);
}

/** @param count 1 at least. Differences wrap around at 32 bits, as the format wants. */
export function putDeltaInt32(page: Uint8Array, position: number, values: Int32Array, count: number): number {
  let previous = values[0] as number;
  let end = putHeader(page, position, count, previous);
  for (let first = 1; first < count; first += BLOCK_VALUES) {
    const size = Math.min(BLOCK_VALUES, count - first);
    let smallest = Number.POSITIVE_INFINITY;
    for (let index = 0; index < size; index++) {
      const value = values[first + index] as number;
      const delta = (value - previous) | 0;
      previous = value;
      deltas[index] = delta;
      if (delta < smallest) smallest = delta;
    }
    end = putBlock(page, end, size, smallest);
  }
  return end;
}

/**
 * @param words Low and high half of each value in turn; all values within DELTA_INT64_LIMIT.
 * @param count 1 at least.
 */
export function putDeltaInt64(page: Uint8Array, position: number, words: Int32Array, count: number): number {
  let previous = (words[1] as number) * TWO_32 + ((words[0] as number) >>> 0);
  let end = putHeader(page, position, count, previous);
  for (let first = 1; first < count; first += BLOCK_VALUES) {
    const size = Math.min(BLOCK_VALUES, count - first);
    let smallest = Number.POSITIVE_INFINITY;
    for (let index = 0, word = first * 2; index < size; index++, word += 2) {
      const value = (words[word + 1] as number) * TWO_32 + ((words[word] as number) >>> 0);
      const delta = value - previous;
      previous = value;
      deltas[index] = delta;
      if (delta < smallest) smallest = delta;
    }
    end = putBlock(page, end, size, smallest);
  }
  return end;
}

function putHeader(page: Uint8Array, position: number, count: number, first: number): number {
  let end = putVarint(page, position, BLOCK_VALUES);
  end = putVarint(page, end, MINIBLOCKS);
  end = putVarint(page, end, count);
  return putZigzag(page, end, first);
}

/** Writes the first `size` of `deltas`; a miniblock that is begun has 32 values, one that is not has none. */
function putBlock(page: Uint8Array, position: number, size: number, smallest: number): number {
  let end = putZigzag(page, position, smallest);
  const widths = end;
  end += MINIBLOCKS;
  deltas.fill(smallest, size);
  for (let miniblock = 0; miniblock < MINIBLOCKS; miniblock++) {
    const from = miniblock * MINIBLOCK_VALUES;
    let largest = 0;
    for (let index = from; index < from + MINIBLOCK_VALUES; index++) {
      const above = (deltas[index] as number) - smallest;
      deltas[index] = above;
      if (above > largest) largest = above;
    }
    const width = bitWidth(largest);
    page[widths + miniblock] = width;
    if (width > 0) end = width <= 32 ? putNarrow(page, end, from, width) : putWide(page, end, from, width);
  }
  return end;
}

function bitWidth(value: number): number {
  return value < TWO_32 ? 32 - Math.clz32(value) : 64 - Math.clz32(Math.floor(value / TWO_32));
}

function putNarrow(page: Uint8Array, position: number, from: number, width: number): number {
  let end = position;
  let word = 0;
  let filled = 0;
  for (let index = from; index < from + MINIBLOCK_VALUES; index++) {
    const value = (deltas[index] as number) >>> 0;
    word |= value << filled;
    filled += width;
    if (filled < 32) continue;
    end = putWord(page, end, word);
    filled -= 32;
    // A shift by 32 would be one by 0.
    word = filled === 0 ? 0 : value >>> (width - filled);
  }
  return end;
}

function putWide(page: Uint8Array, position: number, from: number, width: number): number {
  let end = position;
  let word = 0;
  let filled = 0;
  const put = (value: number, bits: number): void => {
    word |= value << filled;
    filled += bits;
    if (filled < 32) return;
    end = putWord(page, end, word);
    filled -= 32;
    word = filled === 0 ? 0 : value >>> (bits - filled);
  };
  for (let index = from; index < from + MINIBLOCK_VALUES; index++) {
    const value = deltas[index] as number;
    put(value >>> 0, 32);
    put(Math.floor(value / TWO_32), width - 32);
  }
  return end;
}

function putWord(page: Uint8Array, position: number, word: number): number {
  page[position] = word;
  page[position + 1] = word >>> 8;
  page[position + 2] = word >>> 16;
  page[position + 3] = word >>> 24;
  return position + 4;
}
