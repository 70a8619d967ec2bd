import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { JsonReport } from '../helpers/command.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { sendMessages } from '../helpers/producers.ts';
import { toHex } from '../helpers/script.ts';
import { type SteppedRun, type StepTarget, startStepped, targetsOf } from '../helpers/steps.ts';
import { OFFSETS_MODES, type OffloadJob, type OffsetsMode, sorted, Workspace } from '../helpers/workspace.ts';

/**
 * Saved offsets that a person sets, as the whole command: while a run that was killed stands prepared, and by a command
 * that is killed itself.
 */
const IS_WHOLE = process.env.KAFKALOAD_FAULTS === 'all';
const PARTITIONS = [0, 1];
/** From here on the new offsets are what the next run begins from. */
const DECIDED: Readonly<Record<OffsetsMode, string>> = { FILE: 'prepare.renamed', STREAM: 'commit.committed' };
/** What `npm test` has of the steps: those around that. */
const SAMPLE: readonly string[] = [
  ...['open.recorded', 'prepare.before', 'prepare.renamed', 'commit.saved', 'commit.committed', 'commit.done'],
];

type Offsets = Readonly<Record<number, number>>;

let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
});

afterAll(() => work.close());

/** Kills a run, or `kafkaload offsets`, at a step. */
async function kill(job: OffloadJob, args: readonly string[], target: StepTarget): Promise<SteppedRun> {
  const run = await startStepped(args, job.folder, { ...target, signal: 'SIGKILL' }).ended;
  expect(run.isStopped, `${target.name}: ${run.result.stderr}`).toBe(true);
  expect(run.result.signal).toBe('SIGKILL');
  return run;
}

function offsetsArgs(job: OffloadJob, ...words: readonly string[]): string[] {
  const [action = '', ...more] = words;
  return ['offsets', action, '--conf', job.confPath, '--config', job.config, ...more];
}

/** With other means than ours: an editor, a producer. */
async function edit(mode: OffsetsMode, job: OffloadJob, partition: number, offset: number): Promise<void> {
  if (mode === 'FILE') {
    const path = join(job.offsets, job.config);
    const text = await readFile(path, 'utf8');
    const edited = text.replace(new RegExp(`^- "${partition},\\d+"$`, 'm'), `- "${partition},${offset}"`);
    expect(edited).not.toBe(text);
    await writeFile(path, edited);
    return;
  }
  const { bootstrapServers, path: folder } = work;
  const [key, value] = [toHex(`${job.config}/${partition}`), toHex(String(offset))];
  const message = { partition: 0, timestamp: Date.now(), key, value, headers: [] };
  await sendMessages({ bootstrapServers, topic: job.offsets, folder }, [message]);
}

interface ByHand {
  readonly name: string;
  readonly act: (mode: OffsetsMode, job: OffloadJob) => Promise<unknown>;
  /** Afterwards, before another run. */
  readonly saved: Offsets;
  /** Whether it finishes the prepared run. */
  readonly finishes: boolean;
  /** Where the next run begins. */
  readonly from: Readonly<Record<number, number | null>>;
}

const BY_HAND: readonly ByHand[] = [
  {
    name: 'kafkaload offsets set',
    act: (_, job) => job.offsetsCommand('set', '--offsets', '{"0": 10}'),
    saved: { 0: 10, 1: 50 },
    finishes: true,
    from: { 0: 10, 1: 50 },
  },
  {
    name: 'kafkaload offsets reset',
    act: (_, job) => job.offsetsCommand('reset'),
    saved: {},
    finishes: true,
    from: { 0: null, 1: null },
  },
  {
    name: 'another tool',
    act: (mode, job) => edit(mode, job, 0, 10),
    saved: { 0: 10, 1: 30 },
    finishes: false,
    from: { 0: 10, 1: 50 },
  },
];

/** What `npm test` leaves out is in test/integration/offsetsCommand.test.ts, with a smaller loader. */
const WAYS = IS_WHOLE ? BY_HAND : BY_HAND.filter(({ finishes, saved }) => !finishes || 0 in saved);

describe.each(OFFSETS_MODES)('offsets in mode %s', (mode) => {
  test.each(WAYS)(
    'set by $name while a killed run is prepared: its rows are there once, and the value stays',
    async ({ act, saved, finishes, from }) => {
      const topic = await work.topics.create('byhand', { partitions: 2 });
      const job = await work.job({ topic, mode });
      const first = await work.send(topic, 60, PARTITIONS);
      await job.report();
      const all = [...first, ...(await work.send(topic, 40, PARTITIONS))];
      await kill(job, job.args(), { name: 'prepare.after', nth: 1 });
      expect(await job.saved()).toEqual({ 0: 30, 1: 30 });

      await act(mode, job);
      expect(await job.saved()).toEqual(saved);
      expect(await job.values()).toEqual(sorted(finishes ? all : first));

      const next = (await job.report()) as JsonReport & { readonly recovered: readonly unknown[] };
      expect(next.recovered).toHaveLength(finishes ? 0 : 1);
      expect(next.offsets).toEqual({ 0: { from: from[0], to: 50 }, 1: { from: from[1], to: 50 } });
      // Partitions take turns: message 2 n + p is the one at offset n of partition p.
      const again = all.filter((_, index) => Math.floor(index / 2) >= (from[index % 2] ?? 0));
      const found = await job.values();
      expect(found).toEqual(sorted([...all, ...again]));
      expect(await job.saved()).toEqual({ 0: 50, 1: 50 });
      expect(await job.staged()).toEqual([]);
      countFaults({ kind: 'offsets set by hand', layout: 'folder', mode }, { kills: 1, rows: found.length });
    },
  );

  const changes = [
    { action: 'set', words: ['--offsets', '{"0": 7, "1": 3}'], changed: { 0: 7, 1: 3 } },
    { action: 'reset', words: [], changed: {} },
  ] as const;

  test.each(IS_WHOLE ? changes : changes.slice(0, 1))(
    'kafkaload offsets $action, killed at its steps: the next run sees all of the old offsets or of the new ones',
    async ({ action, words, changed }) => {
      const topic = await work.topics.create('change', { partitions: 2 });
      const job = await work.job({ topic, mode });
      await work.send(topic, 40, PARTITIONS);
      await job.report();
      const old: Offsets = { 0: 20, 1: 20 };
      const args = offsetsArgs(job, action, ...words);
      const { result, steps } = await startStepped(args, job.folder).ended;
      expect(result.code, result.stderr).toBe(0);
      expect(steps).toContain(DECIDED[mode]);
      await job.report();

      for (const target of targetsOf(steps)) {
        if (!IS_WHOLE && !SAMPLE.includes(target.name)) continue;
        const killed = await kill(job, args, target);
        const isDecided = killed.steps.includes(DECIDED[mode]);
        // What is decided may still have to be saved.
        const saved = await job.saved();
        expect(isDecided ? [old, changed] : [old], target.name).toContainEqual(saved);
        const seen: Offsets = isDecided ? changed : old;
        const next = await job.report();
        const from = (partition: number): number | null => seen[partition] ?? null;
        expect(next.offsets, target.name).toEqual({ 0: { from: from(0), to: 20 }, 1: { from: from(1), to: 20 } });
        expect(next.rows).toBe(40 - (from(0) ?? 0) - (from(1) ?? 0));
        expect(await job.saved()).toEqual(old);
        const test = { kind: `offsets ${action} killed`, mode };
        countFaults(test, { kills: 1, rows: next.rows });
      }
      expect(await job.staged()).toEqual([]);
    },
  );
});
