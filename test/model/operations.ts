/**
 * What a run does to the world, one indivisible operation each: a call of the file system, or a transaction. Each gives
 * every outcome there can be: first the plain one, which a run without company meets.
 */
import { prepareIdeal, saveOffsets, withdrawIdeal } from './ideal.ts';
import {
  compareText,
  type Folder,
  intentOf,
  isSameName,
  type Name,
  type Offsets,
  type RunRecord,
  type StateFile,
  Violation,
  type World,
} from './world.ts';

export type Outcomes<T> = readonly (readonly [result: T, world: World])[];

export interface SavedRead {
  readonly offsets: Offsets;
  readonly hands: number;
}

/** What one transaction of STREAM mode writes; what is absent stays. */
export interface Writes {
  /** Only partitions that change are written. */
  readonly saved?: { readonly from: SavedRead; readonly to: Offsets };
  /** Prepares it, or, as part of `withdraw`, gives it back. */
  readonly intent?: number;
  readonly withdraw?: number;
  /** A person's change of the saved offsets. */
  readonly change?: number;
  readonly record?: RunRecord | null;
  readonly lastManifest?: number;
}

function only<T>(result: T, world: World): Outcomes<T> {
  return [[result, world]];
}

function findFile(world: World, name: Name): StateFile | undefined {
  return world.files.find((file) => isSameName(file, name));
}

function withFiles(world: World, gone: readonly (StateFile | undefined)[], made: readonly StateFile[]): World {
  const rest = world.files.filter((file) => !gone.includes(file) && !made.some((other) => isSameName(file, other)));
  const files = [...rest, ...made].sort((a, b) => a.number - b.number || a.run - b.run || (a.kind < b.kind ? -1 : 1));
  return { ...world, files };
}

function findFolder(world: World, run: number, aside: boolean): Folder | undefined {
  return world.staging.find((folder) => folder.run === run && folder.aside === aside);
}

function withFolder(world: World, old: Folder | undefined, folder: Folder | null): World {
  const staging = [...world.staging.filter((other) => other !== old), ...(folder ? [folder] : [])];
  return { ...world, staging: staging.sort((a, b) => a.run - b.run || Number(a.aside) - Number(b.aside)) };
}

function withItems(world: World, folder: Folder, items: readonly string[]): World {
  return withFolder(world, folder, { ...folder, items: [...new Set(items)].sort(compareText) });
}

function add(list: readonly string[], item: string): readonly string[] {
  return list.includes(item) ? list : [...list, item].toSorted(compareText);
}

