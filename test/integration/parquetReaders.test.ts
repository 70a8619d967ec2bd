/**
 * Files of the flat Parquet encoder under readers that share no code with it or with each other: pyarrow, DataFusion and
 * DuckDB. They must find every value, and the same rows whether they use statistics, dictionaries and page indexes or
 * read everything. KAFKALOAD_FAULTS=all tries many more files.
 */
import { createHash } from 'node:crypto';
import { Float32, Float64, Table, vectorFromArray } from 'apache-arrow';
import fc from 'fast-check';
import { readOffsetIndex } from 'hyparquet';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ParquetCompression } from '../../src/config/job.ts';
import type { EncodedRows } from '../../src/encode/encoder.ts';
import { ParquetEncoder } from '../../src/encode/parquet/parquetEncoder.ts';
import { type Column, columnsOf, TYPES, tableOf } from '../helpers/flatColumns.ts';
import { type Filter, type ParquetReaders, type ReadColumn, startParquetReaders } from '../helpers/parquetReaders.ts';
import { addLent, hyparquetMetadata, joinedFile, kept, testFolder } from '../unit/encode/files.ts';
import { makeRows, toBatch } from '../unit/encode/rows.ts';

const IS_LONG = process.env.KAFKALOAD_FAULTS === 'all';
const RUNS = IS_LONG ? 60 : 4;
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

/** The same for a reader that has NaN above all numbers, and equal to itself. */
function matchesWithNaN(column: Column, filter: Filter, value: unknown): number {
  const nans = column.values.filter(Number.isNaN).length;
  const [, operator] = filter;
  if (!Number.isNaN(value)) return matchesOf(column, filter, value) + (operator === '>' ? nans : 0);
  const numbers = column.values.filter((one) => one !== null).length - nans;
  return operator === '=' ? nans : operator === '<' ? numbers : 0;
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
    fc
      .record({
        columns: fc.constant(columns),
        absent: fc.tuple(...columns.map(({ type }) => type.value)),
        picks: fc.array(fc.nat({ max: rows - 1 }), { minLength: 2, maxLength: 2 }),
        cuts: fc.array(fc.nat({ max: rows }), { maxLength: 12 }),
        groupEnd: fc.integer({ min: 1, max: rows }),
      })
      // The seed makes it again; its values would fill the terminal.
      .map((sample) => ({ ...sample, [fc.toStringMethod]: () => `${rows} rows` })),
  ),
);

function columnOf(name: string, values: readonly unknown[]): Column {
  const type = TYPES.find((one) => one.name === name);
  if (!type) throw new Error(`there is no type ${name}`);
  return { type, nullable: true, values };
}

async function encodeAll(tables: readonly Table[], compression: ParquetCompression): Promise<EncodedRows[]> {
  const encoder = new ParquetEncoder(compression);
  const parts: EncodedRows[] = [];
  for (const [index, table] of tables.entries()) {
    const batches = table.batches.filter(({ numRows }) => numRows > 0);
    if (index === 0) for (const batch of batches) expect(await addLent(encoder, batch)).toBe(true);
    parts.push(await kept(index === 0 ? encoder.finish() : encoder.encode(table)));
  }
  expect(encoder.usedEncoders()).toEqual(['flat']);
  encoder.free();
  return parts;
}

/** Two row groups, whose bytes lie in the other order; each in many pages. */
async function fileOf({ columns, cuts, groupEnd }: Sample, compression: ParquetCompression): Promise<Buffer> {
  const table = tableOf(columns, cuts);
  const halves = [table.slice(groupEnd), table.slice(0, groupEnd)].filter(({ numRows }) => numRows > 0);
  const parts = await encodeAll(halves, compression);
  return joinedFile(parts, parts.map((_, index) => index).reverse());
}

