import { createRequire } from 'node:module';
import {
  Dictionary,
  Field,
  Int32,
  Int64,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { expect, test } from 'vitest';
import { type ArrowLibrary, adoptData, tableFor } from '../../../../src/transform/arrow/adopt.ts';

// CommonJS classes are others than those of the ES modules.
const other = createRequire(import.meta.url)('apache-arrow') as ArrowLibrary;

const point = new Struct([new Field('x', new Int32(), true)]);
const table = new Table({
  text: vectorFromArray(['a', null, 'c'], new Utf8()),
  time: vectorFromArray([new Date(1), null, new Date(3)], new TimestampMicrosecond('UTC')),
  list: vectorFromArray([[1n, null], [], null], new List(new Field('element', new Int64(), true))),
  point: vectorFromArray([{ x: 1 }, null, { x: 3 }], point),
  repeated: vectorFromArray(['q', 'r', 'q'], new Dictionary(new Utf8(), new Int32())),
});
const [batch] = table.batches as [RecordBatch];
const rows = [
  { text: 'a', time: 1, list: [1, null], point: { x: 1 }, repeated: 'q' },
  { text: null, time: null, list: [], point: null, repeated: 'r' },
  { text: 'c', time: 3, list: null, point: { x: 3 }, repeated: 'q' },
];

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? Number(inner) : inner)));
}

test('a table for another copy of apache-arrow is one of its own', () => {
  const theirs = tableFor(other, batch);
  expect(theirs.constructor).toBe(other.Table);
  expect(plain(theirs.toArray())).toEqual(rows);
  const number = other.vectorFromArray([1, 2, 3], new other.Int32());
  const mixed = new other.Table({ text: theirs.getChild('text') as never, number });
  expect(plain(mixed.toArray())).toEqual([
    { text: 'a', number: 1 },
    { text: null, number: 2 },
    { text: 'c', number: 3 },
  ]);
  expect(plain(other.tableFromIPC(other.tableToIPC(theirs)).toArray())).toEqual(rows);
});

test('a slice keeps its place, names, nullability and metadata', () => {
  const field = new Field('id', new Int32(), false, new Map([['unit', 'm']]));
  const ids = new Schema([field], new Map([['origin', 'x']]));
  const children = [makeData({ type: new Int32(), data: Int32Array.of(1, 2, 3) })];
  const source = new RecordBatch(ids, makeData({ type: new Struct(ids.fields), length: 3, nullCount: 0, children }));
  const theirs = tableFor(other, source.slice(1));
  expect(plain(theirs.toArray())).toEqual([{ id: 2 }, { id: 3 }]);
  expect(theirs.schema.metadata).toEqual(new Map([['origin', 'x']]));
  expect(theirs.schema.fields.map(({ name, nullable, metadata }) => ({ name, nullable, metadata }))).toEqual([
    { name: 'id', nullable: false, metadata: new Map([['unit', 'm']]) },
  ]);
});

test('the columns come back as ours, their buffers shared', () => {
  const [theirs] = tableFor(other, batch).batches as [RecordBatch];
  const text = adoptData(theirs.data.children[0] as never);
  expect(text.constructor).toBe(batch.data.constructor);
  expect(text.values.buffer).toBe(batch.data.children[0]?.values.buffer);
});
