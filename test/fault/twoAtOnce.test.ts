import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type CommandRun, startCommand } from '../helpers/command.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { openTransaction } from '../helpers/producers.ts';
import { randomName } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import { type OffloadJob, slow, sorted, Workspace } from '../helpers/workspace.ts';

/**
 * Runs of one config at the same time, as the whole command: one wins, the other says so, and whatever happens every row is
 * there once in the end. Runs are held by a quota of the broker, so that the order of things does not depend on luck.
 */
const MODES = ['FILE', 'STREAM'] as const;
/** On one host and on two it is the same to a sleeper: `npm test` has the harder of them. */
const SLEEPER_HOSTS = process.env.KAFKALOAD_FAULTS === 'all' ? [undefined, 'beta'] : ['beta'];
const MESSAGES = 6_000;
const PADDING = 300;

let work: Workspace;
let otherHosts: string;
const started: CommandRun[] = [];

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
  otherHosts = join(work.path, 'otherHost.mjs');
  // What a container or another machine would give; boot and process ids stay, and are not looked at then.
  await writeFile(
    otherHosts,
    `import os from 'node:os';
import { syncBuiltinESMExports } from 'node:module';
os.hostname = () => process.env.TEST_HOST;
syncBuiltinESMExports();
`,
  );
});

afterAll(async () => {
  // Only those of a test that failed: a stopped process never ends by itself.
  for (const { child } of started) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await work.close();
});

/** Starts a run of a job, as if on another host if one is named. */
function start(job: OffloadJob, options: { readonly host?: string; readonly out?: string } = {}): CommandRun {
  const { host, out } = options;
  const env = host === undefined ? {} : { TEST_HOST: host, NODE_OPTIONS: `--import=${otherHosts}` };
  const args = job.args(['--report', 'json', ...(out === undefined ? [] : ['--write-path', out])]);
  const run = startCommand(args, { cwd: job.folder, env });
  started.push(run);
  return run;
}

interface Pair {
  readonly topic: string;
  /** The run that is held by the broker. */
  readonly held: OffloadJob;
  /** The same config, offsets and target, which the broker does not hold. */
  readonly free: (options?: { readonly host?: string }) => CommandRun;
  readonly values: readonly string[];
  readonly hold: (host?: string) => Promise<{ run: CommandRun; release: () => Promise<void> }>;
}

async function makePair(mode: (typeof MODES)[number]): Promise<Pair> {
  const topic = await work.topics.create('pair', { partitions: 2 });
  const clientId = randomName('held');
  const held = await work.job({ topic, mode, entry: slow(clientId) });
  const rival = await work.job({ topic, mode, offsets: held.offsets });
  const values = await work.send(topic, MESSAGES, [0, 1], PADDING);
  return {
    topic,
    held,
    values,
    free: (options = {}) => start(rival, { ...options, out: held.out }),
    hold: async (host) => {
      await work.topics.limitFetch(clientId, 10_000);
      const run = start(held, host === undefined ? {} : { host });
      await waitFor('the run to stage', async () => {
        if (run.child.exitCode !== null) throw new Error(`the run is over: ${run.output().stderr}`);
        return (await held.staged()).length > 0;
      });
      return { run, release: () => work.topics.limitFetch(clientId, null) };
    },
  };
}

/** Every row once, nothing staged, saved offsets at the end; counted for the table. */
async function expectOnce(mode: string, { held, values }: Pair, kills: number): Promise<void> {
  const found = await held.values();
  expect(found).toEqual(sorted(values));
  expect(await held.saved()).toEqual({ 0: MESSAGES / 2, 1: MESSAGES / 2 });
  expect(await held.staged()).toEqual([]);
  countFaults(
    { kind: 'two at once', layout: 'folder', mode },
    { kills, rows: found.length, duplicates: found.length - new Set(found).size },
  );
}

function lastLine({ stderr }: { readonly stderr: string }): string {
  return stderr.trimEnd().split('\n').at(-1) ?? '';
}

const SAYS_SO = /run \S+ .*(on host \S+ \(pid \d+\)|was taken over by another)/;

