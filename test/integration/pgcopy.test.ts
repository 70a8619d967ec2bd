/** What PostgreSQL itself reads from rows in its binary form. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Field, makeData, RecordBatch, Schema, Struct, TimestampMillisecond, Type } from 'apache-arrow';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { postgresColumn, postgresWireType } from '../../src/encode/pgcopy/columnTypes.ts';
import { pgcopyFiles } from '../../src/encode/pgcopy/pgcopyFiles.ts';
import { withoutNul } from '../../src/transform/arrow/nulCharacters.ts';
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts';
import { type ColumnKind, KINDS, rowsOf, toTable } from '../unit/encode/tables.ts';

/** Nanoseconds are refused. */
const COLUMNS = KINDS.filter(({ name }) => name !== 'ts_ns');

let server: PostgresServer;
let folder: string;

beforeAll(async () => {
  server = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), 'kafkaload-pgcopy-'));
  // The server reads the file itself.
  await chmod(folder, 0o755);
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** @param types Of the columns of the table; those that would be made where it is left out. */
async function load(table: string, batch: RecordBatch, types?: readonly string[]): Promise<void> {
  const { fields } = batch.schema;
  const made = fields.map(({ name, type }, i) => types?.[i] ?? postgresColumn(name, type));
  const wire = fields.map(({ name, type }, i) => {
    const fits = postgresWireType(name, type, made[i] as string);
    if (fits === null) throw new Error(`${type} does not fit ${made[i]}`);
    return fits;
  });
  const files = pgcopyFiles({ format: 'pgcopy', types: wire });
  const encoder = files.createEncoder(new Uint8Array(0));
  const { head } = await files.start(batch.schema);
  const { body, rows } = await encoder.encode(batch);
  expect(rows).toBe(batch.numRows);
  const path = join(folder, `${table}.pgcopy`);
  await writeFile(path, Buffer.concat([head, ...body, files.tail([], 0)]));
  await server.query(
    `CREATE TABLE ${table} (${fields.map(({ name }, i) => `"${name}" ${made[i]}`).join(', ')});
     COPY ${table} FROM '${path}' (FORMAT binary)`,
  );
}

/** How a value is asked for and must come back. */
function expected({ name, type, show }: ColumnKind): { sql: string; show: (value: unknown) => unknown } {
  const shown = (value: unknown): unknown => show(value as never);
  switch (type.typeId) {
    case Type.Timestamp:
      return { sql: `"${name}"::text`, show: (value) => `${shown(value)}+00` };
    case Type.Binary:
    case Type.FixedSizeBinary:
      return { sql: `"${name}"::text`, show: (value) => `\\x${String(shown(value)).toLowerCase()}` };
    case Type.Duration:
      return { sql: `(extract(epoch FROM "${name}") * 1000000)::bigint::text`, show: String };
    case Type.Float:
      return { sql: `"${name}"::float8::text`, show: String };
    case Type.Utf8:
    case Type.LargeUtf8:
      return { sql: `"${name}"`, show: (value) => String(value).replaceAll('\0', '\ufffd') };
    case Type.List:
    case Type.FixedSizeList:
    case Type.Map:
      return { sql: `"${name}"`, show: (value) => withNulls(shown(value)) };
    default:
      return { sql: `"${name}"::text`, show: shown };
  }
}

/** Headers without a value are shown without one elsewhere. */
function withNulls(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((item: unknown) => {
    if (typeof item !== 'object' || item === null || !('key' in item)) return item;
    return { value: null, ...item, key: String(item.key).replaceAll('\0', '\ufffd') };
  });
}

/** Numbers print in several forms. */
function comparable(type: Type, value: unknown): unknown {
  if (type !== Type.Float || value === null) return value;
  return Object.is(Number(value), -0) ? 0 : Number(value);
}

