import type { ByteWriter } from '../output/byteWriter.ts';

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;
/** Longer values are left to Node: a call costs as much as some 100 bytes here. */
const SHORT_BYTES = 96;

/** Base64 with padding (RFC 4648, section 4) of `source[start, end)`. */
export function putBase64(out: ByteWriter, source: Uint8Array, start: number, end: number): void {
  const length = end - start;
  out.reserve(Math.ceil(length / 3) * 4);
  const { bytes } = out;
  let { position } = out;
  if (length > SHORT_BYTES) {
    const text = Buffer.from(source.buffer, source.byteOffset + start, length).toString('base64');
    out.position = position + bytes.write(text, position, 'latin1');
    return;
  }
  let i = start;
  for (; i + 2 < end; i += 3) {
    const word = ((source[i] as number) << 16) | ((source[i + 1] as number) << 8) | (source[i + 2] as number);
    bytes[position++] = ALPHABET[word >>> 18] as number;
    bytes[position++] = ALPHABET[(word >>> 12) & 0x3f] as number;
    bytes[position++] = ALPHABET[(word >>> 6) & 0x3f] as number;
    bytes[position++] = ALPHABET[word & 0x3f] as number;
  }
  if (i < end) {
    const hasTwo = i + 1 < end;
    const word = ((source[i] as number) << 16) | (hasTwo ? (source[i + 1] as number) << 8 : 0);
    bytes[position++] = ALPHABET[word >>> 18] as number;
    bytes[position++] = ALPHABET[(word >>> 12) & 0x3f] as number;
    bytes[position++] = hasTwo ? (ALPHABET[(word >>> 6) & 0x3f] as number) : PADDING;
    bytes[position++] = PADDING;
  }
  out.position = position;
}
