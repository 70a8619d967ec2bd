/** What a transform holds, for whoever shares out memory. Apart from the transforms, so that planning loads none of them. */
import type { TransformSettings } from './batchTransform.ts';

export interface TransformMemory {
  /** Held whatever the size of a batch. */
  readonly fixedBytes: number;
  /** Held beside the batch for each of its raw bytes. */
  readonly bytesPerRawByte: number;
}

const NOTHING: TransformMemory = { fixedBytes: 0, bytesPerRawByte: 0 };

/**
 * SQL, fixed: DuckDB works on 2,048 rows at a time. Per raw byte: the result, here as large as the batch, and what its columns
 * are grown from.
 */
const SQL: TransformMemory = { fixedBytes: 32 * 1024 ** 2, bytesPerRawByte: 1.5 };
/** A module: its result, as large as the batch. What else it holds nobody knows. */
const MODULE: TransformMemory = { fixedBytes: 0, bytesPerRawByte: 1 };

export function transformMemory(transform: TransformSettings | null): TransformMemory {
  if (transform === null) return NOTHING;
  return transform.kind === 'sql' ? SQL : MODULE;
}
