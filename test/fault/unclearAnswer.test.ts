import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { JsonReport } from '../helpers/command.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { type ProxiedKafka, startProxiedKafka } from '../helpers/proxy.ts';
import { API, type SeenRequest } from '../helpers/proxyFrames.ts';
import { type SteppedCommand, startStepped } from '../helpers/steps.ts';
import { waitFor } from '../helpers/wait.ts';
import { type OffloadJob, sorted, Workspace } from '../helpers/workspace.ts';

/**
 * A broker that ends a transaction, or not, and answers with an error that does not say which, as a soak has met it once in
 * 1,600 runs. Answers are forged; the broker and the other runs are real.
 */
const MESSAGES = 600;
/** https://kafka.apache.org/protocol#protocol_error_codes */
const UNKNOWN_SERVER_ERROR = { errorCode: -1 };
const TAKEN_OVER = expect.stringMatching(/run \S+ .*was taken over by another/);
const ALL = process.env.KAFKALOAD_FAULTS === 'all';

let kafka: ProxiedKafka;
let workspace: Workspace;
let topic: string;
let values: string[];
const rivals: SteppedCommand[] = [];

beforeAll(async () => {
  kafka = await startProxiedKafka();
  workspace = await Workspace.open(kafka.cluster.bootstrapServers);
  topic = await workspace.topics.create('unclear', { partitions: 2 });
  values = sorted(await workspace.send(topic, MESSAGES, [0, 1]));
});

afterEach(() => {
  proxy().calm();
  // Only those of a test that failed: a stopped process never ends by itself.
  for (const { child } of rivals.splice(0)) child.kill('SIGKILL');
});

afterAll(async () => {
  await workspace.close();
  await kafka.stop();
});

const proxy = () => kafka.proxies[0] ?? expect.unreachable('there is no proxy');

/** What happens when the n-th transaction of the run is to be ended, from 1. */
function atEnd(n: number, fate: 'carried out' | 'not carried out', before: () => Promise<void> = async () => {}): void {
  let seen = 0;
  const isIt = ({ api }: SeenRequest, counted: number): boolean => api === API.endTxn && counted === n;
  proxy().setRules({
    onRequest: async (request) => {
      if (request.api === API.endTxn) seen += 1;
      if (!isIt(request, seen)) return 'pass';
      await before();
      return fate === 'carried out' ? 'pass' : UNKNOWN_SERVER_ERROR;
    },
    onAnswer: (request) => (fate === 'carried out' && isIt(request, seen) ? UNKNOWN_SERVER_ERROR : 'pass'),
  });
}

/** Everything there is, once, and nothing left over; counted for the table. */
async function expectOnce(job: OffloadJob): Promise<void> {
  const found = await job.values();
  expect(found).toEqual(values);
  expect(await job.saved()).toEqual({ 0: MESSAGES / 2, 1: MESSAGES / 2 });
  expect(await job.staged()).toEqual([]);
  countFaults(
    { kind: 'unclear answer of EndTxn', layout: 'folder', mode: 'STREAM' },
    { faults: 1, rows: found.length },
  );
}

// Of its record, prepare, commit.
const TRANSACTIONS = ALL ? [1, 2, 3] : [1];

describe.each(['carried out', 'not carried out'] as const)('a transaction that is %s', (fate) => {
  test.each(TRANSACTIONS)('number %i: the run makes sure, and goes on', async (n) => {
    const job = await workspace.job({ topic, mode: 'STREAM', bootstrapServers: kafka.bootstrapServers });
    atEnd(n, fate);
    const report = await job.report();
    expect(report).toMatchObject({ rows: MESSAGES });
    expect(report.retries).toBeGreaterThan(0);
    await expectOnce(job);
  });
});

describe('another run fences it while it writes its record', () => {
  /** Another run of the same config, which has looked already and begins to fence with `proceed`. */
  async function makeRival(job: OffloadJob, sleepsAt?: string) {
    const direct = await workspace.job({ topic, mode: 'STREAM', offsets: job.offsets });
    const rival = startStepped(
      direct.args(['--write-path', job.out, '--report', 'json']),
      job.folder,
      { name: 'open.connected', nth: 1, signal: 'SIGSTOP' },
      sleepsAt === undefined ? undefined : { name: sleepsAt, nth: 1, signal: 'SIGSTOP' },
    );
    rivals.push(rival);
    const reach = (step: string) =>
      waitFor(`the other run to reach ${step}`, async () => {
        if (rival.child.exitCode !== null) throw new Error(`it is over: ${rival.output().stderr}`);
        return rival.steps().includes(step);
      });
    await reach('open.connected');
    return {
      rival,
      /** Until it sleeps again, or has ended. */
      proceed: async () => {
        rival.child.kill('SIGCONT');
        await (sleepsAt === undefined ? rival.ended : reach(sleepsAt));
      },
    };
  }

  /** The run says that it was taken over; the other one, which sleeps, does the work. */
  async function expectStoodBack(job: OffloadJob, rival: SteppedCommand): Promise<void> {
    expect(await job.run()).toMatchObject({ code: 1, stderr: TAKEN_OVER });
    rival.child.kill('SIGCONT');
    const { result } = await rival.ended;
    expect(result, result.stderr).toMatchObject({ code: 0 });
    await expectOnce(job);
  }

  const makeJob = () => workspace.job({ topic, mode: 'STREAM', bootstrapServers: kafka.bootstrapServers });

  test('and does all there is to do: the run finds nothing new', async () => {
    const job = await makeJob();
    const { rival, proceed } = await makeRival(job);
    atEnd(1, 'not carried out', proceed);
    const report: JsonReport = await job.report();
    expect(report).toMatchObject({ rows: 0 });
    expect((await rival.ended).result).toMatchObject({ code: 0 });
    await expectOnce(job);
  });

  test('and is at work: the run says so, and does not disturb it', async () => {
    const job = await makeJob();
    const { rival, proceed } = await makeRival(job, 'open.recorded');
    atEnd(1, 'not carried out', proceed);
    await expectStoodBack(job, rival);
  });

  test('and begins just before the run fences anew: its record stays, and it goes on', async () => {
    const job = await makeJob();
    const { rival, proceed } = await makeRival(job, 'open.recorded');
    let ends = 0;
    let isBegun = false;
    proxy().setRules({
      onRequest: async ({ api, count }) => {
        // By a producer of its own; the one before asks for a new epoch, too.
        if (api === API.initProducerId && count === 1 && ends > 0 && !isBegun) {
          isBegun = true;
          await proceed();
        }
        return api === API.endTxn && ++ends === 1 ? UNKNOWN_SERVER_ERROR : 'pass';
      },
    });
    await expectStoodBack(job, rival);
  });

  test('and has not come further: the run goes on, and the other one says that it was taken over', async () => {
    const job = await makeJob();
    const { rival, proceed } = await makeRival(job, 'open.fencedOthers');
    atEnd(1, 'not carried out', proceed);
    expect(await job.report()).toMatchObject({ rows: MESSAGES });
    rival.child.kill('SIGCONT');
    const { result } = await rival.ended;
    expect(result).toMatchObject({ code: 1, stderr: TAKEN_OVER });
    await expectOnce(job);
  });
});
