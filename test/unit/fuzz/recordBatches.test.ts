import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BatchInput, type RecordInput, varint, writeBatch, writeMarker } from '../decode/batchWriter.ts';
import { decodeAll } from '../decode/rows.ts';
import { amongNeighbours, HANG_MS, hostile, isOurs, largestAllocation, outcomeOf, runs } from './hostile.ts';

const FIXTURES = new URL('../../fixtures/decode/', import.meta.url);
const CODECS = ['none', 'gzip', 'snappy', 'xerial', 'lz4', 'zstd'] as const;
const MAX_BATCH_BYTES = 256 * 1024;
/** What gzip inflates into at a time: the largest piece that does not depend on `maxBatchBytes`. */
const MAX_ALLOCATION = 1024 * 1024;
const ABORTED = [
  { producerId: 7, firstOffset: 2 },
  { producerId: -1, firstOffset: 0 },
];

const records: RecordInput[] = [
  { key: Buffer.from('key'), value: Buffer.alloc(300, 'value '), headers: [['h', Buffer.from('x')]], timestamp: 5n },
  { key: null, value: Buffer.from(''), timestamp: 300_000_000_000n, headers: [['n', null]] },
  { key: Buffer.from(''), value: null },
];
const batches: Buffer[] = [await writeMarker('abort', 5, 7n), await writeMarker('commit', 5, 7n)];
for (const codec of CODECS) {
  batches.push(await writeBatch(records, { codec, baseOffset: 2, transactional: true, producerId: 7n }));
}
batches.push(Buffer.concat(batches));
/** As producers wrote them; of each the first batches. */
for (const name of readdirSync(FIXTURES).filter((file) => file.endsWith('.bin'))) {
  batches.push(readFileSync(new URL(name, FIXTURES)).subarray(0, 2048));
}

/** Checksums are left aside, or no damage would ever get past them. */
const decode = async (bytes: Buffer): Promise<unknown> => {
  const { rows, set, columns } = await decodeAll(bytes, { checkCrcs: false, maxBatchBytes: MAX_BATCH_BYTES }, ABORTED);
  expect(columns.allocatedBytes).toBeLessThan(4 * (columns.rawBytes + 100 * columns.rows) + 4096);
  return { rows, nextOffset: set.nextOffset, counts: set.counts };
};

/** Whatever the bytes are: rows or one of our errors, the same whatever lies around them, and nothing large made. */
async function expectContained(bytes: Buffer): Promise<void> {
  const [first, second] = [amongNeighbours(bytes, 0x00), amongNeighbours(bytes, 0xff)];
  let outcome: unknown;
  const largest = await largestAllocation(async () => {
    outcome = await outcomeOf(() => decode(first.view), isOurs);
  });
  expect(largest).toBeLessThanOrEqual(MAX_ALLOCATION);
  expect(outcome).toEqual(await outcomeOf(() => decode(second.view), isOurs));
  expect([first.areUntouched(), second.areUntouched()]).toEqual([true, true]);
}

test(
  'any bytes give rows or one clear error, from these bytes alone',
  async () => {
    await fc.assert(fc.asyncProperty(hostile(...batches), expectContained), runs(700));
  },
  HANG_MS,
);

test(
  'any records section in a batch with a right checksum, in every codec, does the same',
  async () => {
    const section = Buffer.concat([varint(9), Buffer.from([0, 0, 0, 2, 0x61, 2, 0x62, 0, 0])]);
    await fc.assert(
      fc.asyncProperty(
        hostile(section, section, batches[2]?.subarray(61) as Buffer),
        fc.constantFrom(...CODECS),
        fc.integer({ min: 0, max: 9 }),
        fc.boolean(),
        async (bytes, codec, recordCount, isCompressed) => {
          const what: BatchInput = isCompressed ? { compressed: bytes } : { section: bytes };
          await expectContained(await writeBatch([], { ...what, codec, recordCount, lastOffsetDelta: 9 }));
        },
      ),
      runs(1_000),
    );
  },
  HANG_MS,
);
