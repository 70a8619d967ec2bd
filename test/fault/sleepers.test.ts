import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { countFaults } from '../helpers/faultCounts.ts';
import { TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import {
  CONFIG,
  compileLoader,
  expectedRows,
  folders,
  type LoadOptions,
  type LoadResult,
  load,
  makeBase,
  savedText,
  stagedRuns,
  stateKinds,
  visibleRows,
} from '../unit/commit/harness.ts';
import type { SleeperOptions } from '../unit/commit/sleeper.ts';

/**
 * What the model (test/model) says of runs that sleep and wake, on real processes, real files and a real broker. Each
 * case is one correction of its table: processes stop at the very steps at which the protocol broke without it. A
 * sleeps; B takes over and sleeps; both are woken, in either order; C finishes, before or after that. Corrections that
 * only a loss of power or a listing cut in two shows are in the model and in lostSync.test.ts.
 */
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
const AT_A_TIME = 2;

let script: string;
let base: string;
const cleanUps: (() => Promise<void>)[] = [];
const children: ChildProcess[] = [];
const bootstrapServers = inject('bootstrapServers');
const topics = new TestTopics(bootstrapServers);

beforeAll(async () => {
  const compiled = await compileLoader();
  const made = await makeBase();
  script = compiled.sleeper;
  base = made.base;
  cleanUps.push(compiled.remove, made.remove);
});

afterAll(async () => {
  // Only those of a test that failed: a stopped process never ends by itself.
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  for (const cleanUp of cleanUps) await cleanUp();
  await topics.cleanUp();
});

type Mode = 'FILE' | 'STREAM';
type Target = 'folder' | 'file';

/** A process: where it stops, in this order; killed at the last with `dies`, which is then the end of it. */
interface Sleeper {
  readonly stops: readonly string[];
  readonly dies?: boolean;
  readonly discard?: boolean;
}

interface Case {
  /** The correction of the model's table, which is in place here. */
  readonly correction: string;
  readonly mode: Mode;
  readonly sleepers: readonly Sleeper[];
  /** Who is woken, by position, one after another. Default: in the order of their start, and the other way round. */
  readonly wake?: readonly (readonly number[])[];
  /** Once the first process is dead or asleep, a person sets partition 0 to this. */
  readonly byHand?: number;
}

const CASES: readonly Case[] = [
  {
    correction: 'the run in each name: two made names of one number',
    mode: 'FILE',
    sleepers: [{ stops: ['open.listed'] }, { stops: ['prepare.after'] }],
  },
  {
    correction: 'listing again after the own name is made',
    mode: 'FILE',
    sleepers: [{ stops: ['open.stagingMade'] }, { stops: ['open.read'] }],
  },
  {
    correction: 'settle older runs and intents, then read',
    mode: 'FILE',
    sleepers: [{ stops: ['commit.begun'] }, { stops: ['recover.nextWritten'] }],
  },
  {
    correction: 'fence every older run before an intent is touched',
    mode: 'FILE',
    sleepers: [
      { stops: ['prepare.after'], dies: true },
      { stops: ['recover.nextWritten'] },
      { stops: ['recover.claimed'] },
    ],
  },
  {
    correction: 'next is written before prepare, and once',
    mode: 'FILE',
    sleepers: [{ stops: ['commit.begun'] }, { stops: ['commit.savedSynced'] }],
  },
  {
    correction: 'the next of a recovery is merged with what was set by hand',
    mode: 'FILE',
    sleepers: [{ stops: ['prepare.after'], dies: true }, { stops: ['recover.claimed'] }],
    byHand: 5,
  },
  {
    correction: 'the same, and the one it recovers wakes',
    mode: 'FILE',
    sleepers: [{ stops: ['commit.begun'] }, { stops: ['recover.begun'] }],
    byHand: 5,
  },
  {
    correction: 'staging is removed by the run whose rename to done succeeded',
    mode: 'FILE',
    sleepers: [{ stops: ['commit.savedSynced'] }, { stops: ['recover.claimed'] }],
  },
  ...(['FILE', 'STREAM'] as const).flatMap((mode): Case[] => [
    {
      correction: 'staging is put aside before a run is given back',
      mode,
      sleepers: [{ stops: ['publish.begun'] }, { stops: ['discard.withdrawn'], discard: true }],
    },
    {
      correction: 'a run that publishes meanwhile is not given back',
      mode,
      sleepers: [{ stops: ['publish.begun'] }, { stops: ['discard.begun'], discard: true }],
    },
  ]),
  {
    correction: 'the state is read after fencing the others',
    mode: 'STREAM',
    sleepers: [{ stops: ['open.recorded', 'publish.begun'] }, { stops: ['open.watched', 'publish.begun'] }],
    wake: [
      [0, 1, 0, 1],
      [0, 1, 1, 0],
    ],
  },
  {
    correction: 'fenced or unknown at commit: nothing is touched',
    mode: 'STREAM',
    sleepers: [{ stops: ['commit.begun'] }, { stops: ['open.fencedOthers'] }],
  },
  {
    correction: 'the run record names staging until it is removed, also of runs before it',
    mode: 'STREAM',
    sleepers: [{ stops: ['stage.done'] }, { stops: ['open.recorded'] }],
  },
];

interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<LoadResult | null>;
}

