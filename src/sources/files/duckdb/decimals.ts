import type { ByteStore } from '../byteStore.ts';

/** Of Arrow's Decimal128. */
export const MAX_DECIMAL_DIGITS = 38;

/**
 * Appends integers of 2, 4, 8 or 16 bytes as integers of 16.
 *
 * @param maxDigits Digits a value may have; 0 where the source has fewer anyway.
 * @throws RangeError for a value of more digits.
 */
export function wideDecimals(
  store: ByteStore,
  values: Uint8Array,
  width: number,
  isValid: (row: number) => boolean,
  maxDigits: number,
): void {
  const rows = values.length / width;
  store.reserve(rows * 16);
  const target = store.bytes;
  const limit = 10n ** BigInt(maxDigits);
  for (let row = 0; row < rows; row++) {
    const from = row * width;
    const at = store.length + row * 16;
    for (let i = 0; i < width; i++) target[at + i] = values[from + i] as number;
    const negative = ((values[from + width - 1] as number) & 0x80) !== 0;
    target.fill(negative ? 0xff : 0, at + width, at + 16);
    // The highest word of 10^38 is 0x4b3b4ca8; below it nothing needs a closer look.
    const high = target.readInt32LE(at + 12);
    if (maxDigits > 0 && (high >= 0x4b3b4ca8 || high <= -0x4b3b4ca8) && isValid(row)) {
      const value = (target.readBigInt64LE(at + 8) << 64n) | target.readBigUInt64LE(at);
      if (value >= limit || value <= -limit) {
        throw new RangeError(`an integer of more than ${maxDigits} digits`);
      }
    }
  }
  store.length += rows * 16;
}
