import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageColumns, roomFor } from '../../../src/decode/columns.ts';
import { RecordSet } from '../../../src/decode/recordSet.ts';
import { type CodecName, type RecordInput, writeBatch, writeMarker } from './batchWriter.ts';
import { ALL_COLUMNS, decodeAll, OPTIONS, type Row, rowsOf } from './rows.ts';

const text = (value: string) => Buffer.from(value);

/** Records whose value is their number. */
function numbered(count: number): RecordInput[] {
  return Array.from({ length: count }, (_, i) => ({ key: null, value: text(`v${i}`), timestamp: 1000n }));
}

const offsetsOf = (rows: readonly Row[]) => rows.map((row) => row.offset);

describe('the wanted range', () => {
  it('drops records before startOffset and from endOffset on', async () => {
    const records = Buffer.concat([
      await writeBatch(numbered(5), { baseOffset: 100 }),
      await writeBatch(numbered(5), { baseOffset: 105, codec: 'lz4' }),
    ]);
    const { rows, set } = await decodeAll(records, { startOffset: 103, endOffset: 107 });
    expect(offsetsOf(rows)).toEqual([103, 104, 105, 106]);
    expect(set.nextOffset).toBe(107);
    expect(set.reachedEnd).toBe(true);
  });

  it('steps over a batch that lies wholly before it without looking at its records', async () => {
    const records = Buffer.concat([
      await writeBatch(numbered(2), { baseOffset: 0, compressed: Buffer.from('no lz4 at all'), codec: 'lz4' }),
      await writeBatch(numbered(2), { baseOffset: 2 }),
    ]);
    const { rows } = await decodeAll(records, { startOffset: 2 });
    expect(offsetsOf(rows)).toEqual([2, 3]);
  });

  it('ends at a batch that begins behind it', async () => {
    const records = await writeBatch(numbered(2), { baseOffset: 50 });
    const { rows, set } = await decodeAll(records, { startOffset: 10, endOffset: 20 });
    expect(rows).toEqual([]);
    expect(set.nextOffset).toBe(20);
  });

  it('never hands out the rows of a batch that comes twice', async () => {
    const batch = await writeBatch(numbered(3), { baseOffset: 7 });
    const { rows } = await decodeAll(Buffer.concat([batch, batch]));
    expect(offsetsOf(rows)).toEqual([7, 8, 9]);
  });
});

describe('a response', () => {
  it('may end in a batch cut short, at any byte', async () => {
    const first = await writeBatch(numbered(2));
    const second = await writeBatch(numbered(2), { baseOffset: 2 });
    const whole = Buffer.concat([first, second]);
    for (let end = first.length; end < whole.length; end++) {
      const { rows, set } = await decodeAll(whole.subarray(0, end));
      expect(offsetsOf(rows)).toEqual([0, 1]);
      expect(set.nextOffset).toBe(2);
      expect(set.reachedEnd).toBe(false);
    }
  });

  it('without any batch gives nothing and stays where it is', async () => {
    const { rows, set } = await decodeAll(Buffer.alloc(0), { startOffset: 12 });
    expect(rows).toEqual([]);
    expect(set.nextOffset).toBe(12);
  });

  it('moves past batches that compaction emptied', async () => {
    const records = Buffer.concat([
      await writeBatch([], { baseOffset: 0, lastOffsetDelta: 9, codec: 'zstd', compressed: Buffer.alloc(0) }),
      await writeBatch(numbered(1), { baseOffset: 10, lastOffsetDelta: 4 }),
    ]);
    const { rows, set, batches } = await decodeAll(records);
    expect(offsetsOf(rows)).toEqual([10]);
    expect(batches).toBe(1);
    expect(set.nextOffset).toBe(15);
  });

  it('decodes one batch with each call, so that a row group can be cut between them', async () => {
    const records = Buffer.concat([
      await writeBatch(numbered(3)),
      await writeBatch(numbered(2), { baseOffset: 3, codec: 'zstd' }),
    ]);
    const set = new RecordSet(records, [], OPTIONS);
    const columns = new MessageColumns(ALL_COLUMNS);
    expect(await set.peek()).toEqual({ rows: 3, bytes: 3 * 9 });
    expect(await set.peek()).toEqual({ rows: 3, bytes: 3 * 9 });
    expect(await set.next(columns)).toBe(true);
    expect(set.nextOffset).toBe(3);
    columns.clear();
    expect(await set.peek()).toEqual({ rows: 2, bytes: 2 * 9 });
    expect(await set.next(columns)).toBe(true);
    expect(offsetsOf(rowsOf(columns))).toEqual([3, 4]);
    expect(await set.peek()).toBeNull();
    expect(await set.next(columns)).toBe(false);
    expect(columns.rows).toBe(2);
  });
});

