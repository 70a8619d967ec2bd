import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { randomName } from '../helpers/topics.ts';
import { OFFSETS_MODES, type OffloadJob, query, sorted, Workspace } from '../helpers/workspace.ts';

/** Several topics by one config: which are read, what is saved of each, and that none is taken for another. */

const bootstrapServers = inject('bootstrapServers');
const fields = ['value as STRING', 'topic as STRING', 'partition as INT', 'offset as LONG'];
let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
});

afterAll(async () => {
  await work.close();
});

/** Names that share a prefix of their own and sort in this order. */
async function createTopics(partitions: readonly number[]): Promise<{ prefix: string; topics: string[] }> {
  const prefix = randomName('several');
  const topics = partitions.map((_, index) => `${prefix}.${'abcdef'[index]}`);
  for (const [index, topic] of topics.entries()) {
    await work.topics.createNamed(topic, { partitions: partitions[index] ?? 1 });
  }
  return { prefix, topics };
}

interface Options {
  readonly mode: (typeof OFFSETS_MODES)[number];
  /** Of an earlier job, to go on where it ended. */
  readonly after?: OffloadJob;
  readonly topic?: string;
  readonly maxRead?: number;
}

function jobOf(accessOptions: Readonly<Record<string, unknown>>, options: Options): Promise<OffloadJob> {
  const { mode, after, topic, maxRead } = options;
  const entry = { fields, accessOptions, ...(maxRead === undefined ? {} : { maxRead }) };
  return work.job({ topic: topic ?? 'unused', mode, entry, ...(after ? { offsets: after.offsets } : {}) });
}

/** Rows, first and last offset by `TOPIC/PARTITION` of all files of these jobs; offsets without a gap or a repeat. */
async function rowsByPlace(...jobs: readonly OffloadJob[]): Promise<Record<string, [number, number, number]>> {
  const files = jobs.map(({ out }) => `'${join(out, '*.parquet')}'`).join(', ');
  const rows = await query(
    `SELECT topic, partition, count(*)::INT AS rows, count(DISTINCT "offset")::INT AS different,
       min("offset")::INT AS first, max("offset")::INT AS last
     FROM read_parquet([${files}]) GROUP BY ALL ORDER BY ALL`,
  );
  for (const { rows: count, different } of rows) expect(different).toBe(count);
  return Object.fromEntries(
    rows.map(({ topic, partition, rows: count, first, last }) => {
      return [`${topic}/${partition}`, [count, first, last] as [number, number, number]];
    }),
  );
}

async function values(...jobs: readonly OffloadJob[]): Promise<string[]> {
  return sorted((await Promise.all(jobs.map((job) => job.values()))).flat());
}

