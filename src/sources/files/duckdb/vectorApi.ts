/**
 * DuckDB's own view of a column in a chunk. The classes of `@duckdb/node-api` make one JavaScript value after another
 * (620,000 rows/s of two text columns); the memory behind them, which these few functions reach, does 1,700,000.
 */
import type duckdb from '@duckdb/node-bindings';
import type { DataChunk, Result, Vector } from '@duckdb/node-bindings';
import { OffloadError } from '../../../errors.ts';
import { duckdbBindings } from './packages.ts';

export type { DataChunk, Result, Vector } from '@duckdb/node-bindings';

/** Valid until the chunk is given back. */
export interface VectorParts {
  readonly data: Uint8Array;
  /** One bit a row, set where it is not null; null where none is. */
  readonly validity: Uint8Array | null;
}

export interface VectorApi {
  fetchChunk(result: Result): Promise<DataChunk | null>;
  rowsOf(chunk: DataChunk): number;
  columnOf(chunk: DataChunk, column: number): Vector;
  /** Gives back the memory of texts at once: the garbage collector knows nothing of its size. */
  giveBack(chunk: DataChunk): void;
  parts(vector: Vector, width: number, rows: number): VectorParts;
  validity(vector: Vector, rows: number): Uint8Array | null;
  listChild(vector: Vector): Vector;
  structChild(vector: Vector, field: number): Vector;
  /** Reads the address at `at` of `addresses`, and gives `count` bytes from there. */
  bytesAt(addresses: ArrayBufferLike, at: number, count: number): Uint8Array;
}

let loaded: VectorApi | undefined;

/** @throws OffloadError INTERNAL before `loadVectorApi` has loaded the library. */
export function vectorApi(): VectorApi {
  if (loaded === undefined)
    throw new OffloadError('INTERNAL', 'the vectors of DuckDB were asked for before it was loaded');
  return loaded;
}

export function loadVectorApi(): void {
  loaded ??= vectorApiOf(duckdbBindings());
}

function vectorApiOf(bindings: typeof duckdb): VectorApi {
  const validity = (vector: Vector, rows: number): Uint8Array | null =>
    // It is kept in words of 64 bits. The binding gives null where there is none, which its types leave out.
    bindings.vector_get_validity(vector, ((rows + 63) >>> 6) * 8) as Uint8Array | null;
  return {
    fetchChunk: (result) => bindings.fetch_chunk(result),
    rowsOf: (chunk) => bindings.data_chunk_get_size(chunk),
    columnOf: (chunk, column) => bindings.data_chunk_get_vector(chunk, column),
    giveBack: (chunk) => bindings.data_chunk_reset(chunk),
    parts: (vector, width, rows) => ({
      data: bindings.vector_get_data(vector, rows * width),
      validity: validity(vector, rows),
    }),
    validity,
    listChild: (vector) => bindings.list_vector_get_child(vector),
    structChild: (vector, field) => bindings.struct_vector_get_child(vector, field),
    bytesAt: (addresses, at, count) => bindings.get_data_from_pointer(addresses as ArrayBuffer, at, count),
  };
}
