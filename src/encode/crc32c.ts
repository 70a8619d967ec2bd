/**
 * Joins checksums: a file that several threads write in pieces gets its CRC-32C without being read again.
 *
 * Appending n zero bits to a message multiplies its CRC by x^n modulo the polynomial, so the CRC of A followed by B is
 * crc(A) * x^(8 * length of B) + crc(B). Polynomials are bit-reflected: the highest bit is the coefficient of x^0.
 */

/** Castagnoli's polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;

/** x^(2^k) for k = 0 ... 63: enough for any length a number holds. */
const POWERS: readonly number[] = squarings();

/**
 * CRC-32C of two pieces in a row.
 *
 * @param crcA Checksum of the first piece, unsigned.
 * @param crcB Checksum of the second piece, unsigned.
 * @param lengthB Bytes of the second piece, a safe integer.
 */
export function combineCrc32c(crcA: number, crcB: number, lengthB: number): number {
  return (multiply(powerOfX(lengthB), crcA) ^ crcB) >>> 0;
}

/** x^(8 * bytes) modulo the polynomial. */
function powerOfX(bytes: number): number {
  let product = 0x80000000;
  let rest = bytes;
  for (let bit = 3; rest > 0; bit++) {
    if (rest % 2 === 1) product = multiply(POWERS[bit] ?? 0, product);
    rest = Math.floor(rest / 2);
  }
  return product;
}

function squarings(): number[] {
  const powers = [0x40000000];
  for (let index = 1; index < 64; index++) {
    const previous = powers[index - 1] ?? 0;
    powers.push(multiply(previous, previous));
  }
  return powers;
}

/** Product of two polynomials modulo the Castagnoli polynomial. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let mask = 0x80000000; mask !== 0; mask >>>= 1) {
    if ((a & mask) !== 0) product ^= shifted;
    shifted = (shifted & 1) === 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}
