/** Rows with every hard case for the encoder, and their Arrow form: buffers are filled by hand, as the decoder does. */
import {
  Binary,
  type Data,
  type DataType,
  DateDay,
  Field,
  Float64,
  Int32,
  Int64,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimestampMillisecond,
  Utf8,
} from 'apache-arrow';

export interface Header {
  readonly key: string;
  readonly value: Buffer | null;
}

export interface Row {
  readonly key: string | null;
  readonly value: Buffer | null;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number | null;
  readonly amount: number | null;
  readonly day: number | null;
  readonly headers: readonly Header[] | null;
}

const headerType = new Struct([new Field('key', new Utf8(), false), new Field('value', new Binary(), true)]);

export const schema = new Schema([
  new Field('key', new Utf8(), true),
  new Field('value', new Binary(), true),
  new Field('topic', new Utf8(), false),
  new Field('partition', new Int32(), false),
  new Field('offset', new Int64(), false),
  new Field('timestamp', new TimestampMillisecond('UTC'), true),
  new Field('amount', new Float64(), true),
  new Field('day', new DateDay(), true),
  new Field('headers', new List(new Field('element', headerType, false)), true),
]);

/** Numbers in [0, 2^31) that are the same for the same seed. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state >>> 8;
  };
}

/** Rows at `firstOffset` and after: nulls, empty values, bytes that are no text, long strings, negative numbers. */
export function makeRows(count: number, firstOffset: number, valueBytes = 24, headerBytes = 16): Row[] {
  const next = random(firstOffset + 1);
  const pick = <T>(choices: readonly (() => T)[]): T => (choices[next() % choices.length] as () => T)();
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => next() & 0xff));
  return Array.from({ length: count }, (_, index) => ({
    key: pick<string | null>([
      () => null,
      () => '',
      () => `k${next() % 1000}`,
      () => `${'a long key with a common beginning, longer than 64 bytes in all cases, '.repeat(2)}${next()}`,
      () => `ключ-${next() % 50}-€`,
    ]),
    value: pick<Buffer | null>([
      () => null,
      () => Buffer.alloc(0),
      () => Buffer.concat([Buffer.alloc(8), bytes(4)]),
      () => Buffer.concat([Buffer.alloc(70, 0xff), bytes(4)]),
      () => bytes(valueBytes),
    ]),
    topic: 'orders',
    partition: index % 3,
    offset: firstOffset + index,
    timestamp: pick<number | null>([() => null, () => -1, () => -next(), () => 1_700_000_000_000 + next()]),
    amount: pick<number | null>([() => null, () => -next() / 7, () => 0, () => next() / 3]),
    day: pick<number | null>([() => null, () => -(next() % 30_000), () => next() % 30_000]),
    headers: pick<readonly Header[] | null>([
      () => null,
      () => [],
      () => [{ key: 'trace', value: null }],
      () => [
        { key: 'trace', value: bytes(headerBytes) },
        { key: 'trace', value: Buffer.alloc(0) },
        { key: '', value: bytes(3) },
      ],
    ]),
  }));
}

export function toBatch(rows: readonly Row[]): RecordBatch {
  const headers = rows.flatMap((row) => row.headers ?? []);
  const [key, value, topic, partition, offset, timestamp, amount, day] = schema.fields.map((field) => field.type);
  const children = [
    bytesData(
      key,
      rows.map((row) => text(row.key)),
    ),
    bytesData(
      value,
      rows.map((row) => row.value),
    ),
    bytesData(
      topic,
      rows.map((row) => text(row.topic)),
    ),
    fixedData(
      partition,
      Int32Array.from(rows, (row) => row.partition),
    ),
    fixedData(
      offset,
      BigInt64Array.from(rows, (row) => BigInt(row.offset)),
    ),
    fixedData(
      timestamp,
      BigInt64Array.from(rows, (row) => BigInt(row.timestamp ?? 0)),
      rows.map((row) => row.timestamp),
    ),
    fixedData(
      amount,
      Float64Array.from(rows, (row) => row.amount ?? 0),
      rows.map((row) => row.amount),
    ),
    fixedData(
      day,
      Int32Array.from(rows, (row) => row.day ?? 0),
      rows.map((row) => row.day),
    ),
    makeData({
      type: schema.fields[8]?.type as List,
      length: rows.length,
      ...validity(rows.map((row) => row.headers)),
      valueOffsets: offsetsOf(rows.map((row) => row.headers?.length ?? 0)),
      child: makeData({
        type: headerType,
        length: headers.length,
        nullCount: 0,
        children: [
          bytesData(
            new Utf8(),
            headers.map((header) => text(header.key)),
          ),
          bytesData(
            new Binary(),
            headers.map((header) => header.value),
          ),
        ],
      }),
    }),
  ];
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length: rows.length, nullCount: 0, children }));
}

function text(value: string | null): Buffer | null {
  return value === null ? null : Buffer.from(value);
}

function bytesData(type: DataType | undefined, values: readonly (Buffer | null)[]): Data {
  return makeData({
    type: type as Binary,
    length: values.length,
    ...validity(values),
    valueOffsets: offsetsOf(values.map((value) => value?.length ?? 0)),
    data: Buffer.concat(values.map((value) => value ?? Buffer.alloc(0))),
  });
}

function fixedData(
  type: DataType | undefined,
  data: Int32Array | BigInt64Array | Float64Array,
  nullable: readonly unknown[] = [],
): Data {
  return makeData({ type: type as Int32, length: data.length, ...validity(nullable), data: data as Int32Array });
}

function offsetsOf(lengths: readonly number[]): Int32Array {
  const offsets = new Int32Array(lengths.length + 1);
  for (const [index, length] of lengths.entries()) offsets[index + 1] = (offsets[index] ?? 0) + length;
  return offsets;
}

function validity(values: readonly unknown[]): { nullCount: number; nullBitmap?: Uint8Array } {
  const nullCount = values.filter((value) => value === null).length;
  if (nullCount === 0) return { nullCount };
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8));
  for (const [index, value] of values.entries()) {
    if (value !== null) nullBitmap[index >> 3] = (nullBitmap[index >> 3] ?? 0) | (1 << (index & 7));
  }
  return { nullCount, nullBitmap };
}
