/** What a process of a stream does to the world, one indivisible operation each. */
import type { AnyOperation } from '../machine.ts';
import { Violation } from '../world.ts';
import { apply, type Change, type Entry, type Staged, type World } from './world.ts';

type Outcomes<T> = readonly (readonly [result: T, world: World])[];

function only<T>(result: T, world: World): Outcomes<T> {
  return [[result, world]];
}

/** Whether unsynced changes are told apart from lasting ones. */
let hasPower = true;

/** @param canBeLost Power: else every change lasts, and worlds are fewer. */
export function setPower(canBeLost: boolean): void {
  hasPower = !canBeLost;
}

function change(world: World, ...changes: readonly Change[]): World {
  let now: World = world;
  for (const one of changes) {
    const names = apply(now, one);
    now = hasPower ? { ...now, ...names, lasting: names } : { ...now, ...names, unsynced: [...now.unsynced, one] };
  }
  return now;
}

function stagedOf(world: World, batch: string): Staged | undefined {
  return world.staging.find((staged) => staged.batch === batch);
}

function withStaged(world: World, old: Staged | undefined, made: Staged | null): World {
  const staging = [...world.staging.filter((other) => other !== old), ...(made ? [made] : [])];
  return { ...world, staging: staging.sort((a, b) => (a.batch < b.batch ? -1 : 1)) };
}

