import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type KafkaCluster, startKafka } from '../helpers/broker.ts';
import { killAndRestart } from '../helpers/killedLoads.ts';
import { LoadJob } from '../helpers/loads.ts';
import { startStepped } from '../helpers/steps.ts';
import { OFFSETS_MODES, query, sorted, Workspace } from '../helpers/workspace.ts';

/**
 * Loads are killed with SIGKILL at random moments and started again, until one comes to its end. The oracle: under
 * `read_committed` each row is in the topic exactly once.
 */
const KILLS = process.env.KAFKALOAD_FAULTS === 'all' ? 5 : 3;
const FILE_ROWS = 60_000;
const TOPIC_ROWS = 30_000;
const PARTITIONS = 3;
/** Small chunks: most moments of a run lie within one, or between two. */
const SINK = { partitions: PARTITIONS, chunkRecords: 500 };

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

describe.each([
  ['one cluster', false],
  ['two clusters', true],
] as const)(`killed ${KILLS} times, %s`, (_, isApart) => {
  const target = (): { target?: string } => (isApart ? { target: other.bootstrapServers } : {});

  test('a load of files writes each row once', async () => {
    const job = await LoadJob.make(workspace, { sink: SINK, ...target() });
    const values = Array.from({ length: FILE_ROWS }, (_, row) => `value ${row}`);
    const paths = [0, 1, 2].map((file) => join(job.folder, `part-${file}.parquet`));
    for (const [file, path] of paths.entries()) {
      const first = file * (FILE_ROWS / paths.length);
      const rows = `SELECT i::VARCHAR AS key, 'value ' || i AS value FROM range(${first}, ${first + FILE_ROWS / paths.length}) t(i)`;
      await query(`COPY (${rows}) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`);
    }
    await killAndRestart(job, ['--path', job.folder, '--options', 'pathGlobFilter=*.parquet'], values, {
      kills: KILLS,
      kind: 'load killed at random',
    });
    const again = await job.report('--path', job.folder, '--options', 'pathGlobFilter=*.parquet');
    expect(again.load.alreadyLoaded).not.toBeNull();
  });

  test.each(OFFSETS_MODES)('from topic to topic each record is written once, offsets in mode %s', async (mode) => {
    const from = await workspace.topics.create('crash-source', { partitions: 2 });
    const values = await workspace.send(from, TOPIC_ROWS, [0, 1]);
    const job = await LoadJob.make(workspace, { mode, from, sink: SINK, ...target() });
    await killAndRestart(job, [], values, { kills: KILLS, kind: 'topic to topic killed at random' });
    expect(await job.values()).toEqual(sorted(values));
    const more = await workspace.send(from, 100, [0]);
    expect(await job.report()).toMatchObject({ rows: 100 });
    expect(await job.values()).toEqual(sorted([...values, ...more]));
  });
});

test('one that died behind its commit holds up nobody: its transaction is ended before anything is read', async () => {
  const from = await workspace.topics.create('crash-source', { partitions: 2 });
  const values = await workspace.send(from, 20, [0, 1]);
  const job = await LoadJob.make(workspace, { mode: 'STREAM', from, sink: SINK });
  const target = { name: 'transaction.ending', nth: 1, after: 'load.offsetsRaised' };
  const killed = await startStepped(job.args([]), job.folder, { ...target, signal: 'SIGKILL' }).ended;
  expect(killed).toMatchObject({ isStopped: true, result: { signal: 'SIGKILL' } });
  const more = await workspace.send(from, 20, [0, 1]);
  const { result, steps } = await startStepped(job.args([]), job.folder).ended;
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect(steps[0]).toBe('transaction.othersFenced');
  expect(await job.values()).toEqual(sorted([...values, ...more]));
});
