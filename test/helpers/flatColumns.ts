/** Random columns of every type that the flat Parquet encoder takes, and what any reader must find in them. */
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
  Table,
  TimestampMillisecond,
  Utf8,
} from 'apache-arrow';
import fc from 'fast-check';

/** A value as text, the same from every reader. */
export type Cell = string | null;

export interface FlatType {
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

const DESCRIBED: readonly FlatType[] = [
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
        '\u{10ffff}'.repeat(1200),
        'long'.repeat(2000),
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
        Buffer.alloc(5000, 0xff),
        Buffer.alloc(9000, 7),
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
    // All that a Date of JavaScript counts, and nearly all that DuckDB does.
    value: fc.oneof(
      fc.constantFrom(0n, -1n, -(864n * 10n ** 13n), 864n * 10n ** 13n),
      fc.bigInt({ min: -(2n ** 41n), max: 2n ** 41n }),
    ),
    data: int64,
    cell: String,
    sql: 'epoch_ms(time)::VARCHAR',
    literal: (value) => `make_timestamptz((${value})::BIGINT * 1000)`,
    compare: compareNumbers,
  },
  {
    name: 'clock',
    type: new TimestampMillisecond(),
    value: fc.bigInt({ min: -(2n ** 41n), max: 2n ** 41n }),
    data: int64,
    cell: String,
    sql: 'epoch_ms(clock)::VARCHAR',
    literal: (value) => `make_timestamp((${value})::BIGINT * 1000)`,
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
    value: fc.oneof(
      fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, -1.7e308),
      fc.double(),
    ),
    data: (values) => ({ data: Float64Array.from(values, (value) => (value ?? 0) as number) }),
    cell: doubleText,
    sql: 'amount',
    // In quotes: a bare number may be read as a decimal first, and be off by the last bit.
    literal: (value) => (Number.isFinite(value) ? `'${value}'::DOUBLE` : null),
    compare: compareNumbers,
  },
];

/** Named in reports of fast-check, which cannot print types of Arrow. */
export const TYPES: readonly FlatType[] = DESCRIBED.map((type) => ({ ...type, [fc.toStringMethod]: () => type.name }));

export function doubleText(value: unknown): string {
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

export interface Column {
  readonly type: FlatType;
  readonly nullable: boolean;
  readonly values: readonly unknown[];
}

export const columnsOf = (rows: number): fc.Arbitrary<Column[]> =>
  fc.tuple(
    ...TYPES.map((type) =>
      fc.boolean().chain((nullable) => columnOf(type, rows, nullable).map((values) => ({ type, nullable, values }))),
    ),
  );

/** The rows in batches that end after so many: each makes pages of its own. */
export function tableOf(columns: readonly Column[], ends: readonly number[]): Table {
  const rows = columns[0]?.values.length ?? 0;
  const cuts = [...new Set([0, ...ends.map((end) => end % rows), rows])].sort((a, b) => a - b);
  const whole = batchOf(columns);
  return new Table(cuts.slice(1).map((end, index) => whole.slice(cuts[index] as number, end)));
}

export function batchOf(columns: readonly Column[]): RecordBatch {
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

export const expectedCells = (columns: readonly Column[]): Record<string, Cell[]> =>
  Object.fromEntries(
    columns.map(({ type, values }) => [type.name, values.map((value) => (value === null ? null : type.cell(value)))]),
  );
