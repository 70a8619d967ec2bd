/**
 * Reads files as Arrow batches, in the order of their rows, without ever holding a whole file. The same file read twice
 * gives the same rows under the same numbers, so a load that was killed goes on at row N of file K.
 *
 * Parquet and JSON are read by DuckDB, Avro by `avsc`, msgpack by `msgpackr`, CSV and text by our own code. What the types
 * become is in `columnTypes.ts`.
 */
import type { InputFormat } from '../../config/readerOptions.ts';
import type { ColumnField } from '../../config/sparkSchema.ts';
import { avroColumns, readAvroFile } from './avro/avroFile.ts';
import { csvColumns, readCsvFile } from './csv/csvFile.ts';
import { duckdbColumns, readDuckdbFile } from './duckdb/duckdbFile.ts';
import type { FileBatch, FileSchema, OpenFileOptions } from './fileTypes.ts';
import { msgpackColumns, readMsgpackFile } from './msgpackFile.ts';
import { readTextFile, textColumns } from './textFile.ts';
import { type ColumnsOfFile, unifyColumns } from './unify.ts';

export { toArrowSchema } from './columnTypes.ts';
export type { FileBatch, FileSchema, OpenFileOptions } from './fileTypes.ts';

type SchemaOptions = Pick<OpenFileOptions, 'memoryLimitBytes' | 'signal'>;

/**
 * The columns of all files: from `schema` if it is given, from headers and metadata for Parquet, Avro and CSV, by reading
 * every row once for JSON and for CSV with `inferSchema`, from the first 1,000 rows of each file for msgpack.
 *
 * @param files Absolute paths.
 * @returns No columns if no file has a record.
 * @throws OffloadError SOURCE_UNSUITABLE if the files do not go together, naming file and column; ROW_INVALID.
 */
export async function readSchema(
  input: InputFormat,
  files: readonly string[],
  options: SchemaOptions,
): Promise<FileSchema> {
  if (input.format === 'text') return { columns: textColumns() };
  if (input.schema !== null) return { columns: input.schema };
  const found: ColumnsOfFile[] = [];
  if (input.format === 'parquet' || input.format === 'json') {
    for await (const columns of duckdbColumns(input, files, options)) {
      found.push(columns);
    }
    return { columns: unifyColumns(input, found) };
  }
  for (const file of files) {
    options.signal?.throwIfAborted();
    found.push({ file, columns: await columnsOf(input, file, options) });
  }
  return { columns: unifyColumns(input, found) };
}

async function columnsOf(
  input: Exclude<InputFormat, { format: 'parquet' | 'json' | 'text' }>,
  file: string,
  options: SchemaOptions,
): Promise<readonly ColumnField[]> {
  switch (input.format) {
    case 'csv':
      return await csvColumns(input, file, options);
    case 'avro':
      return await avroColumns(file, options);
    case 'msgpack':
      return await msgpackColumns(input, file, options);
  }
}

/**
 * Reads one file. An empty one gives no batch.
 *
 * A batch has memory of its own, which the caller may transfer. Leaving the loop early closes the file.
 *
 * @param file Absolute path.
 * @throws OffloadError ROW_INVALID naming file, line or row, and column; SOURCE_UNSUITABLE for a file that is not of the
 *   format; IO_FAILED. The reason of `signal` once it is aborted.
 */
export async function* openFile(
  input: InputFormat,
  file: string,
  options: OpenFileOptions,
): AsyncGenerator<FileBatch, void, undefined> {
  const { columns } = options.schema ?? (await readSchema(input, [file], options));
  if (columns.length === 0) return;
  switch (input.format) {
    case 'parquet':
    case 'json':
      yield* readDuckdbFile(input, file, columns, options);
      return;
    case 'csv':
      yield* readCsvFile(input, file, columns, options);
      return;
    case 'avro':
      yield* readAvroFile(file, columns, options);
      return;
    case 'msgpack':
      yield* readMsgpackFile(input, file, columns, options);
      return;
    case 'text':
      yield* readTextFile(input, file, options);
  }
}
