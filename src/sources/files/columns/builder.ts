import type { Data } from 'apache-arrow';
import type { Vector } from '../duckdb/vectorApi.ts';

/** Rows are either taken from a vector, `count` of them from `start` on, or given one by one in canonical form. */
export interface ColumnBuilder {
  readonly rows: number;
  /** Memory filled so far. */
  readonly bytes: number;
  appendVector(vector: Vector, start: number, count: number): void;
  /** @param value As `canonicalValue` gives it for the type of the column. */
  appendValue(value: unknown): void;
  /** @throws OffloadError INTERNAL never for values that were checked; what was appended is gone from the builder. */
  finish(): Data;
}

/** @param validity A bit for each row, 1 = not null; null where every row has a value. */
export function isValid(validity: Uint8Array | null, row: number): boolean {
  return validity === null || (((validity[row >>> 3] as number) >>> (row & 7)) & 1) === 1;
}
