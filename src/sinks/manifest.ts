/**
 * `ROOT/_kafkaload/manifests/CONFIG/RUN.json`: what a run published. Made from the intent alone, so that whoever
 * finishes a run writes the same bytes; each names the run before it and the CRC-32C of that run's manifest.
 */
import { dirname, join, relative, resolve, sep } from 'node:path';
import { isObject, isTexts, parseJson } from '../commit/shapes.ts';
import type { FileState, Intent, LastRun, PublishTarget } from '../commit/types.ts';
import { OffloadError } from '../errors.ts';
import { type FileSystem, makeFolders, syncFolder, systemCode, unlessAbsent, writeSynced } from '../io.ts';
import type { FileContent, GapCounts, OffsetRange, StagedFile } from '../tasks.ts';

export interface Manifest {
  readonly version: 1;
  readonly config: string;
  readonly run: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** False for a run that was told not to commit. */
  readonly committed: boolean;
  readonly writeMode: 'Append' | 'Overwrite';
  /** All paths are relative to the root, with `/`; `old` is what the exact file was before, null where there was none. */
  readonly target:
    | { readonly kind: 'folder'; readonly path: string }
    | { readonly kind: 'file'; readonly path: string; readonly old: FileState | null };
  /** `root` is the folder of that run's manifest, `.` for the same one; null: its rows went to a topic. */
  readonly previousRun: LastRun | null;
  readonly topicIds: Readonly<Record<string, string>>;
  /** Saved next offset of each partition before and after the run; both are the same where it did not commit. */
  readonly offsets: readonly SavedMove[];
  readonly content: FileContent | null;
  readonly files: readonly ManifestFile[];
  readonly ranges: readonly OffsetRange[];
  readonly gaps: readonly (GapCounts & { readonly topic: string; readonly partition: number })[];
  /** Files of earlier runs that this one took away. */
  readonly replaced: readonly string[];
}

export interface SavedMove {
  readonly topic: string;
  readonly partition: number;
  /** Null: nothing was saved. */
  readonly previous: number | null;
  readonly next: number;
}

export interface ManifestFile {
  readonly path: string;
  /** As in `StagedFile`. */
  readonly rows: number;
  readonly bytes: number;
  readonly crc32c: number;
  readonly ranges: readonly OffsetRange[];
}

interface ManifestOptions {
  readonly fs: FileSystem;
  readonly writer: string;
  readonly step: (name: string) => Promise<void>;
}

/** Holds a folder for each config. */
export function manifestsFolder(root: string): string {
  return join(root, '_kafkaload', 'manifests');
}

/** Where the manifest of a run stands, or will. */
export function manifestPath(root: string, config: string, run: string): string {
  return join(manifestsFolder(root), config, `${run}.json`);
}

export function encodeManifest(intent: Intent): Buffer {
  const manifest: Manifest = {
    version: 1,
    config: intent.config,
    run: intent.run,
    createdAt: new Date(intent.createdAtMs).toISOString(),
    committed: intent.commit,
    writeMode: intent.writeMode,
    target: manifestTarget(intent.root, intent.target),
    previousRun: intent.previousRun && {
      ...intent.previousRun,
      root: rootOfPrevious(intent),
    },
    topicIds: intent.topicIds,
    offsets: intent.next.map(({ topic, partition, offset }, index) => {
      return { topic, partition, previous: intent.previous[index]?.offset ?? null, next: offset ?? 0 };
    }),
    content: intent.content ?? null,
    files: intent.files.map((file) => manifestFile(intent.root, file)),
    ranges: intent.ranges,
    gaps: intent.gaps,
    replaced: intent.replaced.map((path) => toRelative(intent.root, path)),
  };
  return Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
}

/** Records of older versions do not tell it. */
function rootOfPrevious({ root, previousRun }: Intent): string | null {
  const previous = previousRun?.root ?? null;
  return previous === null ? null : toRelative(root, previous);
}

