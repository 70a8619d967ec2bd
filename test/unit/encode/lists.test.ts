/** Random lists of keys and values, as headers are, in every place and number, read back by two readers. */
import { Binary, type Data, Field, List, makeData, RecordBatch, Schema, Struct, Table, Utf8 } from 'apache-arrow';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import { expect, test } from 'vitest';
import type { EncodedRows } from '../../../src/encode/encoder.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { hex, joinedFile, kept, testFolder } from './files.ts';

const folder = await testFolder();

interface Header {
  readonly key: string;
  readonly value: Buffer | null;
}
type Row = readonly Header[] | null;

const headerType = new Struct([new Field('key', new Utf8(), false), new Field('value', new Binary(), true)]);
const listType = new List(new Field('element', headerType, false));

function bitsOf(present: readonly boolean[]): { nullCount: number; nullBitmap?: Uint8Array } {
  const nullCount = present.filter((one) => !one).length;
  const nullBitmap = new Uint8Array(Math.ceil(present.length / 8));
  for (const [row, one] of present.entries())
    if (one) nullBitmap[row >> 3] = (nullBitmap[row >> 3] ?? 0) | (1 << (row & 7));
  return nullCount === 0 ? { nullCount } : { nullCount, nullBitmap };
}

function bytesData(type: Utf8 | Binary, values: readonly (Buffer | null)[]): Data {
  const valueOffsets = new Int32Array(values.length + 1);
  for (const [row, value] of values.entries()) valueOffsets[row + 1] = (valueOffsets[row] ?? 0) + (value?.length ?? 0);
  const data = Buffer.concat(values.map((value) => value ?? Buffer.alloc(0)));
  return makeData({
    type: type as Binary,
    length: values.length,
    ...bitsOf(values.map((one) => one !== null)),
    valueOffsets,
    data,
  });
}

/** @param hidden Elements that lie in the ranges of lists that are null. */
function batchOf(rows: readonly Row[], nullable: boolean, hidden = 0): RecordBatch {
  const none = Array.from({ length: hidden }, () => ({ key: 'hidden', value: null }));
  const all = rows.map((row) => row ?? none);
  const elements = all.flat();
  const valueOffsets = new Int32Array(rows.length + 1);
  for (const [row, list] of all.entries()) valueOffsets[row + 1] = (valueOffsets[row] ?? 0) + list.length;
  const keys = elements.map(({ key }) => Buffer.from(key));
  const values = elements.map(({ value }) => value);
  const children = [bytesData(new Utf8(), keys), bytesData(new Binary(), values)];
  const child = makeData({ type: headerType, length: elements.length, nullCount: 0, children });
  const bits = bitsOf(rows.map((row) => row !== null));
  const data = makeData({ type: listType, length: rows.length, ...bits, valueOffsets, child });
  const fields = [new Field('headers', listType, nullable)];
  return new RecordBatch(
    new Schema(fields),
    makeData({ type: new Struct(fields), length: rows.length, nullCount: 0, children: [data] }),
  );
}

const textOf = (rows: readonly Row[]): string[] =>
  rows.map((row) => JSON.stringify(row?.map(({ key, value }) => [key, hex(value)]) ?? null));

async function duckRows(file: Buffer): Promise<string[]> {
  const rows = await folder.query(
    `SELECT list_transform(headers, lambda h: [h.key, hex(h.value)]) AS headers FROM ${folder.write(file)}`,
  );
  return rows.map(({ headers }) => JSON.stringify(headers));
}

async function hyparquetRows(file: Buffer): Promise<string[]> {
  const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer;
  const rows = await parquetReadObjects({ file: buffer, utf8: false });
  return textOf(rows.map(({ headers }) => (headers ?? null) as Row));
}

async function encode(
  batch: RecordBatch | Table,
): Promise<{ readonly file: Buffer; readonly used: readonly string[] }> {
  const encoder = new ParquetEncoder('snappy');
  return { file: joinedFile([await encoder.encode(batch)]), used: encoder.usedEncoders() };
}

