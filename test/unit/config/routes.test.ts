import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../../src/config/commandLine.ts';
import type { Job } from '../../../src/config/job.ts';
import { resolveJob } from '../../../src/config/resolveJob.ts';
import { configOf, makeWorkspace } from './workspace.ts';

const { folder, environment, write } = await makeWorkspace();

const FILE = JSON.stringify({
  ...JSON.parse(
    configOf({
      access: { subscribe: 'orders' },
      topics: {
        clicks: {
          topicName: 'web.clicks',
          partitions: 3,
          replicationFactor: 2,
          createOptions: { 'retention.ms': 1000 },
          headers: { origin: 'load' },
          chunkRecords: 500,
          accessOptions: { 'compression.codec': 'ZSTD' },
        },
        far: { topicName: 'far', accessOptions: { 'kafka.bootstrap.servers': 'far:9092' } },
        lines: { topicName: 'lines', writeFormat: 'JSON', maxRead: 100 },
        shown: { topicName: 'shown', writeFormat: 'console' },
        pattern: { accessOptions: { subscribePattern: 'shop\\..*', minPartitions: 8, includeHeaders: true } },
        parts: { topicName: 'parts', fields: ['value', 'headers'], accessOptions: { assign: { parts: ['2', '0'] } } },
        several: { topicName: 'one', accessOptions: { SUBSCRIBE: 'one, two' } },
      },
    }),
  ),
  connections: {
    cluster: { type: 'kafka', options: { bootstrapServers: 'other:9092', 'client.id': 'via-connection' } },
    disk: { type: 'FS', format: 'csv', mode: 'overwrite', options: { path: 'base', header: 'true', sep: ';' } },
  },
  strict: { csv: { header: 'true', nullValue: 'NULL' } },
});

/** The arguments are separated by spaces. */
async function job(line: string): Promise<Job> {
  await write('kafkaload.yml', FILE);
  const request = parseCommandLine(line.split(' '), () => '');
  if (request.kind !== 'run') throw new Error(`no run: ${line}`);
  return resolveJob(request.options, environment());
}

const inFolder = (path: string) => join(folder, path);
const parquet = { format: 'parquet', compression: 'snappy', rowGroupRows: 1_000_000, rowGroupBytes: 16_777_216 };
const toFiles = (path: string, output: object = parquet) => ({
  kind: 'files',
  target: { path: inFolder(path), kind: 'folder', mode: 'Append', coalesce: null, partitionBy: [], output },
});
const fromOrders = { kind: 'topic', selection: { kind: 'topics', topics: ['orders'] }, commit: true };
const fromFiles = (path: string, format: string) => ({ kind: 'files', paths: [inFolder(path)], input: { format } });
const toClicks = {
  kind: 'topic',
  config: 'clicks',
  topic: 'web.clicks',
  create: { partitions: 3, replicationFactor: 2, createOptions: { 'retention.ms': '1000' } },
  headers: [{ key: 'origin', value: 'load' }],
  compression: 'zstd',
  chunkRecords: 500,
  reload: false,
};

