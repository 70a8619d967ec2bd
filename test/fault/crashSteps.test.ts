import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type ChainSource, CrashChain } from '../helpers/crashChain.ts';
import { type Combination, LAYOUTS, WRITE_MODES } from '../helpers/crashLayouts.ts';
import { LoadChain, type LoadKind } from '../helpers/loadChain.ts';
import { allStepNames, type StepTarget, targetsOf } from '../helpers/steps.ts';
import { OFFSETS_MODES, Workspace } from '../helpers/workspace.ts';

/**
 * The whole command is killed with SIGKILL at its named steps, on a real broker. `KAFKALOAD_FAULTS=all` kills every
 * combination of layout, write mode and offsets mode at every step it passes, four of them the first and the last time it
 * does, the others the first; without it only those four, and in them each step once. `KAFKALOAD_CRASH_ONLY='folder Append STREAM'` chooses one,
 * `KAFKALOAD_CRASH_STEPS=publish.` some of its steps.
 */
/** Only this combination, at every step; and of these only the ones that begin so. */
const ONLY = process.env.KAFKALOAD_CRASH_ONLY || null;
const ONLY_STEPS = process.env.KAFKALOAD_CRASH_STEPS ?? '';
const IS_WHOLE = process.env.KAFKALOAD_FAULTS === 'all' || ONLY !== null;
/** Runs wait for the broker half of the time. */
const AT_A_TIME = 3;
const TIMEOUT_MS = 3_600_000;
const ROWS_BY_PARTITION = 792;

const SAMPLE: readonly Combination[] = [
  { layout: 'folder', writeMode: 'Overwrite', mode: 'STREAM' },
  { layout: 'exact file', writeMode: 'Append', mode: 'FILE' },
  { layout: 'partitioned', writeMode: 'Append', mode: 'STREAM' },
  { layout: 'N files', writeMode: 'Overwrite', mode: 'FILE' },
];
const SAMPLE_NAMES = new Set(SAMPLE.map(nameOf));
const ALL: readonly Combination[] = OFFSETS_MODES.flatMap((mode) =>
  WRITE_MODES.flatMap((writeMode) => LAYOUTS.map((layout) => ({ layout, writeMode, mode }))),
);
const LOADS: readonly LoadKind[] = [
  { from: 'files', mode: 'FILE' },
  { from: 'topic', mode: 'STREAM' },
  { from: 'topic', mode: 'FILE' },
];

let workspace: Workspace;
let source: ChainSource & { readonly values: readonly string[] };
/** Names at which a run was killed. */
const reached = new Set<string>();

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
  const topic = await workspace.topics.create('crash', { partitions: 2 });
  const values = await workspace.send(topic, ROWS_BY_PARTITION * 2, [0, 1]);
  source = { topic, values, rowsByPartition: ROWS_BY_PARTITION };
});

afterAll(() => workspace.close());

/** Lets the jobs run, a few at a time; the first failure is thrown when all that were begun have ended. */
async function together<Item, Result>(
  items: readonly Item[],
  act: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await act(items[index] as Item, index);
    }
  };
  const lanes = Array.from({ length: AT_A_TIME }, () =>
    lane().catch((error: unknown) => {
      next = items.length;
      throw error;
    }),
  );
  const ended = await Promise.allSettled(lanes);
  for (const lane of ended) if (lane.status === 'rejected') throw lane.reason;
  return results;
}

function nameOf({ layout, writeMode, mode }: Combination): string {
  return `${layout} ${writeMode} ${mode}`;
}

/** Every target; or of each name one, in one of the chains that pass it: they take turns. */
function share(lists: readonly (readonly StepTarget[])[]): StepTarget[][] {
  if (IS_WHOLE) return lists.map((list) => list.filter(({ name }) => name.startsWith(ONLY_STEPS)));
  const shares = lists.map((): StepTarget[] => []);
  const names = new Set(lists.flat().map(({ name }) => name));
  let turn = 0;
  for (const name of names) {
    const able = lists.flatMap((list, index) => (list.some((target) => target.name === name) ? [index] : []));
    const chosen = able[turn++ % able.length] ?? 0;
    shares[chosen]?.push(...(lists[chosen] ?? []).filter((target) => target.name === name).slice(-1));
  }
  // In the order of the run again.
  return shares.map((own, index) => (lists[index] ?? []).filter((target) => own.includes(target)));
}

