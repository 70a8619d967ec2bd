/** Random tables with a column of each Arrow type, and what a reader must find in them; buffers are filled by hand. */
import {
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  DurationMicrosecond,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  IntervalMonthDayNano,
  LargeUtf8,
  List,
  Map_,
  makeData,
  Null,
  RecordBatch,
  Schema,
  Struct,
  TimeMicrosecond,
  TimeSecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  Vector,
} from 'apache-arrow';
import fc from 'fast-check';

type Raw = unknown;

export interface ColumnKind {
  readonly name: string;
  readonly type: DataType;
  readonly values: fc.Arbitrary<Raw>;
  /** The column's data of these values; null is null. */
  readonly build: (values: readonly Raw[]) => Data;
  /** What DuckDB must give for `VARCHAR` cast to this type, as text; undefined: it is not asked. */
  readonly duckType?: string;
  /** The value as DuckDB prints it, or for nested ones as JSON has it. */
  readonly show: (value: Raw) => unknown;
}

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.stringMatching(/^[a-z ]{0,100}$/),
  fc.constantFrom(
    '',
    ' ',
    '"',
    '\\',
    'a,b',
    'x\ny',
    '\r\n',
    '\u0000',
    '\u001f',
    '€',
    '😀',
    'NULL',
    "it's",
    '""',
    '\\"',
  ),
);
const bytes = fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each));
const DAY = 86_400_000;

