/** SQL over batches, by DuckDB in this thread. */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Binary, Data, RecordBatch, Schema } from 'apache-arrow';
import type { ColumnField } from '../../config/sparkSchema.ts';
import type { BatchBuilder } from '../../sources/files/batchBuilder.ts';
import { toArrowSchema } from '../../sources/files/columnTypes.ts';
import { type Database, openDatabase } from '../../sources/files/duckdb/database.ts';
import type { BadRow } from '../badRows.ts';
import type { BatchTransform, OpenTransformOptions, RowPlace, SqlSettings } from '../batchTransform.ts';
import { explainFailure, type FailedBatch, findFailedRows } from './failedRow.ts';
import { InputTable } from './inputTable.ts';
import { inputColumns, inputType } from './inputTypes.ts';
import { describeQuery, type OutputColumn } from './outputColumns.ts';
import { besidePlainColumns } from './plainColumns.ts';
import { BYTES_TABLE, JSON_TABLE, makeQueries, type Queries, TEXT_TABLE, textColumn, viewOf } from './queries.ts';
import { batchBuilder, ResultReader } from './results.ts';
import { checkExpression, readSelect, type Select, selectOf } from './statement.ts';
import { isText, repairedText } from './texts.ts';

/**
 * @param input Columns of the table `messages`.
 * @throws OffloadError TRANSFORM_INVALID for a statement that is no row-wise SELECT over these columns.
 */
export async function openSqlTransform(
  settings: SqlSettings,
  input: Schema,
  options: OpenTransformOptions,
): Promise<BatchTransform> {
  const { order } = settings;
  if (order === null) return openStatement(settings, input, options);
  return besidePlainColumns(order, input, settings.where, (table) => openStatement(settings, table, options));
}

