/**
 * The chain of a stream against what can happen to it, on a disk in memory: a file operation that fails, a process that dies
 * or sleeps at each step, a loss of power. Whoever goes on must find every row once.
 */
import { describe, expect, test } from 'vitest';
import { OffloadError } from '../../src/errors.ts';
import {
  CHAIN_CASES,
  type ChainCase,
  type ChainWorld,
  copyOf,
  Died,
  FAULT_END,
  goOn,
  judge,
  optionsOf,
  SITUATIONS,
  stream,
} from '../helpers/chainCases.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { chooseRemains } from '../helpers/memoryDisk.ts';
import { failFiles, type InjectedFault, observeFiles } from '../helpers/observedFiles.ts';
import { FencedError, StreamProcess } from '../helpers/streamProcess.ts';
import { seededRandom } from '../helpers/workload.ts';

const ALL = process.env.KAFKALOAD_FAULTS === 'all';
const CODES = ['ENOSPC', 'EIO', 'EACCES'] as const;
const CAUSES = /disk is full|no space left|permission denied|i\/o error/i;
const SEED = Number(process.env.KAFKALOAD_SEED ?? 1);
const CASES = CHAIN_CASES.flatMap((chainCase) =>
  SITUATIONS.map((situation) => ({ ...chainCase, ...situation, chainCase })),
);

/** Names of the steps of a stream, in order, as often as they are passed. */
async function stepsOf(chainCase: ChainCase, before: ChainWorld): Promise<string[]> {
  const steps: string[] = [];
  await stream(optionsOf(chainCase, copyOf(before), { onStep: (name) => void steps.push(name) }), FAULT_END);
  return steps;
}

describe.each(CASES)('$layout, $situation', ({ chainCase, layout, situation, prepare }) => {
  const mode = situation;

  test.each([
    { how: 'once', lasting: false },
    { how: 'from then on', lasting: true },
  ])('the n-th file operation fails $how', async ({ lasting }) => {
    const before = await prepare(chainCase);
    const total = { faults: 0, rows: 0 };
    for (let n = 1; ; n++) {
      const rows = await surviveFault(chainCase, before, { n, code: CODES[n % CODES.length] ?? 'EIO', lasting });
      if (rows === null) break;
      total.faults += 1;
      total.rows += rows;
    }
    expect(total.faults).toBeGreaterThan(100);
    countFaults(
      { kind: lasting ? 'file operations fail from the n-th on' : 'n-th file operation fails', layout, mode },
      total,
    );
  });

  test('a process dies at each step', async () => {
    const before = await prepare(chainCase);
    const steps = await stepsOf(chainCase, before);
    for (const [at, name] of steps.entries()) {
      const world = copyOf(before);
      let passed = 0;
      const onStep = (): void => {
        passed += 1;
        if (passed > at) throw new Died(name);
      };
      await expect(stream(optionsOf(chainCase, world, { onStep }), FAULT_END)).rejects.toThrow(Died);
      const rows = await judge(chainCase, world, `died at step ${at}, ${name}`);
      countFaults({ kind: 'a process of a stream dies', layout, mode, step: name }, { kills: 1, rows });
    }
    expect(new Set(steps).size).toBeGreaterThan(15);
  });

  test('a process sleeps at each step, while another has its partitions, and wakes', async () => {
    const before = await prepare(chainCase);
    const steps = await stepsOf(chainCase, before);
    for (const [at, name] of steps.entries()) {
      const rows = await surviveSleep(chainCase, copyOf(before), at, name);
      countFaults({ kind: 'a process of a stream sleeps', layout, mode }, { faults: 1, rows });
    }
  });

  test('the power goes at each step', async () => {
    const moments = await record(chainCase, await prepare(chainCase));
    const total = await loseEach(chainCase, moments, ALL ? 8 : 3);
    countFaults({ kind: 'power lost, what was not synced gone', layout, mode }, total);
  });
});

/** A stream with a fault in it, which tries again as its loop does, and those after. Null: it has no n-th operation. */
async function surviveFault(chainCase: ChainCase, before: ChainWorld, fault: InjectedFault): Promise<number | null> {
  const world = copyOf(before);
  const { fs, fired } = failFiles(world.disk, fault);
  let failure: unknown = null;
  const options = optionsOf(chainCase, world, { fs, stagingFs: world.disk });
  let own: StreamProcess | null = null;
  try {
    own = await StreamProcess.start(options, []);
    await own.take([0, 1]);
    await goOn(own, FAULT_END);
    await own.close();
  } catch (error) {
    failure = error;
  }
  const at = fired();
  if (!at) return null;
  const what = `${JSON.stringify(fault)} at ${JSON.stringify(at)}: ${failure}`;
  if (failure !== null) {
    expect(failure, what).toBeInstanceOf(OffloadError);
    expect(failure, what).toMatchObject({ code: 'IO_FAILED', message: expect.stringMatching(CAUSES) });
    expect(String(failure), what).toMatch(/^[^\n]*\/target[^\n]*$/);
  }
  if (own && failure !== null && !fault.lasting) {
    await own.take([0, 1]);
    await goOn(own, FAULT_END);
    await own.close();
  }
  return judge(chainCase, world, what);
}