export const KINDS: readonly ColumnKind[] = [
  {
    name: 'flag',
    type: new Bool(),
    values: fc.boolean(),
    build: (values) => makeData({ type: new Bool(), ...base(values), data: bitmap(values.map((v) => v === true)) }),
    duckType: 'BOOLEAN',
    show: String,
  },
  fixed('i8', new Int8(), Int8Array, fc.integer({ min: -128, max: 127 }), 'TINYINT'),
  fixed('i16', new Int16(), Int16Array, fc.integer({ min: -32768, max: 32767 }), 'SMALLINT'),
  fixed('i32', new Int32(), Int32Array, fc.integer(), 'INTEGER'),
  fixed('u8', new Uint8(), Uint8Array, fc.integer({ min: 0, max: 255 }), 'UTINYINT'),
  fixed('u16', new Uint16(), Uint16Array, fc.integer({ min: 0, max: 65535 }), 'USMALLINT'),
  fixed('u32', new Uint32(), Uint32Array, fc.integer({ min: 0, max: 2 ** 32 - 1 }), 'UINTEGER'),
  fixed('i64', new Int64(), BigInt64Array, fc.bigInt(int64), 'BIGINT'),
  fixed('u64', new Uint64(), BigUint64Array, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), 'UBIGINT'),
  {
    ...fixed('f32', new Float32(), Float32Array, fc.float({ noNaN: true, noDefaultInfinity: true }), 'FLOAT'),
    show: (value) => value,
  },
  { ...fixed('f64', new Float64(), Float64Array, fc.double(), 'DOUBLE'), show: (value) => value },
  {
    name: 'dec',
    type: new Decimal(10, 38, 128),
    values: fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
    build: (values) =>
      makeData({
        type: new Decimal(10, 38, 128),
        ...base(values),
        data: Uint32Array.from(values.flatMap((value) => words(value as bigint | null))),
      }),
    duckType: 'DECIMAL(38,10)',
    show: (value) => decimalText(value as bigint, 10),
  },
  {
    ...fixed('day', new DateDay(), Int32Array, fc.integer({ min: -700_000, max: 2_900_000 }), 'DATE'),
    show: (value) => new Date((value as number) * DAY).toISOString().slice(0, 10),
  },
  {
    ...fixed(
      'day64',
      new DateMillisecond(),
      BigInt64Array,
      fc.bigInt({ min: -1000n, max: 20_000n }).map((d) => d * 86_400_000n),
      'DATE',
    ),
    show: (value) => new Date(Number(value)).toISOString().slice(0, 10),
  },
  {
    ...fixed('time', new TimeMicrosecond(), BigInt64Array, fc.bigInt({ min: 0n, max: 86_399_999_999n }), 'TIME'),
    show: (value) => momentText(value as bigint, 6).slice(11),
  },
  {
    ...fixed('clock', new TimeSecond(), Int32Array, fc.integer({ min: 0, max: 86_399 }), 'TIME'),
    show: (value) => momentText(BigInt(value as number), 0).slice(11),
  },
  timestamp('ts_s', new TimestampSecond('UTC'), 0),
  timestamp('ts_ms', new TimestampMillisecond('UTC'), 3),
  timestamp('ts_us', new TimestampMicrosecond('Europe/Berlin'), 6),
  timestamp('ts_ns', new TimestampNanosecond(null), 9),
  utf8('words', new Utf8()),
  {
    ...utf8('large', new LargeUtf8()),
    build: (values) => {
      const { valueOffsets, ...rest } = variable(values.map(toBytes));
      return makeData({ type: new LargeUtf8(), ...rest, valueOffsets: BigInt64Array.from(valueOffsets, BigInt) });
    },
  },
  {
    name: 'bin',
    type: new Binary(),
    values: bytes,
    build: (values) => makeData({ type: new Binary(), ...variable(values as (Buffer | null)[]) }),
    duckType: 'BLOB',
    show: (value) => (value as Buffer).toString('hex').toUpperCase(),
  },
  {
    name: 'four',
    type: new FixedSizeBinary(4),
    values: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((each) => Buffer.from(each)),
    build: (values) =>
      makeData({
        type: new FixedSizeBinary(4),
        ...base(values),
        data: Buffer.concat(values.map((value) => (value as Buffer | null) ?? Buffer.alloc(4))),
      }),
    duckType: 'BLOB',
    show: (value) => (value as Buffer).toString('hex').toUpperCase(),
  },
  {
    name: 'span',
    type: new DurationMicrosecond(),
    values: fc.bigInt({ min: -(10n ** 14n), max: 10n ** 14n }),
    build: (values) =>
      makeData({ type: new DurationMicrosecond(), ...base(values), data: BigInt64Array.from(values, toBigInt) }),
    show: (value) => durationText(value as bigint),
  },
  {
    name: 'interval',
    type: new IntervalMonthDayNano(),
    values: fc.tuple(fc.integer({ min: 1, max: 11 }), fc.integer({ min: -9, max: -1 })),
    build: (values) =>
      makeData({
        type: new IntervalMonthDayNano(),
        ...base(values),
        data: Int32Array.from(values.flatMap((value) => [...((value as number[] | null) ?? [0, 0]), 0, 0])),
      }),
    show: (value) => `P${(value as number[])[0]}M${(value as number[])[1]}D`,
  },
  {
    name: 'choice',
    type: new Dictionary(new Utf8(), new Int32()),
    values: fc.constantFrom('red', 'gr"een', 'blue'),
    build: (values) => {
      const names = ['red', 'gr"een', 'blue'];
      const dictionary = new Vector([makeData({ type: new Utf8(), ...variable(names.map(toBytes)) })]);
      const data = Int32Array.from(values, (value) => Math.max(0, names.indexOf(value as string)));
      return makeData({ type: new Dictionary(new Utf8(), new Int32()), ...base(values), data, dictionary });
    },
    duckType: 'VARCHAR',
    show: String,
  },
  {
    name: 'none',
    type: new Null(),
    values: fc.constant(null),
    build: (values) => makeData({ type: new Null(), length: values.length }),
    show: String,
  },
  {
    name: 'numbers',
    type: new List(new Field('item', new Int32(), true)),
    values: fc.array(fc.option(fc.integer()), { maxLength: 4 }),
    build: (values) => {
      const lists = values as (readonly (number | null)[] | null)[];
      const items = lists.flatMap((list) => list ?? []);
      const child = fixed('item', new Int32(), Int32Array, fc.integer(), 'INTEGER').build(items) as Data<Int32>;
      const valueOffsets = offsetsOf(lists.map((list) => list?.length ?? 0));
      return makeData({ type: new List(new Field('item', new Int32(), true)), ...base(values), valueOffsets, child });
    },
    show: (value) => value,
  },
  {
    name: 'pair',
    type: new FixedSizeList(2, new Field('item', new Int32(), false)),
    values: fc.tuple(fc.integer(), fc.integer()),
    build: (values) => {
      const items = values.flatMap((value) => (value as number[] | null) ?? [0, 0]);
      const child = makeData({ type: new Int32(), length: items.length, nullCount: 0, data: Int32Array.from(items) });
      return makeData({ type: new FixedSizeList(2, new Field('item', new Int32(), false)), ...base(values), child });
    },
    show: (value) => value,
  },
  headers(),
  {
    name: 'counts',
    type: countsType(),
    values: fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z"é]{1,5}$/), fc.option(fc.integer())), {
      maxLength: 3,
      selector: ([key]) => key,
    }),
    build: (values) => {
      const maps = values as (readonly (readonly [string, number | null])[] | null)[];
      const entries = maps.flatMap((map) => map ?? []);
      const keys = makeData({ type: new Utf8(), ...variable(entries.map(([key]) => Buffer.from(key))) });
      const numbers = fixed('value', new Int32(), Int32Array, fc.integer(), 'INTEGER').build(entries.map(([, n]) => n));
      const struct = (countsType().children[0] as Field<Struct>).type;
      const child = makeData({ type: struct, length: entries.length, nullCount: 0, children: [keys, numbers] });
      const valueOffsets = offsetsOf(maps.map((map) => map?.length ?? 0));
      return makeData({ type: countsType(), ...base(values), valueOffsets, child });
    },
    show: (value) => Object.fromEntries(value as [string, number | null][]),
  },
];

