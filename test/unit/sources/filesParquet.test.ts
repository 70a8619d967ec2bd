import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { type RecordBatch, Table, tableFromIPC, tableToIPC, type Vector } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseReaderOptions } from '../../../src/config/readerOptions.ts';
import { openFile } from '../../../src/sources/files/fileReader.ts';
import { duckdb, plain, readRows, schemaOf, temporaryFolder, WHOLE } from './filesHelper.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

/** Expressions of row `i` that Parquet keeps as the type they have. */
const TYPES: Readonly<Record<string, string>> = {
  c_bool: 'i % 3 = 0',
  c_tiny: '(i % 256 - 128)::TINYINT',
  c_small: '(i % 65536 - 32768)::SMALLINT',
  c_int: '(i * 800003 - 2147483648)::INTEGER',
  c_big: '(9223372036854775807 - i)::BIGINT',
  c_low: '(-9223372036854775807 + i)::BIGINT',
  c_utiny: '(i % 256)::UTINYINT',
  c_usmall: '(65535 - i)::USMALLINT',
  c_uint: '(4294967295 - i)::UINTEGER',
  c_ubig: '(18446744073709551615 - i)::UBIGINT',
  c_float: '(i / 7)::FLOAT',
  c_double: 'i / 7::DOUBLE',
  c_dec4: '(i % 999 / 10)::DECIMAL(4,1)',
  c_dec9: '(-i / 100)::DECIMAL(9,2)',
  c_dec18: '(i * 100000000001 / 1000)::DECIMAL(18,3)',
  c_dec38: "('-1234567890123456789012345678.' || lpad((i % 1000)::VARCHAR, 10, '0'))::DECIMAL(38,10)",
  c_text: "repeat('ä€𝄞', (i % 9)::INT) || i",
  c_blob: "('\\xFF\\x00' || repeat('b', (i % 40)::INT))::BLOB",
  c_date: "DATE '1900-01-01' + i::INT",
  c_time: "TIME '00:00:00' + to_microseconds(i * 1234567)",
  c_s: "TIMESTAMP '1960-01-01 00:00:00' + to_microseconds(i * 7000001)",
  c_ms: "(TIMESTAMP '2024-01-01' + to_milliseconds(i))::TIMESTAMP_MS",
  c_ns: "('2024-01-01 00:00:00.' || lpad(i::VARCHAR, 9, '0'))::TIMESTAMP_NS",
  c_tz: "(TIMESTAMP '2024-06-01' + to_seconds(i))::TIMESTAMPTZ",
  c_interval: 'to_months((i % 30)::INT) + to_days((i % 5)::INT) + to_milliseconds(i)',
  c_uuid: "('a0eebc99-9c0b-4ef8-bb6d-' || lpad(i::VARCHAR, 12, '0'))::UUID",
  c_enum:
    "(CASE i % 3 WHEN 0 THEN 'red' WHEN 1 THEN 'a rather long name' ELSE 'blue' END)::ENUM('red', 'a rather long name', 'blue')",
  c_list: 'range(i % 4)',
  c_texts: "list_transform(range(i % 4), x -> CASE WHEN x = 1 THEN NULL ELSE 'a longer element ' || x || i END)",
  c_struct: "{'a': i, 'b': 'text ' || repeat('z', (i % 20)::INT), 'c': CASE WHEN i % 2 = 0 THEN [i] END}",
  c_structs: "list_transform(range(i % 3), x -> {'key': 'k' || x, 'value': ('v' || i)::BLOB})",
  c_map: "map_from_entries(list_transform(range(i % 3), x -> {'k': 'key ' || x, 'v': i + x}))",
  c_array: '[i, i + 1]::BIGINT[2]',
};
const ROWS = 5000;
const names = Object.keys(TYPES);
const every = join(folder.path, 'every[1].parquet');

