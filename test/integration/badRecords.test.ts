import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { runCommand } from '../helpers/command.ts';
import { LoadJob } from '../helpers/loads.ts';
import { readTopic, readTopicWithJava, sendMessages } from '../helpers/producers.ts';
import { toHex } from '../helpers/script.ts';
import { waitFor } from '../helpers/wait.ts';
import { OFFSETS_MODES, type OffloadJob, query, sorted, Workspace } from '../helpers/workspace.ts';

/** Records of which no row can be made: they end the run, are left out, or go to a topic of their own. */

const MESSAGES = 240;
/** Values that are no text, and keys that are no number. */
const NO_TEXT = new Set([0, 31, 32, 90, 239]);
const NO_NUMBER = new Set([5, 33, 90, 160]);
const isBad = (id: number) => NO_TEXT.has(id) || NO_NUMBER.has(id);
const good = Array.from({ length: MESSAGES }, (_, id) => id).filter((id) => !isBad(id));
const bad = Array.from({ length: MESSAGES }, (_, id) => id).filter(isBad);
const FIELDS = ['value as STRING', 'partition as INT', 'offset as LONG', 'CAST(CAST(key AS VARCHAR) AS INT) as id'];
const REPORTED = {
  records: bad.length,
  byReason: { INVALID_UTF8: NO_TEXT.size, TRANSFORM_FAILED: NO_NUMBER.size - 1 },
};

let work: Workspace;
let topic: string;

const keyOf = (id: number) => Buffer.from(NO_NUMBER.has(id) ? `no ${id}` : String(id));
const bytesOf = (id: number) =>
  Buffer.concat([Buffer.from(`value ${id}`), Buffer.from(NO_TEXT.has(id) ? [0xff, 0] : [])]);
const HEADERS = [
  ['a', toHex('1')],
  ['empty', ''],
  ['none', null],
  ['a', 'ff00'],
] as const;

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
  topic = await work.topics.create('bad', { partitions: 2 });
  const messages = Array.from({ length: MESSAGES }, (_, id) => ({
    ...{ partition: id % 2, timestamp: 1_700_000_000_000 + id, headers: HEADERS as never },
    ...{ key: keyOf(id).toString('hex'), value: bytesOf(id).toString('hex') },
  }));
  await sendMessages({ bootstrapServers: work.bootstrapServers, topic, folder: work.path }, messages);
});

afterAll(() => work.close());

async function expectVerified(job: OffloadJob): Promise<void> {
  const args = ['verify', '--path', job.out, '--conf', job.confPath, '--config', job.config, '--deep'];
  const result = await runCommand(args, { cwd: job.folder });
  expect([result.code, result.stderr], result.stdout).toEqual([0, '']);
}

/** Ids in the files. */
async function idsIn(job: OffloadJob): Promise<number[]> {
  const rows = await query(`SELECT id FROM read_parquet('${job.out}/*.parquet') ORDER BY id`);
  return rows.map(({ id }) => Number(id));
}

test('without onBadRecord the first one ends the run', async () => {
  const job = await work.job({ topic, entry: { fields: FIELDS } });
  const result = await job.run();
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(new RegExp(`value of ${topic}/[01] at offset 0|${topic}/[01] at offset`));
  expect(await job.dataFiles()).toEqual([]);
});

test.each(OFFSETS_MODES)('skip leaves them out, counts them, and nothing is missing (%s)', async (mode) => {
  const job = await work.job({ topic, mode, entry: { fields: FIELDS, onBadRecord: 'Skip' } });
  const result = await job.run('--report', 'json');
  expect(result.code, result.stderr).toBe(0);
  const report = JSON.parse(result.stdout);
  expect(report).toMatchObject({ rows: good.length, badRecords: { ...REPORTED, deadLetterTopic: null } });
  expect(report.gaps.map(({ bad: count }: { bad: number }) => count).reduce((sum: number, n: number) => sum + n)).toBe(
    bad.length,
  );
  expect(report.warnings).toHaveLength(6);
  expect(report.warnings[0]).toContain(`bad record left out: cannot read the value of ${topic}/`);
  expect(report.warnings[5]).toBe(`${bad.length - 5} more bad records were left out`);
  expect(await idsIn(job)).toEqual(good);
  await expectVerified(job);
  expect(await job.saved()).toEqual({ 0: MESSAGES / 2, 1: MESSAGES / 2 });
});

test('a run of nothing but bad records moves the saved offsets, in folders by value as well', async () => {
  const only = await work.topics.create('only-bad');
  await work.sendBytes(only, [Buffer.from([0xff]), Buffer.from([0xfe])]);
  for (const more of [[], ['--write-partition-by', 'value']]) {
    const job = await work.job({
      topic: only,
      entry: { fields: ['value as STRING', 'offset as LONG'], onBadRecord: 'skip' },
    });
    expect(await job.report(...more)).toMatchObject({ rows: 0, files: [], badRecords: { records: 2 } });
    expect(await job.saved()).toEqual({ 0: 2 });
  }
});

