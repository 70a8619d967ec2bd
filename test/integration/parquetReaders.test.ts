/**
 * Files of the flat Parquet encoder under readers that share no code with it or with each other: pyarrow, DataFusion and
 * DuckDB. They must find every value, and the same rows whether they use statistics, dictionaries and page indexes or
 * read everything. KAFKALOAD_FAULTS=all tries many more files.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ParquetCompression } from '../../src/config/job.ts';
import type { EncodedRows } from '../../src/encode/encoder.ts';
import { ParquetEncoder } from '../../src/encode/parquet/parquetEncoder.ts';
import { type Column, columnsOf, tableOf } from '../helpers/flatColumns.ts';
import { type Filter, type ParquetReaders, startParquetReaders } from '../helpers/parquetReaders.ts';
import { joinedFile, kept, testFolder } from '../unit/encode/files.ts';

const IS_LONG = process.env.KAFKALOAD_FAULTS === 'all';
const RUNS = IS_LONG ? 150 : 6;
const CODECS: Readonly<Record<ParquetCompression, string>> = {
  snappy: 'SNAPPY',
  zstd: 'ZSTD',
  gzip: 'GZIP',
  lz4_raw: 'LZ4',
  none: 'UNCOMPRESSED',
};

const folder = await testFolder();
let readers: ParquetReaders;
beforeAll(async () => {
  readers = await startParquetReaders();
});
afterAll(() => readers.close());

/** A value in the form that readers are asked in, and answer. */
function textOf({ type }: Column, value: unknown): string | null {
  if (value === null) return null;
  if (type.name !== 'amount') return type.cell(value);
  if (Number.isNaN(value)) return 'nan';
  const bits = Buffer.alloc(8);
  bits.writeDoubleBE(value as number);
  return bits.toString('hex');
}

const checksumOf = (column: Column): string =>
  createHash('md5')
    .update(column.values.map((value) => textOf(column, value) ?? 'null').join('\n'))
    .digest('hex');

/** Rows that a comparison finds; NaN is neither below nor above anything. */
function matchesOf({ type, values }: Column, [, operator]: Filter, value: unknown): number {
  if (operator === 'null') return values.filter((one) => one === null).length;
  const ordered = values.filter((one) => one !== null && !Number.isNaN(one));
  if (Number.isNaN(value)) return 0;
  return ordered.filter((one) => {
    const order = type.compare(one, value);
    return operator === '=' ? order === 0 : operator === '<' ? order < 0 : order > 0;
  }).length;
}

interface Sample {
  readonly columns: readonly Column[];
  /** Values to look for that need not be there, by column. */
  readonly absent: readonly unknown[];
  readonly picks: readonly number[];
  /** Where pages end, and where the row group does. */
  readonly cuts: readonly number[];
  readonly groupEnd: number;
}

const samples: fc.Arbitrary<Sample> = fc.integer({ min: 1, max: 400 }).chain((rows) =>
  columnsOf(rows).chain((columns) =>
    fc.record({
      columns: fc.constant(columns),
      absent: fc.tuple(...columns.map(({ type }) => type.value)),
      picks: fc.array(fc.nat({ max: rows - 1 }), { minLength: 2, maxLength: 2 }),
      cuts: fc.array(fc.nat({ max: rows }), { maxLength: 12 }),
      groupEnd: fc.integer({ min: 1, max: rows }),
    }),
  ),
);

/** Two row groups, whose bytes lie in the other order; each in many pages. */
async function fileOf({ columns, cuts, groupEnd }: Sample, compression: ParquetCompression): Promise<Buffer> {
  const encoder = new ParquetEncoder(compression);
  const table = tableOf(columns, cuts);
  const halves = [table.slice(groupEnd), table.slice(0, groupEnd)].filter(({ numRows }) => numRows > 0);
  const parts: EncodedRows[] = [];
  for (const half of halves) parts.push(await kept(encoder.encode(half)));
  expect(encoder.usedEncoders()).toEqual(['flat']);
  encoder.free();
  return joinedFile(parts, parts.map((_, index) => index).reverse());
}

async function checkValues(path: string, columns: readonly Column[], compression: ParquetCompression): Promise<void> {
  const names = columns.map(({ type }) => type.name);
  const read = await readers.read(path, names);
  for (const column of columns) {
    const { checksum, rowGroups } = read[column.type.name] as (typeof read)[string];
    if (checksum !== checksumOf(column)) {
      const { values } = (await readers.read(path, names, true))[column.type.name] as (typeof read)[string];
      expect(values).toEqual(column.values.map((value) => textOf(column, value)));
    }
    const nulls = column.values.filter((value) => value === null).length;
    expect(rowGroups.reduce((sum, group) => sum + group.nulls, 0)).toBe(nulls);
    for (const group of rowGroups) {
      expect([group.codec, group.hasOffsetIndex]).toEqual([CODECS[compression], true]);
      // Neither has bounds where a value has none: NaN, or the largest bytes at any length.
      if (group.hasBounds) expect(group.hasColumnIndex).toBe(true);
    }
  }
}

async function checkLookups(path: string, { columns, absent, picks }: Sample): Promise<void> {
  const asked = columns.flatMap((column, index) => {
    const { name } = column.type;
    const values = [...picks.map((pick) => column.values[pick]), absent[index]].filter((value) => value !== null);
    return [
      { column, value: null, filter: [name, 'null', null] as Filter },
      ...values.flatMap((value) =>
        (['=', '<', '>'] as const).map((sign) => ({
          column,
          value,
          filter: [name, sign, textOf(column, value)] as Filter,
        })),
      ),
    ];
  });
  const answers = await readers.count(
    path,
    asked.map(({ filter }) => filter),
  );
  await folder.query(`CREATE OR REPLACE TEMP TABLE unpruned AS SELECT * FROM '${path}'`);
  for (const [index, { column, value, filter }] of asked.entries()) {
    const { pyarrow, pyarrowInMemory, datafusion, datafusionReadingAll } = answers[index] as (typeof answers)[number];
    const matches = matchesOf(column, filter, value);
    expect([filter, pyarrow, pyarrowInMemory]).toEqual([filter, matches, matches]);
    expect([filter, datafusion]).toEqual([filter, datafusionReadingAll]);
    const [, sign] = filter;
    const literal = value === null ? null : (column.type.literal(value) ?? `'${value}'::DOUBLE`);
    const where = sign === 'null' ? `"${column.type.name}" IS NULL` : `"${column.type.name}" ${sign} ${literal}`;
    const counted = await folder.query(
      `SELECT (SELECT count(*) FROM '${path}' WHERE ${where})::INT AS pruned,
         (SELECT count(*) FROM unpruned WHERE ${where})::INT AS whole`,
    );
    expect([where, counted[0]?.pruned]).toEqual([where, counted[0]?.whole]);
  }
}

for (const compression of Object.keys(CODECS) as ParquetCompression[]) {
  test(`${compression}: three readers give back random columns and find their values`, async () => {
    const property = fc.asyncProperty(samples, async (sample) => {
      const path = folder.write(await fileOf(sample, compression)).slice(1, -1);
      await checkValues(path, sample.columns, compression);
      await checkLookups(path, sample);
    });
    await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
  });
}
