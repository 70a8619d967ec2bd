/** Random flat columns, written by our own encoder and read back by two readers that share no code with it. */
import {
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimestampMillisecond,
  Utf8,
} from 'apache-arrow';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import { expect, test } from 'vitest';
import type { ParquetCompression } from '../../../src/config/job.ts';
import { parseFooter, schemaBytes } from '../../../src/encode/parquet/footer.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { WasmColumns } from '../../../src/encode/parquet/wasm.ts';
import { hex, hyparquetMetadata, joinedFile, testFolder } from './files.ts';

const folder = await testFolder();

/** A value as text, the same from every reader. */
type Cell = string | null;

interface FlatType {
  readonly name: string;
  readonly type: DataType;
  /** Values of every kind that the type has. */
  readonly value: fc.Arbitrary<unknown>;
  readonly data: (values: readonly unknown[]) => object;
  readonly cell: (value: unknown) => string;
  /** Reads a column through DuckDB as a cell. */
  readonly sql: string;
  /** The value in SQL; null where it has no place in an order. */
  readonly literal: (value: unknown) => string | null;
  readonly compare: (a: unknown, b: unknown) => number;
}

const bytesData = (values: readonly unknown[]) => {
  const buffers = values.map((value) => Buffer.from((value ?? '') as Buffer));
  const valueOffsets = new Int32Array(buffers.length + 1);
  for (const [row, buffer] of buffers.entries()) valueOffsets[row + 1] = (valueOffsets[row] ?? 0) + buffer.length;
  return { valueOffsets, data: Buffer.concat(buffers) };
};
const compareBytes = (a: unknown, b: unknown) => Buffer.compare(Buffer.from(a as Buffer), Buffer.from(b as Buffer));
const compareNumbers = (a: unknown, b: unknown) => ((a as number) < (b as number) ? -1 : a === b ? 0 : 1);
const int64 = (values: readonly unknown[]) => ({
  data: BigInt64Array.from(values, (value) => (value ?? 0n) as bigint),
});

const TYPES: readonly FlatType[] = [
  {
    name: 'text',
    type: new Utf8(),
    value: fc.oneof(
      fc.constantFrom(
        '',
        'a',
        '€',
        '😀',
        '\u{10ffff}'.repeat(20),
        `${'x'.repeat(63)}é`,
        `${'y'.repeat(64)}z`,
        '\ud7ff'.repeat(30),
      ),
      // hyparquet takes a byte order mark away.
      fc.string({ unit: 'grapheme', maxLength: 90 }).filter((text) => !text.startsWith('\ufeff')),
    ),
    data: bytesData,
    cell: (value) => Buffer.from(value as string).toString('hex'),
    sql: 'lower(hex(encode(text)))',
    literal: (value) => `decode(unhex('${Buffer.from(value as string).toString('hex')}'))`,
    compare: compareBytes,
  },
  {
    name: 'bytes',
    type: new Binary(),
    value: fc.oneof(
      fc.constantFrom(
        Buffer.alloc(0),
        Buffer.alloc(1),
        Buffer.alloc(65, 0xff),
        Buffer.alloc(80, 0xff),
        Buffer.alloc(70, 0x80),
      ),
      fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    ),
    data: bytesData,
    cell: (value) => Buffer.from(value as Buffer).toString('hex'),
    sql: 'lower(hex(bytes))',
    literal: (value) => `unhex('${Buffer.from(value as Buffer).toString('hex')}')`,
    compare: compareBytes,
  },
  {
    name: 'int',
    type: new Int32(),
    value: fc.oneof(fc.constantFrom(0, -1, 1, -(2 ** 31), 2 ** 31 - 1), fc.integer()),
    data: (values) => ({ data: Int32Array.from(values, (value) => (value ?? 0) as number) }),
    cell: String,
    sql: '"int"::VARCHAR',
    literal: String,
    compare: compareNumbers,
  },
  {
    name: 'long',
    type: new Int64(),
    value: fc.oneof(
      fc.constantFrom(0n, -1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 51n, 2n ** 51n - 1n, -(2n ** 51n), 2n ** 53n + 1n),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.bigInt({ min: -(2n ** 51n), max: 2n ** 51n - 1n }),
    ),
    data: int64,
    cell: String,
    sql: 'long::VARCHAR',
    literal: (value) => `(${value})::BIGINT`,
    compare: compareNumbers,
  },
  {
    name: 'time',
    type: new TimestampMillisecond('UTC'),
    value: fc.bigInt({ min: -(2n ** 41n), max: 2n ** 41n }),
    data: int64,
    cell: String,
    sql: 'epoch_ms(time)::VARCHAR',
    literal: (value) => `make_timestamptz((${value})::BIGINT * 1000)`,
    compare: compareNumbers,
  },
  {
    name: 'day',
    type: new DateDay(),
    value: fc.integer({ min: -100_000, max: 100_000 }),
    data: (values) => ({ data: Int32Array.from(values, (value) => (value ?? 0) as number) }),
    cell: String,
    sql: "(day - DATE '1970-01-01')::VARCHAR",
    literal: (value) => `(DATE '1970-01-01' + (${value})::INT)`,
    compare: compareNumbers,
  },
  {
    name: 'truth',
    type: new Bool(),
    value: fc.boolean(),
    data: (values) => {
      const data = new Uint8Array(Math.ceil(values.length / 8));
      for (const [row, value] of values.entries()) if (value) data[row >> 3] = (data[row >> 3] ?? 0) | (1 << (row & 7));
      return { data };
    },
    cell: String,
    sql: 'truth::VARCHAR',
    literal: String,
    compare: (a, b) => Number(a) - Number(b),
  },
  {
    name: 'amount',
    type: new Float64(),
    value: fc.double(),
    data: (values) => ({ data: Float64Array.from(values, (value) => (value ?? 0) as number) }),
    cell: doubleText,
    sql: 'amount',
    // In quotes: a bare number may be read as a decimal first, and be off by the last bit.
    literal: (value) => (Number.isFinite(value) ? `'${value}'::DOUBLE` : null),
    compare: compareNumbers,
  },
];

