/** Chains of streams, as runs that followed one another: what `verify` knows of batch holds for them as well. */
import { join } from 'node:path';
import { OffloadError } from '../errors.ts';
import { type FileSystem, unlessAbsent } from '../io.ts';
import { ownerOfStream } from '../sinks/chainFiles.ts';
import { checkpointName, entryName, groupFolderName, streamsFolder } from '../sinks/chainNames.ts';
import { listFolder, type Manifest, toAbsolute } from '../sinks/manifest.ts';
import type { ChainEntry, FoundEntry } from '../stream/chain/entry.ts';
import { ChainFolder } from '../stream/chain/folder.ts';
import { moveOn, positionsOf } from '../stream/chain/positions.ts';
import type { ChainedRun } from './chain.ts';
import type { Finding } from './types.ts';

/** The chain of one group. */
export interface FoundChain {
  /** In place of a config, wherever one is named. */
  readonly owner: string;
  /** Configs whose rows it holds. */
  readonly configs: readonly string[];
  readonly runs: readonly ChainedRun[];
  /** Of the chain itself: entries that are missing or damaged. */
  readonly findings: readonly Finding[];
  /** Paths of files, absolute, that are staged and not visible yet, with their entries. */
  readonly unpublished: ReadonlyMap<string, number>;
  readonly mark: string;
}

/** Looks at a chain whose entries are folded meanwhile. */
const MOST_LOOKS = 5;

export async function readChains(fs: FileSystem, root: string): Promise<FoundChain[]> {
  const chains: FoundChain[] = [];
  for (const name of (await listFolder(fs, streamsFolder(root))).toSorted((a, b) => (a < b ? -1 : 1))) {
    const chain = await readChain(fs, root, name);
    if (chain) chains.push(chain);
  }
  return chains;
}

/** Null: there is no entry. */
async function readChain(fs: FileSystem, root: string, name: string): Promise<FoundChain | null> {
  const folder = new ChainFolder(fs, join(streamsFolder(root), name), null);
  const mark = async (): Promise<string> => {
    const { entries, checkpoint } = await folder.list();
    return `chain ${name} ${entries.at(0)} ${entries.at(-1)} ${entries.length} ${checkpoint}`;
  };
  for (let look = 1; ; look++) {
    const before = await mark();
    const chain = await new ChainReader(fs, root, folder, name).read();
    if (look === MOST_LOOKS || before === (await mark())) return chain && { ...chain, mark: before };
  }
}

class ChainReader {
  readonly #fs: FileSystem;
  readonly #root: string;
  readonly #folder: ChainFolder;
  readonly #name: string;
  readonly #found = new Map<number, FoundEntry>();
  readonly #damaged: { readonly path: string; readonly message: string }[] = [];

  constructor(fs: FileSystem, root: string, folder: ChainFolder, name: string) {
    this.#fs = fs;
    this.#root = root;
    this.#folder = folder;
    this.#name = name;
  }

