import { afterAll, afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { RunSession } from '../../src/commit/types.ts';
import { assembleBatch, type EncodedRecordBatch } from '../../src/encode/records/recordBatch.ts';
import { Cluster } from '../../src/kafka/cluster.ts';
import { TransactionalProducer } from '../../src/kafka/transactionalProducer.ts';
import { TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import {
  CONFIG,
  closeSession,
  expectedRows,
  type LoadOptions,
  load,
  makeBase,
  openSession,
  stage,
  stagedRuns,
  visibleRows,
} from '../unit/commit/harness.ts';

/**
 * A run whose producer is of no use any more, although nobody has taken over: a coordinator that was away for long
 * aborts what was open under a higher epoch. Somebody else that fences and writes no record looks just the same.
 */
const bootstrapServers = inject('bootstrapServers');
const topics = new TestTopics(bootstrapServers);
let options: LoadOptions;
let cluster: Cluster;
let offsetsTopic: string;
let remove: () => Promise<void>;
let session: RunSession | null = null;

beforeEach(async () => {
  const made = await makeBase();
  remove = made.remove;
  offsetsTopic = topics.reserve('heartbeat-offsets');
  options = {
    base: made.base,
    target: 'folder',
    writeMode: 'Append',
    highWatermark: 5,
    heartbeatMs: 200,
    takeOverAfterMs: 1_000,
    stream: { bootstrapServers, topic: offsetsTopic, partitions: 1 },
  };
  const [host = '', port] = bootstrapServers.split(',')[0]?.split(':') ?? [];
  cluster = new Cluster({
    bootstrap: [{ host, port: Number(port) }],
    clientId: 'kafkaload-tests',
    tls: null,
    sasl: null,
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 10_000,
    deadlineMs: 30_000,
    retryBackoffMs: 100,
    retryBackoffMaxMs: 1_000,
  });
});

afterEach(async () => {
  await closeSession(session);
  session = null;
  cluster.close();
  await remove();
});

afterAll(() => topics.cleanUp());

/** Fences the run, and writes no record. */
function fence(): Promise<TransactionalProducer> {
  const transactionalId = `kafkaload/${offsetsTopic}/${CONFIG}`;
  return TransactionalProducer.open(cluster, { transactionalId, transactionTimeoutMs: 10_000 });
}

function record(): EncodedRecordBatch {
  const content = { codec: 0, rows: 1, baseTimestampMs: 0, maxTimestampMs: 0 };
  const bytes = assembleBatch(Buffer.alloc(7), content);
  return { topic: offsetsTopic, partition: 0, rows: 1, bytes, maxTimestampMs: 0 };
}

const fencedBeats = (lines: readonly string[]): number =>
  lines.filter((line) => line.includes('cannot renew the run record')).length;

test('a heartbeat that is fenced while the record is still its own: the run gets a new producer and finishes', async () => {
  const logged: string[] = [];
  session = await openSession(options, { log: (line) => logged.push(line) });
  const intent = await stage(session, options);
  const intruder = await fence();
  await waitFor('a heartbeat that is fenced', () => fencedBeats(logged) > 0);
  if (intent) await session.finish(intent);
  expect(session.signal.aborted).toBe(false);
  expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
  expect(await stagedRuns(options)).toEqual([]);
  // Whoever had fenced the run without a record is fenced now.
  await intruder.begin();
  await expect(intruder.send([record()])).rejects.toMatchObject({ code: 'FENCED' });
  expect((await load({ ...options, highWatermark: 7 })).outcome).toBe('ok');
  expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
});

test.each(['prepare.before', 'prepare.after', 'commit.begun'])(
  'fenced like that at %s: rows come once, and the next run goes on',
  async (stepName) => {
    const logged: string[] = [];
    const hooks = {
      log: (line: string) => logged.push(line),
      onStep: async (name: string) => {
        if (name !== stepName) return;
        const before = fencedBeats(logged);
        await fence();
        await waitFor('a heartbeat that is fenced', () => fencedBeats(logged) > before);
      },
    };
    expect(await load(options, hooks)).toMatchObject({ outcome: 'ok', rows: 10 });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
    expect(await stagedRuns(options)).toEqual([]);
    expect(await load({ ...options, highWatermark: 7 })).toMatchObject({ outcome: 'ok', rows: 4 });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  },
);

test.each(['prepare.before', 'commit.begun'])(
  'fenced like that at %s, before any heartbeat: it looks, fences, and finishes',
  async (stepName) => {
    const onStep = async (name: string): Promise<void> => {
      if (name === stepName) await fence();
    };
    const noBeat = { ...options, heartbeatMs: 60_000, takeOverAfterMs: 60_000 };
    expect(await load(noBeat, { onStep })).toMatchObject({ outcome: 'ok', rows: 10 });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
    expect(await stagedRuns(options)).toEqual([]);
    expect(await load({ ...options, highWatermark: 7 })).toMatchObject({ outcome: 'ok', rows: 4 });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  },
);