describe.each(OFFSETS_MODES)('several topics, offsets in mode %s', (mode) => {
  test('one topic becomes two, then a pattern, then one again: no row is lost or doubled', async () => {
    const { prefix, topics } = await createTopics([2, 2, 1]);
    const [a = '', b = '', c = ''] = topics;
    const sent = [...(await work.send(a, 40, [0, 1])), ...(await work.send(b, 90, [0, 0, 1]))];

    const one = await jobOf({}, { mode, topic: a });
    await one.report();
    expect(await one.saved()).toEqual({ 0: 20, 1: 20 });

    sent.push(...(await work.send(a, 10, [0])));
    const two = await jobOf({ subscribe: `${b},${a}`, startingOffsets: 'latest' }, { mode, after: one, topic: a });
    const report = await two.report();
    expect(report.offsets).toEqual({
      [a]: { 0: { from: 20, to: 30 }, 1: { from: 20, to: 20 } },
      [b]: { 0: { from: null, to: 60 }, 1: { from: null, to: 30 } },
    });
    expect(await two.saved()).toEqual({ [`${a}/0`]: 30, [`${a}/1`]: 20, [`${b}/0`]: 60, [`${b}/1`]: 30 });

    sent.push(...(await work.send(c, 7)), ...(await work.send(b, 5, [1])));
    const pattern = await jobOf({ subscribePattern: `${prefix}\\..`, startingOffsets: 'latest' }, { mode, after: two });
    expect((await pattern.report()).rows).toBe(12);
    expect((await pattern.report()).rows).toBe(0);
    const whole = { [`${a}/0`]: 30, [`${a}/1`]: 20, [`${b}/0`]: 60, [`${b}/1`]: 35, [`${c}/0`]: 7 };
    expect(await pattern.saved()).toEqual(whole);

    sent.push(...(await work.send(a, 3, [1])), ...(await work.send(b, 3, [1])));
    const again = await jobOf({}, { mode, after: pattern, topic: a });
    expect((await again.report()).rows).toBe(3);
    const { [`${a}/0`]: _first, [`${a}/1`]: _second, ...others } = whole;
    expect(await again.saved()).toEqual({ ...others, 0: 30, 1: 23 });
    const last = await jobOf({ subscribe: topics.join(',') }, { mode, after: again, topic: a });
    expect((await last.report()).rows).toBe(3);
    expect(await last.saved()).toEqual({ ...whole, [`${a}/1`]: 23, [`${b}/1`]: 38 });

    const jobs = [one, two, pattern, again, last];
    expect(await values(...jobs)).toEqual(sorted(sent));
    expect(await rowsByPlace(...jobs)).toEqual({
      [`${a}/0`]: [30, 0, 29],
      [`${a}/1`]: [23, 0, 22],
      [`${b}/0`]: [60, 0, 59],
      [`${b}/1`]: [38, 0, 37],
      [`${c}/0`]: [7, 0, 6],
    });
  });

  test('a topic that is gone keeps its saved offsets; one of its name that is made again ends with status 3', async () => {
    const { prefix, topics } = await createTopics([1, 1]);
    const [a = '', b = ''] = topics;
    await work.send(a, 30);
    await work.send(b, 20);
    const job = await jobOf({ subscribePattern: `${prefix}.*`, startingOffsets: 'latest' }, { mode });
    expect((await job.report()).rows).toBe(0);
    await work.topics.delete(a);
    await work.send(b, 5);
    const later = `${prefix}.later`;
    await work.topics.createNamed(later);
    const fresh = await work.send(later, 4);
    expect((await job.report()).rows).toBe(9);
    expect(await job.values()).toEqual(expect.arrayContaining(fresh));
    const saved = { [`${a}/0`]: 30, [`${b}/0`]: 25, [`${later}/0`]: 4 };
    expect(await job.saved()).toEqual(saved);

    await work.topics.createNamed(a);
    await work.send(a, 50);
    const result = await job.run();
    expect(result.code).toBe(3);
    expect(result.stderr).toContain(`cannot resume ${a}: it was made again`);
    expect(await job.saved()).toEqual(saved);
  });

  test('partitions of the same number are kept apart by limits, tasks, files and gaps', async () => {
    const { topics } = await createTopics([2, 2]);
    const [a = '', b = ''] = topics;
    const sent = [...(await work.send(a, 1_000, [0, 0, 0, 1], 200)), ...(await work.send(b, 3_000, [0, 1, 1, 1], 20))];
    await work.topics.deleteBefore(b, 1, 250);
    const subscribe = topics.join(',');
    const job = await jobOf({ subscribe, minPartitions: 9 }, { mode, topic: a, maxRead: 1_250 });
    const dry = await job.run('--dry-run');
    expect(dry.stdout).toMatch(/\b(9|1\d) tasks on/);
    const limited = await job.report('--write-path', join(job.out, 'all.parquet'), '--write-coalesce', '1');
    expect(limited.rows).toBe(1_250);
    const rest = await jobOf({ subscribe }, { mode, topic: a, after: job });
    expect((await rest.report('--write-path', join(job.out, 'all.parquet'), '--write-coalesce', '1')).rows).toBe(2_500);
    expect(await rowsByPlace(job)).toEqual({
      [`${a}/0`]: [750, 0, 749],
      [`${a}/1`]: [250, 0, 249],
      [`${b}/0`]: [750, 0, 749],
      [`${b}/1`]: [2_000, 250, 2_249],
    });
    expect(
      await query(
        `SELECT count(*)::INT AS rows FROM '${job.out}/all.parquet' WHERE value IN (${sent.map((value) => `'${value}'`)})`,
      ),
    ).toEqual([{ rows: 3_750 }]);
    const order = await query(
      `SELECT topic, partition FROM (SELECT topic, partition, file_row_number AS n FROM read_parquet('${job.out}/all.parquet', file_row_number = true))
       WHERE n < 1250 GROUP BY topic, partition ORDER BY min(n)`,
    );
    expect(order.map(({ topic, partition }) => `${topic}/${partition}`)).toEqual([
      `${a}/0`,
      `${a}/1`,
      `${b}/0`,
      `${b}/1`,
    ]);
    expect(await rest.saved()).toEqual({ [`${a}/0`]: 750, [`${a}/1`]: 250, [`${b}/0`]: 750, [`${b}/1`]: 2_250 });
  });

  test('assigned partitions are read alone, and saved offsets of the others stay', async () => {
    const { topics } = await createTopics([3, 2]);
    const [a = '', b = ''] = topics;
    await work.send(a, 30, [0, 1, 2]);
    await work.send(b, 20, [0, 1]);
    const whole = await jobOf({ subscribe: topics.join(',') }, { mode, topic: a });
    await whole.report();
    await work.send(a, 30, [0, 1, 2]);
    await work.send(b, 20, [0, 1]);
    const assign = JSON.stringify({ [a]: [2, 0], [b]: [1] });
    const job = await jobOf({ assign }, { mode, after: whole });
    expect((await job.report()).offsets).toEqual({
      [a]: { 0: { from: 10, to: 20 }, 2: { from: 10, to: 20 } },
      [b]: { 1: { from: 10, to: 20 } },
    });
    const saved = { [`${a}/0`]: 20, [`${a}/1`]: 10, [`${a}/2`]: 20, [`${b}/0`]: 10, [`${b}/1`]: 20 };
    expect(await job.saved()).toEqual(saved);

    const missing = await jobOf({ assign: JSON.stringify({ [a]: [0, 7] }) }, { mode, after: job });
    const result = await missing.run();
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain(`assign names partition 7 of ${a}, which has partitions 0, 1, 2\n`);
    expect(await job.saved()).toEqual(saved);
  });

  test('a pattern that nothing matches is named; topics of the brokers, of saved offsets and of progress never match', async () => {
    const none = await jobOf({ subscribePattern: 'no-such-topic-[0-9]+' }, { mode });
    const result = await none.run();
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('matches subscribePattern no-such-topic-[0-9]+');

    const { prefix, topics } = await createTopics([1]);
    await work.send(topics[0] ?? '', 5);
    const offsets = mode === 'STREAM' ? `${prefix}.offsets` : undefined;
    if (offsets) await work.topics.createNamed(offsets, { properties: { 'cleanup.policy': 'compact' } });
    const job = await work.job({
      topic: 'unused',
      ...{ mode, entry: { fields, accessOptions: { subscribePattern: `${prefix}.*|__.*` } } },
      ...(offsets ? { offsets } : {}),
      progressTopic: `${prefix}.progress`,
    });
    await work.topics.createNamed(`${prefix}.progress`);
    await work.send(`${prefix}.progress`, 3);
    for (const rows of [5, 0]) expect((await job.report()).rows).toBe(rows);
    expect(await job.saved()).toEqual({ [`${topics[0]}/0`]: 5 });
  });

  test('offsets show, set and reset tell topics apart', async () => {
    const { prefix, topics } = await createTopics([1, 1]);
    const [a = '', b = ''] = topics;
    await work.send(a, 10);
    await work.send(b, 20);
    const job = await jobOf({ subscribePattern: `${prefix}.*` }, { mode });
    await job.report();
    await work.send(b, 2);
    const shown = await job.offsetsCommand('show', '--report', 'json');
    expect(JSON.parse(shown).partitions).toEqual({
      [a]: { 0: { saved: 10, logStart: 0, end: 10, lag: 0 } },
      [b]: { 0: { saved: 20, logStart: 0, end: 22, lag: 2 } },
    });
    const set = JSON.stringify({ [b]: { 0: 15 } });
    expect(await job.offsetsCommand('set', '--offsets', set)).toMatch(new RegExp(`^ +${b} +0 +20 +15$`, 'm'));
    expect(await job.saved()).toEqual({ [`${a}/0`]: 10, [`${b}/0`]: 15 });
    expect((await job.report()).rows).toBe(7);
    await job.offsetsCommand('reset');
    expect(await job.saved()).toEqual({});
    expect((await job.report()).rows).toBe(32);
  });
});

