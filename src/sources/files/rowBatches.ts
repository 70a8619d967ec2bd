/** Rows that a library gives as JavaScript values, checked against the columns and collected into batches. */
import type { BadRows } from '../../config/readerOptions.ts';
import type { ColumnField } from '../../config/sparkSchema.ts';
import { BatchBuilder } from './batchBuilder.ts';
import { canonicalValue, ValueMismatch } from './canonical.ts';
import type { FileBatch, OpenFileOptions } from './fileTypes.ts';
import { type BadRow, invalidRow, OTHER_MODES } from './rowErrors.ts';

/** The value of a column in a row, as the library gave it; undefined or null where there is none. */
export type ValueOf<Row> = (row: Row, column: number) => unknown;

/** @param problemOf What is wrong with a row as a whole, null if nothing is. */
export async function* rowBatches<Row>(
  rows: AsyncIterable<readonly Row[]>,
  columns: readonly ColumnField[],
  valueIn: ValueOf<Row>,
  problemOf: (row: Row) => string | null,
  file: string,
  mode: BadRows,
  options: OpenFileOptions,
): AsyncGenerator<FileBatch, void, undefined> {
  const builder = new BatchBuilder(columns, columns, options);
  const values = new Array<unknown>(columns.length).fill(null);
  let number = 0;
  let kept = 0;
  for await (const piece of rows) {
    options.signal?.throwIfAborted();
    for (const row of piece) {
      number += 1;
      let problem: Pick<BadRow, 'why' | 'column'> | null = null;
      const whole = problemOf(row);
      if (whole !== null) problem = { why: whole };
      for (let i = 0; i < columns.length; i++) {
        const { name, type } = columns[i] as ColumnField;
        values[i] = null;
        try {
          values[i] = canonicalValue(type, valueIn(row, i));
        } catch (error) {
          if (!(error instanceof ValueMismatch)) throw error;
          problem ??= { why: error.message, column: `${name}${error.path}` };
        }
      }
      if (problem !== null && mode === 'FAILFAST') {
        throw invalidRow({ file, unit: 'row', number, next: OTHER_MODES, ...problem });
      }
      if (problem !== null && mode === 'DROPMALFORMED') {
        if (kept >= options.startRow) builder.drop(1);
        continue;
      }
      kept += 1;
      if (kept <= options.startRow) continue;
      for (let i = 0; i < columns.length; i++) builder.columns[i]?.appendValue(values[i]);
      builder.added(1);
      if (builder.room === 0 || ((builder.rows & 15) === 0 && builder.isFull)) yield builder.take();
    }
  }
  if (builder.hasNews) yield builder.take();
}
