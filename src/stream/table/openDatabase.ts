/** The database of a stream's table, and how long it is waited for. */
import type { TableJob } from '../../coordinator/jobs.ts';
import type { RetryPolicy } from '../../retry.ts';
import type { StreamName, TableDatabase } from './database.ts';

/**
 * A stream without an end says that it waits, and stages its rows again after so long; one with an end fails after the
 * deadline of all its other requests.
 */
const RETRY_MS = 10_000;
const RETRY_BACKOFF_MS = 200;
const RETRY_BACKOFF_MAX_MS = 2_000;
/** Of waiting for a lock of another process of the group. */
const LOCK_MS = 30_000;
/** Memory of DuckDB while it takes rows in: workers have none under way then, and keep what they have. */
const LEAST_DUCKDB_BYTES = 128 * 1024 ** 2;

/** Connects to nothing yet. */
export async function openDatabase(
  { sink, stream, workers, maxMemoryBytes }: TableJob,
  name: StreamName,
): Promise<TableDatabase> {
  const { database } = sink;
  if (database.kind === 'duckdb') {
    const { DuckdbTable } = await import('./duckdb/duckdbTable.ts');
    const memoryBytes = Math.max(LEAST_DUCKDB_BYTES, maxMemoryBytes / 4);
    return new DuckdbTable(database.path, sink, name, { threads: workers, memoryBytes });
  }
  const { PostgresTable } = await import('./postgres/postgresTable.ts');
  const { group } = stream;
  const patience = {
    statementMs: group?.rebalanceTimeoutMs ?? 0,
    idleMs: group?.sessionTimeoutMs ?? 0,
    lockMs: LOCK_MS,
  };
  return new PostgresTable(database, sink, name, patience);
}

export function databaseRetry({ source, stream }: TableJob): RetryPolicy {
  const { deadlineMs } = source.kafka.connection;
  return {
    deadlineMs: stream.trigger.kind === 'availableNow' ? deadlineMs : Math.min(deadlineMs, RETRY_MS),
    retryBackoffMs: RETRY_BACKOFF_MS,
    retryBackoffMaxMs: RETRY_BACKOFF_MAX_MS,
  };
}
