/**
 * Puts the runs of a config in the order in which they ended: each manifest names the run before it and the CRC-32C of
 * that one's manifest. Where a run wrote to another folder in between, its manifest there is followed.
 */
import { resolve } from 'node:path';
import type { LastRun } from '../commit/types.ts';
import type { FileSystem } from '../io.ts';
import { unlessAbsent } from '../io.ts';
import type { Manifest } from '../sinks/manifest.ts';
import type { HandSetting } from '../stream/chain/entry.ts';
import { type FoundManifest, readManifest } from './readFolder.ts';

export interface ChainedRun {
  readonly manifest: Manifest;
  /** False for a run whose files are in another folder. */
  readonly isHere: boolean;
  /** How it follows the run before it in the list. */
  readonly link: Link;
  /** Of a stream: group offsets set by hand that it obeys. Any other that does not follow is a hole, or doubles rows. */
  readonly byHand?: readonly HandSetting[];
}

export type Link =
  /** The run before it in the list is the one it followed. */
  | { readonly kind: 'linked'; readonly wasChanged: boolean }
  /** It knew of no run before it. */
  | { readonly kind: 'first' }
  /** The run it followed went to a topic, or to a folder that cannot be seen. */
  | { readonly kind: 'elsewhere'; readonly run: string; readonly root: string | null }
  /** The manifest of the run it followed should be here and is not, or cannot be read. */
  | { readonly kind: 'missing'; readonly run: string }
  /** Of a stream: the entry it followed cannot be read, and that is a finding already. */
  | { readonly kind: 'gap' }
  /** Another run of the list followed the same one. */
  | { readonly kind: 'fork'; readonly run: string };

/** Looks for the manifest of a run that went elsewhere; `here`: its folder is this one, and it is not there. */
export type FindElsewhere = (last: LastRun, isNeeded: boolean) => Promise<FoundManifest | 'here' | null>;

/**
 * @param found Of one config, in this folder, in order of time.
 * @returns Every run once, the oldest first; runs that followed one another stand one after the other.
 */
export async function chainRuns(
  found: readonly FoundManifest[],
  findElsewhere: FindElsewhere,
): Promise<readonly ChainedRun[]> {
  const byRun = new Map(found.map((entry) => [entry.manifest.run, entry]));
  const named = new Set(found.map(({ manifest }) => manifest.previousRun?.run));
  const left = new Set(byRun.keys());
  // The last runs first, each with all before it; then whatever is left, of a ring that somebody made.
  const tips = [...found.filter(({ manifest }) => !named.has(manifest.run)).reverse(), ...[...found].reverse()];
  const segments = new Map<string, ChainedRun[]>();
  for (const tip of tips) {
    if (!left.delete(tip.manifest.run)) continue;
    let segment: ChainedRun[] = [];
    let current = { ...tip, isHere: true };
    for (;;) {
      const { manifest, isHere } = current;
      const add = (link: Link): number => segment.unshift({ manifest, isHere, link });
      const last = manifest.previousRun;
      if (last === null) {
        add({ kind: 'first' });
        break;
      }
      const others = found.length - segment.filter((run) => run.isHere).length - (isHere ? 1 : 0);
      const before = byRun.get(last.run) ?? (await findElsewhere(last, others > 0));
      if (before === null || before === 'here') {
        add(before === null ? { kind: 'elsewhere', ...last } : { kind: 'missing', run: last.run });
        break;
      }
      const linked: Link = { kind: 'linked', wasChanged: before.crc32c !== last.manifestCrc32c };
      if (byRun.has(last.run) && !left.delete(last.run)) {
        // Seen already: as the last of others, where a run elsewhere stands between; else two runs followed it.
        const earlier = segments.get(last.run);
        add(earlier ? linked : { kind: 'fork', run: last.run });
        segment = [...(earlier ?? []), ...segment];
        segments.delete(last.run);
        break;
      }
      add(linked);
      current = { ...before, isHere: byRun.has(last.run) };
    }
    segments.set(tip.manifest.run, segment);
  }
  return [...segments.values()].sort(byStart).flat();
}

/** Nothing links them, so time must tell; where it does not, one that knew of none before it comes first. */
function byStart([a]: readonly ChainedRun[], [b]: readonly ChainedRun[]): number {
  const key = (run: ChainedRun | undefined): string =>
    `${run?.manifest.createdAt} ${run?.link.kind === 'first' ? 0 : 1} ${run?.manifest.run}`;
  return key(a) < key(b) ? -1 : 1;
}

/** Reads only what is needed: the manifests of every day since a topic was made are of no use to the last of them. */
export function elsewhereOf(fs: FileSystem, root: string, config: string): FindElsewhere {
  const followed = new Set<string>();
  return async (last, isNeeded) => {
    if (last.root === null || followed.has(last.run)) return null;
    const folder = resolve(root, last.root);
    if (await isSameFolder(fs, root, folder)) return 'here';
    if (!isNeeded) return null;
    followed.add(last.run);
    const found = await readManifest(fs, folder, config, last.run);
    return found === 'damaged' ? null : found;
  };
}

async function isSameFolder(fs: FileSystem, a: string, b: string): Promise<boolean> {
  if (a === b) return true;
  const [one, other] = await Promise.all([unlessAbsent(fs.stat(a)), unlessAbsent(fs.stat(b))]);
  return one !== null && other !== null && one.dev === other.dev && one.ino === other.ino;
}