async function checkValues(path: string, columns: readonly Column[], compression: ParquetCompression): Promise<void> {
  const names = columns.map(({ type }) => type.name);
  const read = await readers.read(path, names);
  for (const column of columns) {
    const { checksum, rowGroups } = read[column.type.name] as ReadColumn;
    if (checksum !== checksumOf(column)) {
      const { values } = (await readers.read(path, names, true))[column.type.name] as ReadColumn;
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
    expect([filter, pyarrowInMemory]).toEqual([filter, matches]);
    // pyarrow takes a bound of any kind for proof that all rows are below NaN.
    if (!Number.isNaN(value)) expect([filter, pyarrow]).toEqual([filter, matches]);
    const withNaN = matchesWithNaN(column, filter, value);
    expect([filter, datafusion, datafusionReadingAll]).toEqual([filter, withNaN, withNaN]);
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

test('a reader that uses page indexes touches no page but those that may hold what it looks for', async () => {
  const cuts = Array.from({ length: 9 }, (_, index) => (index + 1) * 100);
  // The row groups hold the even and the odd offsets: their own bounds exclude neither.
  const tables = [0, 1].map((odd) => {
    const offsets = Array.from({ length: 1000 }, (_, row) => BigInt(row * 2 + odd));
    const texts = offsets.map((offset) => `key-${String(offset).padStart(5, '0')}`);
    return tableOf([columnOf('long', offsets), columnOf('text', texts)], cuts);
  });
  const file = joinedFile(await encodeAll(tables, 'snappy'), [1, 0]);
  const isDamaged: number[] = [];
  for (const chunk of hyparquetMetadata(file).row_groups.flatMap(({ columns }) => columns)) {
    const start = Number(chunk.offset_index_offset);
    const bytes = file.subarray(start, start + Number(chunk.offset_index_length));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    // The fourth page has the offsets from 600 on.
    for (const [page, location] of readOffsetIndex({ view, offset: 0 }).page_locations.entries()) {
      const offset = Number(location.offset);
      if (page !== 3) isDamaged.push(file.fill(0xff, offset, offset + location.compressed_page_size).length);
    }
  }
  expect(isDamaged).toHaveLength(4 * 9);
  const path = folder.write(file).slice(1, -1);
  const key = (text: string) => Buffer.from(text).toString('hex');
  const filters: Filter[] = [
    ['long', '=', '601'],
    ['long', '=', '700'],
    ['text', '=', key('key-00799')],
    ['text', '=', key('key-00601x')],
    ['long', '=', '100'],
  ];
  const counts = await readers.count(path, filters);
  expect(counts.map(({ datafusion }) => datafusion)).toEqual([1, 1, 1, 0, null]);
  expect(counts.map(({ datafusionReadingAll }) => datafusionReadingAll)).toEqual([null, null, null, null, null]);
});

test('a changed byte in a page does not go unnoticed', async () => {
  const text = columnOf('text', ['first', 'second', 'third']);
  const file = joinedFile(await encodeAll([tableOf([text], [])], 'none'));
  file.write('SECOND', file.indexOf('second'));
  const path = folder.write(file).slice(1, -1);
  await expect(readers.read(path, ['text'])).rejects.toThrow(/CRC/i);
});

test('NaN is found by readers that place it above all numbers', async () => {
  const values = [1, Number.NaN, 2, 3, 4];
  const table = new Table({
    amount: vectorFromArray(values, new Float64()),
    single: vectorFromArray(values, new Float32()),
  });
  const encoder = new ParquetEncoder('snappy');
  const path = folder.write(joinedFile([await encoder.encode(table)])).slice(1, -1);
  expect(encoder.usedEncoders()).toEqual(['flat', 'parquet-wasm']);
  const five = Buffer.alloc(8);
  five.writeDoubleBE(5);
  for (const name of ['amount', 'single']) {
    const [counts] = await readers.count(path, [[name, '>', five.toString('hex')]]);
    expect([name, counts]).toMatchObject([name, { pyarrow: 0, datafusion: 1, datafusionReadingAll: 1 }]);
    const found = await folder.query(`SELECT count(*)::INT AS rows FROM '${path}' WHERE ${name} > 5`);
    expect([name, found]).toEqual([name, [{ rows: 1 }]]);
  }
});

test('headers are read by pyarrow, and have page indexes', async () => {
  const rows = makeRows(1000, 0);
  const batches = [rows.slice(0, 400), rows.slice(400)].map((own) => toBatch(own).selectAt([8]));
  const encoder = new ParquetEncoder('snappy');
  const file = joinedFile([await encoder.encode(new Table(batches))]);
  expect(encoder.usedEncoders()).toEqual(['flat']);
  const read = await readers.read(folder.write(file).slice(1, -1), ['headers'], true);
  const headers = read.headers as ReadColumn;
  const textOfHeaders = (one: (typeof rows)[number]['headers']) =>
    one &&
    JSON.stringify(
      one.map(({ key, value }) => ({
        key: Buffer.from(key).toString('hex'),
        value: value === null ? null : value.toString('hex'),
      })),
    );
  expect(headers.values).toEqual(rows.map((row) => textOfHeaders(row.headers)));
  expect(headers.rowGroups).toMatchObject([{ hasColumnIndex: true, hasOffsetIndex: true }]);
});
