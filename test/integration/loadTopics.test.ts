import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { LoadJob } from '../helpers/loads.ts';
import { type JavaMessage, produce, readTopicWithJava } from '../helpers/producers.ts';
import { ScriptWriter, toHex } from '../helpers/script.ts';
import { OFFSETS_MODES, sorted, Workspace } from '../helpers/workspace.ts';

/** From topic to topic, by the real command on a real broker. */
let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
});

afterAll(() => workspace.close());

/** A key, value or header is hexadecimal text; null is absent, '' is empty. */
const ODD_RECORDS = [
  { key: null, value: null, headers: [] },
  { key: '', value: '', headers: [['', '']] },
  { key: '00ff', value: 'c328a0', headers: [['bin', '00ff00c3']] },
  {
    key: toHex('k'),
    value: toHex('v'),
    headers: [
      ['null', null],
      ['empty', ''],
      ['null', null],
      ['null', toHex('x')],
    ],
  },
  { key: toHex('schlüssel'), value: '00', headers: [['ключ', toHex('значение')]] },
  { key: toHex('large'), value: 'ab'.repeat(300_000), headers: [] },
] as const;

function contents(messages: readonly JavaMessage[]) {
  const bytes = (value: Buffer | null) => value?.toString('hex') ?? null;
  return messages
    .map(({ key, value, headers, timestamp }) => {
      const read = headers.map(([name, content]) => [name, bytes(content)]);
      return JSON.stringify({ timestamp, key: bytes(key), value: bytes(value), headers: read });
    })
    .toSorted();
}

describe.each(OFFSETS_MODES)('topic to topic, offsets in mode %s', (mode) => {
  test('5,000 records, and then what is new', async () => {
    const from = await workspace.topics.create('load-source', { partitions: 3 });
    const values = await workspace.send(from, 5_000, [0, 1, 2]);
    const job = await LoadJob.make(workspace, { mode, from, sink: { partitions: 2, chunkRecords: 700 } });
    const report = await job.report();
    expect(report).toMatchObject({ rows: 5_000, offsets: { 0: { from: null, to: 1_667 } } });
    expect(report.load.transactions).toBeGreaterThan(2);
    expect(await job.values()).toEqual(sorted(values));
    expect(await job.report()).toMatchObject({ rows: 0, load: { transactions: 0 } });
    const more = await workspace.send(from, 100, [1]);
    expect(await job.report()).toMatchObject({ rows: 100, offsets: { 1: { from: 1_667, to: 1_767 } } });
    expect(await job.values()).toEqual(sorted([...values, ...more]));
  });

  test('offsets that are reset, or set, are where the next run begins', async () => {
    const from = await workspace.topics.create('load-reset');
    const values = await workspace.send(from, 50);
    const job = await LoadJob.make(workspace, { mode, from, sink: { partitions: 1 } });
    await job.report();
    await job.offsetsCommand('reset');
    expect(await job.report()).toMatchObject({ rows: 50 });
    await job.offsetsCommand('set', '--offsets', '{"0": 40}');
    expect(await job.report()).toMatchObject({ rows: 10 });
    expect(await job.values()).toEqual(sorted([...values, ...values, ...values.slice(40)]));
  });
});

describe('topic to topic', () => {
  test('every byte of keys, values, headers and timestamps is as it was', async () => {
    const from = await workspace.topics.create('load-odd');
    const script = new ScriptWriter(join(workspace.path, 'odd.jsonl'));
    script.open('java', false, 100);
    for (const [index, record] of ODD_RECORDS.entries()) {
      script.send('java', { partition: 0, timestamp: 1_600_000_000_000 + index * 1_000_003, ...record });
    }
    await script.close();
    const paths = { scriptPath: join(workspace.path, 'odd.jsonl'), recordPath: join(workspace.path, 'odd.csv') };
    await produce('java', { bootstrapServers: workspace.bootstrapServers, topic: from, codec: 'zstd', ...paths });
    const job = await LoadJob.make(workspace, { from, sink: { partitions: 3 } });
    expect(await job.report()).toMatchObject({ rows: ODD_RECORDS.length });
    const read = contents(await readTopicWithJava(job.bootstrapServers, from));
    expect(read).toHaveLength(ODD_RECORDS.length);
    expect(contents(await readTopicWithJava(job.bootstrapServers, job.to))).toEqual(read);
  });

  test('fields choose what is kept; a field partition is where the record goes', async () => {
    const from = await workspace.topics.create('load-fields', { partitions: 2 });
    await workspace.send(from, 20, [0, 1]);
    const source = { fields: ['value', 'partition'] };
    const job = await LoadJob.make(workspace, { from, source, sink: { partitions: 2 } });
    await job.report();
    const [before, after] = await Promise.all(
      [from, job.to].map((topic) => readTopicWithJava(job.bootstrapServers, topic)),
    );
    const places = (messages: readonly JavaMessage[] = []) =>
      sorted(messages.map(({ partition, value }) => `${partition} ${value?.toString()}`));
    expect(places(after)).toEqual(places(before));
  });

  test('a topic that is read cannot be written, by name or by a field topic', async () => {
    const from = await workspace.topics.create('load-loop');
    const same = await LoadJob.make(workspace, { from, to: from });
    expect(await same.run()).toMatchObject({ code: 2, stderr: expect.stringContaining(from) });
    const back = await LoadJob.make(workspace, { from, source: { fields: ['value', 'topic'] } });
    expect(await back.run()).toMatchObject({ code: 2, stderr: expect.stringContaining('leave it out of fields') });
    expect(await workspace.topics.endOffsets(from)).toEqual([0]);
  });

  test('a dry run shows the ranges, and creates nothing', async () => {
    const from = await workspace.topics.create('load-dry');
    await workspace.send(from, 30);
    const job = await LoadJob.make(workspace, { from, mode: 'STREAM', sink: { partitions: 4 } });
    const plan = await job.run('--dry-run');
    expect(plan).toMatchObject({ code: 0, stdout: expect.stringContaining('30 messages at most') });
    expect(plan.stdout).toContain(`topic ${job.to} would be made, with 4 partitions`);
    expect(await job.topics.exists(job.to)).toBe(false);
    expect(await job.topics.exists(job.progressTopic)).toBe(false);
  });

  test('without saved offsets it is refused', async () => {
    const from = await workspace.topics.create('load-no-commit');
    const job = await LoadJob.make(workspace, { from });
    expect(await job.run('--no-commit')).toMatchObject({ code: 2, stderr: expect.stringContaining('--no-commit') });
  });
});
