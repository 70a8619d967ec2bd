/** Which row of a batch a query failed on, and with which of its expressions: DuckDB tells neither. */

import { isUtf8 } from 'node:buffer';
import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api';
import { type RecordBatch, Vector } from 'apache-arrow';
import { messageOf, OffloadError } from '../../errors.ts';
import { duckdbReason } from '../../sources/files/duckdb/database.ts';
import { shown } from '../../sources/files/rowErrors.ts';
import type { BadRow } from '../badRows.ts';
import type { RowPlace } from '../batchTransform.ts';
import { inputColumns } from './inputTypes.ts';
import { failuresQuery, type Queries, splitQuery } from './queries.ts';
import { rewriteSelect } from './rewrite.ts';
import type { Select } from './statement.ts';
import { columnNode } from './syntaxTree.ts';

export interface FailedBatch {
  readonly connection: DuckDBConnection;
  readonly select: Select;
  readonly queries: Queries;
  readonly where: string;
  readonly batch: RecordBatch;
  readonly place: RowPlace;
  readonly error: unknown;
  /** Makes rows `from` to `to` of the batch, as bytes, the table that queries see. */
  readonly narrow: (from: number, to: number) => void;
}

/** The error to throw. Runs queries on halves of the batch, on halves of the half that fails, and so on. */
export async function explainFailure(failed: FailedBatch): Promise<OffloadError> {
  const { connection, queries, batch } = failed;
  if (failed.error instanceof OffloadError) return failed.error;
  const fails = (from: number, to: number, query: string) => failureOf(failed, from, to, query);
  let cause = await fails(0, batch.numRows, queries.onBytes);
  if (cause === null || isMemory(cause)) return generalError(failed, cause ?? failed.error);
  let [low, high] = [0, batch.numRows];
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    const error = await fails(low, middle, queries.onBytes);
    if (error === null) low = middle;
    else {
      high = middle;
      cause = error;
    }
  }
  cause = (await fails(low, high, queries.onBytes)) ?? cause;
  return explainRow(failed, low, cause, await splitQuery(connection, failed.select, queries));
}

/**
 * All rows that a batch fails on, where each of its expressions can be tried on each row by itself: one query, and one
 * for each row found. Null where they cannot: names that expressions take from one another, `unnest`, `random()`.
 */
export async function findFailedRows(failed: FailedBatch): Promise<readonly BadRow[] | null> {
  const { connection, select, queries, batch, place, narrow } = failed;
  const query = await failuresQuery(connection, select, queries);
  narrow(0, batch.numRows);
  const reader = await connection.runAndReadAll(query).catch(() => null);
  if (reader === null) return null;
  // Of each row: the part that fails, as `splitQuery` has them; null: none does.
  const failures = reader.getRows().flatMap(([part], row) => (part === null ? [] : [{ row, part: Number(part) }]));
  const parts = await splitQuery(connection, select, queries);
  const columns = parts.map((part) => columnsOf(failed, part));
  const prepared = new Map<number, DuckDBPreparedStatement>();
  const bad: BadRow[] = [];
  try {
    for (const { row, part } of failures) {
      const { query: own, text } = parts[part] as (typeof parts)[number];
      const statement = prepared.get(part) ?? (await connection.prepare(hashOf(own)));
      prepared.set(part, statement);
      narrow(row, row + 1);
      const cause = await outcomeOf(statement.run());
      const about = { row, rowName: place.rowName(row), expression: text, columns: columns[part] ?? [] };
      if (cause !== null) bad.push({ row, error: rowError(failed, { ...about, cause }) });
    }
  } finally {
    for (const statement of prepared.values()) statement.destroySync();
  }
  return bad;
}

/** @param cause What the row fails with. */
async function explainRow(
  failed: FailedBatch,
  row: number,
  cause: Error,
  parts: Awaited<ReturnType<typeof splitQuery>>,
): Promise<OffloadError> {
  const { where, place } = failed;
  const rowName = place.rowName(row);
  for (const part of parts) {
    const error = await failureOf(failed, row, row + 1, part.query);
    if (error === null || /^(Binder|Catalog) Error/.test(error.message)) continue;
    const [expression, columns] = [part.text, columnsOf(failed, part)];
    return rowError(failed, { row, rowName, cause: error, expression, columns });
  }
  const message = `cannot apply ${where} to ${rowName}: ${duckdbReason(cause)}`;
  return new OffloadError('TRANSFORM_FAILED', message, { context: { transform: where, row: rowName }, cause });
}

async function failureOf({ connection, narrow }: FailedBatch, from: number, to: number, query: string) {
  narrow(from, to);
  return outcomeOf(connection.run(hashOf(query)));
}

/** All of a result, and little of it given out. */
function hashOf(query: string): string {
  return `SELECT max(hash(rows)) FROM (${query}) AS rows`;
}

function outcomeOf(run: Promise<unknown>): Promise<Error | null> {
  return run.then(
    () => null,
    (error: Error) => error,
  );
}

interface FailedRow {
  readonly row: number;
  readonly rowName: string;
  readonly cause: Error;
  readonly expression: string;
  readonly columns: readonly string[];
}

function rowError({ where, batch }: FailedBatch, failed: FailedRow): OffloadError {
  const { row, rowName, cause, expression, columns } = failed;
  const context = { transform: where, row: rowName, expression };
  if (/Failure in decode/.test(cause.message)) {
    return new OffloadError(
      'INVALID_UTF8',
      `cannot apply ${where} to ${rowName}: ${expression} needs text, and the bytes of ${columns.join(' or ')} are not UTF-8; ` +
        'set invalidUtf8 to replace or null, or use TRY_CAST, which gives NULL',
      { context, cause },
    );
  }
  const values = columns.map((name) => `${name} is ${cell(batch, name, row)}`);
  const reason = duckdbReason(cause).replace(/\.? *$/, '');
  return new OffloadError(
    'TRANSFORM_FAILED',
    `cannot apply ${where} to ${rowName}: ${expression} fails: ${[reason, ...values].join('; ')}`,
    { context, cause },
  );
}

function generalError({ where, batch, place }: FailedBatch, cause: unknown): OffloadError {
  const rows = `${batch.numRows} rows from ${place.rowName(0)} on`;
  const why = isMemory(cause) ? 'it needs more memory than there is for it; raise --max-memory' : duckdbReason(cause);
  return new OffloadError('TRANSFORM_FAILED', `cannot apply ${where} to ${rows}: ${why}`, {
    context: { transform: where, source: place.source, ...(isMemory(cause) && { cause: 'memory' }) },
    cause,
  });
}

function isMemory(error: unknown): boolean {
  return messageOf(error).startsWith('Out of Memory');
}

function columnsOf({ batch, where, select }: FailedBatch, { original }: { original: Select['body'] }): string[] {
  const body = { ...select.body, select_list: [original], where_clause: null };
  const options = { columns: inputColumns(batch.schema), text: columnNode, hidden: [], where };
  try {
    return [...rewriteSelect(body, options).named].slice(0, 3);
  } catch {
    // It uses a name that another expression gives.
    return [];
  }
}

function cell(batch: RecordBatch, name: string, row: number): string {
  const index = batch.schema.fields.findIndex((field) => field.name === name);
  const data = batch.data.children[index];
  const value: unknown = data ? new Vector([data]).get(row) : null;
  const isText = value instanceof Uint8Array && isUtf8(value);
  return shown(isText ? Buffer.from(value).toString() : value);
}
