import { describe, expect, it } from 'vitest';
import { scanBatches } from '../../../src/sources/scanBatches.ts';

/** A record batch of `bytes` in all, with zeros where its records would be. */
function batch(baseOffset: number, lastOffsetDelta: number, bytes = 80, magic = 2): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeBigInt64BE(BigInt(baseOffset), 0);
  buffer.writeInt32BE(bytes - 12, 8);
  buffer.writeInt8(magic, 16);
  buffer.writeInt32BE(lastOffsetDelta, 23);
  return buffer;
}

describe('scanBatches', () => {
  it('finds the offset after the last complete batch and leaves out the one cut short', () => {
    const records = Buffer.concat([batch(10, 4), batch(15, 0, 100), batch(16, 9).subarray(0, 70)]);
    expect(scanBatches(records)).toEqual({ end: 180, nextOffset: 16 });
  });

  it('finds nothing where even the first batch is cut short', () => {
    expect(scanBatches(batch(10, 4).subarray(0, 60))).toEqual({ end: 0, nextOffset: 0 });
    expect(scanBatches(Buffer.alloc(0))).toEqual({ end: 0, nextOffset: 0 });
  });

  it('stops behind a batch of an older format, for the decoder to name it', () => {
    expect(scanBatches(Buffer.concat([batch(3, 0), batch(7, 0, 80, 1)]))).toEqual({ end: 160, nextOffset: 7 });
  });

  it.each([-1, -12, -100])('does not loop on a batch length of %i', (length) => {
    const lying = batch(0, 0);
    lying.writeInt32BE(length, 8);
    expect(scanBatches(lying).end).toBe(0);
  });
});