export type Rows = readonly (readonly Raw[])[];

/** Rows of these columns, each value null at times. */
export function rowsOf(kinds: readonly ColumnKind[], minLength = 1): fc.Arbitrary<Rows> {
  const row = fc.tuple(...kinds.map(({ values }) => fc.option(values, { freq: 4 })));
  return fc.array(row, { minLength, maxLength: 30 });
}

export function toTable(kinds: readonly ColumnKind[], rows: Rows): RecordBatch {
  const fields = kinds.map(({ name, type }) => new Field(name, type, true));
  const children = kinds.map(({ build }, index) => build(rows.map((row) => row[index] ?? null)));
  const type = new Struct(fields);
  return new RecordBatch(new Schema(fields), makeData({ type, length: rows.length, nullCount: 0, children }));
}

/** A moment of 10^-digits seconds, as DuckDB prints it. */
export function momentText(value: bigint, digits: number): string {
  const perSecond = 10n ** BigInt(digits);
  let seconds = value / perSecond;
  if (value % perSecond < 0n) seconds -= 1n;
  const fraction = (value - seconds * perSecond).toString().padStart(digits, '0').replace(/0+$/, '');
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19).replace('T', ' ');
  return fraction === '' || fraction === '0' ? text : `${text}.${fraction}`;
}

function timestamp(name: string, type: DataType, digits: number): ColumnKind {
  const perSecond = 10n ** BigInt(digits);
  const seconds = fc.bigInt({ min: -2_000_000_000n, max: 7_000_000_000n });
  const values = fc.tuple(seconds, fc.bigInt({ min: 0n, max: perSecond - 1n })).map(([s, f]) => s * perSecond + f);
  const duckType = digits === 9 ? 'TIMESTAMP_NS' : 'TIMESTAMP';
  return {
    ...fixed(name, type, BigInt64Array, values, duckType),
    show: (value) => momentText(value as bigint, digits),
  };
}

function utf8(name: string, type: DataType): ColumnKind {
  return {
    name,
    type,
    values: text,
    build: (values) => makeData({ type: type as Utf8, ...variable(values.map(toBytes)) }),
    duckType: 'VARCHAR',
    show: String,
  };
}

