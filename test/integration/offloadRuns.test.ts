import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openTransaction } from '../helpers/producers.ts';
import { randomName } from '../helpers/topics.ts';
import { OFFSETS_MODES, query, slow, sorted, Workspace } from '../helpers/workspace.ts';

/** One run after another, and one beside another: what each of them takes, saves and leaves. */

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
});

afterAll(async () => {
  await work.close();
});

describe.each(OFFSETS_MODES)('offsets in mode %s', (mode) => {
  test('a second run reads nothing and writes nothing; a third takes exactly what was added', async () => {
    const topic = await work.topics.create('again', { partitions: 4 });
    const first = await work.send(topic, 3_000, [0, 1, 2, 3]);
    const job = await work.job({ topic, mode });
    expect((await job.report()).rows).toBe(3_000);
    expect(await job.saved()).toEqual({ 0: 750, 1: 750, 2: 750, 3: 750 });

    const files = await job.files();
    const second = await job.report();
    expect(second).toMatchObject({ rows: 0, files: [] });
    expect(await job.files()).toEqual(files);

    const added = await work.send(topic, 1_000, [0, 2]);
    const third = await job.report();
    expect(third.rows).toBe(1_000);
    expect(third.offsets).toEqual({
      0: { from: 750, to: 1_250 },
      1: { from: 750, to: 750 },
      2: { from: 750, to: 1_250 },
      3: { from: 750, to: 750 },
    });
    const written = await query(
      `SELECT value FROM read_parquet([${third.files.map((file) => `'${file.path}'`).join(', ')}]) ORDER BY value`,
    );
    expect(written.map((row) => row.value)).toEqual(sorted(added));
    expect(await job.values()).toEqual(sorted([...first, ...added]));
    expect(await job.staged()).toEqual([]);
  });

  test('a partition added between two runs is read from its start', async () => {
    const topic = await work.topics.create('grown', { partitions: 2 });
    const first = await work.send(topic, 200, [0, 1]);
    const job = await work.job({ topic, mode, entry: { accessOptions: { startingOffsets: 'earliest' } } });
    await job.report();
    await work.topics.addPartitions(topic, 3);
    const added = await work.send(topic, 300, [0, 1, 2]);
    expect((await job.report()).rows).toBe(300);
    expect(await job.values()).toEqual(sorted([...first, ...added]));
    expect(await job.saved()).toEqual({ 0: 200, 1: 200, 2: 100 });
  });

  test('startingOffsets latest takes exactly what comes after the first run, also from a new partition', async () => {
    const topic = await work.topics.create('latest', { partitions: 2 });
    await work.send(topic, 500, [0, 1]);
    const job = await work.job({ topic, mode, entry: { accessOptions: { startingOffsets: 'latest' } } });
    expect(await job.report()).toMatchObject({ rows: 0, files: [] });
    expect(await job.saved()).toEqual({ 0: 250, 1: 250 });

    const later = await work.send(topic, 100, [0, 1]);
    expect((await job.report()).rows).toBe(100);
    await work.topics.addPartitions(topic, 3);
    const newest = await work.send(topic, 10, [2]);
    expect((await job.report()).rows).toBe(10);
    expect(await job.values()).toEqual(sorted([...later, ...newest]));
  });

  test('a topic deleted and made again, with more messages than were saved, ends with status 3', async () => {
    const topic = await work.topics.create('remade', { partitions: 1 });
    const before = await work.send(topic, 100);
    const job = await work.job({ topic, mode });
    await job.report();
    const saved = await job.saved();
    await work.topics.delete(topic);
    await work.topics.createNamed(topic, { partitions: 1 });
    await work.send(topic, 150);

    const result = await job.run();
    expect(result.code).toBe(3);
    expect(result.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(result.stderr).toContain(topic);
    expect(result.stderr).toContain('made again');
    expect(await job.saved()).toEqual(saved);
    expect(await job.values()).toEqual(sorted(before));
    expect(await job.staged()).toEqual([]);
  });

  test('a saved offset below the log start ends with status 3; failOnDataLoss false goes on from there', async () => {
    const topic = await work.topics.create('lost', { partitions: 1 });
    const offsets = mode === 'FILE' ? `${work.path}/${randomName('offsets')}` : work.topics.reserve('offsets');
    const job = await work.job({ topic, mode, offsets });
    const read = await work.send(topic, 100);
    await job.report();
    await work.send(topic, 50);
    const kept = await work.send(topic, 25);
    await work.topics.deleteBefore(topic, 0, 150);

    const result = await job.run();
    expect(result.code).toBe(3);
    expect(result.stderr).toMatch(/offset 100\b.*\b150\b/);
    expect(result.stderr).toContain('failOnDataLoss');
    expect(await job.values()).toEqual(sorted(read));
    expect(await job.saved()).toEqual({ 0: 100 });

    const lenient = await work.job({ topic, mode, offsets, entry: { accessOptions: { failOnDataLoss: false } } });
    expect((await lenient.report()).rows).toBe(25);
    expect(await lenient.values()).toEqual(sorted(kept));
    expect(await lenient.saved()).toEqual({ 0: 175 });
  });

  test('maxRead is at most so many messages a run, and nothing is left out in the end', async () => {
    const topic = await work.topics.create('limited', { partitions: 3 });
    const values = await work.send(topic, 1_000, [0, 0, 1, 2]);
    const job = await work.job({ topic, mode, entry: { maxRead: 300 } });
    const rows: number[] = [];
    for (let run = 0; run < 5; run++) rows.push((await job.report()).rows);
    expect(rows).toEqual([300, 300, 300, 100, 0]);
    expect(await job.values()).toEqual(sorted(values));
  });

  test('a second run during a live one exits 1 naming it, and the first finishes', async () => {
    const topic = await work.topics.create('two', { partitions: 2 });
    const clientId = randomName('slow');
    const job = await work.job({ topic, mode, entry: slow(clientId) });
    // The same config without the limit: the broker shall hold the first run alone.
    const rival = await work.job({ topic, mode, offsets: job.offsets });
    const values = await work.send(topic, 10_000, [0, 1], 300);
    const { run: first, release } = await work.startHeld(job, clientId);
    try {
      const second = await rival.run('--write-path', job.out);
      // Watching the other takes a while, so the log says that too.
      const line = second.stderr.trimEnd().split('\n').at(-1);
      expect(line).toContain(`pid ${first.child.pid}`);
      expect(line).toContain(hostname());
      expect(second.code).toBe(1);

      const dry = await rival.run('--write-path', job.out, '--dry-run');
      expect(dry.code, dry.stderr).toBe(0);
      expect(dry.stdout).toMatch(/^ *0 +0 +5,000 +5,000 /m);
      expect(dry.stdout).toContain(`${first.child.pid}`);
      expect(first.child.exitCode).toBeNull();
    } finally {
      await release();
    }
    const result = await first.result;
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    expect(await job.values()).toEqual(sorted(values));
    expect(await job.saved()).toEqual({ 0: 5_000, 1: 5_000 });
    expect(await job.staged()).toEqual([]);
  });

  test('a dry run prints ranges by partition, message estimates and files, and changes nothing', async () => {
    const topic = await work.topics.create('dry', { partitions: 2 });
    await work.send(topic, 1_200, [0, 0, 1]);
    const job = await work.job({ topic, mode });
    const untouched = await job.snapshot();
    const first = await job.run('--dry-run');
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/^ *0 +0 +800 +800 /m);
    expect(first.stdout).toMatch(/^ *1 +0 +400 +400 /m);
    expect(first.stdout).toContain(job.out);
    expect(await job.snapshot()).toEqual(untouched);

    await job.report();
    await work.send(topic, 100, [1]);
    const before = await job.snapshot();
    const second = await job.run('--dry-run');
    expect(second.stdout).toMatch(/^ *0 +800 +800 +0 /m);
    expect(second.stdout).toMatch(/^ *1 +400 +500 +100 /m);
    expect(await job.snapshot()).toEqual(before);
    expect((await job.report()).rows).toBe(100);
  });
});