it('keeps every value of every type', async () => {
  const rows = fc.sample(rowsOf(COLUMNS, 30), { numRuns: 6, seed: 11 }).flat();
  const changed: number[] = [];
  const batch = withoutNul(toTable(COLUMNS, rows), {
    policy: 'replace',
    place: { source: 'orders/0', rowName: (row) => `row ${row}`, origin: { file: 'x', row: 0 } },
    onChanged: (values) => changed.push(values),
  });
  await load('everything', batch);
  const columns = COLUMNS.map((kind) => ({ ...expected(kind), kind }));
  const list = columns.map(({ sql, kind }) => `${sql} AS "${kind.name}"`).join(', ');
  await server.query(
    "ALTER DATABASE postgres SET intervalstyle = 'iso_8601'; ALTER DATABASE postgres SET timezone = 'UTC'",
  );
  const read = await server.rows<Record<string, unknown>>(`SELECT ${list} FROM everything`);
  expect(changed).toHaveLength(1);
  expect(read).toHaveLength(rows.length);
  for (const [column, { kind, show }] of columns.entries()) {
    const { typeId } = kind.type;
    const values = rows.map((row) => row[column] ?? null);
    expect(read.map((row) => comparable(typeId, row[kind.name]))).toEqual(
      values.map((value) => (value === null ? null : comparable(typeId, show(value)))),
    );
  }
});

it('fits wider columns that are there already', async () => {
  const names = ['i8', 'i16', 'i32', 'u32', 'i64', 'u64', 'f32', 'dec', 'words', 'headers'];
  const kinds = names.map((name) => KINDS.find((kind) => kind.name === name) as ColumnKind);
  const rows = fc.sample(rowsOf(kinds, 20), { numRuns: 1, seed: 3 }).flat();
  const plain = rows.map((row) => row.map((value) => (typeof value === 'string' ? value.replaceAll('\0', '') : value)));
  const types = [
    ...[
      'bigint',
      'integer',
      'numeric',
      'numeric(30,5)',
      'numeric(22,2)',
      'numeric',
      'double precision',
      'numeric(50,12)',
    ],
    ...['character varying(400)', 'json'],
  ];
  const place = { source: 'x', rowName: String, origin: { file: 'x', row: 0 } };
  const batch = withoutNul(toTable(kinds, plain), { policy: 'replace', place, onChanged() {} });
  await load('wide', batch, types);
  const numbers = names.slice(0, 6).map((name) => `trunc("${name}")::text AS "${name}"`);
  const read = await server.rows<Record<string, unknown>>(`SELECT ${numbers.join(', ')}, f32, words FROM wide`);
  for (const [column, name] of names.slice(0, 6).entries()) {
    expect(read.map((row) => row[name])).toEqual(
      plain.map((row) => (row[column] === null ? null : String(row[column]))),
    );
  }
  expect(read.map(({ f32 }) => f32)).toEqual(plain.map((row) => row[6] ?? null));
  expect(read.map(({ words }) => words)).toEqual(plain.map((row) => row[8] ?? null));
});

it('keeps times at the ends of what PostgreSQL has, and refuses those beyond', async () => {
  const timesOf = (values: readonly bigint[]): RecordBatch => {
    const fields = [new Field('at', new TimestampMillisecond('UTC'), true)];
    const data = makeData({ type: fields[0]?.type as TimestampMillisecond, data: BigInt64Array.from(values) });
    return new RecordBatch(
      new Schema(fields),
      makeData({ type: new Struct(fields), length: values.length, nullCount: 0, children: [data] }),
    );
  };
  // 4714-11-24 BC, and the last millisecond of 294276.
  const [first, last] = [-210_866_803_200_000n, 9_224_318_015_999_999n];
  await load('times', timesOf([first, -1n, 0n, 9_007_199_254_740_993n, last]));
  const read = await server.rows<{ ms: string }>(`SELECT round(extract(epoch FROM at) * 1000)::text AS ms FROM times`);
  expect(read.map(({ ms }) => BigInt(ms))).toEqual([first, -1n, 0n, 9_007_199_254_740_993n, last]);
  for (const beyond of [first - 1n, last + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    await expect(load('none', timesOf([beyond]))).rejects.toThrow(
      `cannot write the column at to PostgreSQL: its type holds times from 4714 BC to the year 294276, and a value is ${beyond} milliseconds since 1970`,
    );
  }
});
