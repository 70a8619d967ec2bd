import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, expect, it } from 'vitest';
import { checksumOf } from '../../../bench/core/checksum.ts';

const folder = mkdtempSync(join(tmpdir(), 'kafkaload-checksum-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Rows `from` to `to` as one writer or another has them. */
async function write(name: string, from: number, to: number, timestamp: string, order = 'i', value = "'v' || i") {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'America/New_York'");
  await connection.run(`COPY (SELECT CASE WHEN i % 3 > 0 THEN 'k' || i END AS key, ${value} AS value, 2::INTEGER AS partition,
    i AS "offset", ${timestamp} AS timestamp FROM range(${from}, ${to}) t(i) ORDER BY ${order})
    TO '${join(folder, name)}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
}

const MILLISECONDS = 'make_timestamp_ms(1700000000123 + i)';

it('does not depend on the order of rows, on how they are cut into files, or on the unit of time', async () => {
  await write('whole.parquet', 0, 100, MILLISECONDS);
  await write('part-0.parquet', 0, 30, `${MILLISECONDS}::TIMESTAMP_NS`, '-i');
  await write('part-1.parquet', 30, 100, `${MILLISECONDS} AT TIME ZONE 'UTC'`, 'hash(i)');
  const whole = await checksumOf(join(folder, 'whole.parquet'));
  expect(whole.rows).toBe(100);
  expect(await checksumOf(join(folder, 'part-*.parquet'))).toEqual(whole);
});

it('finds one changed value, and a row that is there twice', async () => {
  await write('right.parquet', 0, 100, MILLISECONDS);
  await write('changed.parquet', 0, 100, MILLISECONDS, 'i', "CASE WHEN i = 17 THEN 'w' ELSE 'v' || i END");
  await write('twice-0.parquet', 0, 99, MILLISECONDS);
  await write('twice-1.parquet', 98, 99, MILLISECONDS);
  const right = await checksumOf(join(folder, 'right.parquet'));
  expect((await checksumOf(join(folder, 'changed.parquet'))).checksum).not.toBe(right.checksum);
  expect(await checksumOf(join(folder, 'twice-*.parquet'))).toMatchObject({ rows: 100 });
  expect((await checksumOf(join(folder, 'twice-*.parquet'))).checksum).not.toBe(right.checksum);
});
