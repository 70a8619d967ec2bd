/**
 * The smallest and the largest value of a column chunk, in the order in which readers compare them: bytes unsigned,
 * integers signed, doubles by number.
 *
 * @see ColumnOrder in parquet.thrift
 */
import { STATISTICS } from '../format.ts';
import { binary, bool, integer, struct, type ThriftStruct, WIRE } from '../thrift.ts';

export interface Bound {
  readonly bytes: Uint8Array;
  /** False where it lies outside the values. */
  readonly exact: boolean;
}

/** A bound that is absent says nothing. */
export interface Bounds {
  readonly min: Bound | undefined;
  readonly max: Bound | undefined;
}

export const NO_BOUNDS: Bounds = { min: undefined, max: undefined };

export function toStatistics({ min, max }: Bounds, nulls: number): ThriftStruct {
  return struct({
    [STATISTICS.NULL_COUNT]: integer(WIRE.I64, nulls),
    [STATISTICS.MAX_VALUE]: max && binary(max.bytes),
    [STATISTICS.MIN_VALUE]: min && binary(min.bytes),
    [STATISTICS.IS_MAX_VALUE_EXACT]: max && bool(max.exact ? 1 : 2),
    [STATISTICS.IS_MIN_VALUE_EXACT]: min && bool(min.exact ? 1 : 2),
  });
}

/** Bounds of numbers that are given as their bytes, little-endian. */
export function exactBounds(min: ArrayBufferView, max: ArrayBufferView): Bounds {
  const bound = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Bound => ({
    bytes: new Uint8Array(buffer, byteOffset, byteLength).slice(),
    exact: true,
  });
  return { min: bound(min), max: bound(max) };
}

/** Bytes of a value that bounds look at. */
const PREFIX_BYTES = 64;

/** A maximum that cannot be shortened is left out of the footer beyond this. */
const MAX_EXACT_BYTES = 4096;

/** Only prefixes that begin with this or more may have no successor: U+10FFFF in UTF-8, or 0xff. */
const HIGHEST_BYTES = 0xf4;

/** A value, in the array it lies in. */
interface Value {
  readonly values: Uint8Array;
  readonly start: number;
  readonly length: number;
}

/**
 * Bounds of byte arrays, of which only the first 64 bytes count.
 *
 * A row is compared with what the smallest and the largest value so far begin with in common, which settles most rows at
 * the byte behind it. Sorted values make every row a new bound, so taking one is a matter of its position alone.
 */
export class ByteBounds {
  readonly #isText: boolean;
  #min: Value | undefined;
  #max: Value | undefined;
  /** Bytes that both begin with; at most 64. */
  #common = 0;

  constructor(isText: boolean) {
    this.#isText = isText;
  }

  /** Takes in `count` values; `values` must not change before `bounds` is called. */
  add(values: Uint8Array, starts: Int32Array, lengths: Int32Array, count: number): void {
    if (count === 0) return;
    if (this.#min === undefined) this.#common = Math.min(lengths[0] as number, PREFIX_BYTES);
    const first: Value = { values, start: starts[0] as number, length: lengths[0] as number };
    let { values: minValues, start: minStart, length: minLength } = this.#min ?? first;
    let { values: maxValues, start: maxStart, length: maxLength } = this.#max ?? first;
    let common = this.#common;
    for (let index = 0; index < count; index++) {
      const start = starts[index] as number;
      const length = lengths[index] as number;
      const prefix = Math.min(length, PREFIX_BYTES);
      let at = 0;
      while (at < common && at < prefix && values[start + at] === minValues[minStart + at]) at++;
      // -1 for the end of a value: a value is larger than what it begins with.
      const byte = at < prefix ? (values[start + at] as number) : -1;
      const low = at < minLength && at < PREFIX_BYTES ? (minValues[minStart + at] as number) : -1;
      const high = at < maxLength && at < PREFIX_BYTES ? (maxValues[maxStart + at] as number) : -1;
      if (byte > low && byte < high) continue;
      // Whatever is taken, the bounds differ from the first byte on that was not found equal.
      if (byte <= low && precedes(values, start, length, minValues, minStart, minLength, at)) {
        minValues = values;
        minStart = start;
        minLength = length;
        common = at;
      }
      if (byte >= high && this.#follows(values, start, length, maxValues, maxStart, maxLength, at)) {
        maxValues = values;
        maxStart = start;
        maxLength = length;
        common = at;
      }
    }
    this.#min = { values: minValues, start: minStart, length: minLength };
    this.#max = { values: maxValues, start: maxStart, length: maxLength };
    this.#common = common;
  }

  /** Takes in all that another has taken in, as copies: its values may change from here on. */
  include(page: ByteBounds): void {
    for (const value of [page.#min, page.#max]) {
      if (!value) continue;
      const { values, start, length } = copyOf(value);
      this.add(values, Int32Array.of(start), Int32Array.of(length), 1);
    }
  }

  bounds(): Bounds {
    return this.#min && this.#max ? { min: this.#lower(this.#min), max: this.#upper(this.#max) } : NO_BOUNDS;
  }

  /** Whether a value lies above the maximum; of those equal in 64 bytes, the longer where bytes beyond them count. */
  #follows(
    values: Uint8Array,
    start: number,
    length: number,
    maxValues: Uint8Array,
    maxStart: number,
    maxLength: number,
    from: number,
  ): boolean {
    const order = comparePrefix(values, start, length, maxValues, maxStart, maxLength, from);
    if (order !== 0 || length <= PREFIX_BYTES) return order > 0;
    if (maxLength <= PREFIX_BYTES) return true;
    if ((maxValues[maxStart] as number) < HIGHEST_BYTES) return false;
    const max = maxValues.subarray(maxStart, maxStart + maxLength);
    return !this.#successor(max) && Buffer.compare(values.subarray(start, start + length), max) > 0;
  }

  #lower({ values, start, length }: Value): Bound {
    const bytes = Uint8Array.from(values.subarray(start, start + Math.min(length, PREFIX_BYTES)));
    if (length <= PREFIX_BYTES) return { bytes, exact: true };
    return { bytes: this.#isText ? wholeCharacters(bytes) : bytes, exact: false };
  }

  #upper({ values, start, length }: Value): Bound | undefined {
    const bytes = values.subarray(start, start + length);
    const successor = length > PREFIX_BYTES ? this.#successor(bytes) : undefined;
    if (successor) return { bytes: successor, exact: false };
    return length > MAX_EXACT_BYTES ? undefined : { bytes: Uint8Array.from(bytes), exact: true };
  }

