import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { type KafkaCluster, startKafka } from '../helpers/broker.ts';
import { CrashedStream, type CrashedStreamOptions, EVERY, NEW_MESSAGES } from '../helpers/crashedStream.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { fullWhile } from '../helpers/filesOfCommand.ts';
import { LoadJob } from '../helpers/loads.ts';
import { moveLeaders } from '../helpers/moveLeaders.ts';
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts';
import { RunningStream } from '../helpers/streams.ts';
import { delay, waitFor } from '../helpers/wait.ts';
import { Workspace } from '../helpers/workspace.ts';

/** What a stream makes of brokers that are away, of a full disk, and of being told to stop in the middle of a micro-batch. */
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
const AWAY_MS = ALL ? 60_000 : 20_000;
const PER_SECOND = 100;
const LAYOUTS = ['folder', 'topic', 'PostgreSQL'] as const;
/** Requests give up soon, and the waiting begins; what has come meanwhile goes through in few micro-batches. */
const SESSION = {
  ...{ 'session.timeout.ms': 6_000, 'heartbeat.interval.ms': 1_000 },
  ...{ 'default.api.timeout.ms': 10_000, maxOffsetsPerTrigger: 5_000 },
};

let workspace: Workspace;
let server: PostgresServer;
const workspaces: Workspace[] = [];
const clusters: KafkaCluster[] = [];
const streams: CrashedStream[] = [];
const running = new Set<RunningStream>();

beforeAll(async () => {
  [workspace, server] = await Promise.all([open(inject('bootstrapServers')), startPostgres()]);
});

afterEach(async () => {
  for (const { run } of running) run.child.kill('SIGKILL');
  running.clear();
  for (const { place } of streams.splice(0)) await place.producer.close();
});

afterAll(async () => {
  for (const one of workspaces) await one.close();
  for (const cluster of clusters) await cluster.stop();
  await server.stop();
});

async function open(bootstrapServers: string): Promise<Workspace> {
  const opened = await Workspace.open(bootstrapServers);
  workspaces.push(opened);
  return opened;
}

async function openOwn(brokers: 1 | 3): Promise<{ cluster: KafkaCluster; work: Workspace }> {
  const cluster = await startKafka({ brokers });
  clusters.push(cluster);
  return { cluster, work: await open(cluster.bootstrapServers) };
}

async function make(options: CrashedStreamOptions, work = workspace): Promise<CrashedStream> {
  const stream = await CrashedStream.make(work, { ...options, server });
  streams.push(stream);
  return stream;
}

async function start(stream: CrashedStream, env?: Readonly<Record<string, string>>): Promise<RunningStream> {
  const one = stream.every(env);
  running.add(one);
  await one.says('micro-batch 1');
  return one;
}

/** All that was sent comes through without help; the stream stops in order, and every value is there once. */
async function settle(stream: CrashedStream, one: RunningStream, what: string): Promise<number> {
  await stream.place.producer.end();
  await stream.untilAll(what);
  running.delete(one);
  await one.stop();
  return stream.check(what);
}

test('a broker is away for long: streams say that they wait, and go on by themselves', async () => {
  const { cluster, work } = await openOwn(1);
  const own = await Promise.all(LAYOUTS.map((layout) => make({ layout, access: SESSION }, work)));
  for (const { place } of own) place.producer.begin(PER_SECOND);
  const started = await Promise.all(own.map((stream) => start(stream)));
  await cluster.kill(1);
  await Promise.all(started.map((one) => one.says('waiting, and trying again', 120_000)));
  await delay(AWAY_MS);
  await cluster.restart(1);
  await Promise.all(started.map((one) => one.says('goes on after', 120_000)));
  for (const [index, stream] of own.entries()) {
    const rows = await settle(stream, started[index] as RunningStream, 'the broker was away');
    countFaults({ kind: 'broker away', layout: stream.place.layout, mode: 'ProcessingTime' }, { faults: 1, rows });
  }
});

test('a broker is away while a folder is watched: its files are loaded once, as soon as that can be done', async () => {
  const { cluster, work } = await openOwn(1);
  const load = await LoadJob.make(work, { sink: { partitions: 1 }, access: { 'default.api.timeout.ms': 5_000 } });
  const folder = join(load.folder, 'in');
  await mkdir(folder);
  const put = async (name: string): Promise<void> => {
    await writeFile(join(folder, `.${name}`), `${name}\n`);
    await rename(join(folder, `.${name}`), join(folder, name));
  };
  await put('before.txt');
  const one = new RunningStream(
    load.start('--path', folder, '--format', 'text', '--stream', ...EVERY, '--report', 'json'),
  );
  running.add(one);
  await one.says('micro-batch 1');
  await cluster.kill(1);
  await put('meanwhile.txt');
  await one.says('waiting, and trying again', 120_000);
  await cluster.restart(1);
  await one.says('micro-batch 2', 120_000);
  await put('after.txt');
  await one.says('micro-batch 3');
  running.delete(one);
  await one.stop();
  expect(await load.values()).toEqual(['after.txt', 'before.txt', 'meanwhile.txt']);
  countFaults({ kind: 'broker away', layout: 'topic', mode: 'watched folder' }, { faults: 1, rows: 3 });
});

