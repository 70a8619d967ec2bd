/**
 * Random rows of every type through SQL that changes nothing, into a file of each format, and back by the readers: what is
 * read has the JSON of what went in.
 */
import { Decimal, makeData, type RecordBatch, TimeNanosecond, Timestamp, TimeUnit } from 'apache-arrow';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import type { FileFormat } from '../../../src/config/formats.ts';
import { parseReaderOptions } from '../../../src/config/readerOptions.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { openFile } from '../../../src/sources/files/fileReader.ts';
import { openTransform } from '../../../src/transform/batchTransform.ts';
import { inputType } from '../../../src/transform/sql/inputTypes.ts';
import { joinedFile } from '../encode/files.ts';
import { fileOf } from '../encode/formatFiles.ts';
import { type ColumnKind, KINDS, rowsOf, toTable } from '../encode/tables.ts';
import { temporaryFolder, WHOLE } from '../sources/filesHelper.ts';
import { place } from './messages.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const kindOf = (name: string): ColumnKind => KINDS.find((each) => each.name === name) as ColumnKind;

/** The buffers of another kind, as a type of the same width. */
function like(of: string, name: string, type: ColumnKind['type'], values = kindOf(of).values): ColumnKind {
  const kind = kindOf(of);
  const build: ColumnKind['build'] = (raws) => {
    const { length, nullCount, nullBitmap, values: data } = kind.build(raws);
    return makeData({ type, length, nullCount, nullBitmap, data } as never);
  };
  return { ...kind, name, type, values, build };
}

/** What neither messages, SQL nor files have. */
const OTHERS = ['day64', 'clock', 'large', 'four', 'span', 'choice', 'pair'];
const TYPES: readonly ColumnKind[] = [
  ...KINDS.filter(({ name }) => !OTHERS.includes(name)),
  like('dec', 'huge', new Decimal(0, 38, 128)),
  like('time', 'time_ns', new TimeNanosecond(), fc.bigInt({ min: 0n, max: 86_399_999_999_999n })),
  like('ts_s', 'local_s', new Timestamp(TimeUnit.SECOND, null)),
  like('ts_ms', 'local_ms', new Timestamp(TimeUnit.MILLISECOND, null)),
  like('ts_us', 'local_us', new Timestamp(TimeUnit.MICROSECOND, null)),
];
const without = (...names: string[]): ColumnKind[] => TYPES.filter(({ name }) => !names.includes(name));
const only = (...names: string[]): ColumnKind[] => TYPES.filter(({ name }) => names.includes(name));

async function writeFile(format: FileFormat, batch: RecordBatch): Promise<Buffer> {
  if (format !== 'parquet') return fileOf(format, [batch]);
  const encoder = new ParquetEncoder('zstd');
  const file = joinedFile([await encoder.encode(batch)]);
  encoder.free();
  return file;
}

/** @param schema Null: the types that the file says. */
async function readBack(format: FileFormat, file: Buffer, schema: RecordBatch['schema'] | null): Promise<string> {
  const path = folder.file(`back.${format}`, file);
  const columns = schema?.fields.map(({ name, type }) => ({ name, type: inputType(type) })) ?? null;
  const input = { ...parseReaderOptions(format, {}), schema: columns } as ReturnType<typeof parseReaderOptions>;
  const texts: string[] = [];
  for await (const { batch } of openFile(input, path, { ...WHOLE, ...(columns && { schema: { columns } }) })) {
    if (batch.numRows > 0) texts.push((await fileOf('json', [batch])).toString());
  }
  return texts.join('');
}

test.each([
  // No intervals; a column of nothing but nulls is one of numbers; DuckDB reads times to the microsecond.
  ['parquet', 'found', without('interval', 'none', 'time_ns')],
  // No times in nanoseconds.
  ['avro', 'found', without('time_ns')],
  // JSON numbers with a point are doubles to DuckDB; bytes inside of lists stay their base64.
  ['json', 'given', without('dec', 'interval', 'headers')],
  // Nested columns are text in CSV; these are the types of the option `schema`, and integers without a sign.
  [
    'csv',
    'given',
    only(...['flag', 'i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'f32', 'f64', 'dec', 'day', 'words']),
  ],
  // All others are text in MessagePack.
  [
    'msgpack',
    'given',
    only(...['flag', 'i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'f32', 'f64', 'words', 'bin', 'numbers']),
  ],
] as const)('%s, types as they are %s', async (format, types, kinds) => {
  const { schema } = toTable(kinds, [kinds.map(() => null)]);
  const settings = {
    kind: 'sql' as const,
    statement: 'SELECT * FROM messages',
    where: '--transform',
    invalidUtf8: 'fail' as const,
    order: null,
  };
  const transform = await openTransform(settings, schema, { memoryBytes: 64 * 1024 ** 2 });
  await fc.assert(
    fc.asyncProperty(rowsOf(kinds), async (rows) => {
      const batch = toTable(kinds, rows);
      const file = await writeFile(format, await transform.apply(batch, place));
      const back = await readBack(format, file, types === 'given' ? schema : null);
      expect(back).toBe((await fileOf('json', [batch])).toString());
    }),
    { numRuns: 10, endOnFailure: true },
  );
  await transform.close();
});
