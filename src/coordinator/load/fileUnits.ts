/** Files to units of work, in their order. */
import { open } from 'node:fs/promises';
import { parseFooter, readTail } from '../../encode/parquet/footer.ts';
import { ioError, OffloadError } from '../../errors.ts';
import type { FileUnit } from './chunks.ts';
import type { FilePosition, LoadedFile } from './fileProgress.ts';

/** Enough for most footers. */
const TAIL_GUESS_BYTES = 64 * 1024;

export interface UnitsOptions {
  readonly files: readonly LoadedFile[];
  /** Everything before it is loaded. */
  readonly position: FilePosition;
  readonly format: string;
  /** Rows of a unit, about: a unit of Parquet is whole row groups. */
  readonly unitRows: number;
}

/**
 * A Parquet file is several units, so that all workers have a part in it: a reader finds its row groups at once. Of other
 * formats one reader must see every row before the ones it wants, so a file is one unit.
 */
export async function* fileUnits({
  files,
  position,
  format,
  unitRows,
}: UnitsOptions): AsyncGenerator<FileUnit, void, undefined> {
  for (const [file, { path, loadedBy }] of files.entries()) {
    if (file < position.file || loadedBy !== null) continue;
    const startRow = file === position.file ? position.row : 0;
    const rowGroups = format === 'parquet' ? await rowGroupRows(path) : null;
    if (rowGroups === null) {
      yield { kind: 'file', file, path, startRow, endRow: null, isLast: true };
      continue;
    }
    let next = startRow;
    const ends = unitEnds(rowGroups, startRow, unitRows);
    for (const endRow of ends) {
      yield { kind: 'file', file, path, startRow: next, endRow, isLast: endRow === ends.at(-1) };
      next = endRow;
    }
  }
}

/** Rows at which units end, above `startRow`: after so many whole row groups that there are `unitRows` or more. */
export function unitEnds(rowGroups: readonly number[], startRow: number, unitRows: number): number[] {
  const ends: number[] = [];
  let begun = startRow;
  let row = 0;
  for (const rows of rowGroups) {
    row += rows;
    if (row - begun < unitRows) continue;
    ends.push(row);
    begun = row;
  }
  if (row > begun) ends.push(row);
  return ends;
}

/** Rows of each row group of a Parquet file; null if its footer cannot be read, of which its reader will say more. */
export async function rowGroupRows(path: string): Promise<number[] | null> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const read = async (start: number): Promise<Buffer> => {
      const bytes = Buffer.alloc(size - start);
      await file.read(bytes, 0, bytes.length, start);
      return bytes;
    };
    let start = Math.max(0, size - TAIL_GUESS_BYTES);
    let end = await read(start);
    const { footerStart, footerBytes } = readTail(end, size);
    if (footerStart < start) {
      start = footerStart;
      end = await read(start);
    }
    const footer = end.subarray(footerStart - start, footerStart - start + footerBytes);
    return parseFooter(footer).rowGroups.map(({ rows }) => rows);
  } catch (error) {
    if (error instanceof OffloadError) return null;
    throw ioError('read', path, error);
  } finally {
    await file.close();
  }
}