describe('any source to any sink', () => {
  it.each<[string, object]>([
    ['--config orders --path out', { config: 'orders', source: fromOrders, sink: toFiles('out') }],
    ['--config orders --write-path out', { source: fromOrders, sink: toFiles('out') }],
    ['--config orders --path out --format csv', { sink: toFiles('out', { format: 'csv', header: false }) }],
    ['--config orders --write-path out --format kafka', { source: fromOrders, sink: toFiles('out') }],
    ['--config orders --path out --format KAFKA', { source: fromOrders, sink: toFiles('out') }],
    ['--config lines --write-path out', { source: { maxRead: 100 }, sink: toFiles('out', { format: 'json' }) }],
    ['--config lines --path out --format avro', { sink: toFiles('out', { format: 'avro' }) }],
    ['--config lines --write-path out --write-format Parquet', { sink: toFiles('out') }],
    [
      '--config orders --write-path out/one.json.gz --write-format json --write-coalesce 1 --write-mode overwrite',
      { sink: { target: { path: inFolder('out/one.json.gz'), kind: 'file', mode: 'Overwrite', coalesce: 1 } } },
    ],
    ['--config orders --write-config clicks', { config: 'orders', source: fromOrders, sink: toClicks }],
    ['--config lines --write-config clicks', { config: 'lines', sink: toClicks }],
    ['--path in --write-config clicks', { source: fromFiles('in', 'parquet'), sink: toClicks }],
    ['--path in --format json --write-config clicks', { source: fromFiles('in', 'json'), sink: toClicks }],
    ['--path in --write-config clicks --write-format kafka --reload', { sink: { ...toClicks, reload: true } }],
    ['--path in/*.csv --format csv --write-path out', { source: fromFiles('in/*.csv', 'csv'), sink: toFiles('out') }],
    ['--path in --write-path out --write-format msgpack', { sink: toFiles('out', { format: 'msgpack' }) }],
    [
      '--config orders --write-format console',
      { source: { ...fromOrders, commit: false }, sink: { kind: 'console', numRows: 20, truncate: 20 } },
    ],
    [
      '--config shown --write-options NUMROWS=5,truncate=false',
      { sink: { kind: 'console', numRows: 5, truncate: null } },
    ],
    ['--path in --write-format console --write-options truncate=8', { sink: { kind: 'console', truncate: 8 } }],
    [
      '--format kafka --options subscribe=a,startingOffsets=latest --write-path out',
      {
        source: { selection: { topics: ['a'] }, commit: false, startingOffsets: { kind: 'latest' } },
        sink: toFiles('out'),
        offsets: { mode: 'FILE', name: inFolder('out/_kafkaload/locks') },
      },
    ],
    [
      '--format kafka --options config=far --write-format console',
      {
        source: {
          selection: { topics: ['far'] },
          kafka: { connection: { bootstrap: [{ host: 'far', port: 9092 }] } },
          commit: false,
        },
      },
    ],
    [
      '--format kafka --options assign={"a":[1,0]},kafka.bootstrap.servers=x:1 --write-config clicks',
      { source: { selection: { kind: 'assign', partitions: { a: [0, 1] } } }, sink: toClicks },
    ],
    ['--path in --write-format kafka --write-options config=clicks', { sink: toClicks }],
    [
      '--path in --write-format kafka --write-options topic=t,compression.type=none',
      { sink: { config: 't', topic: 't', compression: 'none', headers: [], chunkRecords: 100_000 } },
    ],
    ['--config orders --path out --no-commit', { source: { commit: false } }],
    ['--config lines --path out --max-records 1000', { source: { maxRead: 100 } }],
    ['--config lines --path out --max-records 7 --take-over', { source: { maxRead: 7 }, takeOver: true }],
    [
      '--config orders --path out --starting-offsets {"0":12,"1":-2} --ending-offsets 2026-01-31T06:00:00Z',
      {
        source: {
          startIsAsked: true,
          startingOffsets: { kind: 'offsets', byTopic: { orders: { 0: 12, 1: -2 } } },
          endingOffsets: { kind: 'timestamp', timestampMs: Date.UTC(2026, 0, 31, 6) },
        },
      },
    ],
    [
      '--config several --path out --starting-offsets {"two":{"0":12}}',
      {
        source: { startingOffsets: { kind: 'offsets', byTopic: { two: { 0: 12 } } } },
        warnings: [
          'kafka.topics.several.accessOptions.SUBSCRIBE is one, two and kafka.topics.several.topicName is one: one, two is read',
        ],
      },
    ],
    [
      '--config pattern --path out',
      {
        source: {
          selection: { kind: 'pattern', pattern: 'shop\\..*' },
          minPartitions: 8,
          fields: [
            { name: 'key', type: 'STRING' },
            { name: 'value', type: 'STRING' },
            { name: 'headers', type: 'HEADERS' },
          ],
        },
      },
    ],
    [
      '--config pattern --write-config clicks',
      { source: { fields: [{ type: 'BINARY' }, { type: 'BINARY' }, { name: 'headers' }, { name: 'timestamp' }] } },
    ],
    [
      '--config parts --path out',
      { source: { selection: { kind: 'assign', partitions: { parts: [0, 2] } }, fields: [{ name: 'value' }, {}] } },
    ],
    ['--config orders --path out --options maxOffsetsPerTrigger=5', { notes: [expect.stringContaining('maxRead')] }],
  ])('%s', async (line, expected) => {
    expect(await job(line)).toMatchObject(expected);
  });

  it('needs no configuration file where nothing refers to it', async () => {
    const alone = { ...environment(), cwd: '/' };
    const local = await resolveJob({ path: 'a.csv', format: 'csv', writePath: '/tmp/nowhere' }, alone);
    expect(local).toMatchObject({
      config: 'files',
      source: { paths: ['/a.csv'] },
    });
    const options = 'subscribe=a,kafka.bootstrap.servers=x:1';
    const read = await resolveJob({ format: 'kafka', options, writeFormat: 'console' }, alone);
    expect(read.source).toMatchObject({ kafka: { connection: { bootstrap: [{ host: 'x', port: 1 }] } } });
  });

  it('names a job that is not to files after its source, another for another', async () => {
    const names = await Promise.all(
      ['in', 'in', 'other/in', 'in,x'].map(async (path) => {
        return (await resolveJob({ path, writeFormat: 'console' }, environment())).config;
      }),
    );
    expect(names.slice(0, 2)).toEqual([expect.stringMatching(/^in-[0-9a-f]{8}$/), names[0]]);
    expect(new Set(names).size).toBe(3);
  });
});

