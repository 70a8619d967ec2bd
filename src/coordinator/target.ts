/** What stands at the target before a run, and what the write mode makes of it. */
import { dirname } from 'node:path';
import type { TargetSettings } from '../config/job.ts';
import { ioError, OffloadError } from '../errors.ts';
import { type FileSystem, unlessAbsent } from '../io.ts';
import { listVisibleFiles } from '../sinks/localFiles.ts';

/** Folder that holds `_kafkaload/`. */
export function rootOf(target: Pick<TargetSettings, 'kind' | 'path'>): string {
  return target.kind === 'file' ? dirname(target.path) : target.path;
}

/**
 * @returns `skip` where `Ignore` meets an existing target; else `write`.
 * @throws OffloadError TARGET_EXISTS for `ErrorIfExists`; TARGET_UNSUITABLE where a file is in the place of a folder, or
 *   a folder in the place of a file.
 */
export async function checkTarget(fs: FileSystem, target: TargetSettings): Promise<'write' | 'skip'> {
  const { path, kind, mode } = target;
  try {
    const info = await unlessAbsent(fs.stat(path));
    if (info && kind === 'file' && info.isDirectory()) {
      throw new OffloadError(
        'TARGET_UNSUITABLE',
        `cannot write the file ${path}: a folder is there; name a file, or leave out --write-coalesce 1`,
      );
    }
    if (info && kind === 'folder' && !info.isDirectory()) {
      throw new OffloadError(
        'TARGET_UNSUITABLE',
        `cannot write into the folder ${path}: a file is there; name a folder, or give --write-coalesce 1 to write exactly this file`,
      );
    }
    if (mode !== 'Ignore' && mode !== 'ErrorIfExists') return 'write';
    const exists = info !== null && (kind === 'file' || (await listVisibleFiles(fs, path)).length > 0);
    if (!exists) return 'write';
  } catch (error) {
    throw ioError('look at', path, error);
  }
  if (mode === 'Ignore') return 'skip';
  throw new OffloadError(
    'TARGET_EXISTS',
    `cannot write to ${path}: it exists and --write-mode is ErrorIfExists; remove it, name another, or use Append or Overwrite`,
    { context: { path } },
  );
}