function start(options: LoadOptions, { stops, dies = false, discard = false }: Sleeper): Child {
  const argument: SleeperOptions = { ...options, discard, stops, last: dies ? 'SIGKILL' : 'SIGSTOP' };
  const child = spawn(process.execPath, [script, JSON.stringify(argument)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  const ended = new Promise<LoadResult | null>((resolve) => {
    child.on('close', () => resolve(output === '' ? null : (JSON.parse(output) as LoadResult)));
  });
  return { process: child, ended };
}

/** Waits until a process sleeps again, or has ended. */
async function settled({ process: child }: Child, what: string): Promise<'asleep' | 'ended'> {
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  await waitFor(`a process to stop, ${what}`, async () => hasEnded() || (await isStopped(child)), { everyMs: 10 });
  return hasEnded() ? 'ended' : 'asleep';
}

/** `T`: stopped by a signal, proc(5). */
async function isStopped(child: ChildProcess): Promise<boolean> {
  const text = await readFile(`/proc/${child.pid}/stat`, 'latin1').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3) === 'T';
}

const OUTCOMES = ['ok', 'FENCED', 'RUN_ALIVE'];
/** Where ranges are given back, a run may be refused that, and a sleeper may find that its staging was put aside. */
const OUTCOMES_OF_DISCARD = [...OUTCOMES, 'RECOVERY_BLOCKED'];

/** @param isExact Whether every process must come to the steps it is to stop at. */
async function play(
  { mode, sleepers, byHand }: Omit<Case, 'correction'>,
  play: { name: string; target: Target; wake: readonly number[]; finishFirst: boolean; isExact: boolean },
): Promise<void> {
  const what = `${play.name}, woken ${play.wake.join(' ')}${play.finishFirst ? ' after another has finished' : ''}`;
  const stream = { bootstrapServers, topic: topics.reserve('sleepers'), partitions: 1 };
  const options: LoadOptions = {
    base: join(base, what.replace(/[^a-z0-9]+/gi, '-')),
    target: play.target,
    writeMode: 'Append',
    highWatermark: 4,
    heartbeatMs: 50,
    takeOverAfterMs: 250,
    ...(mode === 'STREAM' ? { stream } : {}),
  };
  await load(options);
  const started: Child[] = [];
  for (const [index, sleeper] of sleepers.entries()) {
    const child = start({ ...options, highWatermark: 6 + index }, sleeper);
    started.push(child);
    const state = await settled(child, what);
    if (play.isExact && state === 'ended') expect(await child.ended, `${what}: process ${index}`).toBeNull();
    if (play.isExact)
      expect(state, `${what}: process ${index} at ${sleeper.stops[0]}`).toBe(sleeper.dies ? 'ended' : 'asleep');
    if (index === 0 && byHand !== undefined) {
      await writeFile(join(folders(options.base).offsets, CONFIG), `- "0,${byHand}"\n- "1,4"\n`);
    }
  }
  const last = { ...options, highWatermark: 10 };
  if (play.finishFirst) expect(await load(last), what).toMatchObject({ outcome: 'ok' });
  for (const index of play.wake) {
    const child = started[index];
    if (!child) throw new Error(`no process ${index}`);
    child.process.kill('SIGCONT');
    await settled(child, what);
  }
  for (const [index, child] of started.entries()) {
    if (sleepers[index]?.dies) continue;
    child.process.kill('SIGCONT');
    const outcomes = sleepers.some(({ discard }) => discard) ? OUTCOMES_OF_DISCARD : OUTCOMES;
    expect(outcomes, `${what}: process ${index}`).toContain((await child.ended)?.outcome);
  }
  expect(await load(last), what).toMatchObject({ outcome: 'ok' });
  await load(last);
  // What a person asked to be read again comes again.
  const again = byHand === undefined ? [] : Array.from({ length: 6 - byHand }, (_, index) => `0,${byHand + index}`);
  const rows = await visibleRows(last);
  expect(rows, what).toEqual([...expectedRows(0, 10), ...again].toSorted((a, b) => (a < b ? -1 : 1)));
  const kills = sleepers.length;
  countFaults(
    { kind: 'sleepers that wake', layout: play.target === 'file' ? 'exact file' : 'folder', mode },
    { kills, rows: rows.length },
  );
  if (mode === 'STREAM') {
    // A process that died, or was fenced, before its record named its staging folder leaves that folder empty.
    expect((await stagedRuns(last)).length, what).toBeLessThanOrEqual(1);
    return;
  }
  expect(await stagedRuns(last), what).toEqual([]);
  expect(await savedText(last), what).toBe('- "0,10"\n- "1,10"\n');
  expect(await stateKinds(last), what).toEqual(['done']);
}

function positions({ sleepers, wake }: Case): readonly (readonly number[])[] {
  const awake = sleepers.flatMap(({ dies }, index) => (dies ? [] : [index]));
  return wake ?? (awake.length > 1 ? [awake, awake.toReversed()] : [awake]);
}

async function inTurn(plays: readonly (() => Promise<void>)[]): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < plays.length; at = next++) await plays[at]?.();
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