test('a value that no folder can be named by is a bad record', async () => {
  const long = await work.topics.create('long-names');
  const values = ['a', 'b'.repeat(300), 'a', 'c', 'd'.repeat(400)];
  await work.sendBytes(
    long,
    values.map((value) => Buffer.from(value)),
  );
  const fields = ['value as STRING', 'offset as LONG'];
  const job = await work.job({ topic: long, entry: { fields, onBadRecord: 'skip' } });
  const report = await job.report('--write-partition-by', 'value');
  expect(report).toMatchObject({ rows: 3, badRecords: { records: 2, byReason: { ROW_INVALID: 2 } } });
  expect((await job.dataFiles()).map((file) => file.split('/')[0])).toEqual(['value=a', 'value=c']);
});

test.each([
  [
    'a module, which gets all rows of a batch at once',
    `export default (table, { arrow }) => {
      const rows = table.toArray().map((row) => ({ n: Number(JSON.parse(row.value).n) }));
      return arrow.tableFromArrays({ n: Float64Array.from(rows, ({ n }) => n) });
    };`,
  ],
])('%s: those that it fails on are found, in the first rows as well', async (_, code) => {
  const json = await work.topics.create('json');
  const values = Array.from({ length: 300 }, (_, n) => (n % 50 === 0 ? '{"n":' : JSON.stringify({ n })));
  await work.sendBytes(
    json,
    values.map((value) => Buffer.from(value)),
  );
  const job = await work.job({ topic: json, entry: { fields: ['value as STRING'], onBadRecord: 'skip' } });
  await writeFile(join(job.folder, 'rows.mjs'), code);
  const report = await job.report('--transform', './rows.mjs');
  expect(report).toMatchObject({ rows: 294, badRecords: { records: 6, byReason: { TRANSFORM_FAILED: 6 } } });
  const rows = await query(`SELECT n FROM read_parquet('${job.out}/*.parquet') ORDER BY n`);
  expect(rows.map(({ n }) => Number(n))).toEqual(values.flatMap((_, n) => (n % 50 === 0 ? [] : [n])));
});

test('the console and a sample leave them out and say so', async () => {
  const job = await work.job({ topic, entry: { fields: FIELDS, onBadRecord: 'skip' } });
  const args = ['--conf', job.confPath, '--config', job.config];
  const shown = await runCommand([...args, '--write-format', 'console', '--report', 'json'], { cwd: job.folder });
  expect(shown.code, shown.stderr).toBe(0);
  const { table, badRecords } = JSON.parse(shown.stdout);
  expect(table.rows).toHaveLength(20);
  expect(badRecords.records).toBeGreaterThan(0);
  const sampled = await runCommand(['sample', ...args, '--limit', '1000', '--report', 'json'], { cwd: job.folder });
  expect(sampled.code, sampled.stderr).toBe(0);
  expect(JSON.parse(sampled.stdout).rows).toHaveLength(good.length);
  expect(sampled.stderr).toContain(`${bad.length - 5} more bad records were left out`);
});

test('from topic to topic skip leaves out what no record can be made of', async () => {
  // A partition that the target has not, for some; a header without a key cannot come from Kafka.
  const fields = ['key', 'value', "CASE WHEN CAST(value AS VARCHAR) LIKE '%9' THEN 7 END as partition"];
  const job = await LoadJob.make(work, {
    from: topic,
    source: { fields, onBadRecord: 'skip' },
    sink: { chunkRecords: 50 },
  });
  const expected = good.concat(bad.filter((id) => !NO_TEXT.has(id))).filter((id) => id % 10 !== 9);
  const report = await job.report();
  const wrong = MESSAGES - NO_TEXT.size - expected.length;
  expect(report).toMatchObject({
    rows: expected.length,
    badRecords: { records: MESSAGES - expected.length, byReason: { INVALID_UTF8: NO_TEXT.size, ROW_INVALID: wrong } },
  });
  const found = (await readTopic(work.bootstrapServers, job.to)).map(({ value }) => value?.toString() ?? '');
  expect(sorted(found)).toEqual(sorted(expected.map((id) => `value ${id}`)));
});