describe.each(MODES)('offsets in mode %s', (mode) => {
  test('of three runs started together no two write a row, and who does not win says so', async () => {
    const pair = await makePair(mode);
    const results = await Promise.all([pair.free(), pair.free(), pair.free()].map(({ result }) => result));
    for (const result of results) {
      expect([0, 1], result.stderr).toContain(result.code);
      if (result.code === 1) expect(lastLine(result)).toMatch(SAYS_SO);
    }
    // Each may have found another one in its way.
    const last = await pair.free().result;
    expect(last.code, last.stderr).toBe(0);
    await expectOnce(mode, pair, 0);
  });

  test('a schedule shorter than the run: the first finishes, the later ones exit 1', async () => {
    const pair = await makePair(mode);
    const { run: first, release } = await pair.hold();
    for (let later = 0; later < 2; later++) {
      const result = await pair.free().result;
      expect(result.code, result.stderr).toBe(1);
      expect(lastLine(result)).toContain(`(pid ${first.child.pid})`);
    }
    await release();
    const result = await first.result;
    expect(result.code, result.stderr).toBe(0);
    await expectOnce(mode, pair, 0);
  });

  test.each(SLEEPER_HOSTS)('a run that slept until another (on host %s) had finished changes nothing', async (host) => {
    const pair = await makePair(mode);
    const { run: sleeper, release } = await pair.hold(host === undefined ? undefined : 'alpha');
    sleeper.child.kill('SIGSTOP');
    const other = await pair.free(host === undefined ? {} : { host }).result;
    expect(other.code, other.stderr).toBe(0);
    const before = [await pair.held.files(), await pair.held.saved()];
    await release();
    sleeper.child.kill('SIGCONT');
    const result = await sleeper.result;
    expect(result.code, result.stderr).toBe(1);
    expect(lastLine(result)).toMatch(/was taken over by another/);
    expect([await pair.held.files(), await pair.held.saved()]).toEqual(before);
    await expectOnce(mode, pair, 1);
  });

  test('two hosts on one folder: the second names the first while that lives, and takes over when it is dead', async () => {
    const pair = await makePair(mode);
    const { run: first, release } = await pair.hold('alpha');
    const second = await pair.free({ host: 'beta' }).result;
    expect(second.code, second.stderr).toBe(1);
    expect(lastLine(second)).toContain(`on host alpha (pid ${first.child.pid})`);
    first.child.kill('SIGKILL');
    await first.result;
    await release();
    const third = await pair.free({ host: 'beta' }).result;
    expect(third.code, third.stderr).toBe(0);
    await expectOnce(mode, pair, 1);
  });

  test('a run that loses its lock publishes and saves nothing, unless it got it back', async () => {
    const pair = await makePair(mode);
    const { run, release } = await pair.hold();
    await takeLock(mode, pair.held);
    await release();
    const result = await run.result;
    // In a topic its record still stands: a heartbeat that comes before the run needs the lock gets it back.
    if (mode === 'FILE' || result.code !== 0) {
      expect(result.code, result.stderr).toBe(1);
      expect(lastLine(result)).toMatch(/was taken over by another/);
      expect(await pair.held.dataFiles()).toEqual([]);
      expect(await pair.held.saved()).toEqual({});
    }
    const next = await pair.free().result;
    expect(next.code, next.stderr).toBe(0);
    await expectOnce(mode, pair, 1);
  });

  test('two configs on one topic and one folder go on beside one another', async () => {
    const topic = await work.topics.create('shared', { partitions: 2 });
    const one = await work.job({ topic, mode, config: 'one' });
    const two = await work.job({ topic, mode, config: 'two', offsets: one.offsets });
    const values = await work.send(topic, 1_000, [0, 1]);
    const results = await Promise.all([start(one), start(two, { out: one.out })].map(({ result }) => result));
    for (const result of results) expect(result.code, result.stderr).toBe(0);
    expect(await one.values()).toEqual(sorted([...values, ...values]));
    const more = await work.send(topic, 10, [0, 1]);
    await one.report('--write-mode', 'Overwrite');
    // The files of the other config are not its own: they stay.
    expect(await one.values()).toEqual(sorted([...values, ...more]));
    expect([await one.saved(), await two.saved()]).toEqual([
      { 0: 505, 1: 505 },
      { 0: 500, 1: 500 },
    ]);
  });
});

/** What a person, or a clean-up of old files, may do to a run that is alive. */
async function takeLock(mode: (typeof MODES)[number], job: OffloadJob): Promise<void> {
  if (mode === 'FILE') {
    const names = (await readdir(job.offsets)).filter((name) => name.startsWith(`.${job.config}.run.`));
    expect(names).toHaveLength(1);
    for (const name of names) await rm(join(job.offsets, name));
    return;
  }
  const other = await openTransaction(inject('bootstrapServers'), {
    topic: job.offsets,
    transactionalId: `kafkaload/${job.offsets}/${job.config}`,
    ...{ key: 'nothing', value: '' },
  });
  await other.kill();
}
