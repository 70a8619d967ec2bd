/** Makes the files of an entry visible: by the process that made it, or by whoever finds that it was not finished. */
import { join, resolve } from 'node:path';
import type { PublishTarget } from '../../commit/types.ts';
import { OffloadError } from '../../errors.ts';
import { type FileSystem, unlessAbsent } from '../../io.ts';
import { publishStaged } from '../../sinks/localFiles.ts';
import { toAbsolute } from '../../sinks/manifest.ts';
import type { StagedFile } from '../../tasks.ts';
import type { ChainEntry } from './entry.ts';

interface PublishEntryOptions {
  readonly fs: FileSystem;
  readonly root: string;
  readonly log: (line: string) => void;
  readonly step: (name: string) => Promise<void>;
}

/**
 * May be done again at any time. Nobody but publishing removes a staged file that an entry names: where it is gone, it was
 * published, also if its target is not there any more.
 *
 * @throws OffloadError TARGET_CHANGED if something else stands where a file is to be.
 */
export async function publishEntry(entry: ChainEntry, { fs, root, log, step }: PublishEntryOptions): Promise<void> {
  const target = targetOf(root, entry);
  let files = stagedFilesOf(root, entry);
  for (;;) {
    const outcome = await publishStaged({ target, files, replaced: [] }, { fs, step });
    if (outcome.ok) return;
    const file = files.find(({ stagedPath, targetPath }) => [stagedPath, targetPath].includes(outcome.path));
    if (!file || (await unlessAbsent(fs.stat(file.stagedPath)))) {
      throw new OffloadError(
        'TARGET_CHANGED',
        `cannot publish entry ${entry.number} of group ${entry.group} to ${outcome.path}: ${outcome.detail}; its offsets ` +
          'are committed, and its rows are staged: move away what stands there, and start again',
        { context: { group: entry.group, entry: entry.number, path: outcome.path } },
      );
    }
    // Of an exact file, a later entry has replaced it, or a person has.
    if (target.kind === 'folder') {
      log(`warning: ${file.targetPath} of entry ${entry.number} was taken away since it was published`);
    }
    files = files.filter((other) => other !== file);
  }
}

function targetOf(root: string, { target }: ChainEntry): PublishTarget {
  const path = resolve(root, target.path);
  return target.kind === 'file' ? { kind: 'file', path, old: target.old } : { kind: 'folder', path };
}

function stagedFilesOf(root: string, { files }: ChainEntry): StagedFile[] {
  return files.map(({ staged, path, ...rest }) => ({
    ...rest,
    stagedPath: join(resolve(root), ...staged.split('/')),
    targetPath: toAbsolute(root, path),
  }));
}
