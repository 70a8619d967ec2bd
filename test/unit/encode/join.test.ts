import { expect, test } from 'vitest';
import type { EncodedRows } from '../../../src/encode/encoder.ts';
import { encodeStruct } from '../../../src/encode/parquet/compactThrift.ts';
import { parseFooter } from '../../../src/encode/parquet/footer.ts';
import { COLUMN_CHUNK, COLUMN_META_DATA, FILE_META_DATA, ROW_GROUP } from '../../../src/encode/parquet/format.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { structField, structsField } from '../../../src/encode/parquet/thrift.ts';
import { describeRows, duckRows, hex, hyparquetRows, joinedFile, kept, partOf, testFolder } from './files.ts';
import { makeRows, type Row, random, schema, toBatch } from './rows.ts';

const folder = await testFolder();
const encoder = new ParquetEncoder('snappy');
const encode = (rows: readonly Row[]): Promise<EncodedRows> => kept(encoder.encode(toBatch(rows)));

/** One after the other: an encoder takes one batch at a time. */
async function encodeAll(parts: readonly (readonly Row[])[]): Promise<EncodedRows[]> {
  const groups: EncodedRows[] = [];
  for (const rows of parts) groups.push(await encode(rows));
  return groups;
}

/** Parts of different sizes, offsets going up. */
function makeParts(count: number): Row[][] {
  const parts: Row[][] = [];
  let offset = 0;
  for (let index = 0; index < count; index++) {
    const rows = makeRows(50 + index * 13, offset);
    parts.push(rows);
    offset += rows.length;
  }
  return parts;
}

/** Statistics of every column chunk, in the order of the footer, as their bytes. */
function statistics(footer: Uint8Array): string[] {
  return structsField(parseFooter(footer).fileMetaData, FILE_META_DATA.ROW_GROUPS).flatMap((group) =>
    structsField(group, ROW_GROUP.COLUMNS).map((chunk) => {
      const metaData = structField(chunk, COLUMN_CHUNK.META_DATA);
      const found = metaData && structField(metaData, COLUMN_META_DATA.STATISTICS);
      if (!found) throw new Error('a column chunk has no statistics');
      return encodeStruct(found).toString('hex');
    }),
  );
}

for (const count of [2, 3, 7, 20]) {
  test(`${count} parts become one file with every row and the statistics of each part`, async () => {
    const rows = makeParts(count);
    const parts = await encodeAll(rows);
    const file = joinedFile(parts);
    expect(await duckRows(folder, folder.write(file))).toEqual(describeRows(rows.flat()));
    expect(await hyparquetRows(file)).toEqual(describeRows(rows.flat()));
    expect(statistics(partOf(file).footer)).toEqual(parts.flatMap((part) => statistics(part.footer)));
  });
}

test('row groups stand in the order of the footer, whatever the order of their bytes', async () => {
  const rows = makeParts(3);
  const file = joinedFile(await encodeAll([2, 0, 1].map((index) => rows[index] as Row[])), [1, 2, 0]);
  expect(await hyparquetRows(file)).toEqual(describeRows(rows.flat()));
});

test('a joined file can be joined again, also with a file of no rows', async () => {
  const rows = makeParts(5);
  const parts = await encodeAll(rows);
  const once = partOf(joinedFile(parts.slice(0, 2)));
  const twice = partOf(joinedFile([once, encoder.emptyFile(schema), parts[2] as EncodedRows]));
  const thrice = joinedFile([encoder.emptyFile(schema), twice, partOf(joinedFile(parts.slice(3)))]);
  expect(await hyparquetRows(thrice)).toEqual(describeRows(rows.flat()));
  expect(await duckRows(folder, folder.write(thrice))).toEqual(describeRows(rows.flat()));
  expect(statistics(partOf(thrice).footer)).toEqual(parts.flatMap((part) => statistics(part.footer)));
});

/** Parts of which each holds its own range of every column, so that wrong bounds hide rows; large values in pieces. */
const LOOKUP_PARTS = [0, 1, 2, 3].map((part) =>
  makeRows(part === 3 ? 9000 : 300, part * 10_000, part === 3 ? 3000 : 24).map((row, index) => ({
    ...row,
    partition: (part - 2) * 100 + (index % 7),
    key: row.key === null ? null : `${String.fromCharCode(0x61 + part)}${row.key}`,
    value:
      row.value === null ? null : Buffer.concat([Buffer.from([[0x00, 0x7f, 0x80, 0xff][part] as number]), row.value]),
  })),
);

test('equality and range look-ups on a joined file find their rows', async () => {
  const path = folder.write(joinedFile(await encodeAll(LOOKUP_PARTS)));
  const rows = LOOKUP_PARTS.flat();
  const next = random(4);
  const count = async (where: string): Promise<number> =>
    Number((await folder.query(`SELECT count(*)::DOUBLE AS n FROM ${path} WHERE ${where}`))[0]?.n);
  const expected = (test: (row: Row) => boolean): number => rows.filter(test).length;
  const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
  for (let round = 0; round < 40; round++) {
    const { key, value, partition, offset, timestamp } = rows[next() % rows.length] as Row;
    const sql: [string, (row: Row) => boolean][] = [
      [`partition = ${partition}`, (row) => row.partition === partition],
      [`partition < ${partition}`, (row) => row.partition < partition],
      [`"offset" = ${offset}`, (row) => row.offset === offset],
      [`"offset" BETWEEN ${offset} AND ${offset + 20}`, (row) => row.offset >= offset && row.offset <= offset + 20],
    ];
    if (key !== null) {
      const bytes = Buffer.from(key);
      sql.push([`key = ${text(key)}`, (row) => row.key === key]);
      sql.push([`key >= ${text(key)}`, (row) => row.key !== null && Buffer.from(row.key).compare(bytes) >= 0]);
    }
    if (value !== null) {
      sql.push([`value = unhex('${hex(value)}')`, (row) => row.value?.equals(value) ?? false]);
      sql.push([`value > unhex('${hex(value)}')`, (row) => row.value !== null && row.value.compare(value) > 0]);
      sql.push([`value <= unhex('${hex(value)}')`, (row) => row.value !== null && row.value.compare(value) <= 0]);
    }
    if (timestamp !== null) {
      sql.push([`epoch_ms(timestamp) = ${timestamp}`, (row) => row.timestamp === timestamp]);
      const literal = `make_timestamptz(${timestamp * 1000})`;
      sql.push([`timestamp < ${literal}`, (row) => row.timestamp !== null && row.timestamp < timestamp]);
    }
    for (const [where, matches] of sql) expect([where, await count(where)]).toEqual([where, expected(matches)]);
  }
  expect(await count('value IS NULL')).toBe(expected((row) => row.value === null));
  expect(await count('key IS NULL')).toBe(expected((row) => row.key === null));
});

test('the bounds of every column chunk contain its values', async () => {
  const path = folder.write(joinedFile(await encodeAll(LOOKUP_PARTS)));
  const chunks = await folder.query(
    `SELECT row_group_id::INT AS part, stats_min_value AS lowest, stats_max_value AS highest, stats_null_count::INT AS nulls
     FROM parquet_metadata(${path}) WHERE path_in_schema = 'offset' ORDER BY ALL`,
  );
  const expected = LOOKUP_PARTS.map((rows, part) => ({
    part,
    lowest: String(rows[0]?.offset),
    highest: String(rows.at(-1)?.offset),
    nulls: 0,
  }));
  expect(chunks).toEqual(expected);
});
