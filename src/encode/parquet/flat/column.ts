/** One flat column of a batch as one column chunk. */
import type { Data, Field } from 'apache-arrow';
import { OffloadError } from '../../../errors.ts';
import { ENCODING } from '../format.ts';
import type { PageSummary } from '../pageIndex.ts';
import { NO_BOUNDS } from './bounds.ts';
import { type FlatColumn, finishColumn, startColumn } from './chunk.ts';
import { levelsBytes, putLevels } from './levels.ts';
import type { PageWriter } from './pages.ts';
import { type FlatValues, flatPhysicalType, flatValues } from './values.ts';

/**
 * Writes a column of a flat type.
 *
 * @param chunks The column, one Data for each Arrow batch, with one row in all at least.
 * @param pages Where it goes: behind what is there.
 * @throws OffloadError INTERNAL for nulls in a column that has none by its schema.
 */
export async function encodeFlatColumn(field: Field, chunks: readonly Data[], pages: PageWriter): Promise<FlatColumn> {
  const filled = chunks.filter((chunk) => chunk.length > 0);
  const values = flatValues(field.type, filled, pages.kernel);
  const physicalType = flatPhysicalType(field.type);
  if (!values || physicalType === undefined) {
    throw new OffloadError('INTERNAL', `cannot encode column ${field.name}: ${field.type} is not a flat type`);
  }
  const rows = filled.reduce((sum, chunk) => sum + chunk.length, 0);
  const nulls = filled.reduce((sum, chunk) => sum + chunk.nullCount, 0);
  if (nulls > 0 && !field.nullable) {
    throw new OffloadError(
      'INTERNAL',
      `cannot encode column ${field.name}: ${nulls} of its ${rows} values are null, and its schema allows none`,
    );
  }
  await startColumn(values, pages);
  for (const data of filled) {
    let from = 0;
    while (from < data.length) {
      const to = values.endOfPage(data, from);
      const { page, encoding, summary } = makePage(values, field.nullable, data, from, to, pages);
      await pages.writeDataPage(page, encoding, summary);
      from = to;
    }
  }
  const bounds = values.bounds();
  return finishColumn({ path: [field.name], physicalType, values: rows, nulls, bounds }, pages);
}

/** Levels and values of the rows `[from, to)`, as a view of the writer's scratch buffer. */
function makePage(
  values: FlatValues,
  nullable: boolean,
  data: Data,
  from: number,
  to: number,
  pages: PageWriter,
): { page: Buffer; encoding: number; summary: PageSummary } {
  const scratch = pages.scratch(levelsBytes(to - from) + values.pageBytes(data, from, to));
  const { end, nulls } = nullable ? putLevels(scratch, data, from, to) : { end: 0, nulls: 0 };
  // Without a value PLAIN is no bytes at all; readers have stumbled over delta blocks and dictionaries of nothing.
  if (nulls === to - from) {
    const summary = { rows: to - from, values: to - from, nulls, bounds: NO_BOUNDS };
    return { page: scratch.subarray(0, end), encoding: ENCODING.PLAIN, summary };
  }
  const { end: pageEnd, encoding, bounds } = values.put(scratch, end, { data, from, to, nulls });
  return {
    page: scratch.subarray(0, pageEnd),
    encoding,
    summary: { rows: to - from, values: to - from, nulls, bounds },
  };
}
