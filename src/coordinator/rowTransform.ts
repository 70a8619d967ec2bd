/** The transform of a job in the thread that runs it. */
import type { RecordBatch, Schema } from 'apache-arrow';
import type { BadRow, PlacedRows } from '../transform/badRows.ts';
import type { BatchTransform, RowPlace, TransformSettings } from '../transform/batchTransform.ts';
import { transformMemory } from '../transform/memory.ts';

/** Plain data. */
export interface TransformPlan {
  readonly settings: TransformSettings;
  readonly memoryBytes: number;
}

export function transformPlan(settings: TransformSettings | null): TransformPlan | null {
  return settings && { settings, memoryBytes: transformMemory(settings).fixedBytes };
}

/**
 * The columns that a job gives.
 *
 * @throws OffloadError TRANSFORM_INVALID
 */
export async function resultSchema(settings: TransformSettings | null, input: Schema): Promise<Schema> {
  const plan = transformPlan(settings);
  if (plan === null) return input;
  const { transformedSchema } = await import('../transform/batchTransform.ts');
  return transformedSchema(plan.settings, input, plan);
}

/** Opened with the first batch: what it loads takes time, and a thread may have nothing to do. */
export class RowTransform {
  readonly #plan: TransformPlan | null;
  #opened: BatchTransform | undefined;

  /** @param plan Null: rows stay as they are. */
  constructor(plan: TransformPlan | null) {
    this.#plan = plan;
  }

  /** Whether rows of the result are those of the batch, in their order. */
  get isNone(): boolean {
    return this.#plan === null;
  }

  /**
   * @param onInvalidUtf8 As that of `BatchTransform.apply`.
   * @returns The rows, and how to name them; valid until the next call.
   * @throws OffloadError TRANSFORM_INVALID, TRANSFORM_FAILED, INVALID_UTF8
   */
  async apply(
    batch: RecordBatch,
    place: RowPlace,
    onInvalidUtf8?: (values: number) => void,
  ): Promise<{ batch: RecordBatch; place: RowPlace }> {
    if (this.#plan === null) return { batch, place };
    if (this.#opened === undefined) {
      const { openTransform } = await import('../transform/batchTransform.ts');
      const { settings, memoryBytes } = this.#plan;
      this.#opened = await openTransform(settings, batch.schema, { memoryBytes });
    }
    const result = await this.#opened.apply(batch, place, onInvalidUtf8);
    // Which row was made of which nobody knows.
    const made = `made of ${place.rowName(0)} to ${place.rowName(batch.numRows - 1)}`;
    return { batch: result, place: { ...place, rowName: (row) => `row ${row + 1} of those ${made}` } };
  }

  /**
   * `apply`, for whoever keeps the rows as they come.
   *
   * @param leavesOutBad False: a bad row is an error.
   * @returns Null: no row is left; and the bad ones.
   */
  async applyToGood(
    rows: PlacedRows,
    leavesOutBad: boolean,
    onInvalidUtf8?: (values: number) => void,
  ): Promise<{ batch: RecordBatch | null; bad: readonly BadRow[] }> {
    const make = async ({ batch, place }: PlacedRows): Promise<{ batch: RecordBatch; invalid: number }> => {
      let invalid = 0;
      const made = await this.apply(batch, place, (values) => {
        invalid += values;
      });
      return { batch: made.batch, invalid };
    };
    const work = { make, check: make, find: (some: PlacedRows) => this.findBadRows(some) };
    const { made, bad } = leavesOutBad
      ? await (await import('../transform/badRows.ts')).workOnGoodRows(rows, work)
      : { made: await make(rows), bad: [] };
    if (made && made.invalid > 0) onInvalidUtf8?.(made.invalid);
    return { batch: made?.batch ?? null, bad };
  }

  /** As that of `BatchTransform`, after `apply` has failed. */
  async findBadRows({ batch, place }: PlacedRows): Promise<readonly BadRow[] | null> {
    return (await this.#opened?.findBadRows?.(batch, place)) ?? null;
  }

  async close(): Promise<void> {
    await this.#opened?.close();
    this.#opened = undefined;
  }
}
