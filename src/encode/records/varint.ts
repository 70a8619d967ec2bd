/** Zigzag varints, written: small functions that the optimizer puts in line. */

/** Bytes of a signed 32-bit number. */
export function varintBytes(value: number): number {
  const word = ((value << 1) ^ (value >> 31)) >>> 0;
  if (word < 0x80) return 1;
  if (word < 0x4000) return 2;
  if (word < 0x20_0000) return 3;
  return word < 0x1000_0000 ? 4 : 5;
}

/** Writes a signed 32-bit number; returns the position behind it. */
export function writeVarint(to: Uint8Array, at: number, value: number): number {
  let word = ((value << 1) ^ (value >> 31)) >>> 0;
  let position = at;
  while (word > 0x7f) {
    to[position++] = (word & 0x7f) | 0x80;
    word >>>= 7;
  }
  to[position++] = word;
  return position;
}

/** Bytes of an integer of up to 53 bits and its sign. */
export function longVarintBytes(value: number): number {
  if (value === (value | 0)) return varintBytes(value);
  // The first byte holds the sign and six bits.
  let bytes = 1;
  for (let rest = Math.floor(magnitude(value) / 0x40); rest > 0; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Writes an integer of up to 53 bits and its sign; returns the position behind it. */
export function writeLongVarint(to: Uint8Array, at: number, value: number): number {
  if (value === (value | 0)) return writeVarint(to, at, value);
  const sign = value < 0 ? 1 : 0;
  let position = at;
  let rest = magnitude(value);
  // Twice the number may have more than 53 bits, so the sign is put into the first byte alone.
  to[position] = ((rest % 0x40) << 1) | sign;
  rest = Math.floor(rest / 0x40);
  while (rest > 0) {
    to[position] = (to[position] as number) | 0x80;
    position++;
    to[position] = rest % 0x80;
    rest = Math.floor(rest / 0x80);
  }
  return position + 1;
}

/** What zigzag stores above the sign bit. */
function magnitude(value: number): number {
  return value < 0 ? -value - 1 : value;
}
