import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { StreamJob, valuesBy } from '../helpers/streams.ts';
import { query, sorted, Workspace } from '../helpers/workspace.ts';

/** From topic to files by the real command, which keeps running, on a real broker. */
let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
});

afterAll(() => workspace.close());

describe('a stream to files that ends by itself', () => {
  test('takes all there is now, and the next one what came since', async () => {
    const topic = await workspace.topics.create('stream-once', { partitions: 3 });
    const values = await workspace.send(topic, 3_000, [0, 1, 2]);
    const job = await StreamJob.make(workspace, { topic });
    expect(await job.once()).toMatchObject({
      rows: 3_000,
      offsets: { 0: { from: 0, to: 1_000 }, 1: { from: 0, to: 1_000 }, 2: { from: 0, to: 1_000 } },
      stream: { group: job.group, microBatches: 1, files: 1, badRecords: 0, stopped: false },
    });
    expect(await job.once()).toMatchObject({ rows: 0, stream: { microBatches: 0, files: 0 } });
    const more = await workspace.send(topic, 10, [1]);
    expect(await job.once('--streaming-trigger', 'availablenow')).toMatchObject({ rows: 10 });
    expect(await job.job.values()).toEqual(sorted([...values, ...more]));
    expect(await job.verify()).toMatchObject({ code: 0 });
    expect(await job.job.staged()).toEqual([]);
  });

  test('takes no more in a micro-batch than maxOffsetsPerTrigger, and all in the end', async () => {
    const topic = await workspace.topics.create('stream-bounded', { partitions: 2 });
    const values = await workspace.send(topic, 500, [0, 1]);
    const job = await StreamJob.make(workspace, { topic, access: { maxOffsetsPerTrigger: 120 } });
    expect(await job.once()).toMatchObject({ rows: 500, stream: { microBatches: 5, files: 5 } });
    expect(await job.job.values()).toEqual(sorted(values));
    expect(await job.verify()).toMatchObject({ code: 0 });
  });

  test('appends to exactly the file named', async () => {
    const topic = await workspace.topics.create('stream-exact');
    const values = await workspace.send(topic, 100);
    const job = await StreamJob.make(workspace, { topic });
    const file = join(job.job.folder, 'all.parquet');
    await job.once('--write-path', file, '--write-coalesce', '1');
    const more = await workspace.send(topic, 50);
    expect(await job.once('--write-path', file, '--write-coalesce', '1')).toMatchObject({ rows: 50 });
    expect(await job.job.values(file)).toEqual(sorted([...values, ...more]));
  });

  test('writes every format, and folders by values', async () => {
    const topic = await workspace.topics.create('stream-formats', { partitions: 2 });
    const values = sorted(await workspace.send(topic, 200, [0, 1]));
    const to = async (format: string, extension: string, options: string, ...more: string[]): Promise<string> => {
      const job = await StreamJob.make(workspace, { topic });
      expect(await job.once('--write-format', format, '--write-path', job.job.out, ...more)).toMatchObject({
        rows: 200,
      });
      return `${options}('${job.job.out}/${extension}'`;
    };
    expect(await valuesBy(`${await to('json', '*.json', 'read_json')})`)).toEqual(values);
    const csv = await to('csv', '*.csv', 'read_csv', '--write-options', 'header=true');
    expect(await valuesBy(`${csv}, header = true)`)).toEqual(values);
    const parted = await to('parquet', '*/*.parquet', 'read_parquet', '--streaming-partition-by', 'partition');
    expect(await valuesBy(`${parted}, hive_partitioning = true)`)).toEqual(values);
    expect(await query(`SELECT DISTINCT partition FROM ${parted}, hive_partitioning = true) ORDER BY 1`)).toEqual([
      { partition: '0' },
      { partition: '1' },
    ]);
  });

  test('begins where startingOffsets says only while the group has no place in the topic', async () => {
    const topic = await workspace.topics.create('stream-starting');
    await workspace.send(topic, 20);
    const job = await StreamJob.make(workspace, { topic, access: { startingOffsets: 'latest' } });
    expect(await job.once()).toMatchObject({ rows: 0 });
    const values = await workspace.send(topic, 30);
    expect(await job.once()).toMatchObject({ rows: 30 });
    expect(await job.job.values()).toEqual(sorted(values));
  });

  test('shows what it would do, and does nothing', async () => {
    const topic = await workspace.topics.create('stream-plan');
    await workspace.send(topic, 20);
    const job = await StreamJob.make(workspace, { topic });
    const { code, stdout } = await job.run('--dry-run', '--report', 'text');
    expect(code).toBe(0);
    expect(stdout).toContain(`${topic}/0: begins at 0, log ends at 20; first micro-batch [0, 20)`);
    expect(await job.job.files()).toEqual([]);
    expect(await job.once()).toMatchObject({ rows: 20, offsets: { 0: { from: 0, to: 20 } } });

    const planned = async (): Promise<string> => (await job.run('--dry-run', '--report', 'text')).stdout;
    await workspace.send(topic, 10);
    expect(await planned()).toContain(`${topic}/0: group is at 20, log ends at 30; first micro-batch [20, 30)`);
    await workspace.topics.setGroupOffset(job.group, topic, 0, 5);
    const set =
      'the files end at 20, the group is at 5, set by hand: goes on at 5, log ends at 30; first micro-batch [5, 30)';
    expect(await planned()).toContain(`${topic}/0: ${set}`);
    // Its commit to the group is missing, as after a crash.
    await workspace.topics.setGroupOffset(job.group, topic, 0, 0);
    const behind = 'the files end at 20, the group is at 0: goes on at 20, log ends at 30; first micro-batch [20, 30)';
    expect(await planned()).toContain(`${topic}/0: ${behind}`);
  });
});

