/** What a query gives, as one Arrow batch. */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { RecordBatch } from 'apache-arrow';
import { OffloadError } from '../../errors.ts';
import { BatchBuilder } from '../../sources/files/batchBuilder.ts';
import { quoteName, sqlType } from '../../sources/files/columnTypes.ts';
import { vectorApi } from '../../sources/files/duckdb/vectorApi.ts';
import type { OutputColumn } from './outputColumns.ts';

/** Arrow counts the bytes of a column with 31 bits. */
const MOST_BYTES = 1024 ** 3;

/** @returns The query with a row behind all others: a stream that fails in its middle looks like one that ended. */
function markEnd(query: string, columns: readonly OutputColumn[]): string {
  const names = columns.map((_, i) => `c${i}`);
  const list = columns.map(({ type, isCast }, i) => (isCast ? `CAST(${names[i]} AS ${sqlType(type)})` : names[i]));
  const rows = `(${query}) AS rows(${names.map(quoteName).join(', ')})`;
  return `SELECT ${list.join(', ')}, false FROM ${rows} UNION ALL SELECT ${list.map(() => 'NULL').join(', ')}, true`;
}

export class ResultReader {
  readonly #connection: DuckDBConnection;
  readonly #sql: string;
  readonly #columns: readonly OutputColumn[];
  readonly #builder: BatchBuilder;

  constructor(connection: DuckDBConnection, query: string, columns: readonly OutputColumn[], builder: BatchBuilder) {
    this.#connection = connection;
    this.#sql = markEnd(query, columns);
    this.#columns = columns;
    this.#builder = builder;
  }

  /** @throws What DuckDB says; IncompleteResult where it says nothing and stopped. */
  async read(): Promise<RecordBatch> {
    const api = vectorApi();
    const builder = this.#builder;
    const result = await this.#connection.stream(this.#sql);
    // biome-ignore lint/complexity/useLiteralKeys: the handle is private to the types of the library, and its only way to raw chunks
    const handle = (result as unknown as { result: Parameters<typeof api.fetchChunk>[0] })['result'];
    try {
      for (let isComplete = false; !isComplete; ) {
        const chunk = await api.fetchChunk(handle);
        const rows = chunk === null ? 0 : api.rowsOf(chunk);
        if (chunk === null || rows === 0) throw new IncompleteResult('the result ended before its end');
        isComplete = api.parts(api.columnOf(chunk, this.#columns.length), 1, rows).data[rows - 1] !== 0;
        const used = isComplete ? rows - 1 : rows;
        if (used > 0) builder.columns.forEach((column, i) => void column.appendVector(api.columnOf(chunk, i), 0, used));
        builder.added(used);
        api.giveBack(chunk);
        if (builder.isFull) {
          throw new OffloadError(
            'TRANSFORM_FAILED',
            'the rows made of one batch take more than 1 GiB; make less of a row',
          );
        }
      }
      return builder.take().batch;
    } catch (error) {
      builder.take();
      throw error;
    }
  }
}

/** DuckDB told no error: whoever gets this runs the query again, in the way that tells errors. */
class IncompleteResult extends Error {}

/** Takes rows of any number until they are asked for. */
export function batchBuilder(columns: readonly OutputColumn[]): BatchBuilder {
  const limits = { startRow: 0, batchRows: Number.MAX_SAFE_INTEGER, batchBytes: MOST_BYTES, memoryLimitBytes: 0 };
  return new BatchBuilder(columns, columns, limits);
}