test.runIf(ALL)('leaders and coordinators change while streams run: each value once', async () => {
  const { cluster, work } = await openOwn(3);
  const own = await Promise.all(LAYOUTS.map((layout) => make({ layout, access: SESSION, replicas: 3 }, work)));
  for (const { place } of own) place.producer.begin(PER_SECOND);
  const started = await Promise.all(own.map((stream) => start(stream)));
  for (const id of cluster.ids) {
    await cluster.kill(id);
    await delay(5_000);
    await cluster.restart(id);
    await delay(5_000);
  }
  for (const { place } of own) await moveLeaders(cluster.bootstrapServers, place.topic);
  for (const [index, stream] of own.entries()) {
    const rows = await settle(stream, started[index] as RunningStream, 'leaders changed');
    countFaults({ kind: 'leaders change', layout: stream.place.layout, mode: 'ProcessingTime' }, { faults: 4, rows });
  }
});

test('a full disk is waited for, said once, and written to when there is room again', async () => {
  const stream = await make({ layout: 'folder', access: SESSION });
  const full = join(workspace.path, 'full');
  stream.place.producer.begin(PER_SECOND);
  const one = await start(stream, fullWhile(stream.place.folder, full));
  await writeFile(full, '');
  await one.says(/waiting, and trying again: .*(disk is full|no space left)/);
  // Some more attempts, of which nothing is said.
  await delay(4_000);
  expect(one.run.output().stderr.split('waiting, and trying again')).toHaveLength(2);
  await rm(full);
  await one.says('goes on after');
  const rows = await settle(stream, one, 'the disk was full');
  countFaults({ kind: 'full disk', layout: 'folder', mode: 'ProcessingTime' }, { faults: 1, rows });
});

describe('told to stop in the middle of a micro-batch', () => {
  const cases = [
    { layout: 'folder', name: 'stage.taskWritten', signal: 'SIGTERM', more: EVERY },
    { layout: 'folder', name: 'chain.created', signal: 'SIGINT', more: [] },
    { layout: 'topic', name: 'stream.rowsSent', signal: 'SIGINT', more: EVERY },
    { layout: 'topic', name: 'transaction.ending', signal: 'SIGTERM', more: [] },
  ] as const;

  test.each(cases.filter((_, index) => ALL || index % 2 === 0))(
    'a stream into a $layout, by $signal at $name: it finishes it, and leaves the group',
    async ({ layout, name, signal, more }) => {
      const stream = await make({ layout, access: SESSION });
      await stream.place.producer.send(NEW_MESSAGES);
      const { result, isStopped } = await stream.startStepped(more, { name, nth: 1, signal }).ended;
      expect(isStopped).toBe(true);
      expect(result.code, result.stderr).toBe(0);
      expect(JSON.parse(result.stdout)).toMatchObject({ stream: { microBatches: 1, stopped: true } });
      expect(['EMPTY', 'DEAD']).toContain(await workspace.topics.groupState(stream.place.group));
      expect(await stream.staged()).toEqual([]);
      await stream.finish();
      const rows = await stream.check(`${signal} at ${name}`);
      countFaults({ kind: 'told to stop', layout, mode: 'stream' }, { kills: 1, rows });
    },
  );

  test('a second Ctrl-C ends it at once, and nothing is half done', async () => {
    const stream = await make({ layout: 'folder' });
    await stream.place.producer.send(NEW_MESSAGES);
    const at = { name: 'chain.entryStaged', nth: 1 };
    // The first Ctrl-C has arrived when it falls asleep, and is followed by the second before anything else.
    const sleeper = stream.startStepped(EVERY, { ...at, signal: 'SIGINT' }, { ...at, signal: 'SIGSTOP' });
    await waitFor('it to sleep', () => sleeper.isSignalled());
    await delay(500);
    sleeper.child.kill('SIGINT');
    sleeper.child.kill('SIGCONT');
    expect((await sleeper.ended).result.code).toBe(130);
    await stream.checkNoDoubles('a second Ctrl-C');
    await stream.finish();
    const rows = await stream.check('a second Ctrl-C');
    countFaults({ kind: 'told to stop', layout: 'folder', mode: 'stream' }, { kills: 1, rows });
  });
});