/** Stops a stream at a step, has another one go on by three entries, which fold, and lets it wake. */
async function surviveSleep(chainCase: ChainCase, world: ChainWorld, at: number, name: string): Promise<number> {
  let passed = 0;
  let wake = (): void => {};
  let fallAsleep = (): void => {};
  const asleep = new Promise<void>((resolve) => {
    fallAsleep = resolve;
  });
  const awake = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const onStep = (): Promise<void> | undefined => {
    passed += 1;
    if (passed !== at + 1) return undefined;
    fallAsleep();
    return awake;
  };
  let sleeper: StreamProcess | null = null;
  const ended = stream(optionsOf(chainCase, world, { onStep }), FAULT_END, (own) => {
    sleeper = own;
  }).then(
    () => null,
    (error: unknown) => error,
  );
  await asleep;
  const own = sleeper as StreamProcess | null;
  if (own) own.isFenced = true;
  const other = await StreamProcess.start(optionsOf(chainCase, world), [0, 1]);
  await goOn(other, FAULT_END - 1);
  wake();
  const failure = await ended;
  const what = `slept at step ${at}, ${name}: ${failure}`;
  // Whether it wrote one more entry or none: the group refuses it, or it is overtaken and has nothing to do.
  const isRight = failure === null || failure instanceof FencedError || (failure as OffloadError).code === 'OVERTAKEN';
  expect(isRight, what).toBe(true);
  await other.take([0, 1]);
  await goOn(other, FAULT_END);
  await other.close();
  return judge(chainCase, world, what);
}

interface Moment {
  readonly world: ChainWorld;
  readonly name: string;
}

/** The world after each change of the disk or of the group. @param skips Syncs that do nothing. */
async function record(
  chainCase: ChainCase,
  before: ChainWorld,
  skips: (path: string) => boolean = () => false,
): Promise<Moment[]> {
  const world = copyOf(before);
  const moments: Moment[] = [];
  let last = '';
  const keep = (name: string): void => {
    const mark = `${world.disk.version} ${[...world.group]}`;
    if (mark !== last) moments.push({ world: copyOf(world), name });
    last = mark;
  };
  const fs = observeFiles(world.disk, {
    before: (operation) => (operation.call === 'fsync' && skips(operation.path) ? 'skip' : undefined),
    after: ({ call, path, to }) => keep(`${call} ${path} ${to ?? ''}`),
  });
  await stream(optionsOf(chainCase, world, { fs }), FAULT_END);
  return moments;
}

/** Takes the power away at each moment. */
async function loseEach(chainCase: ChainCase, moments: readonly Moment[], states: number) {
  const random = seededRandom(SEED);
  const total = { faults: 0, rows: 0 };
  for (const { world, name } of moments) {
    for (const [index, remains] of chooseRemains(world.disk, states, random).entries()) {
      const after = { disk: world.disk.afterPowerLoss(remains), group: new Map(world.group) };
      const what = `power lost after ${name}; state ${index}, seed ${SEED}`;
      total.rows += await judge(chainCase, after, what);
      total.faults += 1;
    }
  }
  return total;
}

/** A disk, or a program, that does not sync here: at least one moment must then lose or repeat rows. */
const MUTANTS: readonly { readonly place: string; readonly skips: (path: string) => boolean }[] = [
  { place: 'staged files', skips: (path) => path.endsWith('.staged') },
  { place: 'the staged entry', skips: (path) => /\/entry-\d+\.json$/.test(path) },
  { place: 'the folder of the chain', skips: (path) => path.endsWith('/streams/nightly') },
  { place: 'the target folder', skips: (path) => path === '/target' },
  { place: 'the pack', skips: (path) => path.endsWith('/pack.gz') },
  { place: 'the folder of packs', skips: (path) => path.endsWith('/folded') },
  { place: 'the checkpoint', skips: (path) => path.endsWith('/checkpoint.json') },
];

test.each(MUTANTS)('without a sync the test turns red: $place', async ({ skips }) => {
  for (const { chainCase, prepare } of CASES.filter(({ layout }) => layout === 'folder')) {
    const moments = await record(chainCase, await prepare(chainCase), skips);
    const red = await loseEach(chainCase, moments, 8).catch((error: Error) => error);
    if (red instanceof Error) return;
  }
  throw new Error('rows survived');
});
