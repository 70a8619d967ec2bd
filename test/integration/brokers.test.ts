import type { ChildProcess } from 'node:child_process';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ConnectionSettings, FetchSettings } from '../../src/config/kafkaSettings.ts';
import { Cluster } from '../../src/kafka/cluster.ts';
import { KafkaRangeReader } from '../../src/sources/kafkaRange.ts';
import { type KafkaCluster, startKafka } from '../helpers/broker.ts';
import { mustRun, type ProgramResult } from '../helpers/cache.ts';
import { type CommandRun, type JsonReport, startCommand, temporaryFolder, writeConfig } from '../helpers/command.ts';
import { ORACLE_FIELDS, Oracle } from '../helpers/oracle.ts';
import { produce } from '../helpers/producers.ts';
import { ScriptWriter, toHex } from '../helpers/script.ts';
import { kafkaClassPath } from '../helpers/servers.ts';
import { randomName, TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';

/**
 * Three brokers that crash, restart and change roles while an offload goes on. A quota of the brokers holds the run
 * back until it has happened: then it is lifted.
 */

const MESSAGES = 120_000;
const PARTITIONS = 6;
/** Bytes each broker gives the client a second while it is held back. */
const HELD_RATE = 40_000;
/** More than a staged file begins with: rows are in it. */
const ROWS_STAGED_BYTES = 1_000;
const RACKS = ['a', 'b', 'c'];

const cleanUps: (() => Promise<void> | void)[] = [];
let folder: { path: string; remove: () => Promise<void> };
let cluster: KafkaCluster;
let topics: TestTopics;
let oracle: Oracle;
let admin: Admin;
let topic: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  cleanUps.push(folder.remove);
  cluster = await startKafka({
    brokers: 3,
    properties: { 'replica.selector.class': 'org.apache.kafka.common.replica.RackAwareReplicaSelector' },
    propertiesOf: (id) => ({ 'broker.rack': RACKS[id - 1] ?? '' }),
  });
  cleanUps.push(cluster.stop);
  oracle = await Oracle.open();
  cleanUps.push(() => oracle.close());
  const { bootstrapServers } = cluster;
  topics = new TestTopics(bootstrapServers);
  admin = new Admin({ clientId: 'kafkaload-tests', bootstrapBrokers: bootstrapServers.split(','), retries: 20 });
  cleanUps.push(() => admin.close());
  topic = await topics.create('replicated', { partitions: PARTITIONS, replicas: 3 });
  const scriptPath = join(folder.path, 'messages.jsonl');
  const recordPath = join(folder.path, 'messages.csv');
  const script = new ScriptWriter(scriptPath);
  script.open('plain', false, 16_384);
  while (script.nextNumber < MESSAGES) {
    const number = script.nextNumber;
    const text = { key: toHex(`key-${number}`), value: toHex(`value ${number} ${'x'.repeat(60)}`) };
    const timestamp = 1_700_000_000_000 + number;
    script.send('plain', { partition: number % PARTITIONS, timestamp, headers: [], ...text });
    if (number % 5_000 === 0) await script.drain();
  }
  await script.close();
  await produce('librdkafka', { bootstrapServers, topic, codec: 'none', scriptPath, recordPath });
  await oracle.addScript(scriptPath);
  await oracle.expect([recordPath]);
});

afterAll(async () => {
  // Only those of a test that failed.
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

// What is left by a test that failed half-way: brokers that are down, runs that still hold on.
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await Promise.all(cluster.ids.map((id) => cluster.restart(id)));
  await allInSync();
});

/** Elections take as long as they take: a test that met an unlucky one gets another try, on brokers that are all up. */
const ANOTHER_TRY = { retry: 2 };

