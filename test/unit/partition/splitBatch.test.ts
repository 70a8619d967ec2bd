import {
  type Data,
  DateDay,
  Float64,
  Int64,
  type RecordBatch,
  Table,
  TimestampMillisecond,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePartitionBy } from '../../../src/config/partitionBy.ts';
import { planPartitioning } from '../../../src/partition/partitioning.ts';
import { partitionFolder } from '../../../src/partition/paths.ts';
import { splitBatch } from '../../../src/partition/splitBatch.ts';
import { sampleColumns } from '../transform/columns.ts';

function batchOf(columns: Record<string, Vector>): RecordBatch {
  return new Table(columns).batches[0] as RecordBatch;
}

function texts(values: readonly (string | null)[]): Vector {
  return vectorFromArray(values, new Utf8());
}

function numbers(count: number): Vector {
  return vectorFromArray(
    Array.from({ length: count }, (_, i) => i),
    new Float64(),
  );
}

function split(batch: RecordBatch, by: string) {
  const rowName = (row: number): string => `t/0 at offset ${row}`;
  return splitBatch(batch, planPartitioning(parsePartitionBy(by), batch.schema), rowName);
}

/** Numbers of the rows in each folder, which stand in the column `n`. */
function rowsByFolder(batch: RecordBatch, by: string): Record<string, number[]> {
  return Object.fromEntries(
    split(batch, by).map(({ folder, rows }) => [folder, [...(rows.getChild('n') as Vector)] as number[]]),
  );
}

test('every row is in the folder of its values, in the order it had', () => {
  const value = fc.option(fc.constantFrom('a', 'b', '', 'c/d', 'é'));
  fc.assert(
    fc.property(fc.array(fc.tuple(value, fc.nat(3)), { minLength: 1, maxLength: 60 }), (rows) => {
      const batch = batchOf({
        a: texts(rows.map(([a]) => a)),
        n: numbers(rows.length),
        b: vectorFromArray(
          rows.map(([, b]) => BigInt(b)),
          new Int64(),
        ),
      });
      const expected: Record<string, number[]> = {};
      rows.forEach(([a, b], n) => {
        const folder = `${partitionFolder('a', a)}/b=${b}`;
        expected[folder] = [...(expected[folder] ?? []), n];
      });
      expect(rowsByFolder(batch, 'a,b')).toEqual(expected);
      for (const { rows: part } of split(batch, 'a,b'))
        expect(part.schema.fields.map(({ name }) => name)).toEqual(['n']);
    }),
  );
});

test('rows that stand together are not copied', () => {
  const batch = batchOf({ a: texts(['x', 'x', 'y']), n: numbers(3) });
  const source = (batch.getChild('n') as Vector).data[0] as Data;
  const buffers = split(batch, 'a').map(({ rows }) => (rows.getChild('n') as Vector).data[0]?.values.buffer);
  expect(buffers).toEqual([source.values.buffer, source.values.buffer]);
});

test('parts of times', () => {
  const times = ['1969-12-31T23:59:59.999Z', '2024-02-29T00:00:00Z', '2024-02-29T13:30:00Z', null];
  const batch = batchOf({
    t: vectorFromArray(
      times.map((time) => time && new Date(time)),
      new TimestampMillisecond('UTC'),
    ),
    d: vectorFromArray(
      times.map((time) => time && new Date(time)),
      new DateDay(),
    ),
    n: numbers(4),
  });
  const none = '__HIVE_DEFAULT_PARTITION__';
  expect(rowsByFolder(batch, 'date(t)')).toEqual({
    'date=1969-12-31': [0],
    'date=2024-02-29': [1, 2],
    [`date=${none}`]: [3],
  });
  expect(rowsByFolder(batch, 'year(t) as y, month(t), DAY(t), hour(t)')).toEqual({
    'y=1969/month=12/day=31/hour=23': [0],
    'y=2024/month=2/day=29/hour=0': [1],
    'y=2024/month=2/day=29/hour=13': [2],
    [`y=${none}/month=${none}/day=${none}/hour=${none}`]: [3],
  });
  expect(rowsByFolder(batch, 'd')).toEqual({ 'd=1969-12-31': [0], 'd=2024-02-29': [1, 2], [`d=${none}`]: [3] });
  expect(rowsByFolder(batch, 'hour(d)')).toEqual({ 'hour=0': [0, 1, 2], [`hour=${none}`]: [3] });
  expect(split(batch, 'date(t)')[0]?.rows.schema.fields.map(({ name }) => name)).toEqual(['t', 'd', 'n']);
});

test.each([
  ['bool', 'true'],
  ['int8', '1'],
  ['int64', '1'],
  ['float64', '1.5'],
  ['decimal', '0.01'],
  ['utf8', 'a'],
  ['largeUtf8', 'a'],
  ['date', '1970-01-01'],
  ['timestamp', '1970-01-01 00%3A00%3A00'],
])('a value of %s is written as Spark writes it', (name, first) => {
  const columns = sampleColumns();
  const batch = batchOf({ x: columns[name] as Vector, n: numbers(10) });
  const folders = Object.entries(rowsByFolder(batch, 'x'));
  expect(folders.find(([, rows]) => rows.includes(0))?.[0]).toBe(`x=${first}`);
  expect(folders.find(([, rows]) => rows.includes(1))?.[0]).toBe('x=__HIVE_DEFAULT_PARTITION__');
});

