import { Field, List, makeData, RecordBatch, Schema, Struct, Table } from 'apache-arrow';
import { expect, test } from 'vitest';
import type { ParquetCompression } from '../../../src/config/job.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { describeRows, duckRows, hyparquetMetadata, hyparquetRows, joinedFile, testFolder } from './files.ts';
import { makeRows, schema, toBatch } from './rows.ts';

const folder = await testFolder();

/** More than the encoder takes in one piece of a column. */
const LARGE = makeRows(12_000, 0, 3000);

for (const compression of ['snappy', 'zstd', 'gzip', 'lz4_raw', 'none'] as ParquetCompression[]) {
  test(`writes with ${compression} what DuckDB reads, values in one piece and in several`, async () => {
    const encoder = new ParquetEncoder(compression);
    for (const rows of [makeRows(1, 7), makeRows(3001, 50), LARGE]) {
      const group = await encoder.encode(toBatch(rows));
      expect(group.rows).toBe(rows.length);
      const path = folder.write(joinedFile([group]));
      expect(await duckRows(folder, path)).toEqual(describeRows(rows));
    }
    const codecs = await folder.query(
      `SELECT DISTINCT compression FROM parquet_metadata(${folder.write(joinedFile([await encoder.encode(toBatch(LARGE))]))})`,
    );
    const name = compression === 'none' ? 'UNCOMPRESSED' : compression.toUpperCase();
    expect(codecs).toEqual([{ compression: name }]);
  });
}

test('writes what hyparquet reads', async () => {
  const encoder = new ParquetEncoder('snappy');
  for (const rows of [makeRows(3001, 0), LARGE]) {
    expect(await hyparquetRows(joinedFile([await encoder.encode(toBatch(rows))]))).toEqual(describeRows(rows));
  }
});

test('encodes a table of several batches, and slices that begin inside a byte of the validity bitmap, as one row group', async () => {
  const encoder = new ParquetEncoder('snappy');
  const whole = toBatch(LARGE);
  const table = new Table([whole.slice(3, 1001), whole.slice(1001, 1002), whole.slice(1002, 11_997)]);
  const file = joinedFile([await encoder.encode(table)]);
  expect(hyparquetMetadata(file).row_groups).toHaveLength(1);
  expect(await hyparquetRows(file)).toEqual(describeRows(LARGE.slice(3, 11_997)));
});

/** The same rows in a type that is left to parquet-wasm: elements of the lists might be null. */
function withNullableElements(batch: RecordBatch): RecordBatch {
  const fields = batch.schema.fields.map((field) => {
    if (field.name !== 'headers') return field;
    return new Field('headers', new List(new Field('element', field.type.children[0]?.type as Struct, true)), true);
  });
  const children = batch.data.children.map((data, index) => data.clone(fields[index]?.type as List));
  const type = new Struct(fields);
  return new RecordBatch(new Schema(fields), makeData({ type, length: batch.numRows, nullCount: 0, children }));
}

test('encodes lists of several pieces by parquet-wasm', async () => {
  const rows = makeRows(6000, 0, 10, 6000);
  const encoder = new ParquetEncoder('snappy');
  const file = joinedFile([await encoder.encode(withNullableElements(toBatch(rows)))]);
  expect(encoder.usedEncoders()).toEqual(['flat', 'parquet-wasm']);
  const chunk = hyparquetMetadata(file).row_groups[0]?.columns.find(
    (c) => c.meta_data?.path_in_schema[0] === 'headers',
  );
  expect(chunk?.meta_data?.encodings).not.toContain('RLE_DICTIONARY');
  expect(await hyparquetRows(file)).toEqual(describeRows(rows));
  expect(await duckRows(folder, folder.write(file))).toEqual(describeRows(rows));
});

