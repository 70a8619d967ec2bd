/** Parquet and JSON files by way of DuckDB, as a stream of its chunks of up to 2,048 rows. */
import type { Data, Utf8 } from 'apache-arrow';
import type { JsonInput, ParquetInput } from '../../../config/readerOptions.ts';
import type { ColumnField } from '../../../config/sparkSchema.ts';
import { messageOf, OffloadError } from '../../../errors.ts';
import { BatchBuilder } from '../batchBuilder.ts';
import type { FileBatch, OpenFileOptions } from '../fileTypes.ts';
import { invalidRow, OTHER_MODES } from '../rowErrors.ts';
import { castColumn } from '../textCasts.ts';
import { type Database, duckdbReason, openDatabase } from './database.ts';
import { jsonColumns, jsonQuery, parquetColumns, parquetQuery, type Scan } from './scans.ts';
import { type DataChunk, vectorApi } from './vectorApi.ts';

type DuckdbInput = ParquetInput | JsonInput;

/** The columns of each file in turn; none for one without records. */
export async function* duckdbColumns(
  input: DuckdbInput,
  files: readonly string[],
  options: Pick<OpenFileOptions, 'memoryLimitBytes' | 'signal'>,
): AsyncGenerator<{ file: string; columns: ColumnField[] }, void, undefined> {
  const { memoryLimitBytes, signal } = options;
  const database = await openDatabase(memoryLimitBytes);
  const interrupt = (): void => database.connection.interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    for (const file of files) {
      signal?.throwIfAborted();
      const found =
        input.format === 'parquet'
          ? parquetColumns(database, file)
          : jsonColumns(database, input, file, memoryLimitBytes);
      const columns = await found.catch((error: unknown) => {
        signal?.throwIfAborted();
        throw readError(input, file, error);
      });
      yield { file, columns: columns.map(({ name, type }) => ({ name, type })) };
    }
  } finally {
    signal?.removeEventListener('abort', interrupt);
    database.close();
  }
}