test('a broker that throttles makes runs slower and fails none of them', async () => {
  const topic = await work.topics.create('throttled', { partitions: 1 });
  const clientId = randomName('throttled');
  const job = await work.job({ topic, mode: 'STREAM', entry: slow(clientId) });
  const first = await work.send(topic, 2_000, [0], 300);
  await work.topics.limitFetch(clientId, 60_000);
  try {
    expect((await job.report()).rows).toBe(2_000);
    // Still above the limit: the next run's first answers, those with the saved offsets, are the throttled ones.
    const second = await work.send(topic, 10);
    expect((await job.report()).rows).toBe(10);
    expect(await job.values()).toEqual(sorted([...first, ...second]));
  } finally {
    await work.topics.limitFetch(clientId, null);
  }
});

test('another config killed with its transaction open in the offsets topic: nothing is doubled or lost', async () => {
  const topic = await work.topics.create('held', { partitions: 1 });
  const clientId = randomName('slow');
  const job = await work.job({ topic, mode: 'STREAM', entry: slow(clientId) });
  const first = await work.send(topic, 100);
  await job.report();

  // The order that matters: the other's record lies in the topic before the one this run saves.
  const second = await work.send(topic, 10_000, [0], 300);
  const { run: live, release } = await work.startHeld(job, clientId);
  try {
    const other = await openTransaction(bootstrapServers, {
      topic: job.offsets,
      transactionalId: `kafkaload/${job.offsets}/other`,
      ...{ key: 'other/0', value: '7' },
    });
    await other.kill();
    expect(live.child.exitCode).toBeNull();
  } finally {
    await release();
  }
  expect((await live.result).code).toBe(0);

  const third = await work.send(topic, 50);
  const report = await job.report();
  expect(report.offsets).toEqual({ 0: { from: 10_100, to: 10_150 } });
  expect(report.rows).toBe(50);
  expect(await job.values()).toEqual(sorted([...first, ...second, ...third]));
});
