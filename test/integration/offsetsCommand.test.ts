import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { readSavedState } from '../../src/commit/session.ts';
import type { ProgramResult } from '../helpers/cache.ts';
import { runCommand, writeConfig } from '../helpers/command.ts';
import { randomName } from '../helpers/topics.ts';
import { OFFSETS_MODES, type OffloadJob, type OffsetsMode, slow, sorted, Workspace } from '../helpers/workspace.ts';
import {
  CONFIG,
  compileLoader,
  expectedRows,
  folders,
  type LoadOptions,
  load,
  offsetsSettings,
  stagedRuns,
  TOPIC,
  topicReader,
  visibleRows,
} from '../unit/commit/harness.ts';
import type { LoaderOptions } from '../unit/commit/loader.ts';

/** `kafkaload offsets`, as the way out of what a run refuses, beside real runs on a real broker. */

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;
let loader: Awaited<ReturnType<typeof compileLoader>>;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
  loader = await compileLoader();
});

afterAll(async () => {
  await loader.remove();
  await work.close();
});

function offsets(job: Pick<OffloadJob, 'confPath' | 'config'>, ...words: string[]): Promise<ProgramResult> {
  const [action = '', ...more] = words;
  return runCommand(['offsets', action, '--conf', job.confPath, '--config', job.config, ...more], { cwd: work.path });
}

interface Shown {
  readonly partitions: Readonly<Record<string, Readonly<Record<'saved' | 'logStart' | 'end' | 'lag', number | null>>>>;
  readonly aliveRun: { readonly host: string; readonly pid: number } | null;
  readonly pendingRun: { readonly run: string } | null;
}

async function show(job: Pick<OffloadJob, 'confPath' | 'config'>): Promise<Shown> {
  const result = await offsets(job, 'show', '--report', 'json');
  expect(result.code, result.stderr).toBe(0);
  return JSON.parse(result.stdout) as Shown;
}

async function expectSaved(job: OffloadJob, saved: Readonly<Record<number, number | null>>): Promise<void> {
  const { partitions } = await show(job);
  const found = Object.entries(partitions).map(([partition, entry]) => [partition, entry.saved]);
  expect(Object.fromEntries(found)).toEqual(saved);
}

async function mustRun(...args: Parameters<typeof offsets>): Promise<string> {
  const result = await offsets(...args);
  expect(result.code, result.stderr).toBe(0);
  return result.stdout;
}

