import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type ChainSource, CrashChain } from '../helpers/crashChain.ts';
import { type ProxiedKafka, startProxiedKafka } from '../helpers/proxy.ts';
import { API, type SeenRequest } from '../helpers/proxyFrames.ts';
import type { SteppedCommand } from '../helpers/steps.ts';
import { delay, waitFor } from '../helpers/wait.ts';
import { OFFSETS_MODES, Workspace } from '../helpers/workspace.ts';

/** The whole command asleep at a step while another run takes over, and in doubt whether it has prepared. */
const IS_WHOLE = process.env.KAFKALOAD_FAULTS === 'all';
const ROWS_BY_PARTITION = 120;

/** A run waits 15 s for a transaction to end. */
const GIVEN_UP_MS = 17_000;
/** How long brokers are asked that do not answer. */
const IMPATIENT = { 'default.api.timeout.ms': 4_000, 'request.timeout.ms': 2_000 };

async function sourceOf(workspace: Workspace): Promise<ChainSource> {
  const topic = await workspace.topics.create('crash', { partitions: 2 });
  await workspace.send(topic, ROWS_BY_PARTITION * 2, [0, 1]);
  return { topic, rowsByPartition: ROWS_BY_PARTITION };
}

describe('asleep while another run takes over', () => {
  let workspace: Workspace;
  let source: ChainSource;

  beforeAll(async () => {
    workspace = await Workspace.open(inject('bootstrapServers'));
    source = await sourceOf(workspace);
  });
  afterAll(() => workspace.close());

  /** `T`: stopped by a signal, proc(5). */
  async function isAsleep({ child }: SteppedCommand): Promise<boolean> {
    const text = await readFile(`/proc/${child.pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).startsWith('T');
  }

  const moments = ['stage.rowsWritten', 'prepare.before', 'prepare.after', 'publish.begun', 'commit.begun'];
  const asleep = IS_WHOLE ? moments : ['prepare.before', 'commit.begun'];

  test.each(OFFSETS_MODES)('it wakes, says that it was fenced, and changes nothing: mode %s', async (mode) => {
    const chain = await CrashChain.make(workspace, source, { layout: 'exact file', writeMode: 'Append', mode });
    for (const name of asleep) {
      const sleeper = chain.start({ name, nth: 1, after: 'open.cleaned', signal: 'SIGSTOP' });
      try {
        await waitFor(`the run to sleep at ${name}`, () => isAsleep(sleeper));
        await chain.look(sleeper.steps());
        await chain.finish('--take-over');
      } finally {
        sleeper.child.kill('SIGCONT');
      }
      const { result } = await sleeper.ended;
      expect(result, name).toMatchObject({ code: 1, stderr: expect.stringContaining('taken over') });
      chain.count('asleep, another took over', { kills: 1, rows: await chain.look([]) }, name);
    }
    await chain.end('asleep, another took over');
  });

  test('awake while the other removes its staging, it says that it was fenced, not that a file is missing', async () => {
    const combination = { layout: 'exact file', writeMode: 'Append', mode: 'STREAM' } as const;
    const chain = await CrashChain.make(workspace, source, combination);
    const started: SteppedCommand[] = [];
    const sleepAt = async (name: string, ...more: string[]): Promise<SteppedCommand> => {
      const run = chain.start({ name, nth: 1, signal: 'SIGSTOP' }, ...more);
      started.push(run);
      await waitFor(`a run to sleep at ${name}`, () => isAsleep(run));
      await chain.look(run.steps());
      return run;
    };
    try {
      const first = await sleepAt('stage.rowsWritten');
      const other = await sleepAt('open.recorded', '--take-over');
      const staged = (await chain.job.staged()).filter((file) => file.endsWith('.staged'));
      expect(staged).toHaveLength(1);
      // What the other does first, and its process may wait long for the next moment.
      for (const file of staged) await rm(join(chain.job.out, file));
      first.child.kill('SIGCONT');
      expect((await first.ended).result).toMatchObject({ code: 1, stderr: expect.stringContaining('taken over') });
      other.child.kill('SIGCONT');
      const { result, steps } = await other.ended;
      expect(result).toMatchObject({ code: 0 });
      chain.count('asleep, another took over', { kills: 1, rows: await chain.look(steps) }, 'stage.rowsWritten');
    } finally {
      for (const { child } of started) child.kill('SIGCONT');
    }
    await chain.end('asleep, another took over');
  });
});

describe('the answer to the prepare is lost', () => {
  let kafka: ProxiedKafka;
  let workspace: Workspace;
  let source: ChainSource;

  beforeAll(async () => {
    kafka = await startProxiedKafka();
    workspace = await Workspace.open(kafka.bootstrapServers);
    source = await sourceOf(workspace);
  });
  afterAll(async () => {
    for (const proxy of kafka.proxies) proxy.calm();
    await workspace.close();
    await kafka.stop();
  });

  const outcomes = [
    ['was carried out', true],
    ['was not carried out', false],
  ] as const;

  const combination = { layout: 'folder', writeMode: 'Append', mode: 'STREAM' } as const;

  /** Nobody answers any more once the prepare is on its way. @returns How often it was. */
  function silenceAtPrepare(run: SteppedCommand, isCarriedOut: boolean, onSilence: () => void): () => number {
    let lost = 0;
    for (const proxy of kafka.proxies) {
      const cut = ({ api }: SeenRequest): 'pass' | 'cut' => {
        if (api !== API.endTxn || run.steps().at(-1) !== 'prepare.before') return 'pass';
        lost += 1;
        for (const other of kafka.proxies) other.halfOpen(true);
        onSilence();
        return 'cut';
      };
      proxy.setRules(isCarriedOut ? { onAnswer: cut } : { onRequest: cut });
    }
    return () => lost;
  }

  function calm(): void {
    for (const proxy of kafka.proxies) proxy.calm();
  }

  test.each(IS_WHOLE ? outcomes : outcomes.slice(0, 1))(
    'and it %s: nothing is removed, the next run sorts it out',
    async (_, isCarriedOut) => {
      const chain = await CrashChain.make(workspace, source, combination, IMPATIENT);
      await chain.finish();
      const run = chain.start();
      const lost = silenceAtPrepare(run, isCarriedOut, () => {});
      const { result, steps } = await run.ended;
      calm();
      expect(lost(), result.stderr).toBe(1);
      expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining('it is not known whether') });
      expect(await chain.job.staged()).toContainEqual(expect.stringContaining('intent.json'));
      await chain.look(isCarriedOut ? [...steps, 'prepare.after'] : steps);
      await chain.finish();
      await chain.end('prepare in doubt');
      chain.count('prepare in doubt', { faults: 1 });
    },
  );

  test.runIf(IS_WHOLE).each(outcomes)(
    'and it %s, and brokers answer again when it has given up waiting: the run looks, and finishes',
    async (_, isCarriedOut) => {
      const chain = await CrashChain.make(workspace, source, combination);
      await chain.finish();
      const run = chain.start(undefined, '--report', 'json');
      const lost = silenceAtPrepare(run, isCarriedOut, () => void delay(GIVEN_UP_MS).then(calm));
      const { result, steps } = await run.ended;
      expect(lost(), result.stderr).toBe(1);
      expect(result, result.stderr).toMatchObject({ code: 0 });
      expect(JSON.parse(result.stdout).retries).toBeGreaterThan(0);
      expect(steps.filter((name) => name === 'commit.committed')).toHaveLength(1);
      await chain.look(steps);
      await chain.end('prepare in doubt');
      chain.count('prepare in doubt', { faults: 1 });
    },
  );
});