describe('aborted transactions', () => {
  it('count from the middle of one that began before the range', async () => {
    const records = Buffer.concat([
      await writeBatch(numbered(2), { baseOffset: 10, producerId: 7n, transactional: true }),
      await writeMarker('abort', 12, 7n),
      await writeBatch(numbered(2), { baseOffset: 13, producerId: 7n, transactional: true }),
      await writeMarker('commit', 15, 7n),
    ]);
    const { rows, set } = await decodeAll(records, { startOffset: 11 }, [{ producerId: 7, firstOffset: 2 }]);
    expect(offsetsOf(rows)).toEqual([13, 14]);
    expect(set.counts).toEqual({ control: 2, aborted: 1 });
    expect(set.nextOffset).toBe(16);
  });

  it('do not touch what the same producer writes outside a transaction', async () => {
    const records = await writeBatch(numbered(2), { baseOffset: 5, producerId: 7n });
    const { rows } = await decodeAll(records, {}, [{ producerId: 7, firstOffset: 0 }]);
    expect(offsetsOf(rows)).toEqual([5, 6]);
  });

  it('count only the records that compaction left of them', async () => {
    const records = await writeBatch(
      [
        { key: null, value: text('a'), offsetDelta: 0 },
        { key: null, value: text('b'), offsetDelta: 6 },
      ],
      { baseOffset: 20, lastOffsetDelta: 9, producerId: 1n, transactional: true, codec: 'zstd' },
    );
    const { set } = await decodeAll(records, { startOffset: 21, endOffset: 28 }, [{ producerId: 1, firstOffset: 20 }]);
    expect(set.counts).toEqual({ control: 0, aborted: 1 });
  });
});

describe('timestamps', () => {
  it.each<[string, bigint[]]>([
    ['none', [-1n, -1n]],
    ['far apart, either way', [1_700_000_000_000n, 0n, 4_000_000_000_000n, -62_135_596_800_000n]],
    ['in nanoseconds by mistake', [1_700_000_000_123_456_789n, 1_700_000_000_123_456_790n]],
    ['after one without', [-1n, 1_700_000_000_123_456_789n]],
    ['at the ends of Int64', [-(2n ** 63n), 2n ** 63n - 1n, 0n]],
    ['around a carry between the words', [0xffffffffn, 0x100000000n, 0xfffffffen, -1n]],
  ])('%s', async (_name, timestamps) => {
    const { rows } = await decodeAll(
      await writeBatch(timestamps.map((timestamp) => ({ key: null, value: null, timestamp }))),
    );
    expect(rows.map((row) => row.timestamp)).toEqual(timestamps);
  });

  it('of a LogAppendTime batch are its maximum, whatever the records say', async () => {
    const records = await writeBatch(
      [1000n, 5_000_000_000_000n, -1n].map((timestamp) => ({ key: null, value: null, timestamp })),
      { logAppendTime: true, maxTimestamp: 1_700_000_000_001n },
    );
    const { rows } = await decodeAll(records);
    expect(rows.map((row) => [row.timestamp, row.timestampType])).toEqual(Array(3).fill([1_700_000_000_001n, 1]));
  });
});

it('keeps offsets beyond 32 bits', async () => {
  const baseOffset = 2 ** 32 - 2;
  const records = await writeBatch(numbered(4), { baseOffset });
  const { rows } = await decodeAll(records, { endOffset: 2 ** 33 });
  expect(offsetsOf(rows)).toEqual([2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1]);
});

it('fills only the columns that were asked for', async () => {
  const records = await writeBatch([{ key: text('k'), value: text('v'), headers: [['h', text('x')]] }]);
  const columns = new MessageColumns(['value', 'partition']);
  await new RecordSet(records, [], OPTIONS).next(columns);
  expect(columns).toMatchObject({ rows: 1, key: null, headers: null, timestampWords: null, timestampTypes: null });
  expect(columns.value?.data.toString('utf8', 0, columns.value.bytes)).toBe('v');
  expect(columns.rawBytes).toBe(1);
});