/** All dead letters of `topic`, by id: each as it was, and the reasons in its last headers. */
async function expectDeadLetters(deadLetterTopic: string, config: string, expected = bad): Promise<void> {
  const letters = await readTopicWithJava(work.bootstrapServers, deadLetterTopic);
  const found = letters
    .toSorted((a, b) => a.timestamp - b.timestamp)
    .map((letter) => {
      const text = Object.fromEntries(
        letter.headers
          .slice(HEADERS.length)
          .map(([name, value]) => [name.replace('kafkaload.error.', ''), value?.toString()]),
      );
      const own = letter.headers
        .slice(0, HEADERS.length)
        .map(([name, value]) => [name, value?.toString('hex') ?? null]);
      return { key: letter.key, value: letter.value, timestamp: letter.timestamp, own, text };
    });
  expect(found).toEqual(
    expected.map((id) => ({
      ...{ key: keyOf(id), value: bytesOf(id), timestamp: 1_700_000_000_000 + id, own: HEADERS },
      text: {
        ...{ topic, config, partition: String(id % 2), offset: String(Math.floor(id / 2)) },
        timestamp: String(1_700_000_000_000 + id),
        code: expect.stringMatching(/^(INVALID_UTF8|TRANSFORM_FAILED|ROW_INVALID)$/),
        message: expect.stringContaining(`${topic}/${id % 2} at offset ${Math.floor(id / 2)}`),
      },
    })),
  );
}

test.each(OFFSETS_MODES)(
  'from topic to topic dead letters are in the transactions of the others (%s)',
  async (mode) => {
    const letters = work.topics.reserve('letters');
    const fields = ['key', 'value', 'CAST(CAST(value AS VARCHAR) IS NULL AS INT) as partition', 'headers', 'timestamp'];
    const source = { fields, onBadRecord: `dlq:${letters}`, partitions: 2 };
    const job = await LoadJob.make(work, { mode, from: topic, source, sink: { chunkRecords: 50 } });
    const wrong = [...NO_TEXT].toSorted((a, b) => a - b);
    const dry = await job.run('--dry-run');
    expect(dry.stdout).toContain(`bad records to topic ${letters}`);
    expect(await work.topics.exists(letters)).toBe(false);
    const report = await job.report();
    expect(report).toMatchObject({
      rows: MESSAGES - wrong.length,
      badRecords: { records: wrong.length, byReason: { INVALID_UTF8: wrong.length }, deadLetterTopic: letters },
    });
    await expectDeadLetters(letters, 'source', wrong);
    expect(await readTopic(work.bootstrapServers, job.to)).toHaveLength(MESSAGES - wrong.length);
    expect(await job.report()).toMatchObject({ rows: 0 });
    await expectDeadLetters(letters, 'source', wrong);
  },
);

test('to files dead letters come once, and a run again adds none', async () => {
  const letters = work.topics.reserve('letters');
  const progressTopic = work.topics.reserve('progress');
  const entry = { fields: FIELDS, onBadRecord: `dlq:${letters}`, partitions: 2 };
  const job = await work.job({ topic, mode: 'STREAM', progressTopic, entry });
  expect((await job.run('--dry-run')).stdout).toContain(`bad records to topic ${letters}`);
  const trial = await job.report('--no-commit', '--write-path', `${job.out}-trial`);
  expect(trial).toMatchObject({ badRecords: { ...REPORTED, deadLetterTopic: null } });
  expect(await work.topics.exists(letters)).toBe(false);
  expect(await job.report()).toMatchObject({
    rows: good.length,
    badRecords: { ...REPORTED, deadLetterTopic: letters },
  });
  await expectDeadLetters(letters, 'orders');
  expect(await idsIn(job)).toEqual(good);
  await expectVerified(job);
  expect(await job.report()).toMatchObject({ rows: 0 });
  await expectDeadLetters(letters, 'orders');
});

test.each(['Once', 'Continuous'])('a stream into a topic writes them with the rows (%s)', async (trigger) => {
  const letters = work.topics.reserve('letters');
  const source = {
    ...{ fields: FIELDS.filter((field) => !field.startsWith('partition')), onBadRecord: `dlq:${letters}` },
    accessOptions: { 'group.id': work.topics.reserve('group'), startingOffsets: 'earliest' },
  };
  const job = await LoadJob.make(work, { from: topic, source, sink: {} });
  const interval = trigger === 'Continuous' ? ['--streaming-trigger-option', '1 second'] : [];
  const args = ['--stream', '--streaming-trigger', trigger, ...interval];
  const run = job.start(...args);
  const count = async (name: string) =>
    (await work.topics.exists(name)) ? (await readTopic(work.bootstrapServers, name)).length : 0;
  if (trigger === 'Continuous') {
    await waitFor(
      'all rows',
      async () => (await count(job.to)) === good.length && (await count(letters)) === bad.length,
    );
    run.child.kill('SIGTERM');
  }
  const { code, stderr } = await run.result;
  expect(code, stderr).toBe(0);
  expect(await count(job.to)).toBe(good.length);
  await expectDeadLetters(letters, 'source');
});