/** Kills at each of the steps; whenever a run was prepared, the recovery of it is killed, again and again. */
async function killAll(chain: CrashChain, own: readonly StepTarget[], recovery: readonly StepTarget[]): Promise<void> {
  const rest = [...recovery];
  const killRecoveries = async (): Promise<void> => {
    while (chain.isPrepared) {
      const target = rest.shift();
      if (!target) return;
      await chain.kill(target, 'crash of a recovery');
      reached.add(target.name);
    }
  };
  for (const target of own) {
    await chain.kill(target, 'crash');
    reached.add(target.name);
    await killRecoveries();
  }
  while (rest.length > 0) {
    await chain.kill({ name: 'prepare.after', nth: 1, after: 'open.cleaned' }, 'crash');
    await killRecoveries();
  }
  await chain.end('crash');
}

describe('killed at each named step', () => {
  test('an offload loses nothing and repeats nothing, whatever its target', { timeout: TIMEOUT_MS }, async () => {
    const isChosen = (combination: Combination): boolean => ONLY === null || ONLY === nameOf(combination);
    const combinations = (IS_WHOLE ? ALL : SAMPLE).filter(isChosen);
    const chains = await together(combinations, async (combination) => {
      const chain = await CrashChain.make(workspace, source, combination);
      return { chain, ...(await chain.explore()) };
    });
    // What a run passes again and again is killed the last time as well in those of the sample alone.
    const isSampled = (index: number): boolean =>
      ONLY !== null || SAMPLE_NAMES.has(nameOf(combinations[index] as Combination));
    const seldom = (list: readonly StepTarget[], index: number): readonly StepTarget[] =>
      isSampled(index) ? list : list.filter(({ nth }) => nth === 1);
    const own = share(chains.map((explored, index) => seldom(explored.own, index)));
    // Half of the combinations has every layout in each mode of offsets and with each way to write.
    const isRecovered = (index: number): boolean => (index + Math.floor(index / 4) + Math.floor(index / 8)) % 2 === 0;
    const recovery = share(
      chains.map(({ recovery: all }, index) => (IS_WHOLE && !isRecovered(index) ? [] : seldom(all, index))),
    );
    await together(chains, ({ chain }, index) => killAll(chain, own[index] ?? [], recovery[index] ?? []));
  });

  test.each(OFFSETS_MODES)('a run with nothing to read leaves nothing, offsets in mode %s', async (mode) => {
    const chain = await CrashChain.make(workspace, source, { layout: 'folder', writeMode: 'Append', mode });
    await chain.end('crash');
    for (const name of ['close.stagingRemoved', 'close.recordRemoved']) {
      await chain.kill({ name, nth: 1 }, 'crash');
      reached.add(name);
    }
    await chain.checkNothingNew();
  });

  test.each(OFFSETS_MODES)('giving ranges back loses and repeats nothing, offsets in mode %s', async (mode) => {
    const chain = await CrashChain.make(workspace, source, { layout: 'folder', writeMode: 'Append', mode });
    const prepare = () => chain.kill({ name: 'prepare.after', nth: 1, after: 'open.cleaned' }, 'crash');
    await chain.finish();
    await prepare();
    const targets = targetsOf((await chain.discard()).steps).filter(({ name }) => name.startsWith('discard.'));
    for (const [index, target] of targets.entries()) {
      await prepare();
      await chain.discard(target);
      reached.add(target.name);
      // What was to be given back is finished, or given back after all.
      if (index % 2 === 0) await chain.finish();
      else if (chain.isPrepared) await chain.discard();
    }
    await chain.end('crash of a discard');
  });

  test('a load writes each row once', { timeout: TIMEOUT_MS }, async () => {
    const chains = await together(LOADS, async (kind) => {
      const chain = await LoadChain.make(workspace, kind, source);
      return { chain, targets: await chain.explore() };
    });
    // In a sample, what offloads were killed at is not done again.
    const shares = share(chains.map(({ targets }) => targets.filter(({ name }) => IS_WHOLE || !reached.has(name))));
    await together(chains, async ({ chain }, index) => {
      for (const target of shares[index] ?? []) {
        await chain.kill(target);
        reached.add(target.name);
      }
      await chain.end();
    });
  });

  test('no step is left out', async () => {
    const names = await allStepNames();
    expect(names.filter((name) => !reached.has(name))).toEqual([]);
  });
});

describe.each([
  { layout: 'folder', writeMode: 'Append', mode: 'STREAM' },
  { layout: 'exact file', writeMode: 'Append', mode: 'FILE' },
] as const)('told to stop: $layout $mode', (combination) => {
  test('it stops, publishes nothing half, and says so with its exit status', async () => {
    const chain = await CrashChain.make(workspace, source, combination);
    await chain.finish();
    const steps = ['open.cleaned', 'stage.segmentWritten', 'stage.rowsWritten', 'prepare.before', 'prepare.after'];
    for (const [index, name] of [...steps, 'publish.begun', 'commit.begun'].entries()) {
      await chain.stop({ name, nth: 1 }, index % 2 === 0 ? 'SIGTERM' : 'SIGINT');
    }
    await chain.end('told to stop');
  });
});