/** How DuckDB writes a value as text, and how its text is made of what we read; `x` is the column. */
interface Rendering {
  readonly sql: string;
  readonly ours: (vector: Vector, row: number) => string;
}
const raw = (vector: Vector, row: number): string => String(vector.data[0]?.values[row]);
const json: Rendering = {
  sql: 'to_json(x)::VARCHAR',
  ours: (vector, row) =>
    JSON.stringify(plain(vector.get(row)), (_, value) => {
      if (value instanceof Uint8Array) return Buffer.from(value).toString();
      return typeof value === 'bigint' ? Number(value) : value;
    }),
};
const unscaled: Rendering = {
  sql: "(replace(x::VARCHAR, '.', ''))::HUGEINT::VARCHAR",
  ours: (vector, row) => {
    const words = new DataView(vector.data[0]?.values.buffer, (vector.data[0]?.values.byteOffset ?? 0) + row * 16);
    return String((words.getBigInt64(8, true) << 64n) | words.getBigUint64(0, true));
  },
};
const RENDERINGS: Readonly<Record<string, Rendering>> = {
  c_float: { sql: "printf('%.9e', x::DOUBLE)", ours: (vector, row) => exponential(vector.get(row), 9) },
  c_double: { sql: "printf('%.16e', x)", ours: (vector, row) => exponential(vector.get(row), 16) },
  c_dec4: unscaled,
  c_dec9: unscaled,
  c_dec18: unscaled,
  c_dec38: unscaled,
  c_blob: { sql: 'hex(x)', ours: (vector, row) => Buffer.from(vector.get(row)).toString('hex').toUpperCase() },
  c_date: { sql: "date_diff('day', DATE '1970-01-01', x)::VARCHAR", ours: raw },
  c_time: { sql: "date_diff('microsecond', TIME '00:00:00', x)::VARCHAR", ours: raw },
  c_s: { sql: 'epoch_us(x)::VARCHAR', ours: raw },
  c_ms: { sql: 'epoch_us(x)::VARCHAR', ours: raw },
  c_ns: { sql: 'epoch_ns(x)::VARCHAR', ours: raw },
  c_tz: { sql: 'epoch_us(x)::VARCHAR', ours: raw },
  c_interval: {
    sql: "(datepart('year', x) * 12 + datepart('month', x)) || ' ' || datepart('day', x) || ' ' || (epoch_us(x - to_months((datepart('year', x) * 12 + datepart('month', x))::INT) - to_days(datepart('day', x)::INT)) * 1000)",
    ours: (vector, row) => {
      const words = vector.data[0]?.values.subarray(row * 4, row * 4 + 4);
      return `${words[0]} ${words[1]} ${new BigInt64Array(words.slice(2, 4).buffer)[0]}`;
    },
  },
  c_list: json,
  c_texts: json,
  c_struct: json,
  c_structs: json,
  c_map: json,
  c_array: json,
};

function exponential(value: number, digits: number): string {
  return value.toExponential(digits).replace(/e([+-])(\d)$/, 'e$10$2');
}

async function expectedTexts(name: string): Promise<(string | null)[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  const sql = (RENDERINGS[name]?.sql ?? 'x::VARCHAR').replace(/\bx\b/g, name);
  const reader = await connection.runAndReadAll(`SELECT ${sql} FROM read_parquet('${every.replace('[', '[[]')}')`);
  const texts = reader.getRows().map(([text]) => text as string | null);
  connection.closeSync();
  instance.closeSync();
  return texts;
}

