// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables as they stand in a configuration file
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configOf, makeWorkspace } from './workspace.ts';

const { folder, resolve } = await makeWorkspace();

describe('resolveJob', () => {
  it('fills every default of an entry that says nothing', async () => {
    const job = await resolve(configOf({}));
    const { kafka: _, ...source } = job.source;
    expect({ ...job, source }).toEqual({
      config: 'orders',
      source: {
        kind: 'topic',
        selection: { kind: 'topics', topics: ['orders'] },
        fields: [
          { name: 'key', column: 'key', type: 'STRING' },
          { name: 'value', column: 'value', type: 'STRING' },
        ],
        invalidUtf8: 'fail',
        onBadRecord: { kind: 'fail' },
        maxRead: null,
        startingOffsets: { kind: 'earliest' },
        endingOffsets: { kind: 'latest' },
        startIsAsked: false,
        failOnDataLoss: true,
        minPartitions: null,
        commit: true,
      },
      offsets: {
        mode: 'STREAM',
        name: 'comet_offsets',
        partitions: 1,
        replicationFactor: 1,
        createOptions: { 'cleanup.policy': 'compact' },
        progressTopic: '_kafkaload_progress',
        heartbeatMs: 5_000,
        takeOverAfterMs: 15_000,
      },
      sink: {
        kind: 'files',
        target: {
          path: join(folder, 'out'),
          kind: 'folder',
          mode: 'Append',
          coalesce: null,
          partitionBy: [],
          output: { format: 'parquet', compression: 'snappy', rowGroupRows: 1_000_000, rowGroupBytes: 16_777_216 },
        },
      },
      stream: null,
      takeOver: false,
      transform: null,
      warnings: [],
      workers: 4,
      // 64 MiB + 4 x 128 MiB
      maxMemoryBytes: 603_979_776,
      dryRun: false,
      report: 'text',
      verbose: false,
      notes: [],
    });
  });

  it('takes every key and option that is given', async () => {
    const file = configOf({
      kafka: { cometOffsetsMode: 'file', heartbeatMs: 1_000, takeOverAfterMs: '3000' },
      access: {
        failOnDataLoss: 'FALSE',
        startingOffsets: { 'Orders.v1': { 0: 12, 1: -2, 2: -1 } },
        endingTimestamp: '2026-01-31',
      },
      topic: {
        topicName: 'Orders.v1',
        maxRead: 5,
        invalidUtf8: 'Replace',
        onBadRecord: ' SKIP ',
        maxBatchBytes: '1MiB',
        writeFormat: 'Parquet',
      },
      topics: {
        comet_offsets: {
          topicName: 'state/offsets',
          partitions: 3,
          replicationFactor: -1,
          createOptions: { 'min.insync.replicas': 2 },
        },
      },
    });
    const job = await resolve(
      file,
      {
        writePath: 'data/{{config}}/{{ topic }}/${WHO}-{{date}}.parquet',
        writeCoalesce: '1',
        writeMode: 'errorIFexists',
        writeOptions: 'compression="ZSTD", rowGroupRows=\'10\' ,rowGroupBytes=64MB',
        workers: '3',
        maxMemory: '1GiB',
        report: 'JSON',
        dryRun: true,
        verbose: true,
        path: undefined,
      },
      { WHO: 'me' },
    );
    expect(job).toMatchObject({
      source: {
        selection: { kind: 'topics', topics: ['Orders.v1'] },
        maxRead: 5,
        invalidUtf8: 'replace',
        onBadRecord: { kind: 'skip' },
        failOnDataLoss: false,
        startingOffsets: { kind: 'offsets', byTopic: { 'Orders.v1': { 0: 12, 1: -2, 2: -1 } } },
        endingOffsets: { kind: 'timestamp', timestampMs: Date.UTC(2026, 0, 31) },
        kafka: { fetch: { maxBatchBytes: 1_048_576 } },
      },
      offsets: {
        mode: 'FILE',
        name: join(folder, 'state/offsets'),
        partitions: 3,
        replicationFactor: -1,
        createOptions: { 'cleanup.policy': 'compact', 'min.insync.replicas': '2' },
        heartbeatMs: 1_000,
        takeOverAfterMs: 3_000,
      },
      sink: {
        target: {
          path: join(folder, 'data/orders/Orders.v1/me-2026-11-22.parquet'),
          kind: 'file',
          mode: 'ErrorIfExists',
          coalesce: 1,
          partitionBy: [],
          output: { format: 'parquet', compression: 'zstd', rowGroupRows: 10, rowGroupBytes: 64_000_000 },
        },
      },
      workers: 3,
      maxMemoryBytes: 1_073_741_824,
      dryRun: true,
      report: 'json',
      verbose: true,
    });
  });

  it('is frozen through and through', async () => {
    const job = await resolve(configOf({}));
    expect(
      [job, job.source.fields[0], job.source.kafka.connection.bootstrap[0], job.sink.target.output].every(
        Object.isFrozen,
      ),
    ).toBe(true);
  });

  it('reaches the offsets topic by its own access options, where it has some', async () => {
    const topics = { comet_offsets: { topicName: 'o', accessOptions: { 'bootstrap.servers': 'state:1' } } };
    const job = await resolve(configOf({ topics, access: { 'client.id': 'x' } }));
    expect(job.source.kafka.rdkafka).toMatchObject({ 'bootstrap.servers': 'broker:9092', 'client.id': 'x' });
    expect(job.offsets.kafka?.rdkafka).toMatchObject({ 'bootstrap.servers': 'state:1', 'client.id': 'kafkaload' });
  });

  it('lets the access options of a topic replace a start of the server options by another kind', async () => {
    const server = { startingTimestamp: 1 };
    const job = await resolve(configOf({ server, access: { startingOffsets: 'latest' } }));
    expect(job.source.startingOffsets).toEqual({ kind: 'latest' });
  });

  it.each([
    ['1700000000000', 1_700_000_000_000],
    ['2026-01-31T06:00:00Z', Date.UTC(2026, 0, 31, 6)],
    ['2026-01-31 06:00', Date.UTC(2026, 0, 31, 6)],
    ['2026-01-31T06:00:00.5+02:00', Date.UTC(2026, 0, 31, 4, 0, 0, 500)],
  ])('reads the time %s', async (startingTimestamp, timestampMs) => {
    const job = await resolve(configOf({ access: { startingTimestamp } }));
    expect(job.source.startingOffsets).toEqual({ kind: 'timestamp', timestampMs });
  });

  it.each([0, -1])('takes maxRead %d for no limit', async (maxRead) => {
    expect((await resolve(configOf({ topic: { maxRead } }))).source.maxRead).toBeNull();
  });

  it('takes the same target given twice, and --format for the source of --write-path', async () => {
    const twice = await resolve(configOf({}), {
      path: 'out',
      writePath: `./out/`,
      format: 'parquet',
      writeFormat: 'PARQUET',
    });
    expect(twice.sink.target.path).toBe(join(folder, 'out'));
    const { path } = (await resolve(configOf({}), { path: `file://${folder}/x` })).sink.target;
    expect(path).toBe(join(folder, 'x'));
  });
});