function headers(): ColumnKind {
  const struct = new Struct([new Field('key', new Utf8(), false), new Field('value', new Binary(), true)]);
  const type = new List(new Field('element', struct, false));
  type Header = { readonly key: string; readonly value: Buffer | null };
  return {
    name: 'headers',
    type,
    values: fc.array(fc.record({ key: text, value: fc.option(bytes) }), { maxLength: 3 }),
    build: (values) => {
      const lists = values as (readonly Header[] | null)[];
      const items = lists.flatMap((list) => list ?? []);
      const keys = makeData({ type: new Utf8(), ...variable(items.map(({ key }) => Buffer.from(key))) });
      const contents = makeData({ type: new Binary(), ...variable(items.map(({ value }) => value)) });
      const child = makeData({ type: struct, length: items.length, nullCount: 0, children: [keys, contents] });
      return makeData({
        type,
        ...base(values),
        valueOffsets: offsetsOf(lists.map((list) => list?.length ?? 0)),
        child,
      });
    },
    show: (value) =>
      (value as Header[]).map((header) =>
        header.value === null ? { key: header.key } : { key: header.key, value: header.value.toString('base64') },
      ),
  };
}

function countsType(): Map_ {
  const entry = new Struct([new Field('key', new Utf8(), false), new Field('value', new Int32(), true)]);
  return new Map_(new Field('entries', entry as never, false));
}

function fixed(
  name: string,
  type: DataType,
  Values: { from(values: never): ArrayLike<unknown> },
  values: fc.Arbitrary<Raw>,
  duckType: string,
): ColumnKind {
  const isBig = Values.from === BigInt64Array.from && /^Big/.test((Values as unknown as { name: string }).name);
  return {
    name,
    type,
    values,
    build: (raws) => {
      const filled = raws.map((raw) => raw ?? (isBig ? 0n : 0));
      return makeData({ type: type as Int32, ...base(raws), data: Values.from(filled as never) as Int32Array });
    },
    duckType,
    show: String,
  };
}

function base(values: readonly Raw[]): { length: number; nullCount: number; nullBitmap: Uint8Array } {
  const nullCount = values.filter((value) => value === null).length;
  return { length: values.length, nullCount, nullBitmap: bitmap(values.map((value) => value !== null)) };
}

function bitmap(bits: readonly boolean[]): Uint8Array {
  const packed = new Uint8Array(Math.ceil(bits.length / 8));
  for (const [i, bit] of bits.entries()) if (bit) packed[i >> 3] = (packed[i >> 3] ?? 0) | (1 << (i & 7));
  return packed;
}

function variable(values: readonly (Buffer | null)[]) {
  return {
    ...base(values),
    valueOffsets: offsetsOf(values.map((value) => value?.length ?? 0)),
    data: Buffer.concat(values.map((value) => value ?? Buffer.alloc(0))),
  };
}

function offsetsOf(lengths: readonly number[]): Int32Array {
  let end = 0;
  return Int32Array.from([0, ...lengths.map((length) => (end += length))]);
}

function toBytes(value: Raw): Buffer | null {
  return value === null ? null : Buffer.from(value as string);
}

function toBigInt(value: Raw): bigint {
  return (value as bigint | null) ?? 0n;
}

function words(value: bigint | null): number[] {
  const unsigned = BigInt.asUintN(128, value ?? 0n);
  return [0n, 32n, 64n, 96n].map((shift) => Number((unsigned >> shift) & 0xffffffffn));
}

function decimalText(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function durationText(micros: bigint): string {
  const sign = micros < 0n ? '-' : '';
  const size = micros < 0n ? -micros : micros;
  const [hours, minutes, rest] = [size / 3_600_000_000n, (size / 60_000_000n) % 60n, size % 60_000_000n];
  const seconds = `${rest / 1_000_000n}.${String(rest % 1_000_000n).padStart(6, '0')}`.replace(/\.?0+$/, '');
  const parts = [hours && `${sign}${hours}H`, minutes && `${sign}${minutes}M`, rest && `${sign}${seconds}S`];
  return `PT${parts.filter(Boolean).join('') || '0S'}`;
}
