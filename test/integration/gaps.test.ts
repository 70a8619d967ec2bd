import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Consumer } from '@platformatic/kafka';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { runCommand } from '../helpers/command.ts';
import { produce } from '../helpers/producers.ts';
import { ScriptWriter, toHex } from '../helpers/script.ts';
import { randomName } from '../helpers/topics.ts';
import { type OffloadJob, slow, Workspace } from '../helpers/workspace.ts';

/** Offsets that hold no row: each is accounted for, none is an alarm, and nothing waits for what will never come. */

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
});

afterAll(async () => {
  await work.close();
});

const NONE = { control: 0, aborted: 0, compacted: 0, deleted: 0, lost: 0, bad: 0 };
type Gaps = Readonly<Record<keyof typeof NONE, number>>;

interface Counted {
  readonly files: readonly { readonly rows: number }[];
  readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number }[];
  readonly gaps: readonly (Gaps & { readonly partition: number })[];
}

/** The manifest of the only run; its counts must add up to its ranges. */
async function manifestOf(job: OffloadJob): Promise<Counted> {
  const folder = join(job.out, '_kafkaload', 'manifests', job.config);
  const names = await readdir(folder);
  expect(names).toHaveLength(1);
  const manifest = JSON.parse(await readFile(join(folder, names[0] ?? ''), 'utf8')) as Counted;
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const rows = sum(manifest.files.map((file) => file.rows));
  const inside = sum(
    manifest.gaps.map(({ control, aborted, compacted, lost }) => control + aborted + compacted + lost),
  );
  const offsets = sum(manifest.ranges.map(({ startOffset, endOffset }) => endOffset - startOffset));
  expect(rows + inside).toBe(offsets);
  return manifest;
}

async function expectVerified(job: OffloadJob): Promise<void> {
  const args = ['verify', '--path', job.out, '--conf', job.confPath, '--config', job.config, '--deep'];
  const result = await runCommand(args, { cwd: job.folder });
  expect([result.code, result.stderr], result.stdout).toEqual([0, '']);
}

/** Transactions of `sizes` messages, each ended as told. */
async function sendTransactions(topic: string, end: 'commit' | 'abort', sizes: readonly number[]): Promise<void> {
  const name = join(work.path, randomName('transactions'));
  const script = new ScriptWriter(`${name}.jsonl`);
  script.open('tx', true, 1_000);
  for (const size of sizes) {
    script.begin('tx');
    for (let message = 0; message < size; message++) {
      const value = toHex(`${end} ${message}`);
      script.send('tx', { partition: 0, timestamp: 1_700_000_000_000, key: null, value, headers: [] });
    }
    script[end]('tx');
  }
  await script.close();
  const paths = { scriptPath: `${name}.jsonl`, recordPath: `${name}.csv` };
  await produce('librdkafka', { bootstrapServers, topic, codec: 'none', ...paths });
}

test('a topic of aborted transactions, then of a marker alone, then one that ends with markers', async () => {
  const topic = await work.topics.create('gaps');
  await sendTransactions(topic, 'abort', [3, 5]);
  const aborted = await work.job({ topic });
  expect(await aborted.report()).toMatchObject({ rows: 0, files: [] });
  expect((await manifestOf(aborted)).gaps).toMatchObject([{ ...NONE, control: 2, aborted: 8 }]);
  expect(await aborted.saved()).toEqual({ 0: 10 });

  await work.topics.deleteBefore(topic, 0, 9);
  const marker = await work.job({ topic });
  expect(await marker.report()).toMatchObject({ rows: 0, files: [] });
  const { ranges, gaps } = await manifestOf(marker);
  expect(ranges).toMatchObject([{ startOffset: 9, endOffset: 10 }]);
  expect(gaps).toMatchObject([{ ...NONE, control: 1 }]);
  expect(await marker.saved()).toEqual({ 0: 10 });

  await sendTransactions(topic, 'commit', [2]);
  await sendTransactions(topic, 'abort', [1]);
  const mixed = await work.job({ topic });
  expect(await mixed.report()).toMatchObject({ rows: 2 });
  expect((await manifestOf(mixed)).gaps).toMatchObject([{ ...NONE, control: 3, aborted: 1 }]);
  for (const job of [aborted, marker, mixed]) await expectVerified(job);
});

test("Kafka's own compacted topic of consumer offsets, keys and values as bytes", async () => {
  const topic = await work.topics.create('grouped');
  await work.send(topic, 3);
  const groupId = randomName('group');
  const consumer = new Consumer({
    clientId: 'kafkaload-tests',
    groupId,
    bootstrapBrokers: bootstrapServers.split(','),
  });
  try {
    await consumer.joinGroup({});
    for (const offset of [1n, 2n, 3n]) {
      await consumer.commit({ offsets: [{ topic, partition: 0, offset, leaderEpoch: -1 }] });
    }
  } finally {
    await consumer.close();
  }
  const entry = { fields: ['key', 'value', 'topic', 'partition', 'offset'] };
  const job = await work.job({ topic: '__consumer_offsets', entry });
  const { rows } = await job.report();
  expect(rows).toBeGreaterThan(3);
  await manifestOf(job);
  await expectVerified(job);
});

test('messages deleted while a run reads end it, or are counted apart from those deleted before it began', async () => {
  const topic = await work.topics.create('deleted');
  const clientId = randomName('slow');
  const options = slow(clientId).accessOptions as Record<string, unknown>;
  await work.send(topic, 10_000, [0], 300);
  const job = await work.job({ topic, entry: { accessOptions: { ...options, failOnDataLoss: false } } });
  const strict = await work.job({ topic, entry: { accessOptions: options } });
  const { run, release } = await work.startHeld(job, clientId);
  const other = await work.startHeld(strict, clientId);
  try {
    await work.topics.deleteBefore(topic, 0, 9_000);
  } finally {
    await release();
  }
  const refused = await other.run.result;
  expect(refused.code).toBe(3);
  expect(refused.stderr).toMatch(/the log now starts at 9000, so \d+ offsets are gone/);
  expect(await strict.dataFiles()).toEqual([]);
  const result = await run.result;
  expect(result.code, result.stderr).toBe(0);
  const { gaps, ranges } = await manifestOf(job);
  expect(ranges).toMatchObject([{ startOffset: 0, endOffset: 10_000 }]);
  expect(gaps).toMatchObject([{ ...NONE, lost: expect.any(Number) }]);
  expect(gaps[0]?.lost).toBeGreaterThan(0);
  await expectVerified(job);

  // Saved below the log start when the next run begins: before its range.
  await job.offsetsCommand('set', '--offsets', '{"0": 9000}');
  await work.topics.deleteBefore(topic, 0, 9_500);
  expect(await job.report()).toMatchObject({ rows: 500, gaps: [{ ...NONE, partition: 0, deleted: 500 }] });
  await expectVerified(job);
});