test('numbers keep all their digits', () => {
  const wide = [2n ** 53n + 1n, 2n ** 53n, -(2n ** 63n), 2n ** 63n - 1n];
  const batch = batchOf({
    i: vectorFromArray(wide, new Int64()),
    f: vectorFromArray([0.1, 5, Number.NaN, -1e300], new Float64()),
    t: vectorFromArray(
      [1500, 1_000_000, 120, 1].map((ms) => new Date(ms)),
      new TimestampMillisecond(),
    ),
    n: numbers(4),
  });
  expect(Object.keys(rowsByFolder(batch, 'i'))).toEqual(wide.map((value) => `i=${value}`));
  const seconds = ['00%3A00%3A01.5', '00%3A16%3A40', '00%3A00%3A00.12', '00%3A00%3A00.001'];
  expect(Object.keys(rowsByFolder(batch, 't'))).toEqual(seconds.map((text) => `t=1970-01-01 ${text}`));
  expect(Object.keys(rowsByFolder(batch, 'f'))).toEqual(['f=0.1', 'f=5.0', 'f=NaN', 'f=-1e+300']);
});

describe('names of folders', () => {
  test.each([
    ['a', 'x', 'a=x'],
    ['a', null, 'a=__HIVE_DEFAULT_PARTITION__'],
    ['a', '', 'a=__HIVE_DEFAULT_PARTITION__'],
    ['a', '../../etc/passwd', 'a=..%2F..%2Fetc%2Fpasswd'],
    ['a', '.', 'a=.'],
    ['a', 'x y é 😀 + &', 'a=x y é 😀 + &'],
    ['a', '"#%\'*/:=?\\{[]^', 'a=%22%23%25%27%2A%2F%3A%3D%3F%5C%7B%5B%5D%5E'],
    ['a', '\0\n\x7f', 'a=%00%0A%7F'],
    ['..', 'x', '%2E.=x'],
    ['a/b', 'x', 'a%2Fb=x'],
  ])('%j of %j is %j', (name, value, folder) => {
    expect(partitionFolder(name, value)).toBe(folder);
  });

  test('no value leaves its folder, and no two values share one', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ unit: 'binary', minLength: 1 }), (a, b) => {
        const folder = partitionFolder('a', a);
        expect(folder.startsWith('a=')).toBe(true);
        expect(folder).not.toMatch(/[/\0]/);
        if (a !== b) expect(partitionFolder('a', b)).not.toBe(folder);
        expect(decodeURIComponent(folder.slice(2).replace(/%(?![0-9A-F]{2})/g, '%25'))).toBe(a);
      }),
    );
  });

  test('one that is too long for a file system is refused, with the row', () => {
    const batch = batchOf({ a: texts(['x', 'é'.repeat(130)]), n: numbers(2) });
    expect(() => split(batch, 'a')).toThrow(/cannot make a folder for t\/0 at offset 1: the name a=éé.* has 262 bytes/);
  });
});

describe('refused', () => {
  const batch = batchOf({ a: texts(['x']), b: sampleColumns().binary as Vector, t: texts(['x']) });

  test.each([
    ['c', '--write-partition-by c: there is no such column; columns: a, b, t'],
    ['b', '--write-partition-by b: its type Binary cannot name folders; cast it to STRING, or choose another column'],
    ['date(a)', '--write-partition-by date(a): date, year, month, day, hour take a date or timestamp, and a is Utf8'],
    ['a,A', '--write-partition-by gives folders the name a, which another folder has, too; add "as NAME"'],
    [
      'a as T',
      '--write-partition-by gives folders the name T, which the column t of the files has, too; add "as NAME"',
    ],
  ])('%s', (by, message) => {
    expect(() => planPartitioning(parsePartitionBy(by), batch.schema)).toThrow(message);
  });

  test('every column', () => {
    const { schema } = batchOf({ a: texts(['x']) });
    expect(() => planPartitioning(parsePartitionBy('a'), schema)).toThrow('nothing is left for the files');
  });

  test.each([
    ['', '--write-partition-by is empty'],
    ['a b', '--write-partition-by a b: "a b" is no column'],
    ['upper(a)', '--write-partition-by upper(a): there is no function upper; write a column, or date, year'],
    ['a,,b', ''],
  ])('%j', (by, message) => {
    if (message === '') expect(parsePartitionBy(by)).toHaveLength(2);
    else expect(() => parsePartitionBy(by)).toThrow(message);
  });
});

test('names in backticks', () => {
  expect(parsePartitionBy('`a,b` as `c``d` , date(`e f`)')).toEqual([
    { name: 'c`d', column: 'a,b', of: null },
    { name: null, column: 'e f', of: 'date' },
  ]);
});
