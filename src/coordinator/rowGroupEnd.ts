/** Where row groups end. */

/** Rows, and bytes of keys, values and headers. */
interface Amount {
  readonly rows: number;
  readonly bytes: number;
}

/** A guess that changes late leaves the row group alone: it would leave a small one behind. */
const LEAST_PARTS = 1.5;

/** What a row group holds so far. */
export interface HeldRows extends Amount {
  /** Offsets that it accounts for, gaps included. */
  readonly offsets: number;
}

/**
 * Whether a row group ends before the next record batch: at its limits, and where what is left of the task and it make as
 * many of about one size. Cut at their limits alone, most tasks would leave a small one at their end.
 *
 * @param next The batch: no more can come of it.
 * @param offsetsLeft Of the task, those of the batch included.
 */
export function endsRowGroup(held: HeldRows, next: Amount, offsetsLeft: number, limits: Amount): boolean {
  if (held.rows === 0) return false;
  if (held.bytes + next.bytes > limits.bytes || held.rows + next.rows > limits.rows) return true;
  // What is to come is like what has come: a guess, made anew with every batch. A row group ends before the batch that it
  // has no room for, so that none is larger than this.
  const most = { rows: Math.max(1, limits.rows - next.rows), bytes: Math.max(1, limits.bytes - next.bytes) };
  const parts = (held.offsets + offsetsLeft) / Math.max(1, held.offsets);
  const groups = Math.ceil(Math.max((held.rows * parts) / most.rows, (held.bytes * parts) / most.bytes));
  return groups > 1 && parts <= groups && parts >= LEAST_PARTS;
}