test('annotates strings, leaves BINARY bare, and writes lists in three levels', () => {
  const metadata = hyparquetMetadata(joinedFile([new ParquetEncoder('none').emptyFile(schema)]));
  expect(
    metadata.schema.slice(1).map((e) => [e.name, e.type, e.repetition_type, e.converted_type, e.logical_type]),
  ).toEqual([
    ['key', 'BYTE_ARRAY', 'OPTIONAL', 'UTF8', { type: 'STRING' }],
    ['value', 'BYTE_ARRAY', 'OPTIONAL', undefined, undefined],
    ['topic', 'BYTE_ARRAY', 'REQUIRED', 'UTF8', { type: 'STRING' }],
    ['partition', 'INT32', 'REQUIRED', undefined, undefined],
    ['offset', 'INT64', 'REQUIRED', undefined, undefined],
    [
      'timestamp',
      'INT64',
      'OPTIONAL',
      'TIMESTAMP_MILLIS',
      { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
    ],
    ['amount', 'DOUBLE', 'OPTIONAL', undefined, undefined],
    ['day', 'INT32', 'OPTIONAL', 'DATE', { type: 'DATE' }],
    ['headers', undefined, 'OPTIONAL', 'LIST', { type: 'LIST' }],
    ['list', undefined, 'REPEATED', undefined, undefined],
    ['element', undefined, 'REQUIRED', undefined, undefined],
    ['key', 'BYTE_ARRAY', 'REQUIRED', 'UTF8', { type: 'STRING' }],
    ['value', 'BYTE_ARRAY', 'OPTIONAL', undefined, undefined],
  ]);
});

test('writes a name and version that parquet-mr can parse, and no metadata of its own', async () => {
  const metadata = hyparquetMetadata(joinedFile([await new ParquetEncoder('snappy').encode(toBatch(makeRows(10, 0)))]));
  expect(metadata.created_by).toMatch(/^kafkaload version \d+\.\d+\.\d+ \(build .+\)$/);
  expect(metadata.key_value_metadata).toBeUndefined();
});

test('states bounds, nulls and sizes over all pieces of a column', async () => {
  const encoder = new ParquetEncoder('snappy');
  const group = await encoder.encode(toBatch(LARGE));
  const [row] = hyparquetMetadata(joinedFile([group])).row_groups;
  const column = (name: string) => row?.columns.find((c) => c.meta_data?.path_in_schema.join('.') === name)?.meta_data;
  expect(column('value')?.encodings).not.toContain('RLE_DICTIONARY');
  expect(column('topic')?.encodings).toContain('RLE_DICTIONARY');
  expect(column('offset')?.statistics).toMatchObject({ min_value: 0n, max_value: 11_999n, null_count: 0n });
  const times = LARGE.flatMap(({ timestamp }) => timestamp ?? []);
  expect(column('timestamp')?.statistics).toMatchObject({
    min_value: new Date(Math.min(...times)),
    max_value: new Date(Math.max(...times)),
    null_count: BigInt(LARGE.length - times.length),
  });
  expect(column('value')?.num_values).toBe(12_000n);
  expect(column('value')?.statistics?.null_count).toBe(BigInt(LARGE.filter(({ value }) => value === null).length));
  expect(Number(row?.total_compressed_size)).toBe(group.bodyBytes);
  const sum = row?.columns.reduce((total, c) => total + Number(c.meta_data?.total_uncompressed_size), 0);
  expect(Number(row?.total_byte_size)).toBe(sum);
});

test('keeps the memory of the WASM instance constant over many row groups', async () => {
  const { wasmBytes } = await import('../../../src/encode/parquet/wasm.ts');
  const encoder = new ParquetEncoder('snappy');
  const batch = withNullableElements(toBatch(LARGE));
  await encoder.encode(batch);
  const before = wasmBytes();
  expect(before).toBeGreaterThan(0);
  for (let round = 0; round < 5; round++) await encoder.encode(batch);
  expect(wasmBytes()).toBe(before);
});

test('refuses a batch without rows and a call after free', async () => {
  const encoder = new ParquetEncoder('snappy');
  await expect(encoder.encode(toBatch([]))).rejects.toThrow('cannot encode a row group without rows');
  encoder.free();
  await expect(encoder.encode(toBatch(makeRows(1, 0)))).rejects.toThrow('was freed');
});
