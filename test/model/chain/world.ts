/**
 * What lasts longer than a process of a stream: the folder of the chain, staging, the target, and the group at the broker.
 * Two partitions, 0 and 1; processes are small numbers; a micro-batch is `PROCESS.SEQUENCE`.
 */
import { Violation } from '../world.ts';

export interface Move {
  readonly partition: number;
  readonly start: number;
  readonly next: number;
  /** The group offset that was set by hand and is obeyed; -1: none. */
  readonly hand: number;
}

export interface Entry {
  readonly number: number;
  readonly batch: string;
  /** Batch of the entry before, which stands for its CRC; '': none. */
  readonly previous: string;
  readonly moves: readonly Move[];
  /** Exact file: what it was made from. */
  readonly old: string;
}

/** A change of the folder of the chain that is not synced yet. */
export type Change =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'checkpoint'; readonly number: number }
  | { readonly kind: 'noEntry' | 'noCheckpoint'; readonly number: number };

export interface Names {
  /** `N.json`, rising. */
  readonly entries: readonly Entry[];
  readonly checkpoints: readonly number[];
}

/** Staged whole, and not yet cleared away. */
export interface Staged {
  readonly process: number;
  readonly batch: string;
  /** Last entry that was known when it began. */
  readonly tip: number;
  readonly partitions: readonly number[];
  /** Its file is still there. */
  readonly hasFile: boolean;
}

/** A person set the group's offset. `after`: so many entries had named the partition. */
export interface Wish {
  readonly partition: number;
  readonly offset: number;
  readonly after: number;
}

export interface World extends Names {
  /** What is sure to be there when the power comes back, and what was changed since; the same where power is never lost. */
  readonly lasting: Names;
  readonly unsynced: readonly Change[];
  /** Entries that are folded; a pack is there, whole, before its checkpoint. */
  readonly packs: readonly { readonly last: number; readonly entries: readonly Entry[] }[];
  readonly staging: readonly Staged[];
  /** Batches whose file is visible. */
  readonly target: readonly string[];
  /** Exact file: the batches it holds, joined by `+`. */
  readonly exact: string;
  /** Committed offsets; -1: none. */
  readonly group: readonly number[];
  readonly generation: number;
  /** Process that has a partition, and since which generation. */
  readonly owners: readonly number[];
  readonly ownedSince: readonly number[];
  readonly dead: readonly number[];
  readonly wishes: readonly Wish[];
  readonly rebalances: number;
  readonly losses: number;
}

const NOTHING: Names = { entries: [], checkpoints: [] };

export function emptyWorld(owners: readonly number[]): World {
  return {
    ...NOTHING,
    lasting: NOTHING,
    unsynced: [],
    packs: [],
    staging: [],
    target: [],
    exact: '',
    group: [-1, -1],
    generation: 1,
    owners,
    ownedSince: [1, 1],
    dead: [],
    wishes: [],
    rebalances: 0,
    losses: 0,
  };
}

export function worldKey(world: World): string {
  return JSON.stringify(world);
}

export function apply({ entries, checkpoints }: Names, change: Change): Names {
  switch (change.kind) {
    case 'entry': {
      const others = entries.filter(({ number }) => number !== change.entry.number);
      return { entries: [...others, change.entry].sort((a, b) => a.number - b.number), checkpoints };
    }
    case 'noEntry':
      return { entries: entries.filter(({ number }) => number !== change.number), checkpoints };
    case 'checkpoint':
      return { entries, checkpoints: [...new Set([...checkpoints, change.number])].sort((a, b) => a - b) };
    case 'noCheckpoint':
      return { entries, checkpoints: checkpoints.filter((number) => number !== change.number) };
  }
}

/** All entries that count, as a reader finds them. @throws Violation for a chain that cannot be read. */
export function chainOf({ entries, checkpoints, packs }: World): Entry[] {
  const checkpoint = checkpoints.at(-1) ?? 0;
  const chain = packs.filter(({ last }) => last <= checkpoint).flatMap((pack) => pack.entries);
  for (let next = find(entries, checkpoint + 1); next; next = find(entries, next.number + 1)) chain.push(next);
  for (const [index, entry] of chain.entries()) {
    if (entry.number !== index + 1) throw new Violation(`entry ${index + 1} of the chain is lost`);
    const before = chain[index - 1]?.batch ?? '';
    if (entry.previous !== before) throw new Violation(`entry ${entry.number} does not follow entry ${index}`);
  }
  const last = entries.at(-1)?.number ?? 0;
  if (last > Math.max(checkpoint, chain.length))
    throw new Violation(`entry ${chain.length + 1} is missing before ${last}`);
  return chain;
}

function find(entries: readonly Entry[], number: number): Entry | undefined {
  return entries.find((entry) => entry.number === number);
}