function doubleText(value: unknown): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Values of a column in one of the shapes that encodings are made for. */
function columnOf({ value, compare }: FlatType, rows: number, nullable: boolean): fc.Arbitrary<unknown[]> {
  const many = fc.array(value, { minLength: rows, maxLength: rows });
  const shaped = fc.oneof(
    many,
    many.map((values) => values.toSorted(compare)),
    value.map((constant) => Array.from({ length: rows }, () => constant)),
    fc
      .tuple(fc.array(value, { minLength: 2, maxLength: 5 }), fc.array(fc.nat(), { minLength: rows, maxLength: rows }))
      .map(([few, picks]) => picks.map((pick) => few[pick % few.length])),
  );
  if (!nullable) return shaped;
  const nulls = fc.oneof(
    fc.constant<boolean[]>([]),
    fc.constant(Array.from({ length: rows }, () => true)),
    fc.array(fc.boolean(), { minLength: rows, maxLength: rows }),
  );
  return fc.tuple(shaped, nulls).map(([values, isNull]) => values.map((value, row) => (isNull[row] ? null : value)));
}

interface Column {
  readonly type: FlatType;
  readonly nullable: boolean;
  readonly values: readonly unknown[];
}

const columnsOf = (rows: number): fc.Arbitrary<Column[]> =>
  fc.tuple(
    ...TYPES.map((type) =>
      fc.boolean().chain((nullable) => columnOf(type, rows, nullable).map((values) => ({ type, nullable, values }))),
    ),
  );

function batchOf(columns: readonly Column[]): RecordBatch {
  const fields = columns.map(({ type, nullable }) => new Field(type.name, type.type, nullable));
  const length = columns[0]?.values.length ?? 0;
  const children = columns.map(({ type, values }): Data => {
    const nullCount = values.filter((value) => value === null).length;
    const nullBitmap = new Uint8Array(Math.ceil(length / 8));
    for (const [row, value] of values.entries()) {
      if (value !== null) nullBitmap[row >> 3] = (nullBitmap[row >> 3] ?? 0) | (1 << (row & 7));
    }
    const bitmap = nullCount > 0 ? { nullBitmap } : {};
    return makeData({ type: type.type as Int32, length, nullCount, ...bitmap, ...type.data(values) });
  });
  const data = makeData({ type: new Struct(fields), length, nullCount: 0, children });
  return new RecordBatch(new Schema(fields), data);
}

async function encode(batch: RecordBatch, compression: ParquetCompression): Promise<Buffer> {
  const encoder = new ParquetEncoder(compression);
  const file = joinedFile([await encoder.encode(batch)]);
  expect(encoder.usedEncoders()).toEqual(['flat']);
  return file;
}

const expectedCells = (columns: readonly Column[]): Record<string, Cell[]> =>
  Object.fromEntries(
    columns.map(({ type, values }) => [type.name, values.map((value) => (value === null ? null : type.cell(value)))]),
  );

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

for (const compression of ['snappy', 'zstd', 'gzip', 'lz4_raw', 'none'] as ParquetCompression[]) {
  test(`${compression}: two readers give back random columns, and DuckDB finds their values`, async () => {
    const batches = fc.integer({ min: 1, max: 300 }).chain((rows) => fc.tuple(columnsOf(rows), fc.nat(), fc.nat()));
    const property = fc.asyncProperty(batches, async ([columns, pick, cut]) => {
      const file = await encode(batchOf(columns), compression);
      const path = folder.write(file);
      const expected = expectedCells(columns);
      expect(await duckCells(path, columns)).toEqual(expected);
      if (compression === 'snappy' || compression === 'none') {
        expect(await hyparquetCells(file, columns)).toEqual(expected);
      }
      const rows = columns[0]?.values.length ?? 0;
      for (const { type, values } of columns) {
        const value = values[pick % rows];
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
      // A slice begins inside a byte of the bitmaps, and its offsets do not begin with 0.
      const first = cut % rows;
      const part = await encode(batchOf(columns).slice(first, rows), compression);
      const sliced = columns.map((column) => ({ ...column, values: column.values.slice(first) }));
      expect(await duckCells(folder.write(part), columns)).toEqual(expectedCells(sliced));
    });
    await fc.assert(property, { numRuns: 12, endOnFailure: true });
  });
}

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
  const types = [...TYPES.map(({ type }) => type), new TimestampMillisecond()];
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
  expect(encoder.usedEncoders()).toEqual(['flat', 'parquet-wasm']);
});
