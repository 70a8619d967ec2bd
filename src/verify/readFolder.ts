/** What `_kafkaload/` says of a folder, read at one moment: manifests, and runs that are prepared and have none yet. */

import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { isRunId } from '../commit/names.ts';
import { type FileSystem, systemCode, unlessAbsent } from '../io.ts';
import { type Manifest, manifestPath, manifestsFolder } from '../sinks/manifest.ts';
import { parseManifest, parseStagedIntent, type StagedIntent } from './parse.ts';
import { type FoundChain, readChains } from './readChain.ts';

/** A manifest as it stands. */
export interface FoundManifest {
  readonly manifest: Manifest;
  readonly crc32c: number;
}

/** A file in the place of a manifest that is none. */
export interface DamagedManifest {
  readonly config: string;
  readonly run: string;
  readonly path: string;
}

export interface FolderState {
  /** By config; in order of their runs' names, which is that of time. */
  readonly manifests: ReadonlyMap<string, readonly FoundManifest[]>;
  readonly damaged: readonly DamagedManifest[];
  readonly chains: readonly FoundChain[];
  /** Runs with an intent and without a manifest: under way, or dead and to be finished by the next run. */
  readonly pending: readonly StagedIntent[];
  /** Equal for two moments between which no run published or ended. */
  readonly mark: string;
}

export async function readFolder(fs: FileSystem, root: string): Promise<FolderState> {
  // Intents first: a run that ends meanwhile is seen twice, not missed.
  const intents = await readIntents(fs, root);
  const manifests = new Map<string, FoundManifest[]>();
  const damaged: DamagedManifest[] = [];
  const marks: string[] = intents.map(({ config, run }) => `intent ${config} ${run}`);
  for (const config of await list(fs, manifestsFolder(root))) {
    for (const name of await list(fs, join(manifestsFolder(root), config))) {
      if (!name.endsWith('.json')) continue;
      const run = name.slice(0, -'.json'.length);
      const found = await readManifest(fs, root, config, run);
      if (found === null) continue;
      marks.push(`manifest ${config} ${run} ${found === 'damaged' ? found : found.crc32c}`);
      if (found === 'damaged') damaged.push({ config, run, path: manifestPath(root, config, run) });
      else manifests.set(config, [...(manifests.get(config) ?? []), found]);
    }
  }
  const chains = await readChains(fs, root);
  marks.push(...chains.map(({ mark }) => mark));
  const hasManifest = ({ config, run }: StagedIntent): boolean =>
    manifests.get(config)?.some(({ manifest }) => manifest.run === run) ?? false;
  return {
    manifests,
    damaged,
    chains,
    pending: intents.filter((intent) => !hasManifest(intent)),
    mark: marks.join('\n'),
  };
}

/** Null: there is none. */
export async function readManifest(
  fs: FileSystem,
  root: string,
  config: string,
  run: string,
): Promise<FoundManifest | 'damaged' | null> {
  const bytes = await unlessAbsent(fs.readFile(manifestPath(root, config, run)));
  if (bytes === null) return null;
  const manifest = parseManifest(bytes);
  return manifest?.config === config && manifest.run === run ? { manifest, crc32c: crc32c(bytes) } : 'damaged';
}

async function readIntents(fs: FileSystem, root: string): Promise<StagedIntent[]> {
  const intents: StagedIntent[] = [];
  const staging = join(root, '_kafkaload', 'staging');
  for (const name of await list(fs, staging)) {
    for (const run of await list(fs, join(staging, name))) {
      if (!isRunId(run)) continue;
      const bytes = await unlessAbsent(fs.readFile(join(staging, name, run, 'intent.json')));
      const intent = bytes && parseStagedIntent(bytes);
      if (intent?.run === run) intents.push(intent);
    }
  }
  return intents;
}

/** Sorted; none where there is no such folder. */
async function list(fs: FileSystem, path: string): Promise<string[]> {
  try {
    return (await fs.readdir(path)).sort((a, b) => (a < b ? -1 : 1));
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}
