import { Binary, type Data, makeData } from 'apache-arrow';
import fc from 'fast-check';
import snappy from 'snappy';
import { expect, test } from 'vitest';
import { PageKernel } from '../../../src/encode/parquet/flat/kernel.ts';

const kernel = new PageKernel();

function compress(input: Buffer): Buffer {
  const page = kernel.page(input.length);
  page.set(input);
  return Buffer.from(kernel.compressSnappy(page));
}

/** Bytes that repeat in some parts and not in others. */
const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(200)), { maxLength: 30 })
  .map((parts) => Buffer.concat(parts.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes))));

test('what Snappy makes of any bytes is what they were, to an implementation of its own', () => {
  fc.assert(
    fc.property(fc.oneof(repetitive, fc.uint8Array({ maxLength: 70_000 })), (bytes) => {
      const input = Buffer.from(bytes);
      const output = compress(input);
      expect(output.length).toBeLessThanOrEqual(32 + input.length + Math.floor(input.length / 6));
      expect((snappy.uncompressSync(output) as Buffer).equals(input)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test.each([0, 1, 14, 15, 16, 17, 65_535, 65_536, 65_537, 65_551, 200_000, 5_000_000])(
  'Snappy takes %i bytes that repeat',
  (length) => {
    const input = Buffer.alloc(length, 'a line that comes again and again\n');
    expect((snappy.uncompressSync(compress(input)) as Buffer).equals(input)).toBe(true);
  },
);

/** Values that often begin alike, up to and beyond the 64 bytes that bounds look at. */
const value = fc
  .tuple(fc.constantFrom(0, 3, 63, 64, 65, 100), fc.uint8Array({ maxLength: 20 }))
  .map(([alike, rest]) => Buffer.concat([Buffer.alloc(alike, 0xff), rest]));
const rows = fc.array(fc.option(value, { freq: 4 }), { minLength: 1, maxLength: 60 });

test('PLAIN values, and which is the smallest and the largest, are those of the rows', () => {
  fc.assert(
    fc.property(rows, fc.nat(20), fc.nat(7), (all, skipped, firstBit) => {
      const from = Math.min(skipped, all.length - 1);
      const present = all.slice(from).filter((one) => one !== null);
      fc.pre(present.length > 0);
      const nulls = all.length - from - present.length;
      const page = kernel.page(4 * all.length + Buffer.concat(present).length + 4 + 7);
      const made = kernel.putPlain(page, 7, toData(all, firstBit), from, all.length, nulls);
      expect(page.subarray(7, made.end).equals(Buffer.concat(present.flatMap(lengthAndBytes)))).toBe(true);
      const sorted = [...present].sort(Buffer.compare);
      const prefix = (one: Buffer | null | undefined) => one?.subarray(0, 64).toString('hex');
      expect(prefix(all[made.smallest])).toBe(prefix(sorted[0]));
      expect(all[made.largest]?.equals(sorted.at(-1) ?? Buffer.alloc(0))).toBe(true);
    }),
    { numRuns: 500 },
  );
});

function lengthAndBytes(bytes: Buffer): Buffer[] {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return [length, bytes];
}

/** @param firstBit Where the bitmap begins, as in a slice. */
function toData(values: readonly (Buffer | null)[], firstBit: number): Data {
  const valueOffsets = Int32Array.from({ length: values.length + 1 });
  const nullBitmap = new Uint8Array(Math.ceil((values.length + firstBit) / 8));
  for (const [row, one] of values.entries()) {
    valueOffsets[row + 1] = (valueOffsets[row] as number) + (one?.length ?? 0);
    const bit = firstBit + row;
    if (one) nullBitmap[bit >>> 3] = (nullBitmap[bit >>> 3] as number) | (1 << (bit & 7));
  }
  const data = Buffer.concat(values.filter((one) => one !== null));
  const nullCount = values.filter((one) => one === null).length;
  const made = makeData({ type: new Binary(), length: values.length, nullCount, valueOffsets, data, nullBitmap });
  return Object.assign(Object.create(made) as Data, { offset: firstBit });
}
