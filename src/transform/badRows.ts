/**
 * Rows of which nothing can be made, found among those of a batch. As long as there are none, none of this runs: it begins
 * where a batch has failed as a whole.
 */
import { makeData, RecordBatch, Struct } from 'apache-arrow';
import { type ErrorCode, OffloadError, toOffloadError } from '../errors.ts';
import { takeRows } from './arrow/take.ts';
import type { RowPlace } from './batchTransform.ts';

/** A row that fails alone, and why. */
export interface BadRow {
  /** In its batch, from 0. */
  readonly row: number;
  readonly error: OffloadError;
}

/** Rows of a batch, and where they stand. */
export interface PlacedRows {
  readonly batch: RecordBatch;
  readonly place: RowPlace;
}

/** What a row can be the cause of. All else is the matter of the run. */
const ROW_CODES: ReadonlySet<ErrorCode> = new Set([
  ...(['INVALID_UTF8', 'ROW_INVALID', 'TRANSFORM_FAILED', 'FIELD_INVALID'] as const),
  // A topic that a row names.
  ...(['TOPIC_UNKNOWN', 'USAGE'] as const),
]);

export interface RowWork<Result> {
  /** Works on all rows of a batch at once; what it throws may be the matter of one of them. */
  readonly make: (rows: PlacedRows) => Promise<Result>;
  /** As `make`, for a part of the rows, without leaving a trace. */
  readonly check: (rows: PlacedRows) => Promise<unknown>;
  /** A quicker way to those that fail; null, or none found: they are looked for with `check`. */
  readonly find?: (rows: PlacedRows) => Promise<readonly BadRow[] | null>;
}

/**
 * Works on a batch without its bad rows.
 *
 * @returns What was made of the others, null where none is left; and the bad ones in their order.
 * @throws OffloadError whatever is not the matter of a row: also when no row fails alone.
 */
export async function workOnGoodRows<Result>(
  rows: PlacedRows,
  { make, check, find }: RowWork<Result>,
): Promise<{ made: Result | null; bad: readonly BadRow[] }> {
  const bad: BadRow[] = [];
  let [left, numbers] = [rows, null as Int32Array | null];
  while (left.batch.numRows > 0) {
    try {
      return { made: await make(left), bad: inOrder(bad) };
    } catch (error) {
      if (!isOfRow(error)) throw error;
      const known = (await find?.(left)) ?? [];
      const found = known.length > 0 ? known : await search(left, check, toOffloadError(error));
      if (found.length === 0) throw error;
      for (const { row, error: why } of found) bad.push({ row: numbers?.[row] ?? row, error: why });
      const kept = otherRows(left.batch.numRows, found);
      numbers = numbers === null ? kept : kept.map((row) => (numbers as Int32Array)[row] as number);
      left = keepRows(left, kept);
    }
  }
  return { made: null, bad: inOrder(bad) };
}

/** A batch without some of its rows. @param bad In any order; a row may come twice. */
export function withoutRows(rows: PlacedRows, bad: readonly Pick<BadRow, 'row'>[]): PlacedRows {
  return bad.length === 0 ? rows : keepRows(rows, otherRows(rows.batch.numRows, bad));
}

/** Each row once, in the order of rows; the first reason counts. */
export function inOrder(bad: readonly BadRow[]): BadRow[] {
  const byRow = new Map<number, BadRow>();
  for (const one of bad) if (!byRow.has(one.row)) byRow.set(one.row, one);
  return [...byRow.values()].sort((a, b) => a.row - b.row);
}

function isOfRow(error: unknown): boolean {
  return error instanceof OffloadError && ROW_CODES.has(error.code) && error.context.cause !== 'memory';
}

/** Halves, halves of those that fail, and so on. @param error What all rows together failed with. */
async function search(
  rows: PlacedRows,
  check: RowWork<unknown>['check'],
  error: OffloadError,
): Promise<readonly BadRow[]> {
  const bad: BadRow[] = [];
  const look = async (from: number, to: number, why: OffloadError): Promise<void> => {
    if (to - from === 1) {
      bad.push({ row: from, error: why });
      return;
    }
    const middle = (from + to) >>> 1;
    for (const [start, end] of [
      [from, middle],
      [middle, to],
    ] as const) {
      const part = keepRows(
        rows,
        Int32Array.from({ length: end - start }, (_, row) => start + row),
      );
      const failure = await failureOf(() => check(part));
      if (failure !== null) await look(start, end, failure);
    }
  };
  await look(0, rows.batch.numRows, error);
  return bad;
}

async function failureOf(work: () => Promise<unknown>): Promise<OffloadError | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (!isOfRow(error)) throw error;
    return toOffloadError(error);
  }
}

function otherRows(count: number, bad: readonly Pick<BadRow, 'row'>[]): Int32Array {
  const isBad = new Set(bad.map(({ row }) => row));
  const kept = new Int32Array(count - isBad.size);
  for (let row = 0, next = 0; row < count; row++) if (!isBad.has(row)) kept[next++] = row;
  return kept;
}

function keepRows({ batch, place }: PlacedRows, rows: Int32Array): PlacedRows {
  const children = batch.data.children.map((data) => takeRows(data, rows));
  const type = new Struct(batch.schema.fields);
  const data = makeData({ type, length: rows.length, nullCount: 0, children });
  return { batch: new RecordBatch(batch.schema, data), place: placeOf(place, rows) };
}

function placeOf({ source, rowName, origin }: RowPlace, rows: Int32Array): RowPlace {
  const at = (row: number): number => rows[row] ?? row;
  return {
    source,
    rowName: (row) => rowName(at(row)),
    origin:
      'file' in origin
        ? { ...origin, row: origin.row + at(0) }
        : {
            ...origin,
            offset: rows.length === 0 ? origin.offset : origin.offsetAt(at(0)),
            offsetAt: (row) => origin.offsetAt(at(row)),
          },
  };
}
