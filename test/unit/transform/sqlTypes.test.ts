import type { RecordBatch } from 'apache-arrow';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FileFormat } from '../../../src/config/formats.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { openTransform } from '../../../src/transform/batchTransform.ts';
import { joinedFile, testFolder } from '../encode/files.ts';
import { fileOf } from '../encode/formatFiles.ts';
import { KINDS, rowsOf, toTable } from '../encode/tables.ts';
import { messageBatch, messageSchema, place } from './messages.ts';

const folder = await testFolder();
const MEMORY = 64 * 1024 ** 2;
/** What neither messages nor files have; instants in seconds and milliseconds come back in microseconds. */
const OTHERS = ['day64', 'clock', 'large', 'four', 'span', 'choice', 'pair', 'ts_s', 'ts_ms'];
const TABLE = KINDS.filter(({ name }) => !OTHERS.includes(name));
const NESTED = ['numbers', 'headers', 'counts', 'none', 'interval'];
const FLAT = TABLE.filter(({ name }) => !NESTED.includes(name));

function sql(statement: string) {
  return { kind: 'sql', statement, where: '--transform', invalidUtf8: 'fail', order: null } as const;
}

/** Items of lists are nullable in what DuckDB gives, so Parquet is compared by what a reader finds in it. */
async function contentsOf(format: FileFormat, batch: RecordBatch): Promise<unknown> {
  if (format === 'parquet') {
    return folder.query(`SELECT columns(*)::VARCHAR FROM read_parquet(${await writeParquet(batch)})`);
  }
  const file = await fileOf(format, [batch]);
  return format === 'avro' ? withoutMarker(file) : file;
}

async function writeParquet(batch: RecordBatch): Promise<string> {
  const encoder = new ParquetEncoder('none');
  const file = joinedFile([await encoder.encode(batch)]);
  encoder.free();
  return folder.write(file);
}

/** A container has a random mark, behind its head and behind each block. */
function withoutMarker(file: Buffer): string {
  return file.toString('latin1').replaceAll(file.subarray(-16).toString('latin1'), '');
}

test.each([
  ['json', TABLE],
  ['csv', FLAT],
  ['avro', FLAT],
  ['msgpack', TABLE],
  ['parquet', TABLE.filter(({ name }) => name !== 'none' && name !== 'interval')],
] as const)('values of every type come through SQL to %s as they went in', async (format, kinds) => {
  const [empty] = fc.sample(rowsOf(kinds), 1);
  const transform = await openTransform(sql('SELECT * FROM messages'), toTable(kinds, empty ?? []).schema, {
    memoryBytes: MEMORY,
  });
  await fc.assert(
    fc.asyncProperty(rowsOf(kinds), async (rows) => {
      const batch = toTable(kinds, rows);
      const result = await transform.apply(batch, place);
      expect(await contentsOf(format, result)).toEqual(await contentsOf(format, batch));
    }),
    { numRuns: 25 },
  );
  await transform.close();
});

test('a slice gives its rows and no others', async () => {
  const [rows = []] = fc.sample(rowsOf(TABLE, 30), 1);
  const batch = toTable(TABLE, rows);
  const transform = await openTransform(sql('SELECT * FROM messages'), batch.schema, { memoryBytes: MEMORY });
  const result = await transform.apply(batch.slice(7, 19), place);
  expect((await fileOf('json', [result])).toString()).toBe((await fileOf('json', [batch.slice(7, 19)])).toString());
  await transform.close();
});

test('types that only SQL makes reach Parquet as DuckDB has them', async () => {
  const expressions = [
    ...[
      '99999999999999999999999999999999999999::HUGEINT',
      '18446744073709551615::UBIGINT',
      "'00000000-0000-0000-0000-0000000000ff'::UUID",
    ],
    ...[
      "'b'::ENUM('a', 'b')",
      "TIME '12:34:56.789012'",
      "TIMESTAMP '2026-11-22 12:00:00.123456'",
      "'2026-11-22 12:00:00+02'::TIMESTAMPTZ",
    ],
    ...[
      "'2026-11-22'::TIMESTAMP_S",
      "'2026-11-22 00:00:00.123'::TIMESTAMP_MS",
      "DATE '0044-03-15'",
      '1.50::DECIMAL(9,2)',
      "'10101'::BIT",
    ],
    ...[
      "'\\xFF\\x00'::BLOB",
      '[1, NULL, 3]',
      "{'a': 1, 'b': ['é']}",
      "MAP {'k': 1.5}",
      'array_value(1, 2)',
      "'[1]'::JSON",
      'NULL::INT',
    ],
    ...["'nan'::DOUBLE", '-0.5::FLOAT', 'true', '127::TINYINT', "list_transform([1], x -> {'x': x})"],
  ];
  const list = expressions.map((expression, i) => `${expression} AS c${i}`).join(', ');
  const transform = await openTransform(sql(`SELECT ${list} FROM messages`), messageSchema, { memoryBytes: MEMORY });
  const path = await writeParquet(await transform.apply(messageBatch([{}]), place));
  await transform.close();
  const texts = expressions.map((_, i) => `c${i}::VARCHAR AS c${i}`).join(', ');
  const found = await folder.query(`SELECT ${texts} FROM read_parquet(${path})`);
  const expected = await folder.query(`SELECT ${texts} FROM (SELECT ${list})`);
  expect(found).toEqual(expected);
});
