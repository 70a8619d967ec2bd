import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { readTopic } from '../helpers/producers.ts';
import { StreamJob } from '../helpers/streams.ts';
import { waitFor } from '../helpers/wait.ts';
import { query, sorted, Workspace } from '../helpers/workspace.ts';

/** Every trigger to every kind of target, by the real command on a real broker. PostgreSQL: `streamTable*.test.ts`. */
let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
});

afterAll(() => workspace.close());

interface Sink {
  /** Options that name the target. */
  readonly args: readonly string[];
  /** Values that are in it now, once for each time, sorted; the console: as printed so far. */
  readonly values: (stdout: string) => Promise<string[]>;
}

const SINKS: Readonly<Record<string, (job: StreamJob, copy: string) => Sink>> = {
  files: (job) => ({
    args: ['--write-path', job.job.out],
    values: async () => ((await job.job.dataFiles()).length > 0 ? job.job.values() : []),
  }),
  topic: (_, copy) => ({
    args: ['--write-config', 'copy'],
    values: async () =>
      (await workspace.topics.exists(copy))
        ? sorted((await readTopic(workspace.bootstrapServers, copy)).map(({ value }) => value?.toString() ?? ''))
        : [],
  }),
  console: () => ({
    args: ['--write-format', 'console', '--write-options', 'numRows=1000,truncate=false', '--report', 'text'],
    values: async (stdout) => sorted([...stdout.matchAll(/\bvalue \d+\b/g)].map(([value]) => value)),
  }),
  table: (job) => {
    const database = `${job.job.folder}/rows.duckdb`;
    return {
      args: ['--streaming-to-table', 'rows', '--write-options', `database=${database}`],
      values: async () => {
        // Not there yet, or held by the stream for the moment of a commit.
        const rows = await query(`ATTACH '${database}' AS d (READ_ONLY); SELECT value FROM d.rows`).catch(() => []);
        return sorted(rows.map((row) => String(row.value)));
      },
    };
  },
};

async function make(sinkName: string): Promise<{ topic: string; copy: string; job: StreamJob; sink: Sink }> {
  const topic = await workspace.topics.create('stream-pair', { partitions: 2 });
  const copy = workspace.topics.reserve('stream-copy');
  // Fields that a record of any target has.
  const entry = { fields: ['value as STRING'] };
  const job = await StreamJob.make(workspace, { topic, entry, others: { copy: { topicName: copy, partitions: 2 } } });
  return { topic, copy, job, sink: (SINKS[sinkName] as (typeof SINKS)[string])(job, copy) };
}

describe.each(Object.keys(SINKS))('to %s', (sinkName) => {
  test.each(['Once', 'AvailableNow'])('with the trigger %s', async (trigger) => {
    const { topic, job, sink } = await make(sinkName);
    const values = await workspace.send(topic, 50, [0, 1]);
    const args = [...sink.args, '--streaming-trigger', trigger];
    const first = await job.run(...args);
    expect(first, first.stderr).toMatchObject({ code: 0 });
    expect(await sink.values(first.stdout)).toEqual(sorted(values));
    const second = await job.run(...args);
    expect(second, second.stderr).toMatchObject({ code: 0 });
    expect(await sink.values(`${first.stdout}${second.stdout}`)).toEqual(sorted(values));
  });

  test.each(['ProcessingTime', 'Continuous'])('with the trigger %s, stopped and started again', async (trigger) => {
    const { topic, job, sink } = await make(sinkName);
    const values = await workspace.send(topic, 50, [0, 1]);
    let printed = '';
    for (let start = 0; start < 2; start++) {
      const stream = job.start([
        ...sink.args,
        ...['--streaming-trigger', trigger, '--streaming-trigger-option', '300 milliseconds'],
      ]);
      const arrived = async (): Promise<string[]> => sink.values(`${printed}${stream.run.output().stdout}`);
      await waitFor(`${values.length} values`, async () => (await arrived()).length >= values.length);
      values.push(...(await workspace.send(topic, 30, [0, 1])));
      await waitFor(`${values.length} values`, async () => (await arrived()).length >= values.length);
      printed += await stream.end();
    }
    expect(await sink.values(printed)).toEqual(sorted(values));
  });
});

test('a flow goes on into partitions that its target was given while it ran', async () => {
  const { topic, copy, job, sink } = await make('topic');
  const values = await workspace.send(topic, 20, [0, 1]);
  const stream = job.start([...sink.args, '--streaming-trigger', 'Continuous']);
  const untilAll = () => waitFor('all', async () => (await sink.values('')).length >= values.length);
  await untilAll();
  await workspace.topics.addPartitions(copy, 4);
  await waitFor(
    'rows in a partition that is new',
    async () => {
      values.push(...(await workspace.send(topic, 20, [0, 1])));
      const ends = await workspace.topics.endOffsets(copy);
      return ends.slice(2).some((end) => end > 0);
    },
    { timeoutMs: 60_000, everyMs: 1_000 },
  );
  await untilAll();
  await stream.end();
  expect(await sink.values('')).toEqual(sorted(values));
});

test('5,000 messages from topic to topic by one stream', async () => {
  const { topic, job, sink } = await make('topic');
  const values = await workspace.send(topic, 5_000, [0, 1]);
  expect(await job.once(...sink.args)).toMatchObject({ rows: 5_000 });
  expect(await sink.values('')).toEqual(sorted(values));
});
