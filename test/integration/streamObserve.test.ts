import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type RunningStream, StreamJob } from '../helpers/streams.ts';
import { waitFor } from '../helpers/wait.ts';
import { sorted, Workspace } from '../helpers/workspace.ts';

/** What shows a stream, asked while the real command runs. */
let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
});

afterAll(() => workspace.close());

interface Commit {
  readonly rows: number;
  readonly files: readonly { readonly path: string; readonly rows: number }[];
  readonly ranges: readonly { readonly partition: number; readonly startOffset: number; readonly endOffset: number }[];
}

interface Status {
  readonly state: string;
  readonly group: string;
  readonly lag: number;
  readonly partitions: readonly { readonly partition: number; readonly position: number; readonly end: number }[];
  readonly commits: readonly Commit[];
}

async function urlOf(stream: RunningStream): Promise<string> {
  await stream.says('the page is at');
  return /the page is at (http:[^"]*)\//.exec(stream.run.output().stderr)?.[1] ?? '';
}

async function text(url: string): Promise<string> {
  return (await fetch(url)).text();
}

test('metrics, health, the page and the log tell of a stream what its files tell', async () => {
  const topic = await workspace.topics.create('stream-observed', { partitions: 2 });
  const values = await workspace.send(topic, 300, [0, 1]);
  const job = await StreamJob.make(workspace, { topic });
  const stream = job.every('500 milliseconds', '--metrics-port', '0', '--ui-port', '0', '--progress');
  const url = await urlOf(stream);
  await job.untilValues(300);
  values.push(...(await workspace.send(topic, 60, [1])));
  const metrics = await waitFor('the last commit in the metrics', async () => {
    const found = await text(`${url}/metrics`);
    return found.includes('\nkafkaload_records_written_total 360\n') && found;
  });
  expect(metrics).toContain('\nkafkaload_records_read_total 360\n');
  expect(metrics).toContain(`\nkafkaload_lag_offsets{topic="${topic}",partition="1"} 0\n`);
  expect(metrics).toContain(`\nkafkaload_stream_info{config="orders",group="${job.group}"} 1\n`);
  expect(await text(`${url}/readyz`)).toBe('ok: running\n');
  expect(await text(`${url}/healthz`)).toBe('ok: running\n');

  const status = (await (await fetch(`${url}/status.json`)).json()) as Status;
  expect(status).toMatchObject({ state: 'running', group: job.group, lag: 0 });
  expect(status.partitions).toMatchObject([
    { partition: 0, position: 150, end: 150 },
    { partition: 1, position: 210, end: 210 },
  ]);
  expect(status.commits.reduce((sum, { rows }) => sum + rows, 0)).toBe(360);
  const files = status.commits.flatMap(({ files: each }) => each.map(({ path }) => path));
  expect(sorted(files)).toEqual((await job.job.dataFiles()).map((file) => join(job.job.out, file)));
  for (const partition of [0, 1]) {
    const ranges = status.commits.flatMap((commit) => commit.ranges.filter((range) => range.partition === partition));
    // Each begins where the one before ends.
    expect(ranges.map(({ startOffset }) => startOffset)).toEqual([0, ...ranges.slice(0, -1).map((r) => r.endOffset)]);
  }
  expect(await text(`${url}/`)).toContain('<script type="module" src="page.js">');

  await stream.stop();
  const { stderr } = stream.run.output();
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
  const batches = lines.map((line) => JSON.parse(line)).filter(({ msg }) => /^micro-batch \d+: \d+ rows? in/.test(msg));
  expect(batches.map(({ rows }) => rows)).toEqual(status.commits.map(({ rows }) => rows));
  expect(stderr).toContain('"msg":"stopping: ');
  expect(sorted(values)).toEqual(await job.job.values());
});

test('a port that is taken is said before the group is joined', async () => {
  const topic = await workspace.topics.create('stream-port');
  const job = await StreamJob.make(workspace, { topic });
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const { port } = server.address() as { port: number };
  const { code, stdout, stderr } = await job.run('--metrics-port', String(port));
  server.close();
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toBe(
    `kafkaload: cannot listen on 127.0.0.1, port ${port} (--metrics-port): another process has the port; ` +
      'end it, or choose another one (0: any that is free)\n',
  );
});
