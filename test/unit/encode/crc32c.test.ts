import { randomBytes } from 'node:crypto';
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { combineCrc32c } from '../../../src/encode/crc32c.ts';

test('joins the checksums of two pieces into the checksum of the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4000 }), fc.double({ min: 0, max: 1, noNaN: true }), (bytes, share) => {
      const whole = Buffer.from(bytes);
      const cut = Math.floor(share * whole.length);
      const combined = combineCrc32c(crc32c(whole.subarray(0, cut)), crc32c(whole.subarray(cut)), whole.length - cut);
      expect(combined).toBe(crc32c(whole));
    }),
  );
});

test('joins many pieces of a larger buffer, one after the other', () => {
  const whole = randomBytes(3_000_000);
  let crc = 0;
  for (let start = 0; start < whole.length; start += 123_457) {
    const piece = whole.subarray(start, start + 123_457);
    crc = combineCrc32c(crc, crc32c(piece), piece.length);
  }
  expect(crc).toBe(crc32c(whole));
});

test('is associative for lengths beyond 2^32', () => {
  const length = fc.integer({ min: 0, max: 2 ** 51 });
  const crc = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(crc, crc, crc, length, length, (a, b, c, lengthB, lengthC) => {
      const left = combineCrc32c(combineCrc32c(a, b, lengthB), c, lengthC);
      const right = combineCrc32c(a, combineCrc32c(b, c, lengthC), lengthB + lengthC);
      expect(left).toBe(right);
    }),
  );
});

test('gives the checksum of 5 GiB of zeros, built from a real one by doubling', () => {
  const gibibyte = doubled(crc32c(Buffer.alloc(1024 * 1024)), 1024 * 1024, 10);
  const fourGibibytes = doubled(gibibyte, 2 ** 30, 2);
  const a = combineCrc32c(fourGibibytes, gibibyte, 2 ** 30);
  const b = combineCrc32c(gibibyte, fourGibibytes, 2 ** 32);
  expect(a).toBe(b);
});

function doubled(crc: number, length: number, times: number): number {
  let result = crc;
  for (let time = 0; time < times; time++) result = combineCrc32c(result, result, length * 2 ** time);
  return result;
}
