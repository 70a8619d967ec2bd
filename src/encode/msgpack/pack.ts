/** The parts MessagePack is made of. */
import type { ByteWriter } from '../output/byteWriter.ts';
import type { Moment } from '../text/dates.ts';

export const NIL = 0xc0;
const TWO_32 = 0x1_0000_0000;
const TWO_34 = 0x4_0000_0000;

function putHead(out: ByteWriter, code: number, value: number, bytes: 1 | 2 | 4): void {
  out.reserve(5);
  out.bytes[out.position] = code;
  out.position = out.bytes.writeUIntBE(value, out.position + 1, bytes);
}

export function putMapHead(out: ByteWriter, entries: number): void {
  if (entries < 0x10) out.putByte(0x80 | entries);
  else if (entries < 0x1_0000) putHead(out, 0xde, entries, 2);
  else putHead(out, 0xdf, entries, 4);
}

export function putArrayHead(out: ByteWriter, items: number): void {
  if (items < 0x10) out.putByte(0x90 | items);
  else if (items < 0x1_0000) putHead(out, 0xdc, items, 2);
  else putHead(out, 0xdd, items, 4);
}

/** Valid UTF-8. */
export function putStr(out: ByteWriter, source: Uint8Array, start: number, end: number): void {
  const length = end - start;
  if (length < 0x20) out.putByte(0xa0 | length);
  else if (length < 0x100) putHead(out, 0xd9, length, 1);
  else if (length < 0x1_0000) putHead(out, 0xda, length, 2);
  else putHead(out, 0xdb, length, 4);
  out.put(source, start, end);
}

export function putBin(out: ByteWriter, source: Uint8Array, start: number, end: number): void {
  const length = end - start;
  if (length < 0x100) putHead(out, 0xc4, length, 1);
  else if (length < 0x1_0000) putHead(out, 0xc5, length, 2);
  else putHead(out, 0xc6, length, 4);
  out.put(source, start, end);
}

/** From -2^31 to 2^32 - 1. */
export function putInteger(out: ByteWriter, value: number): void {
  if (value >= 0) {
    if (value < 0x80) out.putByte(value);
    else if (value < 0x100) putHead(out, 0xcc, value, 1);
    else if (value < 0x1_0000) putHead(out, 0xcd, value, 2);
    else putHead(out, 0xce, value, 4);
  } else if (value >= -0x20) out.putByte(value & 0xff);
  else if (value >= -0x80) putHead(out, 0xd0, value & 0xff, 1);
  else if (value >= -0x8000) putHead(out, 0xd1, value & 0xffff, 2);
  else putHead(out, 0xd2, value >>> 0, 4);
}

/** 64 bits, from their halves. */
export function putInt64(out: ByteWriter, low: number, high: number, isSigned: boolean): void {
  if (high === 0) {
    putInteger(out, low >>> 0);
  } else if (isSigned && high === -1 && low < 0) {
    putInteger(out, low);
  } else {
    putHead(out, isSigned && high < 0 ? 0xd3 : 0xcf, high >>> 0, 4);
    putUint32(out, low >>> 0);
  }
}

/** The extension type -1, in its shortest form: 32, 64 or 96 bits. */
export function putTimestamp(out: ByteWriter, { seconds, fraction, digits }: Moment): void {
  const nanoseconds = fraction * 10 ** (9 - digits);
  if (seconds >= 0 && seconds < TWO_34) {
    const upper = Math.floor(seconds / TWO_32);
    if (nanoseconds === 0 && upper === 0) {
      putHead(out, 0xd6, 0xff, 1);
    } else {
      putHead(out, 0xd7, 0xff, 1);
      putUint32(out, nanoseconds * 4 + upper);
    }
    putUint32(out, seconds % TWO_32);
    return;
  }
  putHead(out, 0xc7, 0x0cff, 2);
  putUint32(out, nanoseconds);
  putUint32(out, Math.floor(seconds / TWO_32) >>> 0);
  putUint32(out, seconds >>> 0);
}

function putUint32(out: ByteWriter, value: number): void {
  out.reserve(4);
  out.position = out.bytes.writeUInt32BE(value, out.position);
}
