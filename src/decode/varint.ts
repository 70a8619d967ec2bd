import { overlong } from './recordChecks.ts';

/**
 * Zigzag varints one after the other, for everything outside the loop over messages. A read behind the end of the bytes
 * gives `undefined`, which ends a varint: the caller checks `position`.
 */
export class VarintReader {
  position: number;
  private readonly bytes: Buffer;

  constructor(bytes: Buffer, position = 0) {
    this.bytes = bytes;
    this.position = position;
  }

  /** The next varint of at most 32 bits; `what` and `record` name it if it is longer. */
  next(what: string, record: number): number {
    let byte = this.bytes[this.position++] as number;
    let word = byte & 0x7f;
    for (let shift = 7; byte > 0x7f; shift += 7) {
      if (shift > 28) throw overlong(what, record);
      byte = this.bytes[this.position++] as number;
      word |= (byte & 0x7f) << shift;
    }
    return (word >>> 1) ^ -(word & 1);
  }
}

/** A zigzag varint of at most 64 bits as two words, without a BigInt; one object is filled again and again. */
export class LongVarint {
  low = 0;
  high = 0;
  /** Position behind the varint read last. */
  end = 0;

  read(bytes: Buffer, position: number, what: string, record: number): void {
    // Three parts of 28, 28 and 8 bits: a shift in JavaScript knows no more than 32.
    const parts = [0, 0, 0];
    let byte = 0x80;
    let count = 0;
    for (; byte > 0x7f; count++) {
      if (count === 10) throw overlong(what, record);
      byte = bytes[position + count] as number;
      const part = count >> 2;
      parts[part] = (parts[part] as number) | ((byte & 0x7f) << (7 * (count & 3)));
    }
    const [first, second, third] = parts as [number, number, number];
    const low = first | (second << 28);
    const high = (second >>> 4) | (third << 24);
    const sign = -(low & 1);
    this.low = ((low >>> 1) | (high << 31)) ^ sign;
    this.high = (high >>> 1) ^ sign;
    this.end = position + count;
  }
}
