/** What DuckDB says, as errors of ours: what passes by itself can be tried again. */
import { messageOf, OffloadError } from '../../../errors.ts';
import { duckdbReason } from '../../../sources/files/duckdb/database.ts';

const LOCKED = /Conflicting lock is held in (.*?)(?: by user (\S+))?\. See also/;
const FULL = /No space left on device|Disk quota exceeded|Out of Memory/i;

/** Who has the file open, in DuckDB's words: `/usr/bin/node (PID 123)`; null: nobody, it is another error. */
export function lockHolder(error: unknown): string | null {
  const message = messageOf(error);
  const held = LOCKED.exec(message);
  if (held) return held[1] ?? null;
  return /Could not set lock on file/.test(message) ? 'another process' : null;
}

/** @param attempt What was tried: `append rows to main.orders`. */
export function duckdbError(attempt: string, path: string, error: unknown): OffloadError {
  if (error instanceof OffloadError) return error;
  const holder = lockHolder(error);
  const context = { path };
  if (holder !== null) {
    return new OffloadError(
      'DATABASE_BUSY',
      `cannot ${attempt} in ${path}: ${holder} has the file open; a stream needs it for a moment at each micro-batch`,
      { context, cause: error },
    );
  }
  const code = FULL.test(messageOf(error)) ? 'DATABASE_BUSY' : 'DATABASE_REFUSED';
  return new OffloadError(code, `cannot ${attempt} in ${path}: ${duckdbReason(error)}`, { context, cause: error });
}