describe('while brokers come and go', ANOTHER_TRY, () => {
  test('the leader of a partition is killed, in both offset modes', async () => {
    const runs = await Promise.all([startHeld({ mode: 'FILE' }), startHeld({ mode: 'STREAM' })]);
    const leader = (await leaders())[0] ?? 1;
    await cluster.kill(leader);
    await waitFor('another leader', async () => (await leaders()).every((id) => id > 0 && id !== leader));
    for (const run of runs) {
      await expectStillAtWork(run);
      await run.release();
    }
    for (const run of runs) await expectAllRows(run);
    await cluster.restart(leader);
    await allInSync();
  });

  // With the saved offsets in a topic, heartbeats meet the restarts too: their transactions fail in every way.
  test('STREAM: every broker restarts in turn', async () => {
    const run = await startHeld({ mode: 'STREAM' });
    for (const id of cluster.ids) {
      await cluster.restart(id);
      await allInSync();
    }
    await expectStillAtWork(run);
    await run.release();
    await expectAllRows(run);
  });

  test('leadership of every partition moves', async () => {
    const run = await startHeld({ mode: 'FILE' });
    const before = await leaders();
    const partitions = before.map((leader, partition) => {
      const others = cluster.ids.filter((id) => id !== leader);
      return { topic, partition, replicas: [...others, leader] };
    });
    const plan = join(folder.path, 'reassignment.json');
    await writeFile(plan, JSON.stringify({ version: 1, partitions }));
    await tool('reassign.ReassignPartitionsCommand', ['--reassignment-json-file', plan, '--execute']);
    await tool('LeaderElectionCommand', ['--election-type', 'preferred', '--all-topic-partitions']);
    await waitFor('other leaders', async () => (await leaders()).every((id, partition) => id !== before[partition]));
    await expectStillAtWork(run);
    await run.release();
    await expectAllRows(run);
  });

  test('every broker is down: gives up after the deadline and names them', async () => {
    const deadline = { 'default.api.timeout.ms': 4_000, 'socket.connection.setup.timeout.ms': 1_000 };
    const run = await startHeld({ mode: 'FILE', options: deadline });
    const patient = await startHeld({ mode: 'FILE' });
    await Promise.all(cluster.ids.map((id) => cluster.kill(id)));
    try {
      const begun = await begin({ mode: 'FILE', options: deadline });
      const { code, stderr } = await run.command.result;
      expect(code, stderr).toBe(1);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
      for (const address of cluster.bootstrapServers.split(',')) expect(stderr).toContain(address);
      expect(stderr).toMatch(/\(tried \d+ times in [34]\.\d s\)/);
      const unborn = await begun.command.result;
      expect(unborn.code, unborn.stderr).toBe(1);
      for (const address of cluster.bootstrapServers.split(',')) expect(unborn.stderr).toContain(address);
      expect(unborn.stderr).toMatch(/\(tried \d+ times in [34]\.\d s\)/);

      const began = performance.now();
      patient.command.child.kill('SIGINT');
      const stopped = await patient.command.result;
      expect(stopped.code, stopped.stderr).toBe(130);
      expect(stopped.stderr).toMatch(/^kafkaload: stopped by Ctrl-C; .*\n$/);
      expect(performance.now() - began).toBeLessThan(3_000);
    } finally {
      await Promise.all(cluster.ids.map((id) => cluster.restart(id)));
      await allInSync();
      await Promise.all([run.release(), patient.release()]);
    }
    // What was staged is no obstacle to the next run, and none of it was published.
    for (const next of [await again(run), await again(patient)]) await expectAllRows(next);
  });
});

describe('client.rack', ANOTHER_TRY, () => {
  test('reads from the replica in its rack', async () => {
    const partition = 0;
    const leader = (await leaders())[partition];
    // Which broker leads depends on what the tests before did to them.
    const follower = leader === 3 ? 2 : 3;
    const rack = RACKS[follower - 1] ?? '';
    const [endOffset = 0] = await topics.endOffsets(topic);
    const near = new Cluster(connectionSettings());
    try {
      const asked = vi.spyOn(near, 'broker');
      const range = { topic, partition, startOffset: 0, endOffset };
      const reader = new KafkaRangeReader(near, range, { fetch: fetchSettings(rack), failOnDataLoss: true });
      let nextOffset = 0;
      for (let part = await reader.next(); part; part = await reader.next()) nextOffset = part.nextOffset;
      expect(nextOffset).toBe(endOffset);
      const [first, ...rest] = asked.mock.calls.map(([id]) => id);
      expect(first).toBe(leader);
      // The leader is asked once, and names the replica that is asked from then on.
      expect(rest.filter((id) => id === follower).length).toBeGreaterThan(3);
    } finally {
      near.close();
    }
  });

  test('every row once, whichever replica it is read from', async () => {
    await expectAllRows(await begin({ mode: 'FILE', options: { 'client.rack': 'c' } }));
  });
});

interface RunOptions {
  readonly mode: 'FILE' | 'STREAM';
  readonly options?: Readonly<Record<string, string | number>>;
}

interface Run {
  readonly work: string;
  readonly args: readonly string[];
  readonly command: CommandRun;
  /** Ends the quota, if there is one. */
  release(): Promise<void>;
}

