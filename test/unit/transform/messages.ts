/** Batches of messages, as workers have them. */
import {
  Binary,
  type Data,
  type Field,
  Int32,
  Int64,
  type List,
  makeData,
  RecordBatch,
  type Schema,
  Struct,
  StructRow,
  Timestamp,
  TimeUnit,
  Utf8,
  Vector,
} from 'apache-arrow';
import type { RowPlace } from '../../../src/transform/batchTransform.ts';
import { messagePlace } from '../../../src/transform/places.ts';
import { arrowSchema } from '../../../src/transform/schema.ts';

export interface Message {
  readonly key?: string | Uint8Array | null;
  readonly value?: string | Uint8Array | null;
  readonly timestampMs?: number;
  readonly headers?: readonly (readonly [string, string | Uint8Array | null])[];
}

const FIRST_OFFSET = 100;
const COLUMNS = [
  ['key', 'BINARY'],
  ['value', 'BINARY'],
  ['topic', 'STRING'],
  ['partition', 'INT'],
  ['offset', 'LONG'],
  ['timestamp', 'TIMESTAMP'],
  ['timestampType', 'INT'],
  ['headers', 'HEADERS'],
] as const;

export const messageSchema: Schema = arrowSchema(COLUMNS.map(([column, type]) => ({ name: column, column, type })));
/** Of messages of `orders/3`; the first has offset 100. */
export const place: RowPlace = messagePlace('orders', 3, (row) => FIRST_OFFSET + row);

export function messageBatch(messages: readonly Message[]): RecordBatch {
  const rows = messages.length;
  const headers = messages.flatMap((message) => message.headers ?? []);
  const headerOffsets = Int32Array.from([0, ...messages.map(({ headers: own }) => own?.length ?? 0)]);
  for (let i = 1; i < headerOffsets.length; i++)
    headerOffsets[i] = (headerOffsets[i] ?? 0) + (headerOffsets[i - 1] ?? 0);
  const headersType = messageSchema.fields[7]?.type as List<Struct>;
  const entry = headersType.children[0] as Field<Struct>;
  const header = makeData({
    type: entry.type,
    length: headers.length,
    nullCount: 0,
    children: [
      bytesData(
        headers.map(([key]) => key),
        new Utf8(),
      ),
      bytesData(
        headers.map(([, value]) => value),
        new Binary(),
      ),
    ],
  });
  const children: Data[] = [
    bytesData(
      messages.map(({ key }) => key ?? null),
      new Binary(),
    ),
    bytesData(
      messages.map(({ value }) => value ?? null),
      new Binary(),
    ),
    bytesData(
      messages.map(() => 'orders'),
      new Utf8(),
    ),
    makeData({ type: new Int32(), data: new Int32Array(rows).fill(3) }),
    makeData({ type: new Int64(), data: BigInt64Array.from(messages, (_, i) => BigInt(FIRST_OFFSET + i)) }),
    makeData({
      type: new Timestamp(TimeUnit.MILLISECOND, 'UTC'),
      data: BigInt64Array.from(messages, ({ timestampMs }) => BigInt(timestampMs ?? Date.UTC(2026, 10, 22, 12, 30))),
    }),
    makeData({ type: new Int32(), data: new Int32Array(rows) }),
    makeData({ type: headersType, length: rows, nullCount: 0, valueOffsets: headerOffsets, child: header }),
  ];
  const type = new Struct(messageSchema.fields);
  return new RecordBatch(messageSchema, makeData({ type, length: rows, nullCount: 0, children }));
}

function bytesData(values: readonly (string | Uint8Array | null)[], type: Utf8 | Binary): Data {
  const parts = values.map((value) => (value === null ? Buffer.alloc(0) : Buffer.from(value as string)));
  const valueOffsets = new Int32Array(values.length + 1);
  parts.forEach((part, i) => {
    valueOffsets[i + 1] = (valueOffsets[i] ?? 0) + part.length;
  });
  const nullBitmap = new Uint8Array((values.length + 7) >>> 3);
  values.forEach((value, i) => {
    if (value !== null) nullBitmap[i >>> 3] = (nullBitmap[i >>> 3] ?? 0) | (1 << (i & 7));
  });
  const nullCount = values.filter((value) => value === null).length;
  return makeData({
    type,
    length: values.length,
    nullCount,
    nullBitmap,
    valueOffsets,
    data: Buffer.concat(parts),
  } as never);
}

/** Rows as plain arrays: bytes as Buffer, lists and structs as JSON has them. */
export function rowsOf(batch: RecordBatch): unknown[][] {
  const columns = batch.data.children.map((data) => [...new Vector([data])].map(plain));
  return Array.from({ length: batch.numRows }, (_, row) => columns.map((column) => column[row]));
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (value instanceof Vector) return [...value].map(plain);
  if (value instanceof StructRow) return Object.fromEntries([...value].map(([name, inner]) => [name, plain(inner)]));
  return value;
}