  async read(): Promise<Omit<FoundChain, 'mark'> | null> {
    const { entries: numbers, checkpoint } = await this.#folder.list();
    const packs = await this.#folder.listPacks();
    if (numbers.length + packs.length + checkpoint === 0) return null;
    for (const range of packs) {
      const pack = await this.#unlessDamaged(this.#folder.readPack(range));
      for (const entry of pack?.entries ?? []) this.#found.set(entry.entry.number, entry);
      if (pack) await this.#checkCheckpoint(range.last, pack);
    }
    // What stands below a checkpoint is about to go, or does not count.
    for (const number of numbers.filter((entry) => entry > checkpoint)) {
      const entry = await this.#unlessDamaged(this.#folder.readEntry(number));
      if (entry) this.#found.set(number, entry);
    }
    const entries = [...this.#found.values()].map(({ entry }) => entry);
    const owner = ownerOfStream(this.#checkGroups(entries));
    const found = this.#chain(owner, Math.max(checkpoint, ...this.#found.keys(), ...numbers));
    const damaged = this.#damaged.map((what): Finding => ({ kind: 'damaged-entry', config: owner, ...what }));
    return {
      owner,
      configs: [...new Set(entries.map(({ config }) => config))],
      runs: found.runs,
      findings: [...damaged, ...found.findings],
      unpublished: await this.#listUnpublished(entries),
    };
  }

  /** The folder is named by the group of all its entries. */
  #checkGroups(entries: readonly ChainEntry[]): string {
    const own = entries.find(({ group }) => groupFolderName(group) === this.#name)?.group ?? this.#name;
    for (const { number, group } of entries) {
      if (group === own) continue;
      const path = this.#pathOf(number);
      this.#damaged.push({ path, message: `entry ${number} in ${this.#folder.path} is one of group ${group}` });
    }
    return own;
  }

  #pathOf(number: number): string {
    return join(this.#folder.path, entryName(number));
  }

  async #unlessDamaged<T>(read: Promise<T>): Promise<T | null> {
    try {
      return await read;
    } catch (error) {
      if (!(error instanceof OffloadError)) throw error;
      const path = String(error.context.path ?? this.#folder.path);
      this.#damaged.push({ path, message: `${path} is damaged: it cannot be read` });
      return null;
    }
  }

  /** The checkpoint behind a pack, if it is still there, says what the entries say. */
  async #checkCheckpoint(number: number, pack: { readonly bytes: number; readonly crc32c: number }): Promise<void> {
    const checkpoint = await this.#unlessDamaged(this.#folder.readCheckpoint(number));
    if (!checkpoint) return;
    const positions = positionsOf([]);
    for (const { entry } of this.#found.values()) moveOn(positions, entry);
    const isSame =
      checkpoint.entryCrc32c === this.#found.get(number)?.crc32c &&
      checkpoint.pack.bytes === pack.bytes &&
      checkpoint.pack.crc32c === pack.crc32c &&
      JSON.stringify(checkpoint.positions) === JSON.stringify([...positions.values()]);
    if (isSame) return;
    const path = join(this.#folder.path, checkpointName(number));
    this.#damaged.push({ path, message: `${path} does not say what the entries up to ${number} say` });
  }

  /** Entries 1 to `last` as runs; what is missing of them, or was changed. */
  #chain(owner: string, last: number): { runs: ChainedRun[]; findings: Finding[] } {
    const runs: ChainedRun[] = [];
    const findings: Finding[] = [];
    for (let number = 1; number <= last; number++) {
      const before = this.#found.get(number - 1) ?? null;
      const own = this.#found.get(number);
      if (!own) {
        const first = number;
        while (number < last && !this.#found.has(number + 1)) number += 1;
        const which = first === number ? `entry ${first}` : `entries ${first} to ${number}`;
        const message = `${which} of ${owner} cannot be read: the files and offsets it tells of cannot be checked`;
        findings.push({ kind: 'missing-entry', config: owner, message, path: this.#pathOf(first) });
        continue;
      }
      const { entry } = own;
      if (before && entry.previousCrc32c !== before.crc32c) {
        const { run } = before.entry;
        const message = `entry ${number - 1} of ${owner} was changed: it is not the one that entry ${number} followed`;
        findings.push({ kind: 'damaged-entry', config: owner, message, run, path: this.#pathOf(number - 1) });
      }
      const manifest = manifestOf(owner, entry, before?.entry ?? null);
      runs.push({ manifest, isHere: true, link: linkOf(number, before), byHand: entry.byHand });
    }
    return { runs, findings };
  }

  /** Those of entries whose process publishes them just now, or has died: then the next one does. */
  async #listUnpublished(entries: readonly ChainEntry[]): Promise<Map<string, number>> {
    const unpublished = new Map<string, number>();
    for (const { staging, files, number } of entries) {
      if (files.length === 0 || !(await unlessAbsent(this.#fs.stat(toAbsolute(this.#root, staging))))) continue;
      for (const { path, staged, bytes } of files) {
        const info = await unlessAbsent(this.#fs.stat(toAbsolute(this.#root, staged)));
        if (info?.size === bytes) unpublished.set(toAbsolute(this.#root, path), number);
      }
    }
    return unpublished;
  }
}

function linkOf(number: number, before: FoundEntry | null): ChainedRun['link'] {
  if (number === 1) return { kind: 'first' };
  return before ? { kind: 'linked', wasChanged: false } : { kind: 'gap' };
}

function manifestOf(owner: string, entry: ChainEntry, before: ChainEntry | null): Manifest {
  const { version, run, createdAt, writeMode, target, topicIds, content, ranges, gaps } = entry;
  return {
    ...{ version, config: owner, run, createdAt, committed: true, writeMode, target },
    previousRun: before && { run: before.run, manifestCrc32c: entry.previousCrc32c ?? 0, root: '.' },
    topicIds,
    offsets: entry.moves.map(({ topic, partition, start, next }) => ({ topic, partition, previous: start, next })),
    ...{ content, files: entry.files, ranges, gaps, replaced: [] },
  };
}
