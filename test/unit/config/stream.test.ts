import { expect, it } from 'vitest';
import { parseInterval } from '../../../src/config/intervals.ts';
import { configOf, errorOf, makeWorkspace } from './workspace.ts';

const { resolve, resolveAny } = await makeWorkspace();
const grouped = configOf({ access: { 'group.id': 'nightly' } });

it.each([
  ['10 seconds', 10_000],
  ['1 minute', 60_000],
  ['500 milliseconds', 500],
  ['1 minute 30 seconds', 90_000],
  ['interval 2 hours', 7_200_000],
  ['1.5s', 1_500],
  ['250ms', 250],
  ['PT10S', 10_000],
  ['pt1h2m3.5s', 3_723_500],
  ['P1DT1S', 86_401_000],
])('reads %j as a length of time', (text, ms) => {
  expect(parseInterval(text)).toBe(ms);
});

it.each(['', 'soon', '10', '10 bananas', '0 seconds', 'PT', 'P', 'P1M', '-1 seconds', '1 s x', '30 days', '1 month'])(
  'takes %j for none',
  (text) => {
    expect(parseInterval(text)).toBeNull();
  },
);

it('takes all there is now, once, when nothing else is said', async () => {
  const job = await resolve(grouped, { stream: true });
  expect(job.stream).toEqual({
    trigger: { kind: 'availableNow' },
    group: {
      groupId: 'nightly',
      instanceId: null,
      sessionTimeoutMs: 45_000,
      heartbeatIntervalMs: 3_000,
      rebalanceTimeoutMs: 300_000,
    },
    maxOffsetsPerTrigger: null,
    maxFileBytes: null,
    maxFileAgeMs: null,
    metricsPort: null,
    uiPort: null,
    listenHost: '127.0.0.1',
    showProgress: false,
  });
  expect(job.notes).toEqual([]);
});

it('reads every option of a stream, from where each may stand', async () => {
  const file = configOf({
    access: {
      'kafka.group.id': 'g',
      'group.instance.id': 'one',
      'session.timeout.ms': 9_000,
      'max.poll.interval.ms': 60_000,
      maxOffsetsPerTrigger: 1_000,
    },
    topic: { maxFileBytes: '64MiB', maxFileAge: '1 hour' },
  });
  const job = await resolve(file, {
    stream: true,
    streamingTrigger: 'processingtime',
    streamingTriggerOption: '1 minute',
    streamingPartitionBy: 'value',
    writeOptions: 'maxFileAge=5 minutes,compression=zstd',
    metricsPort: '0',
    uiPort: '8080',
    listen: '0.0.0.0',
    progress: true,
  });
  expect(job.stream).toEqual({
    trigger: { kind: 'processingTime', intervalMs: 60_000 },
    group: {
      groupId: 'g',
      instanceId: 'one',
      sessionTimeoutMs: 9_000,
      heartbeatIntervalMs: 3_000,
      rebalanceTimeoutMs: 60_000,
    },
    maxOffsetsPerTrigger: 1_000,
    maxFileBytes: 64 * 1024 ** 2,
    maxFileAgeMs: 300_000,
    metricsPort: 0,
    uiPort: 8080,
    listenHost: '0.0.0.0',
    showProgress: true,
  });
  expect(job.sink.target.partitionBy).toEqual([{ name: null, column: 'value', of: null }]);
  expect(job.sink.target.output).toMatchObject({ format: 'parquet', compression: 'zstd' });
});

it('leaves the group alone in a run of batch, and says so', async () => {
  const job = await resolve(grouped);
  expect(job.stream).toBeNull();
  expect(job.notes).toEqual([
    'kafka.topics.orders.accessOptions.group.id has no effect here: no consumer group and no producer of librdkafka carries messages',
  ]);
});

it('writes to a table of a database file or of a server', async () => {
  const connections = {
    pg: { type: 'JDBC', options: { url: 'jdbc:postgresql://db/shop', user: 'u' } },
    cluster: { type: 'KAFKA', options: { bootstrapServers: 'other:1' } },
  };
  const file = JSON.stringify({ ...JSON.parse(grouped), connections });
  const sinkOf = async (options: object) => {
    const stream = { stream: true, streamingToTable: 's.t', ...options };
    return (await resolveAny(file, stream)).sink;
  };
  const duckdb = { kind: 'table', database: { kind: 'duckdb' }, schema: 's', table: 't' };
  expect(await sinkOf({ writeOptions: 'database=x.db,maxFileBytes=1MiB' })).toMatchObject(duckdb);
  expect(await sinkOf({ writeOptions: 'database=x.db', connectionRef: 'cluster' })).toMatchObject(duckdb);
  expect(await sinkOf({ connectionRef: 'pg' })).toMatchObject({
    kind: 'table',
    database: { kind: 'postgresql', host: 'db', database: 'shop' },
  });
});

it('writes dead letters beside files, topics and tables, not beside the console', async () => {
  const file = configOf({ access: { 'group.id': 'nightly' }, topic: { onBadRecord: 'dlq:bad' } });
  const onBadRecord = { kind: 'dlq', topic: 'bad' };
  const table = { stream: true, streamingToTable: 't', writeOptions: 'database=x.db' };
  expect((await resolveAny(file, table)).source).toMatchObject({ onBadRecord });
  expect((await resolve(file, { stream: true })).source).toMatchObject({ onBadRecord });
  expect(await errorOf(() => resolveAny(file, { stream: true, writeFormat: 'console' }))).toBe(
    'USAGE: --stream to the console writes no dead letters, and kafka.topics.orders.onBadRecord is dlq:bad; set it to skip, ' +
      'or write to files, a table or a topic',
  );
});