export const operations = {
  // The group, at the broker.
  /** What this process has in the newest generation, and since when; it waits as long as it has nothing. */
  join: (
    w: World,
    process: number,
  ): Outcomes<{ generation: number; owned: readonly (readonly [number, number])[] }> => {
    const owned = w.owners.flatMap((owner, partition) =>
      owner === process ? [[partition, w.ownedSince[partition] ?? 0] as const] : [],
    );
    return owned.length === 0 ? [] : only({ generation: w.generation, owned }, w);
  },
  /** It has nothing to do until the group is rebalanced. */
  awaitRebalance: (w: World, generation: number): Outcomes<true> => (w.generation === generation ? [] : only(true, w)),
  committed: (w: World, ...partitions: number[]): Outcomes<readonly number[]> =>
    only(
      partitions.map((partition) => w.group[partition] ?? -1),
      w,
    ),
  /** The broker looks at the generation alone. */
  commitGroup: (w: World, generation: number, ...offsets: (readonly [number, number])[]): Outcomes<boolean> => {
    if (w.generation !== generation) return only(false, w);
    const group = w.group.map((offset, partition) => offsets.find(([own]) => own === partition)?.[1] ?? offset);
    return only(true, { ...w, group });
  },

  // The folder of the chain.
  listCheckpoint: (w: World): Outcomes<number> => only(w.checkpoints.at(-1) ?? 0, w),
  /** Entries it covers; null: it is gone. */
  readCheckpoint: (w: World, number: number): Outcomes<readonly Entry[] | null> => {
    if (!w.checkpoints.includes(number)) return only(null, w);
    return only(
      w.packs.filter(({ last }) => last <= number).flatMap(({ entries }) => entries),
      w,
    );
  },
  readEntry: (w: World, number: number): Outcomes<Entry | null> =>
    only(w.entries.find((entry) => entry.number === number) ?? null, w),
  /** A link: false if the number is taken. */
  create: (w: World, entry: Entry): Outcomes<boolean> =>
    w.entries.some(({ number }) => number === entry.number)
      ? only(false, w)
      : only(true, change(w, { kind: 'entry', entry })),
  /** Whether an entry that was made counts, by the checkpoints and packs there are. */
  look: (w: World, number: number, batch: string): Outcomes<boolean> => {
    if ((w.checkpoints.at(-1) ?? 0) < number) return only(true, w);
    const folded = w.packs.flatMap(({ entries }) => entries).find((entry) => entry.number === number);
    return only(folded?.batch === batch, w);
  },
  removeEntry: (w: World, number: number): Outcomes<true> =>
    only(true, w.entries.some((entry) => entry.number === number) ? change(w, { kind: 'noEntry', number }) : w),
  listFolded: (w: World, checkpoint: number): Outcomes<readonly number[]> =>
    only(
      w.entries.map(({ number }) => number).filter((number) => number <= checkpoint),
      w,
    ),
  /** Synced before anything names it. */
  writePack: (w: World, last: number, entries: readonly Entry[]): Outcomes<true> => {
    const there = w.packs.find((pack) => pack.last === last);
    if (!there) return only(true, { ...w, packs: [...w.packs, { last, entries }].sort((a, b) => a.last - b.last) });
    if (JSON.stringify(there.entries) !== JSON.stringify(entries))
      throw new Violation(`two packs up to ${last} differ`);
    return only(true, w);
  },
  addCheckpoint: (w: World, number: number): Outcomes<true> =>
    only(true, w.checkpoints.includes(number) ? w : change(w, { kind: 'checkpoint', number })),
  removeOlderCheckpoints: (w: World, checkpoint: number): Outcomes<true> => {
    const older = w.checkpoints.filter((number) => number < checkpoint);
    return only(true, change(w, ...older.map((number): Change => ({ kind: 'noCheckpoint', number }))));
  },
  /** fsync of the folder. */
  sync: (w: World): Outcomes<true> =>
    only(true, { ...w, lasting: { entries: w.entries, checkpoints: w.checkpoints }, unsynced: [] }),

  // Staging and target.
  whoIsDead: (w: World): Outcomes<readonly number[]> => only(w.dead, w),
  listStaging: (w: World): Outcomes<readonly Staged[]> => only(w.staging, w),
  stage: (w: World, staged: Staged): Outcomes<true> => only(true, withStaged(w, undefined, staged)),
  hasStaged: (w: World, batch: string): Outcomes<boolean> => only(stagedOf(w, batch)?.hasFile ?? false, w),
  removeStaging: (w: World, batch: string): Outcomes<true> => only(true, withStaged(w, stagedOf(w, batch), null)),
  readExact: (w: World): Outcomes<string> => only(w.exact, w),
  /** As src/sinks/localFiles.ts does it, whose own steps the commit model has. Nothing staged: it was published. */
  publish: (w: World, batch: string): Outcomes<true> => {
    const staged = stagedOf(w, batch);
    if (!staged?.hasFile) return only(true, w);
    const world = withStaged(w, staged, { ...staged, hasFile: false });
    return only(true, { ...world, target: [...w.target, batch].sort((a, b) => (a < b ? -1 : 1)) });
  },
  publishExact: (w: World, batch: string, old: string): Outcomes<true> => {
    const staged = stagedOf(w, batch);
    if (!staged?.hasFile) return only(true, w);
    if (w.exact !== old) throw new Violation(`the exact file ${w.exact} would be replaced by one made from ${old}`);
    const world = withStaged(w, staged, { ...staged, hasFile: false });
    return only(true, { ...world, exact: old === '' ? batch : `${old}+${batch}` });
  },
};

export type ChainOperationName = keyof typeof operations;

type ArgumentsOf<N extends ChainOperationName> =
  Parameters<(typeof operations)[N]> extends [World, ...infer A] ? A : never;
type ResultOf<N extends ChainOperationName> = ReturnType<(typeof operations)[N]> extends Outcomes<infer T> ? T : never;

export function* ask<N extends ChainOperationName>(
  name: N,
  ...args: ArgumentsOf<N>
): Generator<AnyOperation, ResultOf<N>, unknown> {
  return (yield { name, args }) as ResultOf<N>;
}

export function outcomesOf(world: World, { name, args }: AnyOperation): Outcomes<unknown> {
  const act = operations[name as ChainOperationName] as unknown as (
    w: World,
    ...args: readonly unknown[]
  ) => Outcomes<unknown>;
  return act(world, ...args);
}