describe.each(OFFSETS_MODES)('offsets in mode %s', (mode) => {
  test('show creates nothing, tells what is saved, and disturbs no live run; set names that run', async () => {
    const topic = await work.topics.create('shown', { partitions: 2 });
    const clientId = randomName('slow');
    const job = await work.job({ topic, mode, entry: slow(clientId) });
    const first = await work.send(topic, 100, [0, 1]);
    const untouched = await job.snapshot();
    expect((await show(job)).partitions).toEqual({
      0: { saved: null, logStart: 0, end: 50, lag: null },
      1: { saved: null, logStart: 0, end: 50, lag: null },
    });
    await mustRun(job, 'reset');
    await mustRun(job, 'recover');
    expect(await job.snapshot()).toEqual(untouched);

    await job.report();
    const more = await work.send(topic, 10_000, [0, 1], 300);
    const before = await job.snapshot();
    expect((await show(job)).partitions[0]).toEqual({ saved: 50, logStart: 0, end: 5_050, lag: 5_000 });
    expect(await job.snapshot()).toEqual(before);

    // The same config without the limit: the broker shall hold the run alone.
    const other = await work.job({ topic, mode, offsets: job.offsets });
    const { run, release } = await work.startHeld(job, clientId);
    try {
      expect((await show(other)).aliveRun).toMatchObject({ host: hostname(), pid: run.child.pid });
      const refused = await offsets(other, 'set', '--offsets', 'earliest');
      expect(refused.code).toBe(1);
      expect(refused.stderr.trimEnd().split('\n').at(-1)).toContain(`on host ${hostname()} (pid ${run.child.pid})`);
      expect(run.child.exitCode).toBeNull();
    } finally {
      await release();
    }
    const result = await run.result;
    expect(result.code, result.stderr).toBe(0);
    expect(await job.values()).toEqual(sorted([...first, ...more]));
    await expectSaved(other, { 0: 5_050, 1: 5_050 });
  });

  test('set says from and to, and the next run takes exactly what comes from there', async () => {
    const topic = await work.topics.create('set', { partitions: 2 });
    const job = await work.job({ topic, mode });
    const values = await work.send(topic, 200, [0, 1]);
    await job.report();
    const before = await job.snapshot();
    const outside = await offsets(job, 'set', '--offsets', '{"0": 101}');
    expect(outside).toMatchObject({
      code: 2,
      stderr: `kafkaload: cannot set ${topic}/0 to offset 101: its log ends at 100; name an offset from 0 to 100\n`,
    });
    expect(await offsets(job, 'set', '--offsets', '{"7": 1}')).toMatchObject({
      code: 2,
      stderr: `kafkaload: --offsets names partition 7 of ${topic}, which has partitions 0, 1\n`,
    });
    expect(await mustRun(job, 'set', '--offsets', '{"0": 90}', '--dry-run')).toBe(
      `orders: would set saved offsets of topic ${topic}\n` +
        '  partition   from    to\n          0    100    90\n          1    100   100\nnothing was changed\n',
    );
    expect(await job.snapshot()).toEqual(before);

    expect(await mustRun(job, 'set', '--offsets', '{"0": 90}')).toContain('          0    100    90\n');
    await expectSaved(job, { 0: 90, 1: 100 });
    const taken = await job.report();
    expect(taken.offsets).toEqual({ 0: { from: 90, to: 100 }, 1: { from: 100, to: 100 } });
    const again = values.filter((_, index) => index % 2 === 0).slice(90);
    expect(await job.values()).toEqual(sorted([...values, ...again]));

    await mustRun(job, 'set', '--offsets', 'earliest');
    await expectSaved(job, { 0: 0, 1: 0 });
    await mustRun(job, 'set', '--offsets', 'latest');
    await expectSaved(job, { 0: 100, 1: 100 });
    // Messages are a millisecond apart from this time on, taking turns between the partitions.
    await mustRun(job, 'set', '--offsets', new Date(1_700_000_000_000 + 101).toISOString());
    await expectSaved(job, { 0: 51, 1: 50 });
    expect((await job.report()).rows).toBe(99);
  });

  test('reset lets startingOffsets apply again, also when the topic was deleted and made again', async () => {
    const topic = await work.topics.create('reset', { partitions: 1 });
    const job = await work.job({ topic, mode, entry: { accessOptions: { startingOffsets: '{"0": 40}' } } });
    const values = await work.send(topic, 100);
    expect((await job.report()).rows).toBe(60);
    expect(await mustRun(job, 'reset', '--dry-run')).toContain('would forget');
    await expectSaved(job, { 0: 100 });
    expect(await mustRun(job, 'reset')).toBe(
      `orders: forgot saved offsets of topic ${topic}; the next run begins by startingOffsets\n` +
        '  partition   from     to\n          0    100   none\n',
    );
    await expectSaved(job, { 0: null });
    expect((await job.report()).offsets).toEqual({ 0: { from: null, to: 100 } });
    expect(await job.values()).toEqual(sorted([...values.slice(40), ...values.slice(40)]));

    await work.topics.delete(topic);
    await work.topics.createNamed(topic, { partitions: 1 });
    const anew = await work.send(topic, 150);
    const refused = await job.run();
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('; run kafkaload offsets reset --config orders to begin anew\n');
    expect(await mustRun(job, 'show')).toContain(': run kafkaload offsets reset --config orders to begin anew');
    await mustRun(job, 'reset');
    const again = await job.report();
    expect(again.offsets).toEqual({ 0: { from: null, to: 150 } });
    expect(again.rows).toBe(110);
    expect(await job.values()).toEqual(sorted([...values.slice(40), ...values.slice(40), ...anew.slice(40)]));
    expect((await job.report()).rows).toBe(0);
  });

  test('set gives a topic that was made again its own offsets, if none of the old ones would stay', async () => {
    const topic = await work.topics.create('remade', { partitions: 2 });
    const job = await work.job({ topic, mode });
    await work.send(topic, 20, [0, 1]);
    await job.report();
    await work.topics.delete(topic);
    await work.topics.createNamed(topic, { partitions: 2 });
    await work.send(topic, 20, [0, 1]);
    const refused = await offsets(job, 'set', '--offsets', '{"0": 3}');
    expect(refused).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(
        `cannot set offsets of orders: offset 10 is saved for ${topic}/1, which is that of a topic ${topic} that was deleted (topic id `,
      ),
    });
    expect(refused).toMatchObject({
      stderr: expect.stringContaining('), and would stay; ' + 'run kafkaload offsets reset --config orders first'),
    });
    await mustRun(job, 'set', '--offsets', '{"0": 3, "1": 8}');
    expect((await job.report()).rows).toBe(9);
  });
});

/** Steps of a loader's second run, by mode and target: they are the same for each of its kind. */
const knownSteps = new Map<string, readonly string[]>();

async function stepsOf(mode: OffsetsMode, options: LoadOptions): Promise<readonly string[]> {
  const kind = `${mode} ${options.target}`;
  const known = knownSteps.get(kind);
  if (known !== undefined) return known;
  const base = join(work.path, randomName('sample'));
  const { stream } = options;
  const sample = { ...options, base, ...(stream && { stream: { ...stream, topic: work.topics.reserve('offsets') } }) };
  await load(sample);
  const steps: string[] = [];
  await load({ ...sample, highWatermark: 7 }, { onStep: (name) => void steps.push(name) });
  knownSteps.set(kind, steps);
  return steps;
}