describe('Parquet files', () => {
  beforeAll(async () => {
    const columns = names.map((name, c) =>
      name === 'c_array'
        ? `${TYPES[name]} AS c_array`
        : `CASE WHEN (i + ${c}) % 11 = 0 THEN NULL ELSE ${TYPES[name]} END AS ${name}`,
    );
    await duckdb(
      `COPY (SELECT ${columns.join(', ')} FROM range(${ROWS}) t(i)) TO '${every}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`,
    );
  });

  it('gives every type the Arrow type of the table', async () => {
    expect(await schemaOf('parquet', [every])).toMatchInlineSnapshot(
      `"c_bool: Bool, c_tiny: Int8, c_small: Int16, c_int: Int32, c_big: Int64, c_low: Int64, c_utiny: Uint8, c_usmall: Uint16, c_uint: Uint32, c_ubig: Uint64, c_float: Float32, c_double: Float64, c_dec4: Decimal[4e+1], c_dec9: Decimal[9e+2], c_dec18: Decimal[18e+3], c_dec38: Decimal[38e+10], c_text: Utf8, c_blob: Binary, c_date: Date32<DAY>, c_time: Time64<MICROSECOND>, c_s: Timestamp<MICROSECOND>, c_ms: Timestamp<MICROSECOND>, c_ns: Timestamp<NANOSECOND>, c_tz: Timestamp<MICROSECOND, UTC>, c_interval: Interval<MONTH_DAY_NANO>, c_uuid: Utf8, c_enum: Utf8, c_list: List<Int64>, c_texts: List<Utf8>, c_struct: Struct<{a:Int64, b:Utf8, c:List<Int64>}>, c_structs: List<Struct<{key:Utf8, value:Binary}>>, c_map: Map<{key:Utf8, value:Int64}>, c_array: List<Int64>"`,
    );
  });

  it('gives every value of every type exactly', async () => {
    const batches = [];
    for await (const { batch } of openFile(parseReaderOptions('parquet', {}), every, WHOLE)) batches.push(batch);
    expect(batches.map(({ numRows }) => numRows)).toEqual(new Array(ROWS / 1000).fill(1000));
    for (const name of names) {
      const ours = batches.flatMap((batch) => {
        const vector = batch.getChild(name) as Vector;
        const text = RENDERINGS[name]?.ours ?? ((_, row) => String(vector.get(row)));
        return Array.from({ length: batch.numRows }, (_, row) => (vector.get(row) === null ? null : text(vector, row)));
      });
      expect({ name, values: ours }).toEqual({ name, values: await expectedTexts(name) });
    }
  });

  it('gives batches that survive Arrow IPC', async () => {
    for await (const { batch } of openFile(parseReaderOptions('parquet', {}), every, { ...WHOLE, batchRows: 333 })) {
      const copy = tableFromIPC(tableToIPC(new Table([batch])));
      expect(copy.numRows).toBe(batch.numRows);
      expect(String(copy.getChild('c_text')?.get(7))).toBe(String(batch.getChild('c_text')?.get(7)));
    }
  });

  it('gives the same rows from every row on', async () => {
    const key = (rows: readonly Record<string, unknown>[]) => rows.map((row) => `${row.c_big} ${row.c_text}`);
    const all = key((await readRows('parquet', every)).rows);
    for (const startRow of [1, 2047, 2048, 2049, 4095, 4999, 5000, 6000]) {
      const { rows, batches } = await readRows('parquet', every, {}, { startRow, batchRows: 700 });
      expect(key(rows)).toEqual(all.slice(startRow));
      if (startRow < ROWS) expect(batches[0]?.firstRow).toBe(startRow);
    }
  });

  it('uses the memory of batches that were given back again, and of no other', async () => {
    const path = join(folder.path, 'large.parquet');
    const value = "repeat('value ' || i || ';', 100)";
    await duckdb(`COPY (SELECT ${value} AS value, i FROM range(12000) t(i)) TO '${path}' (FORMAT parquet)`);
    const kept: { batch: RecordBatch; firstRow: number }[] = [];
    const memories = new Set<ArrayBufferLike>();
    const check = ({ batch, firstRow }: (typeof kept)[number]): void => {
      const values = Array.from(batch.getChild('value') as Vector);
      const expected = values.map((_, row) => `value ${firstRow + row};`.repeat(100));
      expect(values.every((found, row) => found === expected[row])).toBe(true);
    };
    let batches = 0;
    const options = { ...WHOLE, batchRows: 2000, batchBytes: 16 * 1024 ** 2 };
    for await (const found of openFile(parseReaderOptions('parquet', {}), path, options)) {
      check(found);
      memories.add(found.batch.data.children[0]?.values.buffer);
      if (batches++ % 3 === 0) kept.push(found);
      else found.giveBack();
    }
    expect(batches).toBe(6);
    expect(memories.size).toBeLessThan(6);
    for (const found of kept) check(found);
  });
});
