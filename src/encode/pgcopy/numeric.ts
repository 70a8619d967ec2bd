/** `numeric` in PostgreSQL's binary form: digits of base 10,000, the highest first. */
import type { ByteWriter } from '../output/byteWriter.ts';

const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NEGATIVE = 0x4000;
const HEAD_BYTES = 8;

/**
 * Writes a decimal number.
 *
 * @param text ASCII digits, with a sign and a point where it has them; no exponent.
 * @see https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/utils/adt/numeric.c `numeric_send`
 */
export function putNumeric(out: ByteWriter, text: Uint8Array): void {
  const first = text[0] === MINUS ? 1 : 0;
  const point = text.indexOf(POINT);
  const end = text.length;
  const wholeEnd = point < 0 ? end : point;
  const scale = point < 0 ? 0 : end - point - 1;
  out.reserve(HEAD_BYTES + 2 * Math.ceil(end / 4) + 4);
  const head = out.position;
  let position = head + HEAD_BYTES;
  let weight = Math.ceil((wholeEnd - first) / 4) - 1;
  let count = 0;
  /** Groups of zeros that are written only if others follow. */
  let zeros = 0;
  const { bytes } = out;
  const putGroup = (group: number): void => {
    if (group === 0 && count === 0) weight -= 1;
    else if (group === 0) zeros += 1;
    else {
      for (; zeros > 0; zeros--, count++) position = bytes.writeInt16BE(0, position);
      position = bytes.writeInt16BE(group, position);
      count += 1;
    }
  };
  for (let start = wholeEnd - 4 * (weight + 1); start < wholeEnd; start += 4) {
    putGroup(groupAt(text, Math.max(start, first), start + 4));
  }
  for (let start = wholeEnd + 1; start < end; start += 4) putGroup(groupAt(text, start, start + 4));
  if (count === 0) weight = 0;
  bytes.writeInt16BE(count, head);
  bytes.writeInt16BE(weight, head + 2);
  bytes.writeUInt16BE(first === 1 && count > 0 ? NEGATIVE : 0, head + 4);
  bytes.writeInt16BE(scale, head + 6);
  out.position = position;
}

/** Up to four digits from `start`; those beyond the end are zeros. */
function groupAt(text: Uint8Array, start: number, end: number): number {
  let group = 0;
  for (let i = start; i < end; i++) group = group * 10 + (i < text.length ? (text[i] as number) - ZERO : 0);
  return group;
}
