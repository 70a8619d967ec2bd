/** One flat column of a row group as one column chunk. */
import type { Data, Field } from 'apache-arrow';
import { OffloadError } from '../../../errors.ts';
import { ENCODING } from '../format.ts';
import type { PageSummary } from '../pageIndex.ts';
import { NO_BOUNDS } from './bounds.ts';
import { type ColumnWriter, type EncodedChunk, finishChunk } from './chunk.ts';
import { levelsBytes, putLevels } from './levels.ts';
import type { PageWriter } from './pages.ts';
import { type FlatValues, flatPhysicalType, flatValues } from './values.ts';

/** Writes a column of a flat type. */
export class FlatColumnWriter implements ColumnWriter {
  readonly #field: Field;
  readonly #pages: PageWriter;
  readonly #values: FlatValues;
  readonly #physicalType: number;
  #rows = 0;
  #nulls = 0;

  /** @param pages Has no page yet. */
  constructor(field: Field, pages: PageWriter) {
    const values = flatValues(field.type, pages.kernel);
    const physicalType = flatPhysicalType(field.type);
    if (!values || physicalType === undefined) {
      throw new OffloadError('INTERNAL', `cannot encode column ${field.name}: ${field.type} is not a flat type`);
    }
    this.#field = field;
    this.#pages = pages;
    this.#values = values;
    this.#physicalType = physicalType;
  }

  async add(chunks: readonly Data[]): Promise<void> {
    const { name, nullable } = this.#field;
    const filled = chunks.filter((chunk) => chunk.length > 0);
    const rows = filled.reduce((sum, chunk) => sum + chunk.length, 0);
    const nulls = filled.reduce((sum, chunk) => sum + chunk.nullCount, 0);
    if (nulls > 0 && !nullable) {
      throw new OffloadError(
        'INTERNAL',
        `cannot encode column ${name}: ${nulls} of its ${rows} values are null, and its schema allows none`,
      );
    }
    this.#values.take(filled);
    for (const data of filled) {
      let from = 0;
      while (from < data.length) {
        const to = this.#values.endOfPage(data, from);
        const { page, encoding, summary } = makePage(this.#values, nullable, data, from, to, this.#pages);
        await this.#pages.writeDataPage(page, encoding, summary);
        from = to;
      }
    }
    this.#rows += rows;
    this.#nulls += nulls;
  }

  async finish(position: number): Promise<readonly EncodedChunk[]> {
    const column = {
      path: [this.#field.name],
      physicalType: this.#physicalType,
      values: this.#rows,
      nulls: this.#nulls,
    };
    return [await finishChunk(column, this.#values, this.#pages, position)];
  }
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