export function manifestTarget(root: string, target: PublishTarget): Manifest['target'] {
  const path = toRelative(root, target.path);
  return target.kind === 'file' ? { kind: 'file', path, old: target.old } : { kind: 'folder', path };
}

export function manifestFile(root: string, { targetPath, rows, bytes, crc32c, ranges }: StagedFile): ManifestFile {
  return { path: toRelative(root, targetPath), rows, bytes, crc32c, ranges };
}

/**
 * Writes the manifest under its name, synced. It is written in the staging folder first, which the writer's name keeps
 * apart from another's (a sleeper and the run that took over may both be here), then moved by one rename; what a crash
 * leaves goes with the staging folder.
 *
 * @param options.writer Run id of whoever writes, which need not be the intent's.
 * @returns False if the staging folder is gone and no manifest stands: another run is finishing this one.
 */
export async function writeManifest(intent: Intent, { fs, writer, step }: ManifestOptions): Promise<boolean> {
  const path = manifestPath(intent.root, intent.config, intent.run);
  const folder = dirname(path);
  const staged = join(intent.stagingPath, `manifest.${writer}.json`);
  await makeFolders(fs, folder);
  try {
    await writeSynced(fs, staged, encodeManifest(intent));
    await step('publish.manifestStaged');
    await fs.rename(staged, path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    if (!(await unlessAbsent(fs.stat(path)))) return false;
  }
  await syncFolder(fs, folder);
  return true;
}

/**
 * Every file that a manifest below `root` says is published and that no later one took away, with its config.
 *
 * @returns Config by absolute path. All manifests are read: their number is that of the runs.
 * @throws OffloadError TARGET_UNSUITABLE naming a manifest that cannot be read: its files would look like a stranger's.
 */
export async function listPublishedFiles(fs: FileSystem, root: string): Promise<Map<string, string>> {
  const published = new Map<string, string>();
  const base = manifestsFolder(resolve(root));
  const replaced: string[] = [];
  for (const config of await listFolder(fs, base)) {
    for (const name of await listFolder(fs, join(base, config))) {
      if (!name.endsWith('.json')) continue;
      const manifest = await readManifest(fs, join(base, config, name));
      for (const file of manifest.files) published.set(toAbsolute(root, file.path), config);
      // Names are never used twice, so the order in which manifests are read does not matter, except for exact files,
      // which are replaced by a rename and never listed here.
      for (const path of manifest.replaced) replaced.push(toAbsolute(root, path));
    }
  }
  for (const path of replaced) published.delete(path);
  return published;
}

/** Names in a folder; none if it is absent or is no folder. */
export async function listFolder(fs: FileSystem, path: string): Promise<string[]> {
  try {
    return await fs.readdir(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}

async function readManifest(fs: FileSystem, path: string): Promise<Manifest> {
  const manifest = parseJson((await fs.readFile(path)).toString('utf8'));
  if (isManifest(manifest)) return manifest;
  throw new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot tell which files are kafkaload's: ${path} is not a manifest; restore it or move it away`,
    { context: { path } },
  );
}

/** As far as it is used here. Files outside the root are nobody's: a path that leads there must not have one removed. */
function isManifest(value: unknown): value is Manifest {
  if (!isObject(value) || value.version !== 1) return false;
  const { files, replaced } = value;
  if (!Array.isArray(files) || !isTexts(replaced)) return false;
  return [...files.map((file) => (isObject(file) ? file.path : null)), ...replaced].every(isPathBelow);
}

/** Of a file below the root. */
export function isPathBelow(path: unknown): boolean {
  return typeof path === 'string' && path.split('/').every((name) => !['', '.', '..'].includes(name));
}

/** A path below a root as manifests name it. */
export function toRelative(root: string, path: string): string {
  return relative(resolve(root), path).split(sep).join('/') || '.';
}

/** Of a path in a manifest. */
export function toAbsolute(root: string, path: string): string {
  return resolve(root, ...path.split('/'));
}
