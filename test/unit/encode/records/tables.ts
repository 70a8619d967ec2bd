import {
  Binary,
  type DataType,
  Field,
  Int32,
  List,
  makeVector,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampMillisecond,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';

/** A record as a row of a table; what is left out is a column left out, or null in it. */
export interface RecordRow {
  readonly key?: Buffer | null;
  readonly value?: Buffer | null;
  readonly topic?: string | null;
  readonly partition?: number | null;
  readonly timestamp?: bigint | null;
  readonly headers?: readonly (readonly [key: string, value: Buffer | null])[] | null;
}

const HEADER = new Struct([new Field('key', new Utf8(), false), new Field('value', new Binary(), true)]);
const TYPES: { readonly [Name in keyof Required<RecordRow>]: DataType } = {
  key: new Binary(),
  value: new Binary(),
  topic: new Utf8(),
  partition: new Int32(),
  timestamp: new TimestampMillisecond(),
  headers: new List(new Field('item', HEADER, true)),
};

/** A table of the columns that any of the rows has, in Arrow batches of at most `batchRows` rows. */
export function recordTable(rows: readonly RecordRow[], batchRows = Number.POSITIVE_INFINITY): Table {
  const names = (Object.keys(TYPES) as (keyof RecordRow)[]).filter((name) => rows.some((row) => row[name] != null));
  // A table has one column at least.
  if (names.length === 0) names.push('value');
  const batches: RecordBatch[] = [];
  for (let start = 0; start < rows.length; start += batchRows) {
    const part = rows.slice(start, start + batchRows);
    const vectors = names.map((name): [string, Vector] => [name, columnOf(name, part)]);
    batches.push(...new Table(Object.fromEntries(vectors)).batches);
  }
  const schema = batches[0]?.schema ?? new Schema([]);
  return new Table(
    schema,
    batches.map((batch) => new RecordBatch(schema, batch.data)),
  );
}

function columnOf(name: keyof RecordRow, rows: readonly RecordRow[]): Vector {
  const values = rows.map((row) => {
    const value = row[name] ?? null;
    return Array.isArray(value) ? value.map(([key, content]) => ({ key, value: content })) : value;
  });
  if (name !== 'timestamp') return vectorFromArray(values as unknown[], TYPES[name]) as Vector;
  const timestamps = BigInt64Array.from(values as (bigint | null)[], (value) => value ?? 0n);
  const bits = new Uint8Array((rows.length + 7) >>> 3);
  values.forEach((value, row) => {
    if (value !== null) bits[row >>> 3] = (bits[row >>> 3] as number) | (1 << (row & 7));
  });
  return makeVector({ type: new TimestampMillisecond(), data: timestamps, nullBitmap: bits, nullCount: -1 } as never);
}