describe('columns', () => {
  it('are used again after clear, without the nulls of before', async () => {
    const columns = new MessageColumns(ALL_COLUMNS, { rows: 2, bytes: 16 });
    await new RecordSet(
      await writeBatch([
        { key: null, value: null },
        { key: null, value: null },
      ]),
      [],
      OPTIONS,
    ).next(columns);
    expect([columns.key?.nullCount, columns.value?.nullCount]).toEqual([2, 2]);
    columns.clear();
    const allocated = columns.allocatedBytes;
    await new RecordSet(await writeBatch([{ key: text('a'), value: text('') }]), [], OPTIONS).next(columns);
    expect(rowsOf(columns)).toMatchObject([{ key: text('a'), value: text('') }]);
    expect([columns.key?.nullCount, columns.value?.nullCount]).toEqual([0, 0]);
    expect(columns.allocatedBytes).toBe(allocated);
  });

  it('fill the room that was made for a row group without a copy, and give back what a huge batch took', async () => {
    const columns = new MessageColumns(['value'], roomFor({ rows: 1_000_000, bytes: 1024 * 1024 }));
    const buffers = () => [columns.value?.data.buffer, columns.value?.offsets.buffer, columns.offsetWords.buffer];
    const first = buffers();
    const options = { ...OPTIONS, maxBatchBytes: 64 * 1024 * 1024 };
    const batch = await writeBatch(Array.from({ length: 1024 }, () => ({ key: null, value: Buffer.alloc(1024) })));
    await new RecordSet(batch, [], options).next(columns);
    expect(columns.rawBytes).toBe(1024 * 1024);
    expect(buffers().every((buffer, index) => buffer === first[index])).toBe(true);

    columns.clear();
    const huge = await writeBatch([{ key: null, value: Buffer.alloc(33 * 1024 * 1024) }]);
    await new RecordSet(huge, [], options).next(columns);
    expect(columns.allocatedBytes).toBeGreaterThan(33 * 1024 * 1024);
    columns.clear();
    expect(columns.allocatedBytes).toBeLessThan(2 * 1024 * 1024);
  });

  it('have no room for what an Int32 offset cannot reach', () => {
    const columns = new MessageColumns(['value']);
    expect(columns.hasRoomFor(2 ** 31 - 1, 10)).toBe(true);
    expect(columns.hasRoomFor(2 ** 31, 10)).toBe(false);
  });
});

const bytesOrNull = fc.option(fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)));
const record = fc.record({
  key: bytesOrNull,
  value: fc.oneof(
    bytesOrNull,
    fc.integer({ min: 100, max: 5000 }).map((length) => Buffer.alloc(length, 'long value ')),
  ),
  headers: fc.array(fc.tuple(fc.string({ maxLength: 8, unit: 'grapheme' }), bytesOrNull), { maxLength: 3 }),
  timestamp: fc.oneof(fc.bigInt(-1n, 2n ** 41n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
  gap: fc.nat({ max: 300 }),
});
const codec = fc.constantFrom<CodecName>('none', 'gzip', 'snappy', 'xerial', 'lz4', 'zstd');
const batches = fc.array(fc.record({ codec, records: fc.array(record, { minLength: 1, maxLength: 40 }) }), {
  minLength: 1,
  maxLength: 6,
});

it('gives back whatever batches were written, in any codec and from any start', async () => {
  await fc.assert(
    fc.asyncProperty(batches, fc.nat({ max: 2000 }), async (inputs, startOffset) => {
      const parts: Buffer[] = [];
      const expected: Row[] = [];
      let offset = 0;
      for (const { codec, records } of inputs) {
        const baseOffset = offset;
        const placed = records.map(({ gap, ...rest }) => {
          offset += gap;
          return { ...rest, offsetDelta: offset++ - baseOffset };
        });
        parts.push(await writeBatch(placed, { baseOffset, codec }));
        for (const { offsetDelta, ...rest } of placed) {
          expected.push({ ...rest, offset: baseOffset + offsetDelta, timestampType: 0 });
        }
      }
      const { rows, set } = await decodeAll(Buffer.concat(parts), { startOffset });
      expect(rows).toEqual(expected.filter((row) => row.offset >= startOffset));
      expect(set.nextOffset).toBe(Math.max(offset, startOffset));
    }),
    { numRuns: 60 },
  );
});