/** A small loader's run up to 5, and one up to 7 that is killed at a step. */
async function killed(mode: OffsetsMode, target: LoadOptions['target'], step: string) {
  const base = join(work.path, randomName('killed'));
  const stream = { bootstrapServers, topic: work.topics.reserve('offsets'), partitions: 1 };
  const options: LoadOptions = {
    ...{ base, target, writeMode: 'Append', highWatermark: 5, heartbeatMs: 300, takeOverAfterMs: 2_000 },
    ...(mode === 'STREAM' ? { stream } : {}),
  };
  await load(options);
  const steps = await stepsOf(mode, options);
  const argument: LoaderOptions = {
    ...options,
    highWatermark: 7,
    stopAtStep: steps.indexOf(step) + 1,
    signal: 'SIGKILL',
  };
  expect(steps).toContain(step);
  const child = spawn(process.execPath, [loader.script, JSON.stringify(argument)], { stdio: 'inherit' });
  expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
  const confPath = await writeConfig(
    work.path,
    {
      ...{ bootstrapServers, mode, offsets: mode === 'STREAM' ? stream.topic : folders(base).offsets },
      topics: { [CONFIG]: { topicName: TOPIC } },
      more: { heartbeatMs: 300, takeOverAfterMs: 60_000 },
    },
    `${randomName('killed')}.yaml`,
  );
  return { options: { ...options, highWatermark: 7 }, job: { confPath, config: CONFIG } };
}

async function look(options: LoadOptions) {
  const { reader, close } = topicReader(bootstrapServers);
  try {
    return await readSavedState({ config: CONFIG, topics: [TOPIC], offsets: offsetsSettings(options), reader });
  } finally {
    close();
  }
}

const offsetsOf = async (options: LoadOptions) => (await look(options)).offsets.map(({ offset }) => offset);

describe.each(OFFSETS_MODES)('a run killed after it prepared, in mode %s', (mode) => {
  test.each(['folder', 'file'] as const)('recover finishes it and reads nothing more, target a %s', async (target) => {
    const { options, job } = await killed(mode, target, 'prepare.after');
    const { run } = (await look(options)).pendingIntent ?? {};
    expect((await show(job)).pendingRun).toMatchObject({ run });
    expect(await mustRun(job, 'recover', '--dry-run')).toContain(`would finish run ${run}\n`);
    expect(await offsetsOf(options)).toEqual([5, 5]);
    const files = target === 'file' ? '1 file' : '2 files';
    expect(await mustRun(job, 'recover')).toBe(`finished run ${run}, which had stopped half-way: ${files} published\n`);
    expect(await offsetsOf(options)).toEqual([7, 7]);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
    expect(await stagedRuns(options)).toEqual([]);
    expect(await mustRun(job, 'recover')).toBe('orders: no run is prepared and not committed\n');
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 0, recovered: [] });
  });

  test.each(['folder', 'file'] as const)(
    'recover --discard lets the next run read it again, target a %s',
    async (target) => {
      const { options, job } = await killed(mode, target, 'prepare.after');
      const { run } = (await look(options)).pendingIntent ?? {};
      expect(await mustRun(job, 'recover', '--discard', '--dry-run')).toContain(`would withdraw run ${run}\n`);
      expect((await look(options)).pendingIntent?.run).toBe(run);
      expect(await mustRun(job, 'recover', '--discard')).toBe(
        `withdrew run ${run}; the next run reads its ranges again\n` +
          '  partition   from   to\n          0      5    7\n          1      5    7\n',
      );
      expect((await look(options)).pendingIntent).toBeUndefined();
      expect(await offsetsOf(options)).toEqual([5, 5]);
      expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
      expect(await stagedRuns(options)).toEqual([]);
      expect(await load(options)).toMatchObject({ outcome: 'ok', recovered: [] });
      expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
      expect(await offsetsOf(options)).toEqual([7, 7]);
    },
  );

  test.each([
    ['folder', 'publish.fileLinked'],
    ['file', 'publish.renamed'],
  ] as const)('recover --discard is refused once a file is published, target a %s', async (target, step) => {
    const { options, job } = await killed(mode, target, step);
    for (const dryRun of [['--dry-run'], []]) {
      const refused = await offsets(job, 'recover', '--discard', ...dryRun);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(
        /cannot give back the ranges of run \S+ of config orders: \S+ is already published; nothing was changed; kafkaload offsets recover --config orders finishes it\n$/,
      );
    }
    await mustRun(job, 'recover');
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 0 });
    expect(await stagedRuns(options)).toEqual([]);
  });

  test('reset finishes it first', async () => {
    const { options, job } = await killed(mode, 'folder', 'prepare.after');
    await mustRun(job, 'reset');
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
    expect(await look(options)).toMatchObject({ offsets: [], topicIds: {}, previousRun: { run: expect.any(String) } });
  });
});
