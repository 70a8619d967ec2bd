import { Admin } from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { countFaults } from '../helpers/faultCounts.ts';
import { moveLeaders } from '../helpers/moveLeaders.ts';
import { type ProxiedKafka, startProxiedKafka } from '../helpers/proxy.ts';
import { API } from '../helpers/proxyFrames.ts';
import { waitFor } from '../helpers/wait.ts';
import { type OffloadJob, type OffsetsMode, sorted, Workspace } from '../helpers/workspace.ts';

/**
 * Three brokers, and a proxy before each that knows what is asked. At the very request that prepares or commits, the
 * coordinator of the transaction or the leader of the saved offsets is killed, before it has carried it out or after,
 * or its leadership moves; and that of the messages while they are read. The oracle: each row once.
 */
const MESSAGES = 6_000;
const PARTITIONS = 3;
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
/** Transactions of a run: its record, then these. */
const PREPARE = 2;
const COMMIT = 3;
const MOST_RUNS = 4;

let kafka: ProxiedKafka;
let workspace: Workspace;
let admin: Admin;
let topic: string;
let values: string[];

beforeAll(async () => {
  kafka = await startProxiedKafka({ brokers: 3 });
  const { bootstrapServers } = kafka.cluster;
  workspace = await Workspace.open(bootstrapServers);
  admin = new Admin({ clientId: 'kafkaload-tests', bootstrapBrokers: bootstrapServers.split(','), retries: 20 });
  topic = await workspace.topics.create('led', { partitions: PARTITIONS, replicas: 3 });
  values = sorted(await workspace.send(topic, MESSAGES, [0, 1, 2], 90));
});

afterAll(async () => {
  await admin.close();
  await workspace.close();
  await kafka.stop();
});

afterEach(() => calm());

function calm(): void {
  for (const proxy of kafka.proxies) proxy.calm();
}

interface Moment {
  readonly api: number;
  /** Of the requests of this kind, over all brokers. */
  readonly number: number;
  /** Before the broker has the request, or when it has answered and nobody has heard it. */
  readonly at: 'request' | 'answer';
}

/** Acts once, at this moment, on the broker that is asked. `isLost`: the request or its answer does not pass. */
function actAt({ api, number, at }: Moment, isLost: boolean, act: (id: number) => Promise<void>): void {
  let seen = 0;
  for (const [index, proxy] of kafka.proxies.entries()) {
    const fate = async (request: { api: number }): Promise<'cut' | 'pass'> => {
      if (request.api !== api || ++seen !== number) return 'pass';
      await act(kafka.cluster.ids[index] ?? 0);
      return isLost ? 'cut' : 'pass';
    };
    proxy.setRules(at === 'request' ? { onRequest: fate } : { onAnswer: fate });
  }
}

/** Runs until one comes through: the first one as a rule. */
async function offloadAll(job: OffloadJob): Promise<void> {
  for (let runs = 1; ; runs++) {
    const { code, stderr } = await job.run('--report', 'json');
    if (code === 0) break;
    expect(code, stderr).toBe(1);
    expect(runs, stderr).toBeLessThan(MOST_RUNS);
  }
  calm();
  expect(await job.values()).toEqual(values);
  expect(Object.values(await job.saved()).reduce((sum, offset) => sum + offset, 0)).toBe(MESSAGES);
  expect(await job.staged()).toEqual([]);
}

async function makeJob(mode: OffsetsMode): Promise<OffloadJob> {
  const { bootstrapServers } = kafka;
  const entry = { accessOptions: { 'fetch.max.bytes': 20_000 } };
  if (mode === 'FILE') return workspace.job({ topic, mode, bootstrapServers, entry });
  const properties = { 'cleanup.policy': 'compact' };
  const offsets = await workspace.topics.create('offsets', { replicas: 3, properties });
  return workspace.job({ topic, mode, offsets, bootstrapServers, entry });
}

async function allUp(): Promise<void> {
  await waitFor('all brokers to be in sync', async () => {
    const metadata = await admin.metadata({ topics: [topic], forceUpdate: true }).catch(() => null);
    const partitions = metadata?.topics.get(topic)?.partitions ?? [];
    return metadata?.brokers.size === 3 && partitions.every((one) => one?.isr.length === one?.replicas.length);
  });
}

describe('killed', () => {
  const moments: readonly (readonly [string, Moment])[] = [
    [
      'the coordinator, asked to end the transaction that prepares',
      { api: API.endTxn, number: PREPARE, at: 'request' },
    ],
    [
      'the coordinator, after it ended the transaction that prepares',
      { api: API.endTxn, number: PREPARE, at: 'answer' },
    ],
    ['the coordinator, asked to commit', { api: API.endTxn, number: COMMIT, at: 'request' }],
    ['the coordinator, after it committed', { api: API.endTxn, number: COMMIT, at: 'answer' }],
    ['the leader of the saved offsets, asked to take the intent', { api: API.produce, number: PREPARE, at: 'request' }],
    ['the leader of the saved offsets, after it took them', { api: API.produce, number: COMMIT, at: 'answer' }],
  ];
  const some = moments.filter((_, index) => ALL || index === 2);

  test.each(some)('%s', async (_, moment) => {
    const job = await makeJob('STREAM');
    let killed = 0;
    actAt(moment, true, async (id) => {
      killed = id;
      await kafka.cluster.kill(id);
    });
    try {
      await offloadAll(job);
      expect(killed).toBeGreaterThan(0);
    } finally {
      if (killed > 0) await kafka.cluster.restart(killed);
      await allUp();
    }
    countFaults({ kind: 'broker killed', layout: 'folder', mode: 'STREAM' }, { faults: 1, rows: MESSAGES });
  });
});

describe('leadership moves', () => {
  const { produce, fetch } = API;
  const moments: readonly (readonly [string, OffsetsMode, Moment])[] = [
    ['of the saved offsets, before the intent is written', 'STREAM', { api: produce, number: PREPARE, at: 'request' }],
    ['of the saved offsets, before they are committed', 'STREAM', { api: produce, number: COMMIT, at: 'request' }],
    ['of the messages, while they are read', 'FILE', { api: fetch, number: 9, at: 'request' }],
  ];

  const some = moments.filter((_, index) => ALL || index > 0);

  test.each(some)('%s', async (_, mode, moment) => {
    const job = await makeJob(mode);
    let moves = 0;
    actAt(moment, false, async () => {
      moves += 1;
      await moveLeaders(kafka.cluster.bootstrapServers, mode === 'STREAM' ? job.offsets : topic);
    });
    await offloadAll(job);
    expect(moves).toBe(1);
    countFaults({ kind: 'leadership moved', layout: 'folder', mode }, { faults: 1, rows: MESSAGES });
  });
});