export async function* readDuckdbFile(
  input: DuckdbInput,
  file: string,
  columns: readonly ColumnField[],
  options: OpenFileOptions,
): AsyncGenerator<FileBatch, void, undefined> {
  if (columns.length === 0) return;
  const database = await openDatabase(options.memoryLimitBytes);
  const interrupt = (): void => database.connection.interrupt();
  options.signal?.addEventListener('abort', interrupt, { once: true });
  try {
    const scan =
      input.format === 'parquet'
        ? await parquetQuery(database, file, columns, options)
        : jsonQuery(input, file, columns, options.startRow, options.memoryLimitBytes);
    yield* batches(database, scan, input, file, columns, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw readError(input, file, error);
  } finally {
    options.signal?.removeEventListener('abort', interrupt);
    database.close();
  }
}

async function* batches(
  database: Database,
  scan: Scan,
  input: DuckdbInput,
  file: string,
  columns: readonly ColumnField[],
  options: OpenFileOptions,
): AsyncGenerator<FileBatch, void, undefined> {
  const api = vectorApi();
  const formats = input.format === 'json' ? input : { dateFormat: null, timestampFormat: null };
  const isLenient = input.format === 'json' && input.mode !== 'FAILFAST';
  const builder = new BatchBuilder(
    columns.map((column, i) => (scan.castHere.has(i) ? { ...column, type: 'VARCHAR' } : column)),
    columns,
    options,
  );
  let rowsBefore = options.startRow;
  const take = (): FileBatch => {
    const taken = builder.take((data: Data, column) => {
      const type = scan.castHere.get(column);
      if (type === undefined) return data;
      return castColumn(data as Data<Utf8>, type, formats, isLenient, {
        file,
        firstRow: rowsBefore,
        column: columns[column]?.name ?? '',
      });
    });
    rowsBefore += taken.batch.numRows;
    return taken;
  };
  // A stream that fails in its middle looks like one that ended (measured with 1.5.5: 256,000 of 300,001 rows of JSON and
  // no error). The row put behind all others proves that it did not.
  const mark = `SELECT ${columns.map(() => 'NULL').join(', ')}, true`;
  const result = await database.connection.stream(`SELECT *, false FROM (${scan.sql}) UNION ALL ${mark}`);
  // biome-ignore lint/complexity/useLiteralKeys: the handle is private to the types of the library, and its only way to raw chunks
  const handle = (result as unknown as { result: Parameters<typeof api.fetchChunk>[0] })['result'];
  for (let isComplete = false; !isComplete; ) {
    options.signal?.throwIfAborted();
    const chunk = await api.fetchChunk(handle);
    const rows = chunk === null ? 0 : api.rowsOf(chunk);
    if (chunk === null || rows === 0) {
      await failAgain(database, scan);
      throw new OffloadError('IO_FAILED', `cannot read ${file}: DuckDB stopped after row ${rowsBefore + builder.rows}`);
    }
    isComplete = api.parts(api.columnOf(chunk, columns.length), 1, rows).data[rows - 1] !== 0;
    const used = isComplete ? rows - 1 : rows;
    for (let start = 0; start < used; ) {
      const count = Math.min(used - start, builder.room);
      appendChunk(builder, chunk, start, count, columns, file, rowsBefore);
      start += count;
      if (builder.isFull) yield take();
    }
    api.giveBack(chunk);
  }
  if (scan.countDropped !== null) {
    const counted = await database.connection.runAndReadAll(scan.countDropped);
    builder.drop(Number(counted.getRows()[0]?.[0] ?? 0));
  }
  if (builder.hasNews) yield take();
}

function appendChunk(
  builder: BatchBuilder,
  chunk: DataChunk,
  start: number,
  count: number,
  columns: readonly ColumnField[],
  file: string,
  rowsBefore: number,
): void {
  for (const [i, column] of builder.columns.entries()) {
    try {
      column.appendVector(vectorApi().columnOf(chunk, i), start, count);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const first = rowsBefore + builder.rows + 1;
      throw invalidRow({
        file,
        unit: 'row',
        number: first,
        column: columns[i]?.name ?? '',
        why: `there or in the ${count - 1} rows after it stands ${error.message}`,
      });
    }
  }
  builder.added(count);
}

/** Runs the query again in the way that tells errors: to its end, keeping nothing. */
async function failAgain(database: Database, scan: Scan): Promise<void> {
  await database.connection.run(`SELECT max(hash(t)) FROM (${scan.sql}) t`);
}

function readError(input: DuckdbInput, file: string, error: unknown): OffloadError {
  if (error instanceof OffloadError) return error;
  const message = messageOf(error);
  const line = /in (?:line|record\/value) (\d+)/.exec(message)?.[1];
  if (input.format === 'json' && line !== undefined) {
    const why = duckdbReason(error)
      .replace(/^.*?in (?:line|record\/value) \d+: /, '')
      .replace(/\.? *$/, '')
      .replace(/ Try auto-detecting the JSON format$/, '');
    const isShape = !input.multiLine && message.startsWith('Invalid Input Error: Malformed');
    return invalidRow({
      file,
      unit: message.includes('in line') ? 'line' : 'row',
      number: Number(line),
      why: isShape ? `it is no JSON value in one line (${why})` : why,
      next: isShape ? 'set multiLine=true if objects span lines, or mode=DROPMALFORMED or PERMISSIVE' : OTHER_MODES,
    });
  }
  if (/^Out of Memory/.test(message)) {
    return new OffloadError(
      'IO_FAILED',
      `cannot read ${file}: its rows need more memory than there is for it; raise --max-memory`,
      { context: { path: file }, cause: error },
    );
  }
  const isConversion = /^Conversion Error/.test(message);
  return new OffloadError(
    isConversion ? 'ROW_INVALID' : 'SOURCE_UNSUITABLE',
    `cannot read ${file} as ${input.format}: ${duckdbReason(error)}`,
    { context: { path: file }, cause: error },
  );
}
