// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables as they stand in a configuration file
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configOf, errorOf, makeWorkspace, type Options } from './workspace.ts';

const { folder, write, resolve } = await makeWorkspace();
await mkdir(join(folder, 'folder'));
await write('file.parquet', '');

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
        heartbeatMs: 5_000,
        takeOverAfterMs: 15_000,
      },
      sink: {
        kind: 'files',
        target: {
          path: join(folder, 'out'),
          kind: 'folder',
          format: 'parquet',
          mode: 'Append',
          coalesce: null,
          parquet: { compression: 'snappy', rowGroupRows: 1_000_000, rowGroupBytes: 67_108_864 },
        },
      },
      takeOver: false,
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
          parquet: { compression: 'zstd', rowGroupRows: 10, rowGroupBytes: 64_000_000 },
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
      [job, job.source.fields[0], job.source.kafka.connection.bootstrap[0], job.sink.target.parquet].every(
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

const at = 'kafka.topics.orders.accessOptions';
const forms = 'earliest, latest, {"0": 12} or {"TOPIC": {"0": 12}}; -2 is earliest, -1 latest';

describe('refused configurations', () => {
  it.each([
    [{ topic: { topicName: null } }, 'CONFIG_INVALID: kafka.topics.orders.topicName is missing'],
    [
      { topic: { topicName: 'a,b' } },
      'CONFIG_INVALID: kafka.topics.orders.topicName names several topics (a,b); this version reads one topic by one entry',
    ],
    [
      { topic: { topicName: 'a b' } },
      'CONFIG_INVALID: kafka.topics.orders.topicName "a b" is no topic name: up to 249 letters, digits, ".", "_" and "-"',
    ],
    [
      { topic: { fields: [] } },
      'CONFIG_INVALID: kafka.topics.orders.fields is empty; leave it out for key as STRING, value as STRING',
    ],
    [
      { topic: { fields: ['key', 'value as INT'] } },
      'FIELD_INVALID: orders.fields[1]: "value as ^INT" (character 10): value cannot be cast to INT; types for value: BINARY, STRING',
    ],
    [
      { topic: { topicName: 'comet_offsets' } },
      'CONFIG_INVALID: kafka.topics.comet_offsets.topicName is comet_offsets, the topic that is read; offsets need a topic of their own',
    ],
    [
      { topic: { writeFormat: 'json' } },
      'USAGE: kafka.topics.orders.writeFormat json is not in this version, which writes parquet',
    ],
    [
      { kafka: { heartbeatMs: 9_000 } },
      'CONFIG_INVALID: kafka.takeOverAfterMs (15000) must be at least twice kafka.heartbeatMs (9000), else a living run is taken for dead',
    ],
    [
      { access: { failOnDataLoss: 'perhaps' } },
      `CONFIG_INVALID: ${at}.failOnDataLoss is "perhaps"; it must be true or false`,
    ],
    [{ access: { startingOffsets: 'first' } }, `CONFIG_INVALID: ${at}.startingOffsets cannot be read; write ${forms}`],
    [{ access: { startingOffsets: '[1]' } }, `CONFIG_INVALID: ${at}.startingOffsets cannot be read; write ${forms}`],
    [
      { access: { startingOffsets: '{"x":1}' } },
      `CONFIG_INVALID: ${at}.startingOffsets has "x" for a partition; write ${forms}`,
    ],
    [
      { access: { startingOffsets: '{"0":-3}' } },
      `CONFIG_INVALID: ${at}.startingOffsets has -3 for partition 0; offsets begin at -2 here`,
    ],
    [
      { access: { endingOffsets: '{"0":-2}' } },
      `CONFIG_INVALID: ${at}.endingOffsets has -2 for partition 0; offsets begin at -1 here`,
    ],
    [
      { access: { endingOffsets: 'earliest' } },
      `CONFIG_INVALID: ${at}.endingOffsets cannot be earliest: nothing would ever be read; use latest, offsets or endingTimestamp`,
    ],
    [
      { access: { startingOffsets: '{"clicks":{"0":1}}' } },
      `CONFIG_INVALID: ${at}.startingOffsets names topic clicks, but this entry reads topic orders`,
    ],
    [
      { access: { startingTimestamp: '31.1.2026' } },
      `CONFIG_INVALID: ${at}.startingTimestamp "31.1.2026" is no time; write milliseconds since 1970 or an ISO time as 2026-01-31T06:00:00Z`,
    ],
    [
      { access: { startingOffsets: 'latest', startingTimestamp: '1' } },
      `CONFIG_INVALID: ${at}.startingOffsets and ${at}.startingTimestamp are both set; keep one of them`,
    ],
  ])('%o', async (parts, message) => {
    expect(await errorOf(() => resolve(configOf(parts)))).toBe(message);
  });
});

describe('refused options', () => {
  it.each<[Options, string]>([
    [
      { config: 'ordres' },
      'CONFIG_UNKNOWN: there is no entry kafka.topics.ordres in kafkaload.yml; it has orders, .bad; did you mean orders?',
    ],
    [
      { config: 'comet_offsets' },
      'CONFIG_UNKNOWN: --config comet_offsets is where offsets are saved; name one of orders, .bad',
    ],
    [
      { config: '.bad' },
      'CONFIG_INVALID: kafka.topics..bad cannot be offloaded by this name: offsets are saved under it, so it must be letters, digits, ".", "_" and "-", without a "." or "_kafkaload" at its beginning',
    ],
    [
      { path: 'a', writePath: 'b' },
      'USAGE: --path "a" and --write-path "b" name different targets for --config orders; keep --write-path',
    ],
    [{ format: 'json' }, 'USAGE: --format json is not in this version, which writes parquet'],
    [{ writeFormat: 'kafka' }, 'USAGE: --write-format kafka is not in this version, which writes parquet'],
    [
      { writeFormat: 'parquet', format: 'csv' },
      'USAGE: --write-format parquet and --format csv differ; keep --write-format',
    ],
    [
      { writeMode: 'appnd' },
      'USAGE: unknown --write-mode appnd; one of Append, Overwrite, ErrorIfExists, Ignore; did you mean Append?',
    ],
    [
      { writeCoalesce: '0' },
      'USAGE: --write-coalesce 0 is no number of files; write 1 for exactly the file named, or more',
    ],
    [
      { writeOptions: 'codec=zstd' },
      'USAGE: unknown option codec in --write-options; known for parquet: compression, rowGroupRows, rowGroupBytes',
    ],
    [
      { writeOptions: 'compression=lz4' },
      'USAGE: compression=lz4 in --write-options is unknown; one of snappy, zstd, gzip, lz4_raw, none',
    ],
    [
      { writeOptions: 'rowGroupBytes=big' },
      'USAGE: rowGroupBytes=big in --write-options is no size; write it as 64MiB, 64MB or 67108864',
    ],
    [
      { writeOptions: 'rowGroupRows=0' },
      'USAGE: rowGroupRows=0 in --write-options is no number of rows from 1 to 2147483647',
    ],
    [
      { writeOptions: 'rowGroupRows=1,zstd' },
      'USAGE: cannot read --write-options at character 16; write k=v,k2="v with , in it"',
    ],
    [{ writeOptions: 'rowGroupRows=1,rowGroupRows=2' }, 'USAGE: rowGroupRows stands twice in --write-options'],
    [
      { path: 'x/{{day}}' },
      'USAGE: unknown {{day}} in --path "x/{{day}}"; known: {{config}}, {{topic}}, {{date}}; did you mean {{date}}?',
    ],
    [
      { path: 'x/${NOPE}' },
      'CONFIG_INVALID: the environment variable NOPE in --path is not set; set it, or give a default: ${NOPE:-default}',
    ],
    [{ path: '' }, 'USAGE: --path is empty; name a file or folder'],
    [
      { path: 's3://bucket/x' },
      'USAGE: --path "s3://bucket/x" is not a path on a local disk, which is all this version writes to',
    ],
    [
      { path: 'out/', writeCoalesce: '1' },
      'USAGE: --path "out/" ends like a folder; with --write-coalesce 1 it must name the file',
    ],
    [
      { path: 'folder', writeCoalesce: '1' },
      `TARGET_UNSUITABLE: --path ${folder}/folder is a folder; --write-coalesce 1 replaces exactly the file named`,
    ],
    [
      { path: 'file.parquet', writeCoalesce: '2' },
      `TARGET_UNSUITABLE: --path ${folder}/file.parquet is a file where a folder is needed; --write-coalesce 1 writes one file`,
    ],
    [
      { path: 'file.parquet/x' },
      `TARGET_UNSUITABLE: --path ${folder}/file.parquet/x cannot be written: a part of it is a file, not a folder`,
    ],
    [{ workers: '0' }, 'USAGE: --workers 0 is no number of threads from 1 to 999'],
    [{ maxMemory: 'lots' }, 'USAGE: --max-memory lots is no size; write it as 64MiB, 64MB or 67108864'],
    [
      { maxMemory: '64MiB' },
      'USAGE: --max-memory 64MiB is too little for 4 workers: each needs 32 MiB, so at least 128 MiB; or use fewer --workers',
    ],
    [{ report: 'xml' }, 'USAGE: unknown --report xml; one of text, json'],
  ])('%o', async (options, message) => {
    const file = configOf({ topics: { '.bad': { topicName: 'bad' } } });
    expect(await errorOf(() => resolve(file, options))).toBe(message);
  });

  it('misses --config and the target', async () => {
    expect(await errorOf(() => resolve(configOf({}), { config: undefined }))).toBe(
      'USAGE: --config is missing; name the entry under kafka.topics to read: --config NAME',
    );
    expect(await errorOf(() => resolve(configOf({}), { path: undefined }))).toBe(
      'USAGE: --write-path is missing: the folder (or, with --write-coalesce 1, the file) for topic orders',
    );
    expect(await errorOf(() => resolve(configOf({}), { path: undefined, writePath: 'o', format: 'json' }))).toBe(
      'USAGE: --format json says how --path is written, which is not given; use --write-format',
    );
  });
});
