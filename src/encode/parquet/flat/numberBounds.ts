/** Bounds of doubles and booleans, page by page. */
import type { Data } from 'apache-arrow';
import { type Bounds, exactBounds, NO_BOUNDS } from './bounds.ts';
import { isPresent } from './levels.ts';

/**
 * Bounds of doubles. None where one of them is NaN: it is above every number to some readers (Spark, DuckDB) and has no
 * place among them to others, so whoever looks for what lies beyond a bound might miss it.
 */
export class DoubleBounds {
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #nans = 0;

  /** Takes in the rows `[from, to)`. */
  add(data: Data, from: number, to: number, nulls: number): void {
    const values: Float64Array = data.values;
    let [min, max, nans] = [this.#min, this.#max, this.#nans];
    for (let row = from; row < to; row++) {
      if (nulls > 0 && !isPresent(data, row)) continue;
      const value = values[row] as number;
      // All false for NaN.
      if (value < min) min = value;
      if (value > max) max = value;
      if (Number.isNaN(value)) nans++;
    }
    [this.#min, this.#max, this.#nans] = [min, max, nans];
  }

  include(page: DoubleBounds): void {
    if (page.#min < this.#min) this.#min = page.#min;
    if (page.#max > this.#max) this.#max = page.#max;
    this.#nans += page.#nans;
  }

  bounds(): Bounds {
    if (this.#nans > 0 || this.#min > this.#max) return NO_BOUNDS;
    // The format wants both zeros within the bounds, since readers may tell them apart.
    return exactBounds(
      Float64Array.of(this.#min === 0 ? -0 : this.#min),
      Float64Array.of(this.#max === 0 ? 0 : this.#max),
    );
  }
}

/** Bounds of so many booleans, of which so many are true. */
export function booleanBounds(values: number, trues: number): Bounds {
  if (values === 0) return NO_BOUNDS;
  return exactBounds(Uint8Array.of(trues < values ? 0 : 1), Uint8Array.of(trues > 0 ? 1 : 0));
}