async function openStatement(
  settings: SqlSettings,
  input: Schema,
  { memoryBytes }: OpenTransformOptions,
): Promise<BatchTransform> {
  const database = await openDatabase(memoryBytes);
  try {
    const { connection } = database;
    await connection.run('SET enable_external_access = false');
    const { where, invalidUtf8, statement } = settings;
    const select = await readSelect(connection, statement, where);
    const columns = inputColumns(input);
    const queries = await makeQueries(connection, select, columns, settings);
    const types = columnTypes(input, queries.texts, invalidUtf8);
    const tables = {
      text: new InputTable(connection, `${TEXT_TABLE}_rows`, types.text),
      bytes: new InputTable(connection, `${BYTES_TABLE}_rows`, types.bytes),
    };
    for (const table of [TEXT_TABLE, BYTES_TABLE, ...(queries.onJson === null ? [] : [JSON_TABLE])]) {
      await connection.run(viewOf(table, columns, queries, invalidUtf8));
    }
    await connection.run('SET lock_configuration = true');
    const output = await describeQuery(connection, queries.onBytes, where);
    return new SqlTransform({ database, settings, select, queries, tables, output });
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Columns of `input` that a statement over it names.
 *
 * @throws OffloadError TRANSFORM_INVALID as `openSqlTransform`.
 */
export async function namedColumns(settings: SqlSettings, columns: readonly string[]): Promise<ReadonlySet<string>> {
  return withConnection(async (connection) => {
    const select = await readSelect(connection, settings.statement, settings.where);
    const input = columns.map((name) => ({ name, isBinary: false }));
    return (await makeQueries(connection, select, input, settings)).named;
  });
}

/**
 * Whether a text is one row-wise SELECT, whatever its columns.
 *
 * @throws OffloadError TRANSFORM_INVALID
 */
export async function checkStatement({ statement, where }: SqlSettings): Promise<void> {
  await withConnection((connection) => readSelect(connection, statement, where));
}

/**
 * One SELECT of all entries that are expressions, in their order.
 *
 * @throws OffloadError TRANSFORM_INVALID naming the entry that is no expression.
 */
export async function joinExpressions(
  entries: readonly string[],
  isExpression: (entry: string) => boolean,
  where: string,
): Promise<string> {
  await withConnection(async (connection) => {
    for (const [i, entry] of entries.entries()) {
      if (isExpression(entry)) await checkExpression(connection, entry, `${where}[${i}]`);
    }
  });
  return selectOf(entries.filter(isExpression));
}

async function withConnection<Result>(use: (connection: DuckDBConnection) => Promise<Result>): Promise<Result> {
  const database = await openDatabase(0);
  try {
    return await use(database.connection);
  } finally {
    database.close();
  }
}

function columnTypes(
  input: Schema,
  texts: ReadonlySet<string>,
  invalidUtf8: SqlSettings['invalidUtf8'],
): { text: ColumnField[]; bytes: ColumnField[] } {
  const bytes = input.fields.map(({ name, type }) => ({ name, type: inputType(type) }));
  const text = bytes.map((column) => (texts.has(column.name) ? { ...column, type: 'VARCHAR' as const } : column));
  const repaired = invalidUtf8 === 'replace' ? bytes.filter(({ name }) => texts.has(name)) : [];
  return {
    text,
    bytes: [...bytes, ...repaired.map(({ name }) => ({ name: textColumn(name), type: 'VARCHAR' as const }))],
  };
}

interface Opened {
  readonly database: Database;
  readonly settings: SqlSettings;
  readonly select: Select;
  readonly queries: Queries;
  readonly tables: { readonly text: InputTable; readonly bytes: InputTable };
  readonly output: readonly OutputColumn[];
}

class SqlTransform implements BatchTransform {
  readonly schema: Schema;
  readonly #opened: Opened;
  readonly #connection: DuckDBConnection;
  readonly #onText: ResultReader;
  readonly #onBytes: ResultReader;
  #onJson: ResultReader | null;

  constructor(opened: Opened) {
    const { database, queries, output } = opened;
    this.#opened = opened;
    this.#connection = database.connection;
    this.schema = toArrowSchema(output);
    const builder: BatchBuilder = batchBuilder(output);
    this.#onText = new ResultReader(this.#connection, queries.onText, output, builder);
    this.#onBytes = new ResultReader(this.#connection, queries.onBytes, output, builder);
    const { onJson } = queries;
    this.#onJson = onJson === null ? null : new ResultReader(this.#connection, onJson, output, builder);
  }

  async apply(batch: RecordBatch, place: RowPlace, onInvalidUtf8?: (values: number) => void): Promise<RecordBatch> {
    const { tables, queries } = this.#opened;
    const { children } = batch.data;
    try {
      if (queries.texts.size > 0 && this.#textData(batch).every(isText)) {
        tables.text.set(children, 0, batch.numRows);
        return await this.#readText();
      }
      tables.bytes.set(this.#bytesData(batch), 0, batch.numRows);
      const rows = await this.#onBytes.read();
      const invalid = onInvalidUtf8 ? await this.#countInvalid() : 0;
      if (invalid > 0) onInvalidUtf8?.(invalid);
      return rows;
    } catch (error) {
      throw await explainFailure(this.#failed(batch, place, error));
    } finally {
      this.#empty();
    }
  }

  async findBadRows(batch: RecordBatch, place: RowPlace): Promise<readonly BadRow[] | null> {
    try {
      return await findFailedRows(this.#failed(batch, place, null));
    } finally {
      this.#empty();
    }
  }

  #failed(batch: RecordBatch, place: RowPlace, error: unknown): FailedBatch {
    const { tables, queries, select, settings } = this.#opened;
    const data = this.#bytesData(batch);
    const narrow = (from: number, to: number): void => tables.bytes.set(data, from, to);
    return { connection: this.#connection, select, queries, where: settings.where, batch, place, error, narrow };
  }

  #empty(): void {
    const { tables } = this.#opened;
    tables.text.set([], 0, 0);
    tables.bytes.set([], 0, 0);
  }

  async #readText(): Promise<RecordBatch> {
    if (this.#onJson !== null) {
      const read = await this.#onJson.read().catch(() => null);
      if (read !== null) return read;
      const rows = await this.#onText.read();
      // The statement keeps out what is no JSON: it will do so again.
      this.#onJson = null;
      return rows;
    }
    return this.#onText.read();
  }

  /** Of the values that are in the table of bytes. */
  async #countInvalid(): Promise<number> {
    const { settings, queries } = this.#opened;
    // What would have been an error is in no row.
    if (settings.invalidUtf8 === 'fail' || queries.countInvalid === null) return 0;
    const reader = await this.#connection.runAndReadAll(queries.countInvalid);
    return Number(reader.getRows()[0]?.[0]);
  }

  async close(): Promise<void> {
    this.#opened.database.close();
  }

  #textData(batch: RecordBatch): Data<Binary>[] {
    const { texts } = this.#opened.queries;
    const { fields } = batch.schema;
    return batch.data.children.filter((_, i) => texts.has(fields[i]?.name ?? '')) as Data<Binary>[];
  }

  #bytesData(batch: RecordBatch): Data[] {
    const { children } = batch.data;
    if (this.#opened.settings.invalidUtf8 !== 'replace') return children;
    return [...children, ...this.#textData(batch).map(repairedText)];
  }
}