/** In as many row groups as it takes. */
async function encodeInParts(
  batches: readonly RecordBatch[],
): Promise<{ readonly file: Buffer; readonly used: readonly string[]; readonly rowGroups: readonly number[] }> {
  const encoder = new ParquetEncoder('snappy');
  const groups: EncodedRows[] = [];
  for (const batch of batches.filter(({ numRows }) => numRows > 0)) {
    if (await encoder.add(batch)) continue;
    groups.push(await kept(encoder.finish()));
    expect(await encoder.add(batch)).toBe(true);
  }
  groups.push(await kept(encoder.finish()));
  return { file: joinedFile(groups), used: encoder.usedEncoders(), rowGroups: groups.map(({ rows }) => rows) };
}

const header: fc.Arbitrary<Header> = fc.record({
  key: fc.oneof(fc.constantFrom('', 'trace', 'type'), fc.string({ unit: 'grapheme-ascii', maxLength: 80 })),
  value: fc.oneof(
    fc.constantFrom(null, Buffer.alloc(0), Buffer.from('json')),
    fc.uint8Array({ maxLength: 90 }).map((bytes) => Buffer.from(bytes)),
  ),
});
const list = fc.oneof(fc.constant<Row>([]), fc.array(header, { maxLength: 9 }));

test('lists come back from every slice and every cut into batches', async () => {
  const sample = fc.boolean().chain((nullable) =>
    fc.record({
      nullable: fc.constant(nullable),
      rows: fc.array(nullable ? fc.oneof(list, fc.constant(null)) : list, { minLength: 1, maxLength: 120 }),
      cuts: fc.array(fc.nat(), { maxLength: 5 }),
      first: fc.nat(),
    }),
  );
  const property = fc.asyncProperty(sample, async ({ nullable, rows, cuts, first }) => {
    const start = first % rows.length;
    const ends = [...new Set([start, ...cuts.map((cut) => cut % rows.length), rows.length])].filter(
      (end) => end >= start,
    );
    ends.sort((a, b) => a - b);
    const whole = batchOf(rows, nullable);
    const batches = ends.slice(1).map((end, index) => whole.slice(ends[index] as number, end));
    const { file, used } = first % 2 === 0 ? await encode(new Table(batches)) : await encodeInParts(batches);
    expect(used).toEqual(['flat']);
    const expected = textOf(rows.slice(start));
    expect(await duckRows(file)).toEqual(expected);
    expect(await hyparquetRows(file)).toEqual(expected);
  });
  await fc.assert(property, { numRuns: 60, endOnFailure: true });
});

test('lists of many pages come back, the longest as well', async () => {
  const lengths = [65_536, 0, 3, 65_535, 2, 0, 65_536];
  const rows = [
    ...lengths.map((length) => Array.from({ length }, (_, index) => ({ key: 'k', value: Buffer.from(`v${index}`) }))),
    ...Array.from({ length: 70_000 }, (_, row) => (row % 3 === 0 ? [] : [{ key: `k${row % 5}`, value: null }])),
  ];
  const { file, used } = await encode(batchOf(rows, false));
  expect(used).toEqual(['flat']);
  expect(await duckRows(file)).toEqual(textOf(rows));
});

test('a list that is longer than a page, or null and not empty, is left to parquet-wasm', async () => {
  const one = { key: 'k', value: Buffer.from('v') };
  const long: Row[] = [[one], Array.from({ length: 65_537 }, () => one), null];
  const hidden: Row[] = [[one], null, [one, one]];
  for (const [rows, elements] of [
    [long, 0],
    [hidden, 2],
  ] as const) {
    const { file, used } = await encode(batchOf(rows, true, elements));
    expect(used).toEqual(['parquet-wasm']);
    expect(await duckRows(file)).toEqual(textOf(rows));
  }
});

test('rows of which parquet-wasm takes a column begin a row group, and end it', async () => {
  const one = { key: 'k', value: Buffer.from('v') };
  const long: Row[] = [[one], Array.from({ length: 65_537 }, () => one)];
  const parts: Row[][] = [[[one], []], [[one]], long, [[one, one]], [[]]];
  const { file, used, rowGroups } = await encodeInParts(parts.map((rows) => batchOf(rows, false)));
  expect([used, rowGroups]).toEqual([
    ['flat', 'parquet-wasm'],
    [3, 2, 2],
  ]);
  expect(await duckRows(file)).toEqual(textOf(parts.flat()));
});
