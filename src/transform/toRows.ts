/** Messages as rows of the fields asked for, those left out that have no such row. */
import type { Field } from '../config/fields.ts';
import type { MessageColumns } from '../decode/columns.ts';
import { type BadRow, inOrder, type PlacedRows, withoutRows } from './badRows.ts';
import { messagePlace } from './places.ts';
import { type TransformContext, toArrowBatch } from './toArrow.ts';

/**
 * @param leavesOut False: a bad row is an error.
 * @returns The rows, as `toArrowBatch` gives them (where a row is left out, with memory of their own); and the others,
 *   by their number in `columns`.
 * @throws OffloadError as `toArrowBatch`.
 */
export function toRows(
  columns: MessageColumns,
  fields: readonly Field[],
  context: Omit<TransformContext, 'onBadRow'>,
  leavesOut: boolean,
): PlacedRows & { readonly bad: readonly BadRow[] } {
  const { topic, partition } = context;
  const found: BadRow[] = [];
  const onBadRow: TransformContext['onBadRow'] = (row, error) => found.push({ row, error });
  const batch = toArrowBatch(columns, fields, leavesOut ? { ...context, onBadRow } : context);
  const place = messagePlace(topic, partition, (row) => columns.offsetAt(row));
  const bad = inOrder(found);
  return { ...withoutRows({ batch, place }, bad), bad };
}
