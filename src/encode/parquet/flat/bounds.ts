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

interface Value {
  readonly values: Uint8Array;
  readonly start: number;
  readonly length: number;
}

/**
 * Bounds of byte arrays, of which only the first 64 bytes count.
 *
 * A row is compared with what the smallest and the largest value so far begin with in common, which settles most rows at
 * the byte behind it.
 */
export class ByteBounds {
  readonly #isText: boolean;
  readonly #min = new Uint8Array(PREFIX_BYTES);
  readonly #max = new Uint8Array(PREFIX_BYTES);
  #minLength = -1;
  #maxLength = -1;
  /** Bytes at the start of both. */
  #common = 0;
  #isMinCut = false;
  #isMaxCut = false;
  /** The largest value itself, where its first bytes have no successor; undefined otherwise. */
  #whole: Value | undefined;

  constructor(isText: boolean) {
    this.#isText = isText;
  }

  /** Takes in `count` values; `values` must not change before `bounds` is called. */
  add(values: Uint8Array, starts: Int32Array, lengths: Int32Array, count: number): void {
    if (count === 0) return;
    let first = 0;
    if (this.#minLength < 0) {
      this.#setMin(values, starts[0] as number, lengths[0] as number);
      this.#setMax(values, starts[0] as number, lengths[0] as number);
      first = 1;
    }
    const min = this.#min;
    const max = this.#max;
    for (let index = first; index < count; index++) {
      const start = starts[index] as number;
      const length = lengths[index] as number;
      const prefix = Math.min(length, PREFIX_BYTES);
      const common = this.#common;
      let at = 0;
      while (at < common && at < prefix && values[start + at] === min[at]) at++;
      // -1 for the end of a value: a value is larger than what it begins with.
      const byte = at < prefix ? (values[start + at] as number) : -1;
      const low = at < this.#minLength ? (min[at] as number) : -1;
      const high = at < this.#maxLength ? (max[at] as number) : -1;
      if (byte > low && byte < high) continue;
      if (byte <= low) this.#compareMin(values, start, length, at);
      if (byte >= high) this.#compareMax(values, start, length, at);
    }
  }

  bounds(): Bounds {
    if (this.#minLength < 0) return NO_BOUNDS;
    return { min: this.#lower(), max: this.#upper() };
  }

  /** @param from Bytes known to be equal. */
  #compareMin(values: Uint8Array, start: number, length: number, from: number): void {
    const order = comparePrefix(values, start, length, this.#min, this.#minLength, from);
    if (order < 0) this.#setMin(values, start, length);
    else if (order === 0 && length <= PREFIX_BYTES) this.#isMinCut = false;
  }

  #compareMax(values: Uint8Array, start: number, length: number, from: number): void {
    const order = comparePrefix(values, start, length, this.#max, this.#maxLength, from);
    if (order > 0) {
      this.#setMax(values, start, length);
    } else if (order === 0 && length > PREFIX_BYTES) {
      this.#isMaxCut = true;
      const whole = this.#whole;
      if (whole && compareWhole({ values, start, length }, whole) > 0) this.#whole = { values, start, length };
    }
  }

  #setMin(values: Uint8Array, start: number, length: number): void {
    this.#minLength = Math.min(length, PREFIX_BYTES);
    this.#isMinCut = length > PREFIX_BYTES;
    this.#min.set(values.subarray(start, start + this.#minLength));
    this.#common = this.#commonLength();
  }

  #setMax(values: Uint8Array, start: number, length: number): void {
    this.#maxLength = Math.min(length, PREFIX_BYTES);
    this.#isMaxCut = length > PREFIX_BYTES;
    this.#max.set(values.subarray(start, start + this.#maxLength));
    this.#common = this.#commonLength();
    const hasSuccessor = this.#maxLength < PREFIX_BYTES || this.#successor() !== undefined;
    this.#whole = hasSuccessor ? undefined : { values, start, length };
  }

  #commonLength(): number {
    const shorter = Math.min(this.#minLength, this.#maxLength);
    let length = 0;
    while (length < shorter && this.#min[length] === this.#max[length]) length++;
    return length;
  }

  #lower(): Bound {
    const bytes = this.#min.slice(0, this.#minLength);
    if (!this.#isMinCut) return { bytes, exact: true };
    return { bytes: this.#isText ? wholeCharacters(bytes) : bytes, exact: false };
  }

  #upper(): Bound | undefined {
    if (!this.#isMaxCut) return { bytes: this.#max.slice(0, this.#maxLength), exact: true };
    if (this.#whole) {
      const { values, start, length } = this.#whole;
      return length > MAX_EXACT_BYTES ? undefined : { bytes: values.slice(start, start + length), exact: true };
    }
    const bytes = this.#successor();
    return bytes && { bytes, exact: false };
  }

  #successor(): Uint8Array | undefined {
    const bytes = this.#max.slice(0, this.#maxLength);
    return this.#isText ? nextText(wholeCharacters(bytes)) : nextBytes(bytes);
  }
}

/** Compares the first 64 bytes of a value with those of a bound. */
function comparePrefix(
  values: Uint8Array,
  start: number,
  length: number,
  bound: Uint8Array,
  boundLength: number,
  from: number,
): number {
  const prefix = Math.min(length, PREFIX_BYTES);
  const shorter = Math.min(prefix, boundLength);
  for (let at = from; at < shorter; at++) {
    const order = (values[start + at] as number) - (bound[at] as number);
    if (order !== 0) return order;
  }
  return prefix - boundLength;
}

function compareWhole(a: Value, b: Value): number {
  const bytes = ({ values, start, length }: Value): Uint8Array => values.subarray(start, start + length);
  return Buffer.compare(bytes(a), bytes(b));
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