describe('a stream to files that keeps running', () => {
  test('publishes at the trigger, when it is asked to, and goes on after a restart', async () => {
    const topic = await workspace.topics.create('stream-running', { partitions: 2 });
    const values = await workspace.send(topic, 100, [0, 1]);
    const job = await StreamJob.make(workspace, { topic });
    const first = job.every('500 milliseconds');
    expect(await job.untilValues(100)).toEqual(sorted(values));
    values.push(...(await workspace.send(topic, 60, [0, 1])));
    expect(await job.untilValues(160)).toEqual(sorted(values));
    expect(await first.stop()).toMatchObject({ rows: 160, stream: { stopped: true } });

    const second = job.every('1 hour');
    await second.says('joined group');
    values.push(...(await workspace.send(topic, 40, [0, 1])));
    // The first micro-batch begins at once; what comes later waits for the hour, or for the signal.
    await second.says(/partitions are ours now|partition is ours now/);
    second.run.child.kill('SIGUSR1');
    expect(await job.untilValues(200)).toEqual(sorted(values));
    values.push(...(await workspace.send(topic, 20, [1])));
    second.run.child.kill('SIGHUP');
    expect(await job.untilValues(220)).toEqual(sorted(values));
    await second.stop('SIGINT');
    expect(await job.verify()).toMatchObject({ code: 0 });
  });

  test('publishes before the trigger what is large, or has waited for long', async () => {
    const topic = await workspace.topics.create('stream-early');
    const [large, old] = [
      await StreamJob.make(workspace, { topic, entry: { maxFileBytes: '20KiB' } }),
      await StreamJob.make(workspace, { topic }),
    ];
    const running = [large.every('1 hour'), old.every('1 hour', '--write-options', 'maxFileAge=1 second')];
    for (const stream of running) await stream.says('ours now');
    const values = await workspace.send(topic, 100, [0], 300);
    for (const job of [large, old]) expect(await job.untilValues(100)).toEqual(sorted(values));
    for (const stream of running) await stream.stop();
  });

  test('obeys group offsets that were set by hand, backwards and forwards, and says so', async () => {
    const topic = await workspace.topics.create('stream-by-hand');
    const values = await workspace.send(topic, 50);
    const job = await StreamJob.make(workspace, { topic });
    await job.once();
    await workspace.topics.setGroupOffset(job.group, topic, 0, 40);
    const again = await job.run();
    expect(again.stderr).toMatch(/40/);
    expect(JSON.parse(again.stdout)).toMatchObject({ rows: 10, offsets: { 0: { from: 40, to: 50 } } });
    expect(await job.job.values()).toEqual(sorted([...values, ...values.slice(40)]));
    const skipped = await workspace.send(topic, 20);
    await workspace.topics.setGroupOffset(job.group, topic, 0, 60);
    expect(await job.once()).toMatchObject({ rows: 10 });
    expect(await job.job.values()).toEqual(sorted([...values, ...values.slice(40), ...skipped.slice(10)]));
  });

  test('reads partitions that are added, and topics that begin to match', async () => {
    const topic = await workspace.topics.create('stream-grows');
    const values = await workspace.send(topic, 10);
    const job = await StreamJob.make(workspace, { topic, access: { subscribePattern: `${topic}.*` } });
    const stream = job.every('500 milliseconds');
    await job.untilValues(10);
    await workspace.topics.addPartitions(topic, 2);
    values.push(...(await workspace.send(topic, 10, [1])));
    expect(await job.untilValues(20)).toEqual(sorted(values));
    const second = `${topic}-b`;
    await workspace.topics.createNamed(second);
    values.push(...(await workspace.send(second, 10)));
    expect(await job.untilValues(30)).toEqual(sorted(values));
    await stream.stop();
  });
});

describe('messages that are gone', () => {
  test('end the stream with status 3, or are skipped and accounted for', async () => {
    const topic = await workspace.topics.create('stream-lost');
    const values = await workspace.send(topic, 30);
    const job = await StreamJob.make(workspace, { topic });
    await job.once();
    values.push(...(await workspace.send(topic, 30)));
    await workspace.topics.deleteBefore(topic, 0, 45);
    const failed = await job.run();
    expect(failed.code).toBe(3);
    expect(failed.stderr).toContain(
      `group ${job.group} is at offset 30 of ${topic}/0, and the log now starts at 45, so 15 offsets are gone`,
    );
    const lenient = await job.run('--options', 'failOnDataLoss=false');
    expect(lenient.code).toBe(0);
    expect(await job.job.values()).toEqual(sorted([...values.slice(0, 30), ...values.slice(45)]));
    const entry = JSON.parse(await readFile(join(job.job.out, '_kafkaload', 'streams', job.group, '2.json'), 'utf8'));
    expect(entry.gaps).toEqual([expect.objectContaining({ topic, partition: 0, lost: 15 })]);
  });

  test('of a topic that was made again end the stream with status 3', async () => {
    const topic = await workspace.topics.create('stream-again');
    await workspace.send(topic, 30);
    const job = await StreamJob.make(workspace, { topic });
    await job.once();
    await workspace.topics.delete(topic);
    await workspace.topics.createNamed(topic);
    const values = await workspace.send(topic, 40);
    const failed = await job.run();
    expect(failed.code).toBe(3);
    expect(failed.stderr).toContain('was made again');
    const before = await job.job.values();
    const lenient = await job.run('--options', 'failOnDataLoss=false');
    expect(lenient.code).toBe(0);
    expect(await job.job.values()).toEqual(sorted([...before, ...values]));
  });
});
