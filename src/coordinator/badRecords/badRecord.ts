/** Bad records as they cross between reading and whatever becomes of them. Plain data. */
import type { MessageColumns } from '../../decode/columns.ts';
import type { ErrorCode } from '../../errors.ts';
import type { BadRow } from '../../transform/badRows.ts';
import type { RowPlace } from '../../transform/batchTransform.ts';

/** Where dead letters go. */
export interface DeadLetterPlan {
  readonly topic: string;
  readonly partitions: number;
  /** Name of the entry that is read. */
  readonly config: string;
}

/** A record of a partition, and why it is bad. */
export interface BadRecord {
  readonly offset: number;
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * In offset order.
 *
 * @param columns What was read, not cleared yet; `unread` are rows of it.
 * @param place Of the rows that were made of it, which `failed` are among.
 */
export function badRecordsOf(
  columns: MessageColumns,
  unread: readonly BadRow[],
  { origin }: RowPlace,
  failed: readonly BadRow[],
): BadRecord[] {
  const offsetAt = 'offsetAt' in origin ? origin.offsetAt : () => 0;
  const records = [
    ...unread.map(({ row, error }) => ({ offset: columns.offsetAt(row), error })),
    ...failed.map(({ row, error }) => ({ offset: offsetAt(row), error })),
  ];
  return records
    .map(({ offset, error: { code, message } }) => ({ offset, code, message }))
    .sort((a, b) => a.offset - b.offset);
}