describe('sources', () => {
  it('separates paths by commas, except those in braces', async () => {
    const { source } = await job('--path a/{x,y}.csv,b,./b,{{date}}/c.csv --format csv --write-path out');
    expect(source).toMatchObject({ paths: ['a/{x,y}.csv', 'b', '2026-11-22/c.csv'].map(inFolder) });
  });

  it('takes options of a block under those given', async () => {
    const { source } = await job('--path in --format csv --options config=strict.csv,header=false --write-path out');
    expect(source).toMatchObject({ input: { format: 'csv', header: false, nullValue: 'NULL' } });
    const { sink } = await job('--config orders --path out --format csv --write-options config=strict.csv');
    expect(sink).toMatchObject({ target: { output: { header: true, nullValue: 'NULL' } } });
  });
});

describe('connections', () => {
  it('of type KAFKA reach the side that is a topic', async () => {
    const bootstrap = [{ host: 'other', port: 9092 }];
    const reached = { kafka: { connection: { bootstrap, clientId: 'via-connection' } } };
    expect((await job('--config far --path out --connectionRef cluster')).source).toMatchObject(reached);
    expect((await job('--path in --write-config clicks --connectionRef cluster')).sink).toMatchObject(reached);
  });

  it('of type FS give base path, format, mode and options to the side that is files', async () => {
    const csv = { format: 'csv', header: true, sep: ';' };
    const target = { path: inFolder('base/out'), mode: 'Overwrite', output: csv };
    expect((await job('--config orders --path out --connectionRef disk')).sink).toMatchObject({ target });
    expect((await job('--config orders --connectionRef disk')).sink).toMatchObject({
      target: { ...target, path: inFolder('base') },
    });
    expect((await job('--config orders --path /x/y --connectionRef disk --write-mode Append')).sink).toMatchObject({
      target: { path: '/x/y', mode: 'Append' },
    });
    expect((await job('--config orders --path out --connectionRef disk --format json')).sink).toMatchObject({
      target: { path: inFolder('base/out'), output: { format: 'json' } },
    });
    expect((await job('--path in --write-config clicks --connectionRef disk')).source).toMatchObject({
      paths: [inFolder('base/in')],
      input: csv,
    });
    expect((await job('--write-config clicks --connectionRef disk --options sep=|')).source).toMatchObject({
      paths: [inFolder('base')],
      input: { ...csv, sep: '|' },
    });
  });
});

describe('progress of a load', () => {
  it('is kept beside the saved offsets where those are on the target cluster', async () => {
    const { sink } = await job('--path in --write-config clicks');
    expect(sink).toMatchObject({
      progress: { topic: 'comet_offsets', createOptions: { 'cleanup.policy': 'compact' } },
    });
  });

  it('is kept in a topic of its own on another cluster, and where offsets are saved in a folder', async () => {
    const progress = { topic: '_kafkaload_progress', partitions: 1, createOptions: { 'cleanup.policy': 'compact' } };
    expect((await job('--path in --write-config far')).sink).toMatchObject({ progress });
    expect((await job('--config orders --write-config far')).sink).toMatchObject({ progress });
    await write('file.yml', configOf({ kafka: { cometOffsetsMode: 'FILE', progressTopic: 'mine' } }));
    const { sink } = await resolveJob({ conf: 'file.yml', path: 'in', writeConfig: 'orders' }, environment());
    expect(sink).toMatchObject({ progress: { ...progress, topic: 'mine' } });
  });
});