describe.each(OFFSETS_MODES)('ranges that are asked for, offsets in mode %s', (mode) => {
  test('begin at the saved offsets, or save nothing', async () => {
    const topic = await work.topics.create('asked', { partitions: 2 });
    const sent = await work.send(topic, 200, [0, 1]);
    const job = await jobOf({}, { mode, topic });
    expect((await job.report('--starting-offsets', '{"0":90,"1":95}')).rows).toBe(15);
    expect(await job.saved()).toEqual({ 0: 100, 1: 100 });

    const refused = await job.run('--starting-offsets', 'earliest');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--no-commit');
    expect(refused.stderr).toContain('kafkaload offsets set --config orders');
    expect((await job.report('--starting-offsets', '{"0":100}')).rows).toBe(0);
    expect((await job.report('--ending-offsets', '{"0":10}')).rows).toBe(0);
    expect(await job.saved()).toEqual({ 0: 100, 1: 100 });

    const again = await job.report(
      '--starting-offsets',
      'earliest',
      '--ending-offsets',
      '{"0":50,"1":0}',
      '--no-commit',
    );
    expect(again.offsets).toEqual({ 0: { from: 0, to: 50 } });
    expect(await job.saved()).toEqual({ 0: 100, 1: 100 });
    expect(await job.values()).toHaveLength(65);

    const more = await work.send(topic, 10, [1]);
    expect((await job.report()).rows).toBe(10);
    expect(await job.values()).toEqual(expect.arrayContaining(more));
    expect(sent).toHaveLength(200);
  });

  test('without a commit twice give the rows twice, and the manifests say so', async () => {
    const topic = await work.topics.create('twice');
    const sent = await work.send(topic, 50);
    const job = await jobOf({}, { mode, topic });
    for (let run = 0; run < 2; run++) {
      expect(await job.report('--no-commit')).toMatchObject({
        rows: 50,
        committed: false,
        offsets: { 0: { from: 0, to: 50 } },
      });
    }
    expect(await job.values()).toEqual(sorted([...sent, ...sent]));
    expect(await job.saved()).toEqual({});
    const [manifest = ''] = (await job.files()).filter((file) => file.startsWith('_kafkaload/manifests'));
    expect(JSON.parse(await readFile(join(job.out, manifest), 'utf8'))).toMatchObject({ committed: false });
    expect((await job.report()).rows).toBe(50);
    expect(await job.saved()).toEqual({ 0: 50 });
    expect((await job.report('--no-commit')).rows).toBe(0);
    expect(await job.staged()).toEqual([]);
  });
});
