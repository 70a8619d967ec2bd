/**
 * The coordinator's half of staging: files get their head before the workers begin and their tail after they have ended.
 * In a Parquet footer, row groups stand in topic, partition and offset order, whatever order they lie in.
 *
 *     head, or what is kept of the file that is appended to | segments, as workers wrote them | tail
 *
 * A crash at any point leaves files in the run's staging folder alone, which nobody reads.
 */
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import type { FileState } from '../commit/types.ts';
import { combineCrc32c } from '../encode/crc32c.ts';
import type { FileFormat } from '../encode/fileFormat.ts';
import { ioError, OffloadError } from '../errors.ts';
import { type FileSystem, syncFolder, writeFullyAt, writeSynced } from '../io.ts';
import { comparePlaces } from '../plan/places.ts';
import { passStep } from '../steps.ts';
import type { OffsetRange, StagedFile } from '../tasks.ts';
import type { OldFile } from './oldFile.ts';
import { reservedBytes, type Segment, type StagedLayout } from './segments.ts';

/** Makes the staged files of a run, each with this head. @returns Their absolute paths. */
export async function createStagedFiles(
  fs: FileSystem,
  stagingPath: string,
  count: number,
  head: Uint8Array,
): Promise<string[]> {
  const paths = Array.from({ length: count }, (_, index) => join(stagingPath, `${fileNumber(index)}.staged`));
  for (const path of paths) {
    try {
      await writeSynced(fs, path, head, 'wx');
    } catch (error) {
      throw ioError('create', path, error);
    }
    passStep('stage.fileCreated');
  }
  return paths;
}

/** `part-00007`: the beginning of a published name, too. */
export function fileNumber(index: number): string {
  return `part-${String(index).padStart(5, '0')}`;
}

export interface CloseOptions {
  readonly fs: FileSystem;
  readonly layout: StagedLayout;
  readonly format: FileFormat;
  /** Of every new file. */
  readonly head: Uint8Array;
  readonly segments: readonly Segment[];
  readonly targetPath: (file: number) => string;
  /** The file whose rows come first in file 0, already copied there. */
  readonly old: OldFile | null;
}

/**
 * Writes the tails and syncs everything.
 *
 * @returns The files that have rows, in order; files without rows are not published.
 */
export async function closeStagedFiles(options: CloseOptions): Promise<StagedFile[]> {
  const { fs, layout, segments } = options;
  const staged: StagedFile[] = [];
  for (let file = 0; file < layout.paths.length; file++) {
    const own = segments.filter((segment) => segment.file === file);
    if (own.length > 0) staged.push(await closeFile(options, file, own));
  }
  const folder = layout.paths[0];
  if (folder !== undefined) await syncFolder(fs, join(folder, '..'));
  passStep('stage.folderSynced');
  return staged;
}

async function closeFile(options: CloseOptions, file: number, segments: readonly Segment[]): Promise<StagedFile> {
  const { fs, layout, format, head, targetPath } = options;
  const old = file === 0 ? options.old : null;
  const stagedPath = layout.paths[file] as string;
  const inOrder = [...segments].sort(
    (a, b) => comparePlaces(a.range, b.range) || a.range.startOffset - b.range.startOffset,
  );
  const bodyEnd = reservedBytes(layout, file);
  const tail = format.tail(old ? [{ footer: old.footer, position: head.length }, ...inOrder] : inOrder, bodyEnd);
  const start = old?.copied ?? { bytes: head.length, crc32c: crc32c(head) };
  const body = composeChecksum(stagedPath, segments, start, bodyEnd);
  try {
    const handle = await fs.open(stagedPath, 'r+');
    try {
      await writeFullyAt(handle, tail, bodyEnd);
      passStep('stage.tailWritten');
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError('write', stagedPath, error);
  }
  passStep('stage.fileSynced');
  return {
    stagedPath,
    targetPath: targetPath(file),
    rows: segments.reduce((sum, segment) => sum + segment.rows, old?.rows ?? 0),
    bytes: bodyEnd + tail.length,
    crc32c: combineCrc32c(body, crc32c(tail), tail.length),
    ranges: mergeRanges(inOrder.map(({ range }) => range)),
  };
}

/** The checksum of all before the tail, from those of its pieces: nothing is read again. */
function composeChecksum(path: string, segments: readonly Segment[], start: FileState, bodyEnd: number): number {
  let { bytes: position, crc32c: checksum } = start;
  for (const segment of [...segments].sort((a, b) => a.position - b.position)) {
    if (segment.position !== position) break;
    checksum = combineCrc32c(checksum, segment.crc32c, segment.bytes);
    position += segment.bytes;
  }
  if (position === bodyEnd) return checksum;
  throw new OffloadError('INTERNAL', `staged file ${path} has a hole at byte ${position} of ${bodyEnd}`);
}

/** Joins ranges that touch; in partition, then offset order. */
export function mergeRanges(ranges: readonly OffsetRange[]): OffsetRange[] {
  const merged: OffsetRange[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (
      last &&
      last.topic === range.topic &&
      last.partition === range.partition &&
      last.endOffset === range.startOffset
    ) {
      merged[merged.length - 1] = { ...last, endOffset: range.endOffset };
    } else {
      merged.push(range);
    }
  }
  return merged;
}
