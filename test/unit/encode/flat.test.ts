/** Random flat columns, written by our own encoder and read back by two readers that share no code with it. */
import {
  Binary,
  Field,
  Float32,
  List,
  type RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampMillisecond,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import { expect, test } from 'vitest';
import type { ParquetCompression } from '../../../src/config/job.ts';
import { parseFooter, schemaBytes } from '../../../src/encode/parquet/footer.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { WasmColumns } from '../../../src/encode/parquet/wasm.ts';
import {
  batchOf,
  type Cell,
  type Column,
  columnsOf,
  doubleText,
  expectedCells,
  type FlatType,
  TYPES,
} from '../../helpers/flatColumns.ts';
import { addLent, hex, hyparquetMetadata, joinedFile, testFolder } from './files.ts';

const folder = await testFolder();

/** @param ends Of the parts, but for the last. */
async function encodeInParts(
  columns: readonly Column[],
  ends: readonly number[],
  compression: ParquetCompression,
): Promise<Buffer> {
  const encoder = new ParquetEncoder(compression);
  const rows = columns[0]?.values.length ?? 0;
  let from = 0;
  for (const end of [...ends, rows]) {
    const values = columns.map((column) => ({ ...column, values: column.values.slice(from, end) }));
    expect(await addLent(encoder, batchOf(values))).toBe(true);
    from = end;
  }
  return joinedFile([await encoder.finish()]);
}

async function encode(batch: RecordBatch | Table, compression: ParquetCompression): Promise<Buffer> {
  const encoder = new ParquetEncoder(compression);
  const file = joinedFile([await encoder.encode(batch)]);
  expect(encoder.usedEncoders()).toEqual(['flat']);
  return file;
}

async function duckCells(path: string, columns: readonly Column[]): Promise<Record<string, Cell[]>> {
  const selected = columns.map(({ type }) => `${type.sql} AS "${type.name}"`);
  const rows = await folder.query(`SELECT ${selected.join(', ')} FROM ${path}`);
  const text = (value: unknown): Cell =>
    value === null ? null : typeof value === 'number' ? doubleText(value) : String(value);
  return Object.fromEntries(columns.map(({ type }) => [type.name, rows.map((row) => text(row[type.name]))]));
}

async function hyparquetCells(file: Buffer, columns: readonly Column[]): Promise<Record<string, Cell[]>> {
  const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer;
  const rows = await parquetReadObjects({ file: buffer, utf8: false });
  const text = (name: string, value: unknown): Cell => {
    if (value === null || value === undefined) return null;
    if (value instanceof Date) return String(name === 'day' ? value.getTime() / 86_400_000 : value.getTime());
    if (name === 'text') return Buffer.from(value as string).toString('hex');
    return value instanceof Uint8Array ? (hex(value) ?? '').toLowerCase() : doubleText(value);
  };
  return Object.fromEntries(columns.map(({ type: { name } }) => [name, rows.map((row) => text(name, row[name]))]));
}

/** Rows that DuckDB finds by the values of one row. */
async function checkLookups(path: string, columns: readonly Column[], row: number): Promise<void> {
  for (const { type, values } of columns) {
    const value = values[row];
    const literal = value === null ? null : type.literal(value);
    if (literal === null) continue;
    const ordered = values.filter((one) => one !== null && !Number.isNaN(one));
    const counts = await folder.query(
      `SELECT (SELECT count(*) FROM ${path} WHERE "${type.name}" = ${literal})::INT AS same,
         (SELECT count(*) FROM ${path} WHERE "${type.name}" < ${literal})::INT AS lower`,
    );
    expect([type.name, counts[0]]).toEqual([
      type.name,
      {
        same: ordered.filter((one) => type.compare(one, value) === 0).length,
        lower: ordered.filter((one) => type.compare(one, value) < 0).length,
      },
    ]);
  }
}

for (const compression of ['snappy', 'zstd', 'gzip', 'lz4_raw', 'none'] as ParquetCompression[]) {
  test(`${compression}: two readers give back random columns, and DuckDB finds their values`, async () => {
    const batches = fc
      .integer({ min: 1, max: 300 })
      .chain((rows) =>
        fc
          .tuple(columnsOf(rows), fc.nat(), fc.nat())
          .map((sample) => Object.assign(sample, { [fc.toStringMethod]: () => `${rows} rows` })),
      );
    const property = fc.asyncProperty(batches, async ([columns, pick, cut]) => {
      const file = await encode(batchOf(columns), compression);
      const path = folder.write(file);
      const expected = expectedCells(columns);
      expect(await duckCells(path, columns)).toEqual(expected);
      if (compression === 'snappy' || compression === 'none') {
        expect(await hyparquetCells(file, columns)).toEqual(expected);
      }
      const rows = columns[0]?.values.length ?? 0;
      await checkLookups(path, columns, pick % rows);
      // A slice begins inside a byte of the bitmaps, and its offsets do not begin with 0.
      const first = cut % rows;
      const part = await encode(batchOf(columns).slice(first, rows), compression);
      const sliced = columns.map((column) => ({ ...column, values: column.values.slice(first) }));
      expect(await duckCells(folder.write(part), columns)).toEqual(expectedCells(sliced));
      if (first === 0) return;
      const inParts = await encodeInParts(columns, [first], compression);
      const partsPath = folder.write(inParts);
      expect(await duckCells(partsPath, columns)).toEqual(expected);
      await checkLookups(partsPath, columns, pick % rows);
      if (compression === 'snappy') expect(await hyparquetCells(inParts, columns)).toEqual(expected);
    });
    await fc.assert(property, { numRuns: 12, endOnFailure: true });
  });
}

test('a column may change its ways from part to part', async () => {
  const rows = 60_000;
  const ends = [10_000, 20_000, 25_000];
  const numbers = Array.from({ length: rows }, (_, row) => row);
  const [text, bytes, int, long] = TYPES as [FlatType, FlatType, FlatType, FlatType];
  const columns: Column[] = [
    // A dictionary that is full in the last part.
    { type: text, nullable: true, values: numbers.map((row) => (row < 15_000 ? `often-${row % 3}` : `once-${row}`)) },
    // Nothing but nulls, and then a dictionary that grows.
    {
      type: bytes,
      nullable: true,
      values: numbers.map((row) => (row < 20_000 ? null : Buffer.from(`v${row % (row < 25_000 ? 7 : 9_000)}`))),
    },
    // One value, which then is another.
    { type: int, nullable: false, values: numbers.map((row) => (row < 20_000 ? 7 : row < 25_000 ? 8 : row - 30_000)) },
    // One value, nothing, and the same again.
    { type: long, nullable: true, values: numbers.map((row) => (row >= 10_000 && row < 20_000 ? null : -5n)) },
  ];
  const file = await encodeInParts(columns, ends, 'snappy');
  const expected = expectedCells(columns);
  const path = folder.write(file);
  expect(await duckCells(path, columns)).toEqual(expected);
  for (const row of [0, 9_999, 10_000, 19_999, 24_999, 25_000, rows - 1]) await checkLookups(path, columns, row);
  expect(await hyparquetCells(file, columns)).toEqual(expected);
  const [group] = (await hyparquetMetadata(file)).row_groups;
  expect(group?.columns.map(({ meta_data: meta }) => meta?.encodings.toSorted())).toEqual([
    ['PLAIN', 'RLE', 'RLE_DICTIONARY'],
    ['PLAIN', 'RLE', 'RLE_DICTIONARY'],
    ['DELTA_BINARY_PACKED', 'PLAIN', 'RLE', 'RLE_DICTIONARY'],
    ['PLAIN', 'RLE', 'RLE_DICTIONARY'],
  ]);
  const [found] = await folder.query(
    `SELECT count(*) FILTER ("${text.name}" = 'once-59999')::INT AS last, count(*) FILTER ("${int.name}" = 8)::INT AS eights
     FROM ${folder.write(file)} WHERE "${text.name}" = 'once-59999' OR "${int.name}" = 8`,
  );
  expect(found).toEqual({ last: 1, eights: 5_001 });
});

test('pages of many rows, values beyond 1 MiB and dictionaries of any size come back', async () => {
  const rows = 150_000;
  const numbers = Array.from({ length: rows }, (_, row) => row);
  const [text, bytes, int, long] = TYPES as [FlatType, FlatType, FlatType, FlatType];
  const big = Buffer.alloc(3_000_000, 'kafka');
  for (const distinct of [1, 2, 100, 5000, 40_000, rows]) {
    // Few enough repeats for a sample to see them, and more than 8 bits of indexes.
    const keyOf = (row: number) => (distinct === 5000 && row % 3 > 0 ? 'often' : `key-${(row * 31) % distinct}`);
    const columns: Column[] = [
      {
        type: text,
        nullable: true,
        values: numbers.map((row) => (row % 7 === 3 ? null : keyOf(row))),
      },
      {
        type: bytes,
        nullable: false,
        values: numbers.map((row) => (row % 60_000 === 9 ? big : Buffer.from(`v${row}`))),
      },
      { type: int, nullable: false, values: numbers.map((row) => (row % distinct) - 5) },
      { type: long, nullable: true, values: numbers.map((row) => (row < 70_000 ? null : BigInt(row) * 3n)) },
    ];
    const file = await encode(batchOf(columns), 'snappy');
    const digest = (one: FlatType) => `md5(string_agg(coalesce(${one.sql}, 'null'), ',')) AS "${one.name}"`;
    const path = folder.write(file);
    const read = await folder.query(`SELECT ${columns.map(({ type }) => digest(type)).join(', ')} FROM ${path}`);
    const cells = expectedCells(columns);
    const { createHash } = await import('node:crypto');
    for (const { type } of columns) {
      const joined = (cells[type.name] ?? []).map((cell) => cell ?? 'null').join(',');
      expect([distinct, type.name, read[0]?.[type.name]]).toEqual([
        distinct,
        type.name,
        createHash('md5').update(joined).digest('hex'),
      ]);
    }
    const encodings = hyparquetMetadata(file).row_groups[0]?.columns[0]?.meta_data?.encodings;
    expect(encodings?.includes('RLE_DICTIONARY')).toBe(distinct < 40_000);
  }
});

test('writes the schema of flat columns as parquet-wasm does', () => {
  const header = new Struct([new Field('key', new Utf8(), false), new Field('value', new Binary(), true)]);
  const lists = ['element', 'item'].map((name) => new List(new Field(name, header, false)));
  const types = [...TYPES.map(({ type }) => type), new TimestampMillisecond(), ...lists];
  const fields = types.flatMap((type, index) => [
    new Field(`a${index}`, type, true),
    new Field(`b${index}`, type, false),
  ]);
  const schema = new Schema(fields);
  const own = parseFooter(new ParquetEncoder('none').emptyFile(schema).footer);
  const theirs = new WasmColumns('none').emptyFooter(schema);
  expect(schemaBytes(own)).toEqual(schemaBytes({ fileMetaData: theirs, rows: 0, rowGroups: [], byteLength: 0 }));
});

test('says which encoder wrote the columns', async () => {
  const encoder = new ParquetEncoder('snappy');
  expect(encoder.usedEncoders()).toEqual([]);
  const { makeRows, toBatch } = await import('./rows.ts');
  await encoder.encode(toBatch(makeRows(3, 0)).select(['key', 'offset']));
  expect(encoder.usedEncoders()).toEqual(['flat']);
  await encoder.encode(toBatch(makeRows(3, 0)));
  expect(encoder.usedEncoders()).toEqual(['flat']);
  await encoder.encode(new Table({ single: vectorFromArray([1, 2], new Float32()) }));
  expect(encoder.usedEncoders()).toEqual(['flat', 'parquet-wasm']);
});