async function begin({ mode, options = {} }: RunOptions): Promise<Run> {
  const work = join(folder.path, randomName('work'));
  await mkdir(work);
  const clientId = randomName('client');
  const offsets =
    mode === 'FILE'
      ? join(work, 'offsets')
      : await topics.create('offsets', { replicas: 3, properties: { 'cleanup.policy': 'compact' } });
  const serverOptions = { 'bootstrap.servers': cluster.bootstrapServers, 'client.id': clientId, ...options };
  const conf = await writeConfig(work, {
    bootstrapServers: cluster.bootstrapServers,
    mode,
    offsets,
    topics: { one: { topicName: topic, fields: ORACLE_FIELDS } },
    more: { serverOptions: { 'fetch.max.bytes': 32_768, ...serverOptions } },
  });
  const target = ['--config', 'one', '--write-path', join(work, 'out'), '--conf', conf, '--report', 'json'];
  const args = [...target, '--write-options', 'rowGroupRows=500'];
  return { work, args, command: start(args, work), release: () => setRate(clientId, null) };
}

/** A run that is at work, and cannot end before `release`. */
async function startHeld(options: RunOptions): Promise<Run> {
  const clientId = randomName('client');
  await setRate(clientId, HELD_RATE);
  const run = await begin({ ...options, options: { 'client.id': clientId, ...options.options } });
  await waitFor('the first staged rows', async () => (await stagedBytes(run.work)) > ROWS_STAGED_BYTES, {
    everyMs: 100,
  });
  return { ...run, release: () => setRate(clientId, null) };
}

async function again(run: Run): Promise<Run> {
  return { ...run, command: start(run.args, run.work) };
}

function start(args: readonly string[], cwd: string): CommandRun {
  const command = startCommand(args, { cwd });
  children.push(command.child);
  return command;
}

async function expectStillAtWork(run: Run): Promise<void> {
  expect(run.command.child.exitCode, run.command.output().stderr).toBeNull();
  expect(await filesOf(join(run.work, 'out'))).toEqual([]);
}

async function expectAllRows(run: Run): Promise<void> {
  const result: ProgramResult = await run.command.result;
  expect(result.code, result.stderr).toBe(0);
  expect((JSON.parse(result.stdout) as JsonReport).rows).toBe(MESSAGES);
  await expectEveryRowOnce(run);
}

async function expectEveryRowOnce(run: Run): Promise<void> {
  expect(await oracle.compare([join(run.work, 'out', '*.parquet')])).toEqual({
    produced: MESSAGES,
    found: MESSAGES,
    missing: 0,
    unexpected: 0,
    examples: [],
  });
}

async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(path).catch(() => []);
  return entries.filter((name) => name.endsWith('.parquet'));
}

/** Bytes in the staged files of a run, which lie somewhere below its target. */
async function stagedBytes(work: string): Promise<number> {
  const target = join(work, 'out');
  const entries = await readdir(target, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && entry.name.startsWith('part-'));
  const sizes = await Promise.all(
    files.map(({ parentPath, name }) =>
      stat(join(parentPath, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Bytes a second that each broker gives to one client; null: all it can. */
async function setRate(clientId: string, rate: number | null): Promise<void> {
  const key = 'consumer_byte_rate';
  await admin.alterClientQuotas({
    entries: [
      {
        entities: [{ entityType: 'client-id', entityName: clientId }],
        ops: [rate === null ? { key, remove: true } : { key, value: rate, remove: false }],
      },
    ],
  });
}

/** Node ids by partition; -1 where there is none. */
async function leaders(): Promise<number[]> {
  const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
  return Array.from({ length: PARTITIONS }, (_, index) => metadata.topics.get(topic)?.partitions[index]?.leader ?? -1);
}

async function allInSync(): Promise<void> {
  await waitFor('all replicas to be in sync', async () => {
    const metadata = await admin.metadata({ topics: [topic], forceUpdate: true }).catch(() => null);
    const partitions = metadata?.topics.get(topic)?.partitions ?? [];
    return partitions.length === PARTITIONS && partitions.every((partition) => partition?.isr.length === 3);
  });
}

/** One of Kafka's own tools. */
async function tool(name: string, args: readonly string[]): Promise<void> {
  const machine = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const logging = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';
  const where = ['--bootstrap-server', cluster.bootstrapServers];
  const command = `org.apache.kafka.tools.${name}`;
  await mustRun('java', [...machine, logging, '-cp', await kafkaClassPath(), command, ...where, ...args]);
}

function connectionSettings(): ConnectionSettings {
  const bootstrap = cluster.bootstrapServers.split(',').map((address) => {
    const [host = '', port] = address.split(':');
    return { host, port: Number(port) };
  });
  return {
    bootstrap,
    clientId: 'kafkaload-tests',
    tls: null,
    sasl: null,
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 10_000,
    deadlineMs: 30_000,
    retryBackoffMs: 100,
    retryBackoffMaxMs: 1_000,
  };
}

function fetchSettings(clientRack: string): FetchSettings {
  return {
    isolationLevel: 'read_committed',
    maxBytes: 65_536,
    maxWaitMs: 500,
    checkCrcs: true,
    maxBatchBytes: 1_048_576,
    clientRack,
  };
}
