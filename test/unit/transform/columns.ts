import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float64,
  Int8,
  Int32,
  Int64,
  LargeBinary,
  LargeUtf8,
  List,
  Map_,
  Struct,
  TimestampMillisecond,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';

/** A column of each type with nulls between the values. */
export function sampleColumns(): Record<string, Vector> {
  const column = (values: readonly unknown[], type: DataType): Vector => vectorFromArray(values as never, type);
  const pair = new Struct([new Field('a', new Int32(), true), new Field('b', new Utf8(), true)]);
  const entries = new Struct([new Field('key', new Utf8(), false), new Field('value', new Int32(), true)]);
  return {
    bool: column([true, null, false, true, true, null, false, false, true, null], new Bool()),
    int8: column([1, null, -3, 4, 5, 6, 7, 8, 9, 127], new Int8()),
    int32: column([1, null, -3, 4, 5, 6, 7, 8, 9, 2 ** 31 - 1], new Int32()),
    int64: column([1n, null, -3n, 4n, 2n ** 62n, 6n, 7n, -(2n ** 63n), 9n, 10n], new Int64()),
    float64: column([1.5, null, -0, Number.NaN, Number.POSITIVE_INFINITY, 6, 7, 8, 9, 10], new Float64()),
    decimal: column(
      [1n, null, -3n, 4n, 10n ** 30n, 6n, 7n, 8n, 9n, 10n].map((value) => value && decimalWords(value)),
      new Decimal(2, 38, 128),
    ),
    utf8: column(['a', null, '', 'é', 'x'.repeat(100), 'f', 'g', '𝄞', 'i', 'j'], new Utf8()),
    largeUtf8: column(['a', null, '', 'é', 'x'.repeat(100), 'f', 'g', '𝄞', 'i', 'j'], new LargeUtf8()),
    binary: column(
      [0, null, 2, 3, 40, 5, 6, 7, 8, 9].map((length) => length && Buffer.alloc(length, length)),
      new Binary(),
    ),
    largeBinary: column(
      [1, null, 2, 3, 40, 5, 6, 7, 8, 9].map((length) => length && Buffer.alloc(length, length)),
      new LargeBinary(),
    ),
    fixedBinary: column(
      [1, null, 2, 3, 4, 5, 6, 7, 8, 9].map((byte) => byte && Buffer.alloc(3, byte)),
      new FixedSizeBinary(3),
    ),
    date: column(
      [0, null, 2, 3, 4, 5, 6, 7, 8, 9].map((day) => day && new Date(day * 86_400_000)),
      new DateDay(),
    ),
    timestamp: column([0, null, 2, 3, 4, 5, 6, 7, 8, 1_700_000_000_123], new TimestampMillisecond('UTC')),
    list: column(
      [[1, 2], null, [], [3, null], [4], [5], [6, 7, 8], [], [9], [10]],
      new List(new Field('element', new Int32(), true)),
    ),
    fixedList: column(
      [
        [1, 2],
        [1, 1],
        [null, 0],
        [3, null],
        [4, 4],
        [5, 5],
        [6, 7],
        [8, 8],
        [9, 9],
        [10, 10],
      ],
      new FixedSizeList(2, new Field('element', new Int32(), true)),
    ),
    struct: column(
      [1, null, 3, 4, 5, 6, 7, 8, 9, 10].map((a) => a && { a: a % 2 === 0 ? null : a, b: `b${a}` }),
      pair,
    ),
    map: column(
      [1, null, 3, 4, 5, 6, 7, 8, 9, 10].map((n) => n && new Map([[`k${n}`, n]])),
      new Map_(new Field('entries', entries, false) as never),
    ),
    dictionary: column(['a', null, 'b', 'a', 'c', 'b', 'a', 'a', 'c', 'b'], new Dictionary(new Utf8(), new Int32())),
  };
}

function decimalWords(value: bigint): Uint32Array {
  return new Uint32Array([0n, 32n, 64n, 96n].map((shift) => Number(BigInt.asUintN(32, value >> shift))));
}

/** Values that can be compared. */
export function plainValues(vector: Vector): unknown[] {
  return Array.from({ length: vector.length }, (_, row) => plain(vector.get(row)));
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (value === null || typeof value !== 'object') return Object.is(value, -0) ? '-0' : value;
  if (value instanceof Uint8Array || value instanceof Uint32Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex');
  if ('toArray' in value) return plainValues(value as unknown as Vector);
  if ('toJSON' in value) return JSON.parse(JSON.stringify(value));
  return value;
}
