// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables as they stand in a configuration file
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseCommandLine } from '../../../src/config/commandLine.ts';
import { resolveJob, resolveOffsetsJob } from '../../../src/config/resolveJob.ts';
import { configOf, errorOf, makeWorkspace } from '../config/workspace.ts';

const { folder, environment, write } = await makeWorkspace();
await mkdir(join(folder, 'folder'));
await write('file.parquet', '');

/** Every option that can be wrong on its own or beside another, against the configuration below. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  stream: [
    '--config grouped --write-path out --streaming-trigger Once',
    '--config grouped --write-path out --metrics-port 1',
    '--config grouped --write-path out --progress',
    '--config orders --write-path out --stream',
    '--format kafka --options subscribe=a,bootstrap.servers=x:1 --write-path out --stream',
    '--config grouped --stream',
    '--config grouped --write-path out --stream --streaming-trigger hourly',
    '--config grouped --write-path out --stream --streaming-trigger ProcessingTime --streaming-trigger-option soon',
    '--config grouped --write-path out --stream --streaming-trigger-option 1_minute',
    '--config grouped --write-path out --stream --streaming-trigger-option PT1M',
    '--config grouped --write-path out --stream --write-mode Overwrite',
    '--config grouped --write-path out --stream --max-records 5',
    '--config grouped --write-path out --stream --ending-offsets latest',
    '--config grouped --write-path out --stream --no-commit',
    '--config grouped --write-path out --stream --take-over',
    '--config grouped --write-path out --stream --write-coalesce 1 --streaming-trigger Continuous',
    '--config grouped --write-path out --stream --write-partition-by a --streaming-partition-by b',
    '--config grouped --write-path out --stream --listen ::1',
    '--config grouped --write-path out --stream --metrics-port 70000',
    '--config grouped --write-path out --stream --write-options maxFileBytes=lots',
    '--config grouped --write-path out --stream --write-options maxFileAge=old',
    '--config grouped --write-path out --write-options maxFileAge=1s',
    '--config grouped --write-config clicks --stream --write-options maxFileBytes=1MiB',
    '--config grouped --streaming-to-table t --stream --write-path out',
    '--config grouped --streaming-to-table t --stream --streaming-partition-by a',
    '--path in --streaming-to-table t --stream',
    '--config grouped --streaming-to-table t --stream --write-mode Overwrite',
    '--config grouped --streaming-to-table t --stream',
    '--config grouped --streaming-to-table a.b.c --stream --write-options database=x.db',
    '--config grouped --streaming-to-table t --stream --write-options databse=x.db',
    '--config grouped --streaming-to-table t --stream --write-options database=folder',
    '--path in --write-path out --stream',
    '--config grouped --write-format console --stream --report json',
    '--config grouped --write-path out/{{date}} --stream',
    '--path in --write-format console --stream',
    '--config slow --write-path out --stream',
    '--config ended --write-path out --stream',
  ],
  'source and target': [
    '',
    '--config orders',
    '--config',
    '--config ordres --path out',
    '--write-config orders',
    '--write-path out',
    '--path in',
    '--path in --write-config ordres',
    '--config comet_offsets --path out',
    '--config .bad --path out',
    '--config orders --write-config comet_offsets',
    '--config orders --write-config orders',
    '--config orders --write-config same',
    '--config pattern --write-config orders',
    '--config orders --write-config clicks --path in',
    '--config orders --write-config clicks --write-path out',
    '--config orders --path a --write-path b',
    '--path in --write-path in',
    '--path in --write-path in/out',
    '--path in --write-path out --write-config clicks',
    '--format kafka --path out',
    '--format kafka --write-path out',
    '--format kafka --options subscribe=a,subscribePattern=b --write-path out',
    '--format kafka --options assign={"a":["x"]} --write-path out',
    '--format kafka --options subscribePattern=( --write-path out',
    '--format kafka --options config=none --write-path out',
    '--config orders --options config=clicks --write-path out',
    '--config orders --write-config clicks --write-options config=clicks',
    '--path in --write-format kafka',
    '--path in --write-format kafka --write-options compression.type=lz4',
    '--path in --write-config clicks --write-options compression.type=brotli',
    '--path in --write-config clicks --write-options acks=all,colour=red',
    '--path in --options config=none --write-path out',
    '--path in --options config=kafka --write-path out',
    '--path in --write-path out --write-options config=listed',
  ],
  formats: [
    '--config orders --path out --format orc',
    '--config orders --path out --format kafka --write-format kafka',
    '--config orders --write-path out --format json',
    '--config orders --path out --write-format parquet --format csv',
    '--config orders --path out --write-format kafka',
    '--config orders --write-path out --write-format console',
    '--config orders --write-path out --write-format parqet',
    '--config orders --write-config clicks --write-format json',
    '--config orders --write-config clicks --write-format console',
    '--config orders --write-config clicks --format json',
    '--config shown --path out',
    '--config wrong --path out',
    '--path in --format orc --write-path out',
  ],
  'options of one side': [
    '--config orders --write-config clicks --write-coalesce 1',
    '--config orders --write-config clicks --write-partition-by key',
    '--config orders --write-path out --write-partition-by upper(key)',
    '--config orders --write-format console --write-coalesce 1',
    '--path in --write-config clicks --write-mode Overwrite',
    '--path in --write-config clicks --write-mode ErrorIfExists',
    '--path in --write-config clicks --write-mode Ignore',
    '--config orders --write-format console --write-mode Overwrite',
    '--path in --write-config clicks --max-records 5',
    '--path in --write-config clicks --starting-offsets earliest',
    '--path in --write-config clicks --ending-offsets latest',
    '--path in --write-config clicks --no-commit',
    '--path in --write-path out --reload',
    '--config orders --write-path out --reload',
    '--config orders --write-format console --take-over',
  ],
  connections: [
    '--config orders --path out --connectionRef none',
    '--config orders --path out --connectionRef bq',
    '--config orders --path out --connectionRef untyped',
    '--config orders --path out --connectionRef strange',
    '--config orders --path out --connectionRef formatted',
    '--config orders --write-config clicks --connectionRef cluster',
    '--config orders --write-config clicks --connectionRef disk',
    '--path in --write-path out --connectionRef cluster',
    '--path in --write-path out --connectionRef disk',
    '--config orders --write-format console --connectionRef disk',
    '--config orders --connectionRef disk --write-options rows=5',
    '--config orders --connectionRef wrongMode',
    '--config orders --connectionRef wrongFormat',
  ],
  values: [
    '--config orders --path out --max-records 0',
    '--config orders --path out --max-records many',
    '--config orders --path out --starting-offsets first',
    '--config orders --path out --starting-offsets {"0":-3}',
    '--config orders --path out --starting-offsets {"clicks":{"0":1}}',
    '--config orders --path out --starting-offsets {}',
    '--config several --path out --starting-offsets {"0":1}',
    '--config orders --path out --ending-offsets earliest',
    '--config orders --path out --ending-offsets yesterday',
    '--config orders --path out --ending-offsets {"0":-2}',
    '--config orders --path out --write-mode appnd',
    '--config orders --path out --write-coalesce 0',
    '--config orders --path out --write-options codc=zstd',
    '--config orders --path out --write-options compression=lz4',
    '--config orders --path out --write-options rowGroupBytes=big',
    '--config orders --path out --write-options rowGroupRows=0',
    '--config orders --path out --write-options rowGroupRows=1,zstd',
    '--config orders --path out --write-options rowGroupRows=1,rowGroupRows=2',
    '--config orders --path out --format csv --write-options sep=',
    '--config orders --path out --options k={"a":1',
    '--config orders --path out --options startingOffsets=first',
    '--config orders --write-format console --write-options rows=5',
    '--config orders --write-format console --write-options numRows=none',
    '--config orders --write-format console --write-options truncate=some',
    '--path in --write-path out --format csv --options headr=true',
    '--path in --write-path out --format csv --options mode=strict',
    '--path , --write-path out',
    '--config orders --path x/{{day}}',
    '--config several --path x/{{topic}}',
    '--path x/{{config}} --write-path out',
    '--config orders --path x/${NOPE}',
    '--config orders --path=',
    '--config orders --path s3://bucket/x',
    '--path hdfs://host/x --write-path out',
    '--config orders --path out/ --write-coalesce 1',
    '--config orders --path folder --write-coalesce 1',
    '--config orders --path file.parquet --write-coalesce 2',
    '--config orders --path file.parquet/x',
    '--config orders --path out --workers 0',
    '--config orders --path out --max-memory lots',
    '--config orders --path out --max-memory 64MiB',
    '--config orders --path out --report xml',
    '--config orders --path out --conf none.conf',
    'offsets show',
    'offsets set --config orders',
    'offsets set --config orders --offsets tomorrow',
    'offsets set --config ordres --offsets earliest',
  ],
};

const FILE = {
  kafka: {
    serverOptions: { 'bootstrap.servers': 'broker:9092' },
    topics: {
      orders: { topicName: 'orders' },
      clicks: { topicName: 'clicks' },
      grouped: { topicName: 'orders', accessOptions: { 'group.id': 'g' } },
      slow: {
        topicName: 'orders',
        accessOptions: { 'group.id': 'g', 'session.timeout.ms': 6000, 'heartbeat.interval.ms': 7000 },
      },
      ended: { topicName: 'orders', accessOptions: { 'group.id': 'g', endingOffsets: { 0: 5 } } },
      same: { topicName: 'orders' },
      several: { accessOptions: { subscribe: 'a,b' } },
      pattern: { accessOptions: { subscribePattern: 'ord.*' } },
      shown: { topicName: 'orders', writeFormat: 'console' },
      wrong: { topicName: 'orders', writeFormat: 'orc' },
      '.bad': { topicName: 'bad' },
    },
  },
  connections: {
    bq: { type: 'BIGQUERY', options: { project: 'x' } },
    untyped: { options: {} },
    strange: { type: 'FS', quote: '"' },
    formatted: { type: 'KAFKA', format: 'json' },
    cluster: { type: 'KAFKA', options: { bootstrapServers: 'other:9092' } },
    disk: { type: 'fs', format: 'json', options: { path: 'base' } },
    wrongMode: { type: 'FS', mode: 'Upsert', options: { path: 'base' } },
    wrongFormat: { type: 'FS', format: 'orc', options: { path: 'base' } },
  },
  listed: { sep: ['a'] },
};

async function resolve(line: string): Promise<unknown> {
  const request = parseCommandLine(line === '' ? [] : line.split(' '), () => '');
  if (request.kind === 'run') return resolveJob(request.options, environment());
  if (request.kind === 'offsets') return resolveOffsetsJob(request.action, request.options, environment());
  throw new Error(`nothing to resolve in ${line}`);
}

it.each(Object.entries(REFUSED))('refuses wrong %s in one line each', async (name, lines) => {
  await write('kafkaload.yml', JSON.stringify(FILE));
  const refused: string[] = [];
  for (const line of lines) {
    const message = await errorOf(() => resolve(line)).catch((error: unknown) => `NOT REFUSED: ${error}`);
    expect(message).not.toContain('\n');
    refused.push(`kafkaload ${line}\n  ${message.replaceAll(folder, 'FOLDER')}\n`);
  }
  const golden = join(import.meta.dirname, 'golden', `errors-${name.replaceAll(' ', '-')}.txt`);
  expect(refused.filter((each) => each.includes('NOT REFUSED'))).toEqual([]);
  await expect(refused.join('')).toMatchFileSnapshot(golden);
});

it('refuses wrong keys in one line each', async () => {
  const lines: string[] = [];
  const configurations: readonly Parameters<typeof configOf>[0][] = [
    { topic: { topicName: null } },
    { topic: { topicName: 'a,b' } },
    { topic: { topicName: 'a b' } },
    { topic: { fields: [] } },
    { topic: { fields: ['key', 'value as INT'] } },
    { topic: { topicName: 'comet_offsets' } },
    { topic: { writeFormat: 'orc' } },
    { topic: { headers: ['x'] } },
    { topic: { chunkRecords: 0 } },
    { topic: { subscribe: 'a' } },
    { kafka: { heartbeatMs: 9_000 } },
    { kafka: { customDeserializers: { value: 'io.confluent.kafka.serializers.KafkaAvroDeserializer' } } },
    { kafka: { customDeserializers: { decode: './decode.mjs' } }, topic: { fields: ['decode(offset) as x'] } },
    {
      kafka: { customDeserializers: { decode: './decode.mjs' } },
      topic: { fields: ['decode(value)', 'offset + 1 as x'] },
    },
    { server: { 'schema.registry.url': 'http://registry:8081' } },
    { server: { 'sasl.mechanism': 'GSSAPI', 'security.protocol': 'SASL_SSL' } },
    { access: { failOnDataLoss: 'perhaps' } },
    { access: { includeHeaders: 'some' } },
    { access: { minPartitions: '0' } },
    { access: { subscribe: ',' } },
    { access: { subscribe: 'a b' } },
    { access: { subscribe: 'comet_offsets' } },
    { access: { subscribe: 'a', assign: '{"a":[0]}' } },
    { access: { subscribePattern: '[' } },
    { access: { assign: 'orders' } },
    { access: { assign: { orders: [] } } },
    { access: { assign: { orders: ['one'] } } },
    { access: { startingOffsets: 'first' } },
    { access: { startingOffsets: '[1]' } },
    { access: { startingOffsets: '{"x":1}' } },
    { access: { startingOffsets: '{"0":-3}' } },
    { access: { subscribe: 'a,b', startingOffsets: '{"0":3}' } },
    { access: { endingOffsets: '{"0":-2}' } },
    { access: { endingOffsets: 'earliest' } },
    { access: { startingOffsets: '{"clicks":{"0":1}}' } },
    { access: { startingTimestamp: '31.1.2026' } },
    { access: { startingOffsets: 'latest', startingTimestamp: '1' } },
  ];
  for (const parts of configurations) {
    await write('kafkaload.yml', configOf(parts));
    lines.push(`${JSON.stringify(parts)}\n  ${await errorOf(() => resolve('--config orders --path out'))}\n`);
  }
  await expect(lines.join('')).toMatchFileSnapshot(join(import.meta.dirname, 'golden', 'errors-configuration.txt'));
});
