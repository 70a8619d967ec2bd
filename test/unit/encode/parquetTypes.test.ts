/** Random columns of every type, as Parquet and as DuckDB reads it. */
import { Field, makeData, RecordBatch, Schema, Struct, TimestampSecond } from 'apache-arrow';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { hyparquetMetadata, joinedFile, testFolder } from './files.ts';
import { KINDS, rowsOf, toTable } from './tables.ts';

const folder = await testFolder();
const SCALARS = KINDS.filter(({ duckType }) => duckType !== undefined);
const NESTED = KINDS.filter(({ name }) => ['numbers', 'pair', 'counts'].includes(name));

async function fileOf(batch: RecordBatch): Promise<Buffer> {
  const encoder = new ParquetEncoder('snappy');
  const file = joinedFile([await encoder.encode(batch)]);
  encoder.free();
  return file;
}

/** A column in the form of `show`. */
function readText(name: string, duckType: string): string {
  if (duckType === 'BLOB') return `hex(${name})`;
  if (duckType === 'DOUBLE' || duckType === 'FLOAT') return `${name}::DOUBLE`;
  if (duckType === 'DATE') return `strftime(${name}, '%Y-%m-%d')`;
  return `${name}::${duckType}::VARCHAR`;
}

test('DuckDB reads what was written', async () => {
  await fc.assert(
    fc.asyncProperty(rowsOf([...SCALARS, ...NESTED]), async (rows) => {
      const path = folder.write(await fileOf(toTable([...SCALARS, ...NESTED], rows)));
      const columns = [
        ...SCALARS.map(({ name, duckType = '' }) => `${readText(name, duckType)} AS ${name}`),
        ...NESTED.map(({ name }) => `${name}::JSON::VARCHAR AS ${name}`),
      ];
      const found = await folder.query(`SELECT ${columns.join(', ')} FROM read_parquet(${path})`);
      const expected = rows.map((row) => [
        ...SCALARS.map(({ show }, i) => (row[i] === null ? null : show(row[i]))),
        ...NESTED.map(({ show }, i) => row[SCALARS.length + i] && show(row[SCALARS.length + i])),
      ]);
      const names = [...SCALARS, ...NESTED].map(({ name }) => name);
      const values = found.map((row) =>
        names.map((name, i) => (i < SCALARS.length || row[name] === null ? row[name] : JSON.parse(String(row[name])))),
      );
      expect(values).toEqual(expected);
    }),
    { numRuns: 25 },
  );
});

test('seconds become milliseconds, at every level', async () => {
  const kinds = KINDS.filter(({ name }) => name === 'ts_s' || name === 'clock');
  const flat = toTable(kinds, [
    [86_399, -1n],
    [null, null],
    [0, 9_000_000_000_001n],
  ]);
  const pair = new Struct(flat.schema.fields);
  const schema = new Schema([...flat.schema.fields, new Field('pair', pair, true)]);
  const nested = makeData({ type: pair, length: 3, nullCount: 0, children: flat.data.children });
  const children = [...flat.data.children, nested];
  const batch = new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: 3, nullCount: 0, children }),
  );
  const file = await fileOf(batch);
  const found = await folder.query(
    `SELECT epoch_ms(ts_s)::VARCHAR AS ms, pair.ts_s = ts_s AS same, clock::VARCHAR AS clock, pair.clock = clock AS same_clock
     FROM read_parquet(${folder.write(file)})`,
  );
  expect(found).toEqual([
    { ms: '-1000', same: true, clock: '23:59:59', same_clock: true },
    { ms: null, same: null, clock: null, same_clock: null },
    { ms: '9000000000001000', same: true, clock: '00:00:00', same_clock: true },
  ]);
  const timestamp = { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' };
  const types = hyparquetMetadata(file).schema.flatMap(({ logical_type: type }) => type ?? []);
  const time = expect.objectContaining({ type: 'TIME', unit: 'MILLIS' });
  expect(types).toEqual([time, timestamp, time, timestamp]);
});

test('more seconds than 64 bits have milliseconds for are named', async () => {
  const [kind] = KINDS.filter(({ name }) => name === 'ts_s');
  for (const seconds of [9_223_372_036_854_776n, -9_223_372_036_854_776n]) {
    await expect(fileOf(toTable(kind ? [kind] : [], [[seconds]]))).rejects.toMatchObject({
      code: 'ROW_INVALID',
      message: expect.stringContaining(
        `cannot write the column ts_s as parquet: it counts milliseconds in 64 bits, and ${seconds} seconds`,
      ),
    });
  }
  expect(String(new TimestampSecond('UTC'))).toBe(String(kind?.type));
});
