/**
 * Publishing to a local or mounted file system (design steps 7 and 8). Everything here may be done again, by this
 * process or another, at any point, also by two at a time: a run that slept and the one that took it over.
 *
 * Folder: every `link`, then fsync of the target folders, only then every `unlink`. An unlink that survived a loss of
 * power while its link did not would lose rows silently. Then `Overwrite` removes the files it replaces.
 *
 * Exact file: one `rename` of the staged file, which exists once, so of two that try only one can. The state before it
 * is checked: the rename never replaces anything but what the new file was made from.
 */
import { dirname, join, resolve } from 'node:path';
import type { FileState, Intent } from '../commit/types.ts';
import { OffloadError } from '../errors.ts';
import { checksumFile, type FileSystem, makeFolders, syncFolder, systemCode, unlessAbsent } from '../io.ts';
import type { StagedFile } from '../tasks.ts';
import { listChainFiles } from './chainFiles.ts';
import { listPublishedFiles, writeManifest } from './manifest.ts';

/** `gone`: a staged file is neither in staging nor at its target. `changed`: something else stands at the target. */
export type PublishOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'gone' | 'changed'; readonly path: string; readonly detail: string };

export interface PublishOptions {
  readonly fs: FileSystem;
  /** Run id of whoever publishes. */
  readonly writer: string;
  readonly step: (name: string) => Promise<void>;
}

const DONE: PublishOutcome = { ok: true };

/** Of an intent, what is published. */
export type Publication = Pick<Intent, 'target' | 'files' | 'replaced'>;

/** Makes the files of an intent visible and writes its manifest, all synced. */
export async function publishLocalFiles(intent: Intent, options: PublishOptions): Promise<PublishOutcome> {
  const { step } = options;
  const published = await publishStaged(intent, options);
  if (!published.ok) return published;
  await step('publish.published');
  if (!(await writeManifest(intent, options))) {
    return { ok: false, reason: 'gone', path: intent.stagingPath, detail: 'the staging folder is gone' };
  }
  await step('publish.manifestWritten');
  return DONE;
}

/** Makes staged files visible, synced. */
export function publishStaged(
  publication: Publication,
  options: Omit<PublishOptions, 'writer'>,
): Promise<PublishOutcome> {
  const { target } = publication;
  return target.kind === 'file'
    ? publishExactFile(publication, target.path, target.old, options)
    : publishFolder(publication, options);
}

async function publishFolder(
  intent: Publication,
  { fs, step }: Omit<PublishOptions, 'writer'>,
): Promise<PublishOutcome> {
  const folders = new Set(intent.files.map((file) => dirname(file.targetPath)));
  for (const folder of folders) await makeFolders(fs, folder);
  await step('publish.begun');
  for (const file of intent.files) {
    const linked = await linkFile(fs, file);
    if (!linked.ok) return linked;
    await step('publish.fileLinked');
  }
  await step('publish.allLinked');
  for (const folder of folders) await syncFolder(fs, folder);
  await step('publish.linksSynced');
  for (const file of intent.files) {
    await unlessAbsent(fs.unlink(file.stagedPath));
    await step('publish.fileUnstaged');
  }
  await step('publish.allUnstaged');
  for (const path of intent.replaced) {
    await unlessAbsent(fs.unlink(path));
    await step('publish.fileReplaced');
  }
  for (const folder of new Set(intent.replaced.map((path) => dirname(path)))) {
    await unlessAbsent(syncFolder(fs, folder));
    await step('publish.replacedSynced');
  }
  return DONE;
}

/** Gives a staged file its public name as well. */
async function linkFile(fs: FileSystem, file: StagedFile): Promise<PublishOutcome> {
  try {
    await fs.link(file.stagedPath, file.targetPath);
    return DONE;
  } catch (error) {
    switch (systemCode(error)) {
      case 'EEXIST':
        return isSameFile(fs, file);
      case 'ENOENT':
        return wasPublished(fs, file);
      case 'EPERM':
      case 'ENOTSUP':
      case 'EOPNOTSUPP':
      case 'ENOSYS':
      case 'EMLINK':
        return renameFile(fs, file);
      default:
        throw error;
    }
  }
}

/**
 * For file systems without hard links. As safe: a rename moves the name in one operation of the file system, so there
 * is no unlink that could survive without its link; and the name holds the run id and is used for no other content, so
 * a rename, which would replace what stands there, has nothing to replace but the same file.
 */
async function renameFile(fs: FileSystem, file: StagedFile): Promise<PublishOutcome> {
  if (await unlessAbsent(fs.stat(file.targetPath))) return isSameFile(fs, file);
  try {
    await fs.rename(file.stagedPath, file.targetPath);
    return DONE;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return wasPublished(fs, file);
    throw error;
  }
}

