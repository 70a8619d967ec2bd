/** Numbers as decimal digits, written into a buffer; 64 bits and more without BigInt. */
import type { ByteWriter } from '../output/byteWriter.ts';

const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;
const TWO_32 = 0x1_0000_0000;
/** As many decimal digits as one step of a long division yields. */
const STEP = 1_000_000_000;
const STEP_DIGITS = 9;

/** A whole number from 0 to 2^53. */
function putDigits(out: ByteWriter, value: number): void {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  putPadded(out, value, digits);
}

/** A whole number from 0 to 2^53 in exactly so many digits; those in front that do not fit are cut off. */
export function putPadded(out: ByteWriter, value: number, digits: number): void {
  out.reserve(digits);
  const { bytes, position } = out;
  let rest = value;
  let i = position + digits - 1;
  // Divisions of small integers are much quicker than those of doubles.
  for (; i >= position && rest > 0x7fffffff; i--) {
    const next = Math.floor(rest / 10);
    bytes[i] = ZERO + (rest - next * 10);
    rest = next;
  }
  for (let small = rest | 0; i >= position; i--) {
    const next = (small / 10) | 0;
    bytes[i] = ZERO + (small - next * 10);
    small = next;
  }
  out.position = position + digits;
}

/** A safe integer. */
export function putInteger(out: ByteWriter, value: number): void {
  if (value < 0) out.putByte(MINUS);
  putDigits(out, Math.abs(value));
}

/** An integer of 64 bits, from its halves. */
export function putInt64(out: ByteWriter, low: number, high: number, isSigned: boolean): void {
  if (isSigned && high < 0) {
    out.putByte(MINUS);
    // Two's complement.
    const negatedLow = -low >>> 0;
    putUint64(out, negatedLow, (~high + (negatedLow === 0 ? 1 : 0)) >>> 0);
  } else {
    putUint64(out, low >>> 0, high >>> 0);
  }
}

function putUint64(out: ByteWriter, low: number, high: number): void {
  if (high < 0x20_0000) {
    putDigits(out, high * TWO_32 + low);
    return;
  }
  const { quotient, remainder } = divideUint64(low, high, STEP);
  putDigits(out, quotient);
  putPadded(out, remainder, STEP_DIGITS);
}

/** Divides without rounding. @param divisor At most 2^36. The quotient is exact where it is a safe integer. */
function divideUint64(low: number, high: number, divisor: number): { quotient: number; remainder: number } {
  const first = Math.floor(high / divisor);
  const upper = (high - first * divisor) * 0x1_0000 + (low >>> 16);
  const second = Math.floor(upper / divisor);
  const lower = (upper - second * divisor) * 0x1_0000 + (low & 0xffff);
  const third = Math.floor(lower / divisor);
  return { quotient: first * TWO_32 + second * 0x1_0000 + third, remainder: lower - third * divisor };
}

/** Divides a signed integer of 64 bits, rounding down: the remainder is never negative. */
export function floorDivide64(low: number, high: number, divisor: number): { quotient: number; remainder: number } {
  // Below 2^52 the quotient of two doubles is never rounded up to the next whole number.
  if (high < 0x10_0000 && high >= -0x10_0000) {
    const value = high * TWO_32 + (low >>> 0);
    const quotient = Math.floor(value / divisor);
    return { quotient, remainder: value - quotient * divisor };
  }
  if (high >= 0) return divideUint64(low >>> 0, high, divisor);
  const negatedLow = -low >>> 0;
  const { quotient, remainder } = divideUint64(negatedLow, (~high + (negatedLow === 0 ? 1 : 0)) >>> 0, divisor);
  if (remainder === 0) return { quotient: -quotient, remainder };
  return { quotient: -quotient - 1, remainder: divisor - remainder };
}

/** A decimal: an integer of some 32-bit words, the lowest first, with `scale` digits after the point. */
export function putDecimal(out: ByteWriter, words: Int32Array, first: number, count: number, scale: number): void {
  const isNegative = (words[first + count - 1] as number) < 0;
  const halves: number[] = [];
  for (let i = first + count - 1; i >= first; i--) {
    const word = (isNegative ? ~(words[i] as number) : (words[i] as number)) >>> 0;
    halves.push(word >>> 16, word & 0xffff);
  }
  // The other half of a negation: one more.
  for (let i = halves.length - 1, carry = isNegative ? 1 : 0; i >= 0 && carry > 0; i--) {
    const sum = (halves[i] as number) + carry;
    halves[i] = sum & 0xffff;
    carry = sum >>> 16;
  }
  let digits = '';
  while (halves.some((half) => half > 0)) {
    let rest = 0;
    for (const [i, half] of halves.entries()) {
      const value = rest * 0x1_0000 + half;
      halves[i] = Math.floor(value / STEP);
      rest = value % STEP;
    }
    digits = String(rest).padStart(STEP_DIGITS, '0') + digits;
  }
  digits = digits.replace(/^0+/, '').padStart(Math.max(scale, 0) + 1, '0') + '0'.repeat(Math.max(-scale, 0));
  if (isNegative) out.putByte(MINUS);
  const point = digits.length - Math.max(scale, 0);
  out.putAscii(digits.slice(0, point));
  if (scale <= 0) return;
  out.putByte(POINT);
  out.putAscii(digits.slice(point));
}

/**
 * A floating-point number in the fewest digits that give it back, always recognizable as one (`1.0`).
 *
 * @returns `NaN`, `Infinity` and `-Infinity` for what is no number in most formats.
 */
export function floatText(value: number, isSingle: boolean): string {
  if (Object.is(value, -0)) return '-0.0';
  let text = String(value);
  if (isSingle && Number.isFinite(value)) {
    for (let digits = 6; digits <= 9; digits++) {
      const shorter = String(Number(value.toPrecision(digits)));
      if (Math.fround(Number(shorter)) !== value) continue;
      text = shorter;
      break;
    }
  }
  return Number.isFinite(value) && !/[.e]/.test(text) ? `${text}.0` : text;
}

/** A number of 16 bits (IEEE 754 binary16). */
export function halfToNumber(bits: number): number {
  const sign = bits >>> 15 === 1 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