  /** The smallest value above all that share the first 64 bytes; undefined where there is none. */
  #successor(bytes: Uint8Array): Uint8Array | undefined {
    const prefix = Uint8Array.from(bytes.subarray(0, PREFIX_BYTES));
    return this.#isText ? nextText(wholeCharacters(prefix)) : nextBytes(prefix);
  }
}

/** Bytes beyond decide about no bound: one that needs them is left out. */
function copyOf({ values, start, length }: Value): Value {
  const needed = values.subarray(start, start + Math.min(length, MAX_EXACT_BYTES + 1));
  return { values: Uint8Array.from(needed), start: 0, length };
}

/** Whether a value lies below the minimum; of those equal in 64 bytes, the one that ends there. */
function precedes(
  values: Uint8Array,
  start: number,
  length: number,
  minValues: Uint8Array,
  minStart: number,
  minLength: number,
  from: number,
): boolean {
  const order = comparePrefix(values, start, length, minValues, minStart, minLength, from);
  return order < 0 || (order === 0 && length <= PREFIX_BYTES && minLength > PREFIX_BYTES);
}

/** Compares the first 64 bytes of a value with those of a bound, which are known to be equal before `from`. */
function comparePrefix(
  values: Uint8Array,
  start: number,
  length: number,
  boundValues: Uint8Array,
  boundStart: number,
  boundLength: number,
  from: number,
): number {
  const prefix = Math.min(length, PREFIX_BYTES);
  const boundPrefix = Math.min(boundLength, PREFIX_BYTES);
  const shorter = Math.min(prefix, boundPrefix);
  for (let at = from; at < shorter; at++) {
    const order = (values[start + at] as number) - (boundValues[boundStart + at] as number);
    if (order !== 0) return order;
  }
  return prefix - boundPrefix;
}

/** The text without a character that was cut in two. */
function wholeCharacters(bytes: Uint8Array): Uint8Array {
  const last = lastCharacter(bytes);
  const lead = bytes[last] ?? 0;
  const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return last + length <= bytes.length ? bytes : bytes.subarray(0, last);
}

function lastCharacter(bytes: Uint8Array): number {
  let start = bytes.length - 1;
  while (start > 0 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start--;
  return start;
}

/** The smallest bytes above everything that begins with these; undefined where all of them are 0xff. */
function nextBytes(bytes: Uint8Array): Uint8Array | undefined {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const next = bytes.slice(0, length);
  next[length - 1] = (next[length - 1] ?? 0) + 1;
  return next;
}

/** The same for text, which stays text: its order by bytes is its order by code points. */
function nextText(bytes: Uint8Array): Uint8Array | undefined {
  let rest = bytes;
  while (rest.length > 0) {
    const start = lastCharacter(rest);
    const before = rest.subarray(0, start);
    const codePoint = Buffer.from(rest.subarray(start)).toString('utf8').codePointAt(0) ?? 0;
    // Surrogates are no characters.
    const next = codePoint === 0xd7ff ? 0xe000 : codePoint + 1;
    if (next <= 0x10ffff) return Buffer.concat([before, Buffer.from(String.fromCodePoint(next))]);
    rest = before;
  }
  return undefined;
}
