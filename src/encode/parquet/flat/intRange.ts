/** The smallest and the largest of a column's integers. */
import type { Data } from 'apache-arrow';
import { DELTA_INT64_LIMIT } from './delta.ts';
import { isPresent } from './levels.ts';

/** Each as its words: one, or the low and the high half. */
export interface IntRange {
  readonly min: Int32Array;
  readonly max: Int32Array;
}

/** The words of a column of 32 or 64 bits. */
export function wordsOf({ values }: Data): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.byteLength / Int32Array.BYTES_PER_ELEMENT);
}

/** Of the rows `[from, to)`; undefined where all are null. */
export function rangeOfInt32(data: Data, from: number, to: number): IntRange | undefined {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  const values: Int32Array = data.values;
  const hasNulls = data.nullCount > 0;
  for (let row = from; row < to; row++) {
    if (hasNulls && !isPresent(data, row)) continue;
    const value = values[row] as number;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return min > max ? undefined : { min: Int32Array.of(min), max: Int32Array.of(max) };
}

/** Of the rows `[from, to)`; undefined where all are null. */
export function rangeOfInt64(data: Data, from: number, to: number): IntRange | undefined {
  let [minHigh, minLow, maxHigh, maxLow] = [2 ** 31, 0, -(2 ** 31) - 1, 0];
  const words = wordsOf(data);
  const hasNulls = data.nullCount > 0;
  for (let row = from; row < to; row++) {
    if (hasNulls && !isPresent(data, row)) continue;
    const low = (words[row * 2] as number) >>> 0;
    const high = words[row * 2 + 1] as number;
    if (high < minHigh || (high === minHigh && low < minLow)) {
      minHigh = high;
      minLow = low;
    }
    if (high > maxHigh || (high === maxHigh && low > maxLow)) {
      maxHigh = high;
      maxLow = low;
    }
  }
  return minHigh > maxHigh ? undefined : { min: Int32Array.of(minLow, minHigh), max: Int32Array.of(maxLow, maxHigh) };
}

/** One that holds all; undefined for none. */
export function wholeRange(ranges: readonly IntRange[]): IntRange | undefined {
  const [first, ...others] = ranges;
  return others.reduce<IntRange | undefined>(
    (whole, { min, max }) =>
      whole && { min: isLess(min, whole.min) ? min : whole.min, max: isLess(whole.max, max) ? max : whole.max },
    first,
  );
}

export function isLess(one: Int32Array, other: Int32Array): boolean {
  const [oneLow, oneHigh = 0] = one as unknown as [number, number?];
  const [otherLow, otherHigh = 0] = other as unknown as [number, number?];
  if (one.length === 1) return oneLow < otherLow;
  return oneHigh < otherHigh || (oneHigh === otherHigh && oneLow >>> 0 < otherLow >>> 0);
}

/** Whether differences within the range, and sums of two of them, are exact as numbers. */
export function isNarrow({ min, max }: IntRange): boolean {
  if (min.length === 1) return true;
  const limit = DELTA_INT64_LIMIT / 2 ** 32;
  return (min[1] as number) >= -limit && (max[1] as number) < limit;
}
