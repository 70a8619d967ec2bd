import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Cluster } from '../../src/kafka/cluster.ts';
import { type KafkaCluster, startKafka } from '../helpers/broker.ts';
import { connectionSettings } from '../helpers/connectionSettings.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { LoadJob } from '../helpers/loads.ts';
import { openTransaction } from '../helpers/producers.ts';
import { startStepped } from '../helpers/steps.ts';
import { randomName } from '../helpers/topics.ts';
import { delay, waitFor } from '../helpers/wait.ts';
import { sorted, Workspace } from '../helpers/workspace.ts';

/**
 * Streams into topics, killed with SIGKILL at named steps and at random moments, and started again. The oracle: under
 * `read_committed` each row is in the topic exactly once.
 */
const STEPS = [
  'stream.claimed',
  'stream.rowsSent',
  'stream.offsetsSent',
  'transaction.ending',
  'transaction.committed',
];
const ROWS = 3_000;

let workspace: Workspace;
let other: KafkaCluster;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
  other = await startKafka();
});

afterAll(async () => {
  await workspace.close();
  await other.stop();
});

/** A static member: the next process takes its place at once. */
function access(group: string): Readonly<Record<string, unknown>> {
  return { accessOptions: { 'group.id': group, 'group.instance.id': 'one', maxOffsetsPerTrigger: 500 } };
}

test.each([
  ['one cluster', false],
  ['two clusters', true],
])('killed at each step, %s', async (_, isApart) => {
  const from = await workspace.topics.create('stream-crash', { partitions: 2 });
  const values = await workspace.send(from, ROWS, [0, 1]);
  const source = access(randomName('group'));
  const target = isApart ? { target: other.bootstrapServers } : {};
  const load = await LoadJob.make(workspace, { from, source, sink: { partitions: 2 }, ...target });
  const args = load.args(['--stream']);
  for (const name of STEPS) {
    const { result, isStopped } = await startStepped(args, load.folder, { name, nth: 2, signal: 'SIGKILL' }).ended;
    // The second claim would take a rebalance.
    if (isStopped) continue;
    expect(result, `${name}\n${result.stderr}`).toMatchObject({ code: 0 });
    const first = await startStepped(args, load.folder, { name, nth: 1, signal: 'SIGKILL' }).ended;
    expect(first.isStopped || first.result.code === 0, first.result.stderr).toBe(true);
  }
  const last = await load.run('--stream');
  expect(last, last.stderr).toMatchObject({ code: 0 });
  expect(await load.values()).toEqual(sorted(values));
  countFaults({ kind: 'stream killed at a step', layout: 'topic' }, { kills: STEPS.length, rows: ROWS });
});

test('what a continuous stream has left open in its second transaction is ended by whatever goes on in its place', async () => {
  const from = await workspace.topics.create('flow-left', { partitions: 2 });
  const group = randomName('group');
  const load = await LoadJob.make(workspace, { from, source: access(group), sink: { partitions: 2 } });
  const values = await workspace.send(from, 100, [0, 1]);
  expect(await load.run('--stream')).toMatchObject({ code: 0 });
  const { bootstrapServers } = workspace;
  const cluster = new Cluster(connectionSettings(bootstrapServers));
  const transactionalId = `kafkaload.stream/${await cluster.clusterId()}/${group}/${from}/0/2`;
  cluster.close();
  const left = await openTransaction(bootstrapServers, { topic: load.to, transactionalId, key: 'left', value: 'open' });
  await left.kill();
  values.push(...(await workspace.send(from, 100, [0, 1])));
  expect(await load.run('--stream')).toMatchObject({ code: 0 });
  // Readers get no further than to what is undecided.
  expect(await load.values()).toEqual(sorted(values));
});

