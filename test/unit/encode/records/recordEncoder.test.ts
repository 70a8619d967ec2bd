import {
  Field,
  Int16,
  Int64,
  Map_,
  makeVector,
  Null,
  Struct,
  Table,
  TimestampMicrosecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint32,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RECORD_COMPRESSIONS } from '../../../../src/encode/records/compress.ts';
import { murmur2, partitionForKey, partitionOfHash } from '../../../../src/encode/records/partitioner.ts';
import { type EncodedRecordBatch, stampBatch } from '../../../../src/encode/records/recordBatch.ts';
import {
  DEFAULT_MAX_BATCH_BYTES,
  RecordEncoder,
  type RecordEncoderSettings,
  topicsOf,
} from '../../../../src/encode/records/recordEncoder.ts';
import { decodeAll, type Row } from '../../decode/rows.ts';
import { type RecordRow, recordTable } from './tables.ts';

const NOW_MS = 1_790_000_000_000;
const OPTIONS = { defaultTimestampMs: NOW_MS, rowName: (row: number) => `line ${row + 1} of orders.csv` };

function encoder(settings: Partial<RecordEncoderSettings> = {}): RecordEncoder {
  return new RecordEncoder({
    defaultTopic: 'orders',
    partitionCounts: new Map([['orders', 4]]),
    compression: 'lz4',
    maxBatchBytes: DEFAULT_MAX_BATCH_BYTES,
    headers: [],
    ...settings,
  });
}

const bytes = (text: string): Buffer => Buffer.from(text);

/** Batches stamped as a producer does, read by the decoder, by topic and partition. */
async function decode(batches: readonly EncodedRecordBatch[]): Promise<Map<string, Row[]>> {
  const rows = new Map<string, Row[]>();
  for (const batch of batches) {
    stampBatch(batch.bytes, { producerId: 4711, producerEpoch: 3, baseSequence: 17 });
    const decoded = await decodeAll(Buffer.from(batch.bytes), { maxBatchBytes: 64 * 1024 * 1024 });
    expect(decoded.rows.length).toBe(batch.rows);
    const place = `${batch.topic}/${batch.partition}`;
    rows.set(place, [...(rows.get(place) ?? []), ...decoded.rows]);
  }
  return rows;
}