export const operations = {
  // Beside the saved offsets (FILE).
  list: (w: World): Outcomes<readonly Name[]> =>
    only(
      w.files.map(({ kind, number, run }) => ({ kind, number, run })),
      w,
    ),
  read: (w: World, name: Name): Outcomes<StateFile | null> => only(findFile(w, name) ?? null, w),
  readSaved: (w: World): Outcomes<SavedRead> => only({ offsets: w.saved, hands: w.hands }, w),
  /** `alive:RUN` is an outcome only as long as that run has not ended. */
  watch: (w: World, name: Name): Outcomes<string> => {
    const file = findFile(w, name);
    if (!file) return only('gone', w);
    return [
      ['dead', w],
      [`alive:${file.run || file.owner}`, w],
    ];
  },
  write: (w: World, file: StateFile): Outcomes<true> => only(true, withFiles(w, [], [file])),
  remove: (w: World, ...names: Name[]): Outcomes<true> => {
    const gone = names.map((name) => findFile(w, name));
    return only(true, withFiles(w, gone, []));
  },
  /** False: ENOENT. */
  rename: (w: World, from: Name, to: Name): Outcomes<boolean> => {
    const file = findFile(w, from);
    return file ? only(true, withFiles(w, [file], [{ ...file, ...to }])) : only(false, w);
  },
  append: (w: World, name: Name, intent: number): Outcomes<boolean> => {
    const file = findFile(w, name);
    return file ? only(true, withFiles(w, [file], [{ ...file, intent }])) : only(false, w);
  },
  prepare: (w: World, from: Name, to: Name): Outcomes<boolean> => {
    const file = findFile(w, from);
    if (!file) return only(false, w);
    const other = w.files.find(({ kind }) => kind === 'intent');
    if (other) throw new Violation(`run ${from.run} prepares while intent.${other.number}.${other.run} is pending`);
    const world = prepareIdeal(w, intentOf(file.intent));
    return only(true, withFiles(world, [file], [{ ...file, ...to }]));
  },
  /** Only whoever made a `next` is excused for what was set by hand since. */
  commit: (w: World, next: Name, run: number): Outcomes<boolean> => {
    const file = findFile(w, next);
    if (!file?.offsets) return only(false, w);
    const hands = next.run === run ? file.hands : w.hands;
    return only(true, saveOffsets(withFiles(w, [file], []), file.offsets, hands));
  },
  withdraw: (w: World, from: Name, to: Name): Outcomes<boolean> => {
    const file = findFile(w, from);
    if (!file) return only(false, w);
    return only(true, withFiles(withdrawIdeal(w, intentOf(file.intent)), [file], [{ ...file, ...to }]));
  },

  // The offsets topic (STREAM).
  readState: (w: World): Outcomes<Pick<World, 'intent' | 'record' | 'lastManifest'> & { saved: SavedRead }> => {
    const { intent, record, lastManifest } = w;
    return only({ intent, record, lastManifest, saved: { offsets: w.saved, hands: w.hands } }, w);
  },
  watchRecord: (w: World, run: number): Outcomes<string> => [
    ['dead', w],
    [`alive:${run}`, w],
  ],
  fenceOthers: (w: World, run: number): Outcomes<true> => only(true, { ...w, producer: run }),
  /** `unknown`: its answer was lost; it happened, or not. */
  transact: (w: World, run: number, writes: Writes): Outcomes<'ok' | 'fenced' | 'unknown'> => {
    if (w.producer !== run) return only('fenced', w);
    let world = w;
    if (writes.intent !== undefined && writes.intent >= 0) {
      if (w.intent >= 0) throw new Violation(`run ${run} prepares over the intent of run ${intentOf(w.intent).run}`);
      world = prepareIdeal(world, intentOf(writes.intent));
    }
    if (writes.change !== undefined) world = prepareIdeal(world, intentOf(writes.change));
    if (writes.withdraw !== undefined) world = withdrawIdeal(world, intentOf(writes.withdraw));
    if (writes.saved) {
      const { from, to } = writes.saved;
      const pick = (partition: 0 | 1): number =>
        to[partition] === from.offsets[partition] ? w.saved[partition] : to[partition];
      world = saveOffsets(world, [pick(0), pick(1)], from.hands);
    }
    world = {
      ...world,
      intent: writes.intent ?? world.intent,
      record: writes.record === undefined ? world.record : writes.record,
      lastManifest: writes.lastManifest ?? world.lastManifest,
    };
    return [
      ['ok', world],
      ['unknown', world],
      ['unknown', w],
    ];
  },
  /** Whether a heartbeat before this point was refused, or nobody knows what became of it. `unsent`: nor can it be asked. */
  isInDoubt: (w: World): Outcomes<'no' | 'yes' | 'unsent'> => [
    ['no', w],
    ['yes', w],
    ['unsent', w],
  ],
  holdsRecord: (w: World, run: number): Outcomes<boolean> => only(w.record?.run === run, w),
  /** A heartbeat, which may come at this point or not. */
  beat: (w: World, record: RunRecord): Outcomes<true> => {
    if (w.producer !== record.run) return only(true, w);
    return [
      [true, w],
      [true, { ...w, record }],
    ];
  },

  // Staging.
  makeStaging: (w: World, run: number): Outcomes<true> =>
    only(true, withFolder(w, undefined, { run, aside: false, items: [] })),
  /** `gone`: its folder was removed. `stopped`: the run was told to end, or could not write. */
  stage: (w: World, run: number, items: readonly string[]): Outcomes<'ok' | 'gone' | 'stopped'> => {
    const folder = findFolder(w, run, false);
    if (!folder) return only('gone', w);
    return [
      ['ok', withItems(w, folder, [...folder.items, ...items])],
      ['stopped', w],
    ];
  },
  stageItem: (w: World, run: number, item: string): Outcomes<boolean> => {
    const folder = findFolder(w, run, false);
    return folder ? only(true, withItems(w, folder, [...folder.items, item])) : only(false, w);
  },
  isStaged: (w: World, run: number, item: string, aside = false): Outcomes<boolean> =>
    only(findFolder(w, run, aside)?.items.includes(item) ?? false, w),
  isAside: (w: World, run: number): Outcomes<boolean> => only(findFolder(w, run, true) !== undefined, w),
  hasStaging: (w: World, run: number): Outcomes<boolean> => only(findFolder(w, run, false) !== undefined, w),
  unstage: (w: World, run: number, item: string): Outcomes<true> => {
    const folder = findFolder(w, run, false);
    if (!folder) return only(true, w);
    const items = folder.items.filter((other) => other !== item);
    return only(true, withItems(w, folder, items));
  },
  removeStaging: (w: World, run: number, aside = false): Outcomes<true> =>
    only(true, withFolder(w, findFolder(w, run, aside), null)),
  /** Renames a staging folder to its place aside, or back; nothing there is no error. */
  moveStaging: (w: World, run: number, toAside: boolean): Outcomes<boolean> => {
    const folder = findFolder(w, run, !toAside);
    if (!folder) return only(false, w);
    const taken = findFolder(w, run, toAside);
    if (taken && taken.items.length > 0) throw new Violation(`staging of run ${run} is there twice`);
    return only(true, withFolder(withFolder(w, taken, null), folder, { ...folder, aside: toAside }));
  },

  // The target.
  link: (w: World, run: number, file: string): Outcomes<'ok' | 'there' | 'absent'> => {
    const isStaged = findFolder(w, run, false)?.items.includes(file) ?? false;
    if (!isStaged) return only('absent', w);
    return w.target.includes(file) ? only('there', w) : only('ok', { ...w, target: add(w.target, file) });
  },
  isVisible: (w: World, file: string): Outcomes<boolean> => only(w.target.includes(file), w),
  removeVisible: (w: World, file: string): Outcomes<true> =>
    only(true, { ...w, target: w.target.filter((other) => other !== file) }),
  listTarget: (w: World): Outcomes<readonly string[]> => only(w.target, w),
  readExact: (w: World): Outcomes<string | null> => only(w.exact, w),
  renameExact: (w: World, run: number, content: string, old: string | null): Outcomes<boolean> => {
    const folder = findFolder(w, run, false);
    if (!folder?.items.includes(content)) return only(false, w);
    if (w.exact !== old) throw new Violation(`the exact file ${w.exact} is replaced by one made from ${old}`);
    const items = folder.items.filter((item) => item !== content);
    return only(true, withItems({ ...w, exact: content }, folder, items));
  },
  hasManifest: (w: World, manifest: string): Outcomes<boolean> => only(w.manifests.includes(manifest), w),
  moveManifest: (w: World, run: number, item: string, manifest: string): Outcomes<boolean> => {
    const folder = findFolder(w, run, false);
    if (!folder?.items.includes(item)) return only(false, w);
    const items = folder.items.filter((other) => other !== item);
    return only(true, withItems({ ...w, manifests: add(w.manifests, manifest) }, folder, items));
  },
  /** The same move, of which only what it did in the folder of manifests has outlived a loss of power. */
  placeManifest: (w: World, manifest: string): Outcomes<true> =>
    only(true, { ...w, manifests: add(w.manifests, manifest) }),
  removeManifest: (w: World, run: number): Outcomes<true> =>
    only(true, { ...w, manifests: w.manifests.filter((manifest) => !manifest.startsWith(`${run}<`)) }),
  listManifests: (w: World): Outcomes<readonly string[]> => only(w.manifests, w),

  // The topic that is read: more messages may have come.
  readHighWatermark: (w: World, atMost: number): Outcomes<number> => {
    const same = only(w.highWatermark, w);
    if (w.highWatermark >= atMost) return same;
    return [...same, [w.highWatermark + 1, { ...w, highWatermark: w.highWatermark + 1 }]];
  },
  nextMessage: (w: World): Outcomes<number> => only(w.highWatermark + 1, { ...w, highWatermark: w.highWatermark + 1 }),

  /** fsync of a folder: `offsets`, `target`, `manifests`, `staging` (names of staging folders) or one run's. */
  sync: (w: World, _folder: string | number): Outcomes<true> => only(true, w),
};

export type OperationName = keyof typeof operations;

/** Arguments and results are plain data: they are compared by their JSON. */
export interface Operation {
  readonly name: OperationName;
  readonly args: readonly unknown[];
}

type ArgumentsOf<N extends OperationName> = Parameters<(typeof operations)[N]> extends [World, ...infer A] ? A : never;
export type ResultOf<N extends OperationName> =
  ReturnType<(typeof operations)[N]> extends Outcomes<infer T> ? T : never;

/** One step of a run: `const names = yield* ask('list')`. */
export function* ask<N extends OperationName>(
  name: N,
  ...args: ArgumentsOf<N>
): Generator<Operation, ResultOf<N>, unknown> {
  return (yield { name, args }) as ResultOf<N>;
}

export function outcomesOf(world: World, { name, args }: Operation): Outcomes<unknown> {
  const act = operations[name] as unknown as (w: World, ...args: readonly unknown[]) => Outcomes<unknown>;
  return act(world, ...args);
}
