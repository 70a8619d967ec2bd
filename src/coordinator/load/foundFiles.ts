/** The files of a load as they lie on disk: sizes and checksums, and whether they still are what they were. */
import { stat } from 'node:fs/promises';
import type { FileSource } from '../../config/job.ts';
import { OffloadError } from '../../errors.ts';
import { checksumFile, nodeFileSystem as fs, unlessAbsent } from '../../io.ts';
import { listSourceFiles, type SourceFile } from '../../sources/files/listFiles.ts';
import type { FoundFile } from './fileChoice.ts';
import type { FileProgress } from './fileProgress.ts';

export interface FoundFiles {
  /** Those asked for in sorted order, then those an earlier run left on its way, if they are there. */
  readonly found: readonly (SourceFile & FoundFile)[];
  /** Paths that were asked for. */
  readonly asked: ReadonlySet<string>;
  bytesOf(path: string): number;
}

/** @throws OffloadError SOURCE_UNSUITABLE if a path stands for no file; IO_FAILED. */
export async function findFiles(source: FileSource, earlier: FileProgress | null): Promise<FoundFiles> {
  const listed = await listSourceFiles(source.paths, '/', source.input.pathGlobFilter);
  const asked = new Set(listed.map(({ path }) => path));
  const unfinished = earlier?.state === 'running' ? earlier.files.filter(({ loadedBy }) => loadedBy === null) : [];
  const begun = unfinished.filter(({ path }) => !asked.has(path));
  const found: (SourceFile & FoundFile)[] = [];
  for (const file of [...listed, ...(await Promise.all(begun.map(({ path }) => lookAt(path)))).flat()]) {
    const sum = await checksumFile(fs, file.path);
    if (sum) found.push({ ...file, ...sum });
  }
  const sizes = new Map(found.map(({ path, bytes }) => [path, bytes]));
  return { found, asked, bytesOf: (path) => sizes.get(path) ?? 0 };
}

async function lookAt(path: string): Promise<SourceFile[]> {
  const info = await unlessAbsent(stat(path));
  return info ? [{ path, bytes: info.size, modifiedMs: info.mtimeMs }] : [];
}

/**
 * Called when a file has been read to its end, before its last rows are committed.
 *
 * @throws OffloadError SOURCE_UNSUITABLE if it changed while it was read: then its rows may be of both.
 */
export async function checkUnchanged({ found }: FoundFiles, path: string): Promise<void> {
  const before = found.find((file) => file.path === path);
  const now = await unlessAbsent(stat(path));
  // A file that was removed was read as it was.
  if (!before || !now || (now.size === before.bytes && now.mtimeMs === before.modifiedMs)) return;
  throw new OffloadError(
    'SOURCE_UNSUITABLE',
    `cannot load ${path}: it was changed while it was read (${before.bytes} bytes, now ${now.size}); load files that ` +
      'nobody writes to any more',
    { context: { path, bytesBefore: before.bytes, bytesNow: now.size } },
  );
}
