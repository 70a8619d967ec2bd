/**
 * Cuts a column of a batch into pieces of bounded size.
 *
 * The WASM writer holds its input twice and its output up to four times, and its memory never shrinks. Encoding one
 * piece of one column at a time keeps that at a constant instead of a multiple of the row group.
 */
import type { Data } from 'apache-arrow';

/** Rows of one column, in order, to be encoded in one call. */
export interface ColumnPiece {
  readonly chunks: readonly Data[];
  readonly rows: number;
  readonly bytes: number;
}

/**
 * Splits a column by rows.
 *
 * @param chunks The column, one Data for each Arrow batch.
 * @param wholeBytes A column of at most this many bytes stays in one piece.
 * @param pieceBytes Size of the pieces otherwise; a single row may exceed it.
 */
export function cutColumn(chunks: readonly Data[], wholeBytes: number, pieceBytes: number): ColumnPiece[] {
  const filled = chunks.filter((chunk) => chunk.length > 0);
  const bytes = columnBytes(filled);
  if (bytes <= wholeBytes) {
    return [{ chunks: filled, rows: filled.reduce((sum, chunk) => sum + chunk.length, 0), bytes }];
  }
  return filled.flatMap((chunk) => cutChunk(chunk, pieceBytes));
}

/** Bytes of a column: values and their offsets. */
function columnBytes(chunks: readonly Data[]): number {
  return chunks.reduce((sum, chunk) => sum + bytesOfRows(chunk, 0, chunk.length), 0);
}

/** Bytes of the rows `[from, to)`: values and their offsets. Validity bitmaps are not counted. */
function bytesOfRows(data: Data, from: number, to: number): number {
  const rows = to - from;
  const offsets: Int32Array | BigInt64Array | undefined = data.valueOffsets;
  if (offsets !== undefined && offsets.length > 0) {
    const begin = Number(offsets[from] ?? 0);
    const end = Number(offsets[to] ?? begin);
    const child = data.children[0];
    return rows * offsets.BYTES_PER_ELEMENT + (child ? bytesOfRows(child, begin, end) : end - begin);
  }
  if (data.children.length > 0) return data.children.reduce((sum, child) => sum + bytesOfRows(child, from, to), 0);
  const values: { readonly BYTES_PER_ELEMENT?: number } | undefined = data.values;
  return rows * (values?.BYTES_PER_ELEMENT ?? 1) * data.stride;
}

function cutChunk(chunk: Data, pieceBytes: number): ColumnPiece[] {
  const pieces: ColumnPiece[] = [];
  let from = 0;
  while (from < chunk.length) {
    const to = lastRowWithin(chunk, from, pieceBytes);
    pieces.push({ chunks: [chunk.slice(from, to - from)], rows: to - from, bytes: bytesOfRows(chunk, from, to) });
    from = to;
  }
  return pieces;
}

/** The largest `to` for which the rows `[from, to)` fit, one row at least. */
function lastRowWithin(chunk: Data, from: number, bytes: number): number {
  let fits = from + 1;
  let low = fits;
  let high = chunk.length;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    if (bytesOfRows(chunk, from, middle) <= bytes) {
      fits = Math.max(fits, middle);
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return fits;
}