/** The target exists: it is this file if it is the same inode, or has the same size and checksum. */
async function isSameFile(fs: FileSystem, file: StagedFile): Promise<PublishOutcome> {
  const staged = await unlessAbsent(fs.stat(file.stagedPath));
  const target = await unlessAbsent(fs.stat(file.targetPath));
  if (staged && target && staged.dev === target.dev && staged.ino === target.ino) return DONE;
  const found = await checksumFile(fs, file.targetPath);
  if (sameState(found, file)) return DONE;
  return changed(file.targetPath, `it is ${formatState(found)}, not ${formatState(file)}`);
}

/** The staged file is gone: whoever published it has put it at its target. */
async function wasPublished(fs: FileSystem, file: StagedFile): Promise<PublishOutcome> {
  if (await unlessAbsent(fs.stat(file.targetPath))) return DONE;
  const detail = `staged file ${file.stagedPath} is gone and ${file.targetPath} is not there`;
  return { ok: false, reason: 'gone', path: file.stagedPath, detail };
}

async function publishExactFile(
  intent: Publication,
  path: string,
  old: FileState | null,
  { fs, step }: Omit<PublishOptions, 'writer'>,
): Promise<PublishOutcome> {
  const file = intent.files[0];
  if (!file) return DONE;
  await makeFolders(fs, dirname(path));
  await step('publish.begun');
  const now = await checksumFile(fs, path);
  await step('publish.checked');
  if (sameState(now, old)) {
    try {
      await fs.rename(file.stagedPath, path);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      // Another did it meanwhile, or else the staged file is lost.
      const then = await checksumFile(fs, path);
      if (!sameState(then, file)) {
        if (!sameState(then, old)) return changed(path, describeChange(then, old, file));
        const detail = `staged file ${file.stagedPath} is gone and ${path} is still the old file`;
        return { ok: false, reason: 'gone', path: file.stagedPath, detail };
      }
    }
    await step('publish.renamed');
  } else if (!sameState(now, file)) {
    return changed(path, describeChange(now, old, file));
  }
  await syncFolder(fs, dirname(path));
  return DONE;
}

function changed(path: string, detail: string): PublishOutcome {
  return { ok: false, reason: 'changed', path, detail };
}

function describeChange(now: FileState | null, old: FileState | null, next: FileState): string {
  return `it is ${formatState(now)}, neither ${formatState(old)} as planned nor ${formatState(next)} as staged`;
}

export function sameState(a: FileState | null, b: FileState | null): boolean {
  if (a === null || b === null) return a === b;
  return a.bytes === b.bytes && a.crc32c === b.crc32c;
}

function formatState(state: FileState | null): string {
  if (state === null) return 'absent';
  return `${state.bytes} bytes with CRC-32C ${state.crc32c.toString(16).padStart(8, '0')}`;
}

/** What is visible in a target folder, by whose it is; absolute paths, sorted. */
export interface TargetFiles {
  /** Published by this config: named in its manifests. */
  readonly own: readonly string[];
  /** Published by another config, or by a stream, into the same folder. */
  readonly others: readonly string[];
  /** Made by somebody else. */
  readonly foreign: readonly string[];
}

/** Names that begin with `_` or `.` are not visible, as for Spark, Hive and Trino. Nothing there: all empty. */
export async function classifyTarget(fs: FileSystem, root: string, config: string): Promise<TargetFiles> {
  const published = new Map([...(await listChainFiles(fs, root)), ...(await listPublishedFiles(fs, root))]);
  const files: Record<'own' | 'others' | 'foreign', string[]> = { own: [], others: [], foreign: [] };
  for (const path of await listVisibleFiles(fs, root)) {
    const owner = published.get(path);
    files[owner === undefined ? 'foreign' : owner === config ? 'own' : 'others'].push(path);
  }
  return files;
}

/**
 * The files `Overwrite` replaces: all of this config. Those of other configs stay.
 *
 * @throws OffloadError TARGET_UNSUITABLE naming a file that is no config's: it is not ours to remove.
 */
export async function listOwnFiles(fs: FileSystem, root: string, config: string): Promise<readonly string[]> {
  const { own, foreign } = await classifyTarget(fs, root, config);
  const [first] = foreign;
  if (first === undefined) return own;
  const more = foreign.length > 1 ? ` and ${foreign.length - 1} more` : '';
  throw new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot overwrite ${resolve(root)}: ${first}${more} was not written by kafkaload; move it away or write to another path`,
    { context: { path: first, files: foreign.length } },
  );
}

/** Visible files below a folder, also in sub-folders, as absolute paths in order. `_a=1` holds rows of a column `_a`. */
export async function listVisibleFiles(fs: FileSystem, folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of ((await unlessAbsent(fs.readdir(folder))) ?? []).sort()) {
    if ((name.startsWith('_') && !name.includes('=')) || name.startsWith('.')) continue;
    const path = join(resolve(folder), name);
    const info = await unlessAbsent(fs.stat(path));
    if (info?.isDirectory()) found.push(...(await listVisibleFiles(fs, path)));
    else if (info) found.push(path);
  }
  return found;
}