function equal(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

const only = async (batches: readonly EncodedRecordBatch[]): Promise<Row[]> =>
  [...(await decode(batches)).values()].flat();

describe('records', () => {
  const content = fc.option(
    fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
    { nil: null },
  );
  const arbitraryRow: fc.Arbitrary<Required<RecordRow>> = fc.record({
    key: fc.option(
      fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
      { nil: null },
    ),
    value: content,
    topic: fc.constantFrom('orders', 'returns', 'Bücher', null),
    partition: fc.option(fc.integer({ min: 0, max: 2 }), { nil: null }),
    timestamp: fc.option(
      fc.oneof(fc.bigInt({ min: -1n, max: 2n ** 53n - 1n }), fc.constant(-1n), fc.bigInt({ min: 0n, max: 99n })),
      { nil: null },
    ),
    headers: fc.option(fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 5 }), content), { maxLength: 4 }), {
      nil: null,
    }),
  });
  const partitionCounts = new Map([
    ['orders', 3],
    ['returns', 5],
    ['Bücher', 41],
  ]);

  test('come out of the decoder as they went in, in the order of their partition', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(arbitraryRow, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(...RECORD_COMPRESSIONS),
        fc.constantFrom(1, 7, 1000),
        fc.constantFrom(100, 1000, DEFAULT_MAX_BATCH_BYTES),
        fc.boolean(),
        async (rows, compression, batchRows, maxBatchBytes, constant) => {
          const headers = constant
            ? [
                { key: 'source', value: null },
                { key: '', value: bytes('Größe') },
              ]
            : [];
          const encode = encoder({ compression, maxBatchBytes, partitionCounts, headers });
          const batches = await encode.encode(recordTable(rows, batchRows), OPTIONS);
          const decoded = await decode(batches);
          const keyless: { topic: string; row: (typeof rows)[number] }[] = [];
          for (const row of rows) {
            const topic = row.topic ?? 'orders';
            const count = partitionCounts.get(topic) ?? 0;
            if (row.partition === null && row.key === null) {
              keyless.push({ topic, row });
              continue;
            }
            const partition = row.partition ?? partitionOfHash(murmur2(row.key as Buffer), count);
            const left = decoded.get(`${topic}/${partition}`) ?? [];
            // Those without a key stand between: taken out here, and looked at below.
            const at = left.findIndex((candidate) => same(candidate, row, headers));
            expect(at, `${topic}/${partition}`).toBeGreaterThanOrEqual(0);
            left.splice(at, 1);
          }
          const found = [...decoded].flatMap(([place, left]) =>
            left.map((row) => ({ topic: place.split('/')[0], row })),
          );
          expect(found.length).toBe(keyless.length);
          for (const { topic, row } of keyless) {
            const at = found.findIndex((candidate) => candidate.topic === topic && same(candidate.row, row, headers));
            expect(at).toBeGreaterThanOrEqual(0);
            found.splice(at, 1);
          }
          for (const batch of batches) {
            if (batch.rows > 1) expect(batch.bytes.length).toBeLessThanOrEqual(maxBatchBytes);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  function same(found: Row, row: Required<RecordRow>, more: readonly { key: string; value: Buffer | null }[]): boolean {
    const headers = [...(row.headers ?? []), ...more.map(({ key, value }) => [key, value] as const)];
    return (
      equal(found.key, row.key) &&
      equal(found.value, row.value) &&
      found.timestamp === (row.timestamp ?? BigInt(NOW_MS)) &&
      found.headers.length === headers.length &&
      found.headers.every(([key, value], i) => key === headers[i]?.[0] && equal(value, headers[i]?.[1] ?? null))
    );
  }

  test('keep their order within a partition over batches and Arrow batches', async () => {
    const rows = Array.from({ length: 5_000 }, (_, i) => ({ key: bytes(`k${i % 50}`), value: bytes(`value ${i}`) }));
    const batches = await encoder({ maxBatchBytes: 2_000 }).encode(recordTable(rows, 333), OPTIONS);
    expect(batches.length).toBeGreaterThan(30);
    const decoded = await decode(batches);
    expect([...decoded.keys()]).toEqual(['orders/0', 'orders/1', 'orders/2', 'orders/3']);
    for (const [place, found] of decoded) {
      const expected = rows.filter(({ key }) => `orders/${partitionForKey(key.toString(), 4)}` === place);
      expect(found.map(({ value }) => String(value))).toEqual(expected.map(({ value }) => String(value)));
    }
  });

  test('of a slice of a table are those of the slice', async () => {
    const rows = Array.from({ length: 100 }, (_, i) => ({
      key: bytes('same'),
      value: i % 3 === 0 ? null : bytes(`${i}`),
      timestamp: i % 5 === 0 ? null : BigInt(i),
      headers: i % 7 === 0 ? null : [[`h${i}`, i % 2 === 0 ? null : bytes(`${i}`)] as const],
    }));
    const found = await only(await encoder().encode(recordTable(rows, 30).slice(13, 77), OPTIONS));
    expect(found.map(({ value, timestamp, headers }) => ({ value, timestamp, headers }))).toEqual(
      rows.slice(13, 77).map(({ value, timestamp, headers }) => ({
        value,
        timestamp: timestamp ?? BigInt(NOW_MS),
        headers: headers ?? [],
      })),
    );
  });

  test('larger than a batch are batches alone', async () => {
    const rows = ['a', 'b'.repeat(300_000), 'c', 'd'].map((value) => ({ key: bytes('k'), value: bytes(value) }));
    const batches = await encoder({ maxBatchBytes: 1_000, compression: 'none' }).encode(recordTable(rows), OPTIONS);
    expect(batches.map((batch) => batch.rows)).toEqual([1, 1, 2]);
    expect((await only(batches)).map(({ value }) => value?.length)).toEqual([1, 300_000, 1, 1]);
  });

  test('that do not compress stay as they are, within the limit', async () => {
    let state = 1;
    const next = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    };
    const random = Buffer.from(Uint8Array.from({ length: 3_000_000 }, next));
    const rows = Array.from({ length: 3_000 }, (_, i) => ({
      key: bytes('k'),
      value: random.subarray(i * 1000, i * 1000 + 1000),
    }));
    for (const compression of RECORD_COMPRESSIONS) {
      const batches = await encoder({ compression }).encode(recordTable(rows), OPTIONS);
      for (const batch of batches) expect(batch.bytes.length).toBeLessThanOrEqual(DEFAULT_MAX_BATCH_BYTES);
      expect((await only(batches)).length).toBe(3_000);
    }
  });

  test('lie in batches that tell their latest time and belong to a transaction', async () => {
    const times = [5n, 2n ** 50n, -1n, 7n];
    const rows = times.map((timestamp) => ({ key: bytes('k'), timestamp }));
    const [batch] = await encoder().encode(recordTable(rows), OPTIONS);
    expect(batch?.maxTimestampMs).toBe(2 ** 50);
    stampBatch(batch?.bytes as Uint8Array, { producerId: 2 ** 40 + 9, producerEpoch: 300, baseSequence: 2 ** 31 - 1 });
    const header = Buffer.from(batch?.bytes as Uint8Array);
    expect(header.readInt16BE(21) & 0x10).toBe(0x10);
    expect(header.readBigInt64BE(27)).toBe(5n);
    expect(header.readBigInt64BE(35)).toBe(2n ** 50n);
    expect(header.readBigInt64BE(43)).toBe(2n ** 40n + 9n);
    expect(header.readInt16BE(51)).toBe(300);
    expect(header.readInt32BE(53)).toBe(2 ** 31 - 1);
    expect((await decodeAll(header)).rows.map(({ timestamp }) => timestamp)).toEqual(times);
  });

  test('are none for a table without rows', async () => {
    expect(await encoder().encode(recordTable([]), OPTIONS)).toEqual([]);
  });
});

describe('columns', () => {
  test('of text are written as UTF-8, and a column of nulls is null', async () => {
    const table = new Table({
      key: vectorFromArray(['ä', '', null], new Utf8()),
      value: vectorFromArray([null, null, null], new Null()),
      unknown: vectorFromArray([1, 2, 3]),
    });
    const found = await only(await encoder({ partitionCounts: new Map([['orders', 1]]) }).encode(table, OPTIONS));
    expect(found.map(({ key, value }) => [key?.toString() ?? null, value])).toEqual([
      ['ä', null],
      ['', null],
      [null, null],
    ]);
  });

  test.each([
    [new TimestampSecond(), [1_700_000_000n, 0n, 9_007_199_254_740n], [1_700_000_000_000n, 0n, 9_007_199_254_740_000n]],
    [
      new TimestampMicrosecond(),
      [1_700_000_000_123_999n, 999n, 2n ** 62n],
      [1_700_000_000_123n, 0n, 2n ** 62n / 1000n],
    ],
    [
      new TimestampNanosecond(),
      [1_700_000_000_123_999_999n, 1_700_000_000_124_000_000n, 9_223_372_036_854_775_807n],
      [1_700_000_000_123n, 1_700_000_000_124n, 9_223_372_036_854n],
    ],
    [new Int64(), [1_700_000_000_123n, -1n, 2n ** 53n - 1n], [1_700_000_000_123n, -1n, 2n ** 53n - 1n]],
  ])('of %s become milliseconds exactly', async (type, values, expected) => {
    const column = makeVector({ type, data: BigInt64Array.from(values) } as never);
    const table = new Table({ timestamp: column, key: vectorFromArray(['k', 'k', 'k'], new Utf8()) });
    const found = await only(await encoder().encode(table, OPTIONS));
    expect(found.map(({ timestamp }) => timestamp)).toEqual(expected);
  });

  test.each([new Int16(), new Uint32(), new Int64()])('of %s name partitions', async (type) => {
    const long = type instanceof Int64;
    const partition = vectorFromArray(long ? [3n, null, 0n] : [3, null, 0], type);
    const table = new Table({ partition, key: vectorFromArray(['a', 'foobar', 'c'], new Utf8()) });
    const decoded = await decode(await encoder().encode(table, OPTIONS));
    const placed = [...decoded].flatMap(([place, rows]) => rows.map(({ key }) => `${key} ${place}`));
    expect(placed.sort()).toEqual(['a orders/3', 'c orders/0', `foobar orders/${partitionForKey('foobar', 4)}`]);
  });

  test('of maps are headers, values of text as UTF-8', async () => {
    const entry = new Struct<never>([
      new Field('keys', new Utf8(), false),
      new Field('values', new Utf8(), true),
    ] as never);
    const type = new Map_<Utf8, Utf8>(new Field('entries', entry, false) as never);
    const maps = [
      new Map([
        ['a', 'Ä'],
        ['b', ''],
      ]),
      null,
      new Map<string, string>(),
    ];
    const table = new Table({
      headers: vectorFromArray(maps, type),
      key: vectorFromArray(['k', 'k', 'k'], new Utf8()),
    });
    const found = await only(await encoder().encode(table, OPTIONS));
    expect(found.map(({ headers }) => headers)).toEqual([
      [
        ['a', bytes('Ä')],
        ['b', bytes('')],
      ],
      [],
      [],
    ]);
  });

  test.each([
    [
      'value',
      vectorFromArray([1.5]),
      'cannot write column value of type Float64 to Kafka: it has to be STRING or BINARY',
    ],
    [
      'topic',
      vectorFromArray([1.5]),
      'cannot write column topic of type Float64 to Kafka: it has to be STRING; cast it',
    ],
    ['partition', vectorFromArray(['1'], new Utf8()), 'it has to be INT'],
    ['timestamp', vectorFromArray(['1'], new Utf8()), 'it has to be TIMESTAMP, or LONG in milliseconds'],
    ['headers', vectorFromArray(['1'], new Utf8()), 'it has to be an ARRAY of STRUCT<key STRING, value BINARY>'],
  ])('%s of a wrong type is refused', async (name, column, message) => {
    await expect(encoder().encode(new Table({ [name]: column }), OPTIONS)).rejects.toThrow(
      expect.objectContaining({ code: 'FIELD_INVALID', message: expect.stringContaining(message) }),
    );
  });
});

describe('placement', () => {
  test('spreads rows without a key evenly, in runs', async () => {
    const rows = Array.from({ length: 4_000 }, (_, i) => ({ value: bytes(`${i}`.padEnd(100)) }));
    const batches = await encoder().encode(recordTable(rows, 300), OPTIONS);
    expect(batches.map(({ rows: count }) => count)).toEqual([1_000, 1_000, 1_000, 1_000]);
    const few = await encoder().encode(recordTable(rows.slice(0, 40)), OPTIONS);
    expect(few.map(({ rows: count }) => count)).toEqual([40]);
  });

  test('takes each row to the topic that it names', async () => {
    const partitionCounts = new Map([
      ['orders', 1],
      ['returns', 2],
      ['rest', 1],
    ]);
    const named = ['orders', 'returns', 'orders', null, 'returns', 'orders', 'orders'];
    const rows = named.map((topic, i) => ({ topic, key: bytes('foobar'), value: bytes(`${i}`) }));
    const input = recordTable(rows, 2);
    expect(topicsOf(input, 'rest')).toEqual(new Set(['orders', 'returns', 'rest']));
    const decoded = await decode(await encoder({ defaultTopic: 'rest', partitionCounts }).encode(input, OPTIONS));
    expect(
      Object.fromEntries([...decoded].map(([place, found]) => [place, found.map(({ value }) => String(value))])),
    ).toEqual({
      'orders/0': ['0', '2', '5', '6'],
      [`returns/${partitionForKey('foobar', 2)}`]: ['1', '4'],
      'rest/0': ['3'],
    });
  });

  const unwritable: [name: string, code: string, message: string, rows: RecordRow[]][] = [
    [
      'partition too high',
      'ROW_INVALID',
      'cannot write line 2 of orders.csv to partition 4 of topic orders: it has partitions 0 to 3; correct the column ' +
        'partition, or leave it null to place the row by its key',
      [{}, { partition: 4 }],
    ],
    [
      'negative partition',
      'ROW_INVALID',
      'cannot write line 1 of orders.csv to partition -1 of topic orders',
      [{ partition: -1 }],
    ],
    [
      'unknown topic',
      'TOPIC_UNKNOWN',
      'cannot write line 2 of orders.csv to topic gone: there is no such topic',
      [{ key: bytes('k') }, { topic: 'gone' }],
    ],
    [
      'time before 1970',
      'ROW_INVALID',
      'cannot write line 3 of orders.csv to Kafka: its timestamp is -2 ms since 1970',
      [{ timestamp: 1n }, { timestamp: 1n }, { timestamp: -2n }],
    ],
    ['time too late', 'ROW_INVALID', 'its timestamp is 9007199254740992 ms since 1970', [{ timestamp: 2n ** 53n }]],
  ];
  test.each(unwritable)('names the row that cannot be written: %s', async (_name, code, message, rows) => {
    await expect(encoder().encode(recordTable(rows), OPTIONS)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });

  test('names a row without a topic, and a header without a key', async () => {
    const rows = [{ topic: 'orders' }, { topic: null }];
    await expect(encoder({ defaultTopic: null }).encode(recordTable(rows), OPTIONS)).rejects.toThrow(
      'cannot write line 2 of orders.csv to Kafka: its column topic is null, and no topic is configured',
    );
    const headers = [
      { headers: [['k', null]] },
      {
        headers: [
          ['k', null],
          [null as unknown as string, null],
        ],
      },
    ];
    await expect(encoder().encode(recordTable(headers as unknown as RecordRow[]), OPTIONS)).rejects.toThrow(
      'cannot write line 2 of orders.csv to Kafka: header 2 has no key, and Kafka needs one',
    );
  });
});