describe.each(CASES)('$mode, $correction', (scene) => {
  test.each(ALL ? (['folder', 'file'] as const) : (['folder'] as const))(
    '%s: nothing is lost, nothing twice',
    async (target) => {
      const name = `${scene.mode} ${scene.correction} ${target}`;
      await inTurn(
        positions(scene).flatMap((wake, index) =>
          (ALL || index === 0 ? [false, true] : [false]).map((finishFirst) => {
            return () => play(scene, { name, target, wake, finishFirst, isExact: true });
          }),
        ),
      );
    },
  );
});

/** Steps at which A and B sleep in the product of both. */
const PRODUCT: Readonly<Record<Mode, { readonly a: readonly string[]; readonly b: readonly string[] }>> = {
  FILE: {
    a: ['open.listed', 'open.stagingMade', 'stage.done', 'prepare.before', 'publish.fileLinked', 'commit.begun'],
    b: [
      'open.stagingMade',
      'open.runCreated',
      'settle.listed',
      'recover.nextWritten',
      'recover.claimed',
      'stage.done',
      'prepare.before',
      'publish.fileLinked',
      'commit.begun',
      'commit.saved',
      'commit.done',
    ],
  },
  STREAM: {
    a: ['open.watched', 'open.recorded', 'prepare.before', 'prepare.after', 'commit.begun'],
    b: [
      'open.watched',
      'open.fencedOthers',
      'open.recorded',
      'prepare.before',
      'publish.fileLinked',
      'commit.committed',
    ],
  },
};

describe.runIf(ALL).each(['FILE', 'STREAM'] as const)('%s, every pair of steps', (mode) => {
  const { a: stepsOfA, b: stepsOfB } = PRODUCT[mode];

  test.each(stepsOfA)('A asleep at %s, B anywhere: nothing is lost, nothing twice', async (a) => {
    await inTurn(
      stepsOfB.map((b, index) => () => {
        const isEven = (stepsOfA.indexOf(a) + index) % 2 === 0;
        const order = { wake: isEven ? [0, 1] : [1, 0], finishFirst: index % 3 === 0 };
        const sleepers = [{ stops: [a] }, { stops: [b] }];
        return play({ mode, sleepers }, { name: `${mode} ${a} ${b}`, target: 'folder', ...order, isExact: false });
      }),
    );
  });
});
