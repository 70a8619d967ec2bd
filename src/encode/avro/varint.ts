/** Integers as Avro writes them: zigzag, then seven bits a byte, the lowest first. */
import type { ByteWriter } from '../output/byteWriter.ts';

const MAX_BYTES = 10;

/** An integer of 32 bits. */
export function putInt(out: ByteWriter, value: number): void {
  out.reserve(MAX_BYTES);
  const { bytes } = out;
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes[out.position++] = (rest & 0x7f) | 0x80;
  bytes[out.position++] = rest;
}

/** An integer of 64 bits, from its halves. */
export function putLong(out: ByteWriter, low: number, high: number): void {
  const sign = high >> 31;
  let lower = ((low << 1) ^ sign) >>> 0;
  let upper = (((high << 1) | (low >>> 31)) ^ sign) >>> 0;
  out.reserve(MAX_BYTES);
  const { bytes } = out;
  while (upper > 0 || lower > 0x7f) {
    bytes[out.position++] = (lower & 0x7f) | 0x80;
    lower = ((lower >>> 7) | (upper << 25)) >>> 0;
    upper >>>= 7;
  }
  bytes[out.position++] = lower;
}

/** A safe integer. */
export function putNumber(out: ByteWriter, value: number): void {
  if (value === (value | 0)) putInt(out, value);
  else putLong(out, value | 0, Math.floor(value / 0x1_0000_0000));
}