test('a continuous stream killed while rows flow', async () => {
  const kills = 3;
  const from = await workspace.topics.create('flow-crash', { partitions: 2 });
  const load = await LoadJob.make(workspace, { from, source: access(randomName('group')), sink: { partitions: 2 } });
  const trigger = ['--stream', '--streaming-trigger', 'Continuous', '--streaming-trigger-option', '200 milliseconds'];
  const ends = async () => {
    if (!(await load.topics.exists(load.to))) return 0;
    return (await load.topics.endOffsets(load.to)).reduce((sum, end) => sum + end, 0);
  };
  const values: string[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const before = await ends();
    const run = load.start(...trigger);
    values.push(...(await workspace.send(from, 1_000, [0, 1])));
    await waitFor('rows to flow', async () => {
      if (run.child.exitCode !== null) throw new Error(`it is over: ${run.output().stderr}`);
      return (await ends()) > before;
    });
    await delay(Math.random() * 300);
    run.child.kill('SIGKILL');
    await run.result;
  }
  const run = load.start(...trigger);
  await waitFor('all rows', async () => (await load.values()).length >= values.length);
  run.child.kill('SIGTERM');
  const { code, stderr } = await run.result;
  expect(code, stderr).toBe(0);
  expect(await load.values()).toEqual(sorted(values));
  countFaults({ kind: 'continuous stream killed at random', layout: 'topic' }, { kills, rows: values.length });
});

test.each([
  ['Continuous', '200 milliseconds'],
  ['ProcessingTime', '200 milliseconds'],
])('%s: partitions move to one that joins, and back when it is stopped', async (trigger, interval) => {
  const from = await workspace.topics.create('flow-shared', { partitions: 4 });
  const group = { 'group.id': randomName('group'), 'session.timeout.ms': 10_000, 'heartbeat.interval.ms': 500 };
  const load = await LoadJob.make(workspace, { from, source: { accessOptions: group }, sink: { partitions: 2 } });
  const args = ['--stream', '--streaming-trigger', trigger, '--streaming-trigger-option', interval];
  const values: string[] = [];
  const has = (what: string) => waitFor(what, async () => (await load.values()).length >= values.length);
  const send = async () => void values.push(...(await workspace.send(from, 1_000, [0, 1, 2, 3])));
  const first = load.start(...args);
  await send();
  await has('the rows of one');
  const second = load.start(...args);
  await waitFor('the second to have partitions', async () => {
    await send();
    return second.output().stderr.includes('ours now');
  });
  await send();
  await has('the rows of two');
  second.child.kill('SIGTERM');
  expect((await second.result).code, second.output().stderr).toBe(0);
  await send();
  await has('the rows of one again');
  first.child.kill('SIGTERM');
  expect((await first.result).code, first.output().stderr).toBe(0);
  expect(await load.values()).toEqual(sorted(values));
});

test('a watched folder, killed at each step of a round', async () => {
  const load = await LoadJob.make(workspace, { sink: { partitions: 1, chunkRecords: 20 } });
  const folder = join(load.folder, 'in');
  await mkdir(folder);
  const names = Array.from({ length: 30 }, (_, file) => `file ${file}`);
  const rowsOf = (name: string) => Array.from({ length: 10 }, (_, row) => `${name} row ${row}`);
  const steps = ['load.announced', 'load.chunksSent', 'transaction.ending', 'load.allWritten', 'load.done'];
  const args = load.args(['--path', folder, '--format', 'text', '--stream']);
  for (const [index, name] of steps.entries()) {
    for (const file of names.slice(6 * index, 6 * index + 6)) {
      await writeFile(join(folder, `${file}.txt`), `${rowsOf(file).join('\n')}\n`);
    }
    const { result, isStopped } = await startStepped(args, load.folder, { name, nth: 1, signal: 'SIGKILL' }).ended;
    expect(isStopped, result.stderr).toBe(true);
  }
  const last = await load.run('--path', folder, '--format', 'text', '--stream');
  expect(last, last.stderr).toMatchObject({ code: 0 });
  expect(await load.values()).toEqual(sorted(names.flatMap(rowsOf)));
  countFaults({ kind: 'watched folder killed at a step', layout: 'topic' }, { kills: steps.length, rows: 300 });
});
