/** Text in JSON's quotes, from UTF-8 to UTF-8. */
import type { ByteWriter } from '../output/byteWriter.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;
const ZERO = 0x30;
const HEX = Buffer.from('0123456789ABCDEF');
/** Room is made for so much text at a time: a byte becomes six at most. */
const STEP_BYTES = 64 * 1024;
const MOST_PER_BYTE = 6;

/** What stands behind the backslash for each byte; 0: the byte stands for itself. */
const ESCAPES = new Uint8Array(256);
ESCAPES.fill(LETTER_U, 0, 0x20);
for (const [byte, letter] of [
  ['"', '"'],
  ['\\', '\\'],
  ['\b', 'b'],
  ['\t', 't'],
  ['\n', 'n'],
  ['\f', 'f'],
  ['\r', 'r'],
] as const) {
  ESCAPES[byte.charCodeAt(0)] = letter.charCodeAt(0);
}

/** Writes `source[start, end)`, valid UTF-8, in quotes. */
export function putJsonText(out: ByteWriter, source: Uint8Array, start: number, end: number): void {
  out.putByte(QUOTE);
  putEscaped(out, source, start, end);
  out.putByte(QUOTE);
}

/** The same without the quotes. */
export function putEscaped(out: ByteWriter, source: Uint8Array, start: number, end: number): void {
  for (let from = start; from < end; from += STEP_BYTES) {
    const to = Math.min(end, from + STEP_BYTES);
    out.reserve((to - from) * MOST_PER_BYTE);
    const { bytes } = out;
    let { position } = out;
    for (let i = from; i < to; i++) {
      const byte = source[i] as number;
      const letter = ESCAPES[byte] as number;
      if (letter === 0) {
        bytes[position++] = byte;
        continue;
      }
      bytes[position++] = BACKSLASH;
      bytes[position++] = letter;
      if (letter !== LETTER_U) continue;
      bytes[position++] = ZERO;
      bytes[position++] = ZERO;
      bytes[position++] = HEX[byte >>> 4] as number;
      bytes[position++] = HEX[byte & 0x0f] as number;
    }
    out.position = position;
  }
}
