/** Bitmaps of Arrow: one bit a row, the lowest first. */

export function bitAt(bits: Uint8Array, index: number): boolean {
  return (((bits[index >>> 3] as number) >>> (index & 7)) & 1) === 1;
}

export function setBit(bits: Uint8Array, index: number): void {
  bits[index >>> 3] = (bits[index >>> 3] as number) | (1 << (index & 7));
}

/** Copies `count` bits of `source` behind the first `at` of `target`, where they must be 0. */
export function copyBits(target: Uint8Array, at: number, source: Uint8Array, from: number, count: number): void {
  for (let i = 0; i < count; i++) if (bitAt(source, from + i)) setBit(target, at + i);
}

/** Sets `count` bits from `at` on. */
export function setBits(target: Uint8Array, at: number, count: number): void {
  for (let i = at; i < at + count; i++) setBit(target, i);
}
