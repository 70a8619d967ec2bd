import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { countFaults } from '../helpers/faultCounts.ts';
import { TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import {
  compileLoader,
  expectedRows,
  type LoadOptions,
  type LoadResult,
  load,
  makeBase,
  savedText,
  stagedRuns,
  stateKinds,
  visibleRows,
} from '../unit/commit/harness.ts';
import type { LoaderOptions } from '../unit/commit/loader.ts';

/**
 * Child processes are killed, or stopped and woken again, at every step of a run, on a real file system. The oracle:
 * every offset below the saved one is visible exactly once, and nothing is left that a later run would not remove.
 */
let script: string;
let base: string;
const cleanUps: (() => Promise<void>)[] = [];
const children: ChildProcess[] = [];

beforeAll(async () => {
  const compiled = await compileLoader();
  const made = await makeBase();
  script = compiled.script;
  base = made.base;
  cleanUps.push(compiled.remove, made.remove);
});

afterAll(async () => {
  // Only those of a test that failed: a stopped process never ends by itself.
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  for (const cleanUp of cleanUps) await cleanUp();
  await topics.cleanUp();
});

const KINDS = [
  { mode: 'FILE', target: 'folder', writeMode: 'Append' },
  { mode: 'FILE', target: 'folder', writeMode: 'Overwrite' },
  { mode: 'FILE', target: 'file', writeMode: 'Append' },
  { mode: 'STREAM', target: 'folder', writeMode: 'Append' },
  { mode: 'STREAM', target: 'file', writeMode: 'Append' },
] as const;
type Kind = (typeof KINDS)[number];
/** What a run that waits for one that ended waits at least. */
const TAKE_OVER_MS = 60_000;

const bootstrapServers = inject('bootstrapServers');
const topics = new TestTopics(bootstrapServers);

/** Two at a time: there are two cores, and most of the time is start-up of processes. */
const AT_A_TIME = 2;
/** `npm test` takes every third step, each kind beginning at another one. */
const EVERY = process.env.KAFKALOAD_FAULTS === 'all' ? 1 : 3;

function optionsFor(name: string, { mode, ...kind }: Kind): LoadOptions {
  const stream = { bootstrapServers, topic: topics.reserve('commit-crash'), partitions: 1 };
  return {
    base: join(base, name),
    ...kind,
    highWatermark: 4,
    heartbeatMs: 50,
    takeOverAfterMs: 250,
    ...(mode === 'STREAM' ? { stream } : {}),
  };
}

interface Child {
  readonly process: ChildProcess;
  /** Its printed result; null if it was killed before it could. */
  readonly ended: Promise<LoadResult | null>;
}

function start(options: LoadOptions, stopAtStep: number, signal: LoaderOptions['signal']): Child {
  const argument: LoaderOptions = { ...options, stopAtStep, signal };
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

/** Names of the steps of one run over what stands there, in order. */
async function stepsOf(options: LoadOptions): Promise<string[]> {
  const steps: string[] = [];
  const result = await load(options, {
    onStep: (name) => {
      steps.push(name);
    },
  });
  expect(result.outcome).toBe('ok');
  return steps;
}

async function forEachStep(kind: Kind, count: number, act: (step: number) => Promise<void>): Promise<void> {
  const first = KINDS.indexOf(kind) % EVERY;
  const steps = Array.from({ length: count }, (_, index) => index + 1).filter((_, index) => index % EVERY === first);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let step = steps[next++]; step !== undefined; step = steps[next++]) await act(step);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

/** Runs once more with two more messages, then judges, and counts what was done to the run before. */
async function judge(options: LoadOptions, what: string, fault: string): Promise<void> {
  const last = { ...options, highWatermark: 8 };
  expect(await load(last), what).toMatchObject({ outcome: 'ok' });
  const expected =
    options.writeMode === 'Overwrite'
      ? [expectedRows(4, 8), expectedRows(6, 8), expectedRows(0, 8)]
      : [expectedRows(0, 8)];
  expect(expected, what).toContainEqual(await visibleRows(last));
  await load(last);
  const left = await stagedRuns(last);
  const mode = `${options.writeMode} ${options.stream ? 'STREAM' : 'FILE'}`;
  const layout = options.target === 'file' ? 'exact file' : 'folder';
  const count = (): void => countFaults({ kind: fault, layout, mode }, { kills: 1, rows: 16 });
  if (last.stream) {
    // A crash between the staging folder and the run record that names it leaves the folder, empty, for an hour.
    const isUnnamed = /open\.(stagingMade|connected|fencedOthers)/.test(what);
    expect(left.length, what).toBeLessThanOrEqual(isUnnamed ? 1 : 0);
    return count();
  }
  expect(left, what).toEqual([]);
  expect(await savedText(last), what).toBe('- "0,8"\n- "1,8"\n');
  expect(await stateKinds(last), what).toEqual(['done']);
  count();
}

describe.each(KINDS)('$mode $target $writeMode', (kind) => {
  const label = `${kind.mode}-${kind.target}-${kind.writeMode}`;
  // What crashSteps.test.ts shows on the whole command is not done again.
  const isKilled = kind.mode === 'FILE' && kind.target === 'file';
  const isPutToSleep = kind.writeMode === 'Append';

  /** A run that ended between prepare and publish, in this process. */
  const crashed = async (name: string): Promise<LoadOptions> => {
    const options = optionsFor(name, kind);
    await load(options);
    await expect(
      load(
        { ...options, highWatermark: 6 },
        {
          onStep: (step) => {
            if (step === 'prepare.after') throw new Error('crash');
          },
        },
      ),
    ).rejects.toThrow('crash');
    return { ...options, highWatermark: 6 };
  };

  test.runIf(isKilled)(
    'killed at each step: the next run needs no wait, loses nothing and repeats nothing',
    async () => {
      const sample = optionsFor(`${label}-sample`, kind);
      await load(sample);
      const steps = await stepsOf({ ...sample, highWatermark: 6 });
      await forEachStep(kind, steps.length, async (step) => {
        const what = `killed at step ${step}, ${steps[step - 1]}`;
        const options = optionsFor(`${label}-kill-${step}`, kind);
        await load(options);
        const child = start({ ...options, highWatermark: 6 }, step, 'SIGKILL');
        expect(await child.ended, what).toBeNull();
        const began = performance.now();
        await judge({ ...options, takeOverAfterMs: TAKE_OVER_MS }, what, 'commit killed');
        expect(performance.now() - began, what).toBeLessThan(TAKE_OVER_MS);
      });
    },
  );

  test.runIf(isKilled)('killed at each step of a recovery: a third run finishes both', async () => {
    const steps = await stepsOf(await crashed(`${label}-recovery-sample`));
    expect(steps.filter((name) => name === 'publish.published')).toHaveLength(1);
    await forEachStep(kind, steps.length, async (step) => {
      const what = `killed at step ${step}, ${steps[step - 1]}`;
      const options = await crashed(`${label}-recovery-${step}`);
      expect(await start(options, step, 'SIGKILL').ended, what).toBeNull();
      await judge(options, what, 'recovery killed');
    });
  });

  test.runIf(isPutToSleep)(
    'asleep at each step while another takes over: it wakes, is fenced, and changes nothing',
    async () => {
      const sample = optionsFor(`${label}-sleep-sample`, kind);
      const steps = await stepsOf(sample);
      await forEachStep(kind, steps.length, async (step) => {
        const what = `asleep at step ${step}, ${steps[step - 1]}`;
        const options = optionsFor(`${label}-sleep-${step}`, kind);
        const { result, winner } = await oversleep(options, step, what);
        expect(['ok', 'FENCED', 'RUN_ALIVE'], what).toContain(result?.outcome);
        await judge(winner, `${what}: ${result?.outcome} ${result?.message}`, 'commit asleep');
      });
    },
  );

  test.runIf(kind.target === 'file')(
    'asleep at each step of a recovery: the next finishes it in its place',
    async () => {
      const steps = await stepsOf(await crashed(`${label}-doze-sample`));
      await forEachStep(kind, steps.length, async (step) => {
        const what = `asleep at step ${step}, ${steps[step - 1]}`;
        const options = await crashed(`${label}-doze-${step}`);
        const { result, winner } = await oversleep(options, step, what);
        expect(['ok', 'FENCED', 'RUN_ALIVE'], what).toContain(result?.outcome);
        await judge(winner, `${what}: ${result?.outcome} ${result?.message}`, 'recovery asleep');
      });
    },
  );
});

/** Stops a run at a step, lets another take over, and wakes it. */
async function oversleep(
  options: LoadOptions,
  step: number,
  what: string,
): Promise<{ result: LoadResult | null; winner: LoadOptions }> {
  const sleeper = start(options, step, 'SIGSTOP');
  await waitFor(`the child to stop, ${what}`, async () => (await stateOf(sleeper.process)) === 'T', { everyMs: 10 });
  const winner = { ...options, highWatermark: 6 };
  expect((await load(winner)).outcome, what).toBe('ok');
  sleeper.process.kill('SIGCONT');
  return { result: await sleeper.ended, winner };
}

/** `T`: stopped by a signal, proc(5). */
async function stateOf(child: ChildProcess): Promise<string> {
  const text = await readFile(`/proc/${child.pid}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3);
}
