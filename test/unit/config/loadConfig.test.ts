// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables as they stand in a configuration file
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/loadConfig.ts';
import { resolveJob } from '../../../src/config/resolveJob.ts';
import { errorOf, makeWorkspace } from './workspace.ts';

const { folder, environment, write } = await makeWorkspace();

async function load(text: string, env: Record<string, string> = {}) {
  await write('given.yml', text);
  return (await loadConfig({ conf: 'given.yml' }, environment(env))).tree;
}

describe('loadConfig', () => {
  it('says where it looked when there is no file', async () => {
    expect(await errorOf(() => loadConfig({}, environment()))).toBe(
      `CONFIG_INVALID: there is no configuration file in ${folder} (looked for application.conf, ` +
        'application.sl.yml, kafkaload.yml, kafkaload.yaml, kafkaload.json, kafkaload.conf); ' +
        'name one with --conf FILE or KAFKALOAD_CONF',
    );
    const withRoot = () => loadConfig({}, environment({ SL_ROOT: 'none' }));
    expect(await errorOf(withRoot)).toContain('kafkaload.conf, none/metadata/application.sl.yml)');
  });

  it('takes --conf, then KAFKALOAD_CONF, then the file in the working directory', async () => {
    for (const name of ['kafkaload.json', 'env.yml', 'option.yml']) await write(name, '{"kafka": {"topics": {}}}');
    const fromFolder = await loadConfig({}, environment({ KAFKALOAD_CONF: '' }));
    const fromEnv = await loadConfig({}, environment({ KAFKALOAD_CONF: 'env.yml' }));
    const fromOption = await loadConfig({ conf: 'option.yml' }, environment({ KAFKALOAD_CONF: 'env.yml' }));
    expect([fromFolder.file, fromEnv.file, fromOption.file]).toEqual(['kafkaload.json', 'env.yml', 'option.yml']);
  });

  it('looks in a fixed order: the files of the JVM tool first, the one below SL_ROOT last', async () => {
    const place = join(folder, 'order');
    const names = ['application.conf', 'application.sl.yml', 'kafkaload.yml', 'kafkaload.yaml', 'kafkaload.json'];
    const files = [...names, 'kafkaload.conf', 'root/metadata/application.sl.yml'];
    await mkdir(join(place, 'root/metadata'), { recursive: true });
    for (const name of files) {
      const tree = { kafka: { topics: { a: { topicName: basename(name, '.yml') } } } };
      await write(`order/${name}`, JSON.stringify(name.endsWith('.sl.yml') ? { application: tree } : tree));
    }
    const found: string[] = [];
    for (const name of files) {
      const { file, tree } = await loadConfig({}, { ...environment({ SL_ROOT: 'root' }), cwd: place });
      expect(tree.kafka.topics.a?.topicName).toBe(basename(name, '.yml'));
      found.push(file);
      await rm(join(place, name));
    }
    expect(found).toEqual(files);
  });

  it('keeps text as it is written, also where YAML sees a number', async () => {
    const tree = await load('kafka:\n  serverOptions: { sasl.password: 0123 }\n  topics:\n    a: { topicName: 1e5 }\n');
    expect(tree.kafka.serverOptions).toEqual({ 'sasl.password': '0123' });
    expect(tree.kafka.topics.a).toEqual({ topicName: '1e5' });
  });

  it('shares parts by anchors and merge keys', async () => {
    const tree = await load(
      'kafka:\n  topics:\n    a: &base { topicName: a, maxRead: 5 }\n    b:\n      <<: *base\n      topicName: b\n',
    );
    expect(tree.kafka.topics.b).toEqual({ topicName: 'b', maxRead: 5 });
  });

  it('replaces variables in values, with a default when unset or empty', async () => {
    const text =
      'kafka:\n  serverOptions: { bootstrap.servers: "${HOST}:${PORT:-9092}" }\n  topics:\n' +
      '    a: { topicName: "${EMPTY:-t}", maxRead: "${N}", fields: ["${FIELD}"], createOptions: { x: "$${HOST}" } }\n';
    const tree = await load(text, { HOST: 'h${X}', EMPTY: '', N: '7', FIELD: 'value' });
    expect(tree).toEqual({
      kafka: {
        serverOptions: { 'bootstrap.servers': 'h${X}:9092' },
        topics: { a: { topicName: 't', maxRead: 7, fields: ['value'], createOptions: { x: '${HOST}' } } },
      },
    });
  });

  it.each([
    [
      'kafka: { topics: { a: { fields: ["key", "${NOPE}"] } } }',
      'the environment variable NOPE in kafka.topics.a.fields[1] is not set; set it, or give a default: ${NOPE:-default}',
    ],
    [
      'kafka: { topics: { a: { topicName: "${no pe}" } } }',
      'cannot read the variable in kafka.topics.a.topicName: write ${NAME} or ${NAME:-default}, and $${ for the characters themselves',
    ],
    ['', 'kafka in given.yml is missing'],
    ['[]', 'the document in given.yml must be a mapping (key: value)'],
    ['kafka: {}', 'kafka.topics in given.yml is missing'],
    ['kafak: {}', 'unknown key kafak in given.yml; did you mean kafka? (and 1 more problem)'],
    [
      'kafka: { topics: {}, serverOption: {} }',
      'unknown key kafka.serverOption in given.yml; did you mean serverOptions?',
    ],
    [
      'kafka: { topics: { a: { topcName: a } } }',
      'unknown key kafka.topics.a.topcName in given.yml; did you mean topicName?',
    ],
    [
      'kafka: { topics: { a: { zzz: a } } }',
      'unknown key kafka.topics.a.zzz in given.yml; known here: topicName, fields, maxRead, accessOptions, writeFormat, invalidUtf8, onBadRecord, maxBatchBytes, partitions, replicationFactor, createOptions, headers, chunkRecords, maxFileBytes, maxFileAge',
    ],
    [
      'kafka: { cometOffsetsMode: BOTH, topics: {} }',
      'kafka.cometOffsetsMode in given.yml must be one of STREAM, FILE',
    ],
    [
      'kafka: { topics: { a: { maxRead: many } } }',
      'kafka.topics.a.maxRead in given.yml must be a whole number; -1 and 0 mean no limit',
    ],
    [
      'kafka: { topics: { a: { maxBatchBytes: -5 } } }',
      'kafka.topics.a.maxBatchBytes in given.yml must be a size, as 64MiB, 64MB or 67108864',
    ],
    [
      'kafka: { topics: { a: { fields: value } } }',
      'kafka.topics.a.fields in given.yml must be a list, as ["key as STRING", "value"]',
    ],
    [
      'kafka: { topics: { a: { replicationFactor: 0 } } }',
      'kafka.topics.a.replicationFactor in given.yml must be at least 1, or -1 for the default of the broker',
    ],
    ['kafka: { topics: { a: { topicName: "" } } }', 'kafka.topics.a.topicName in given.yml is empty'],
    ['a: 1\na: 2', 'given.yml is not valid YAML at line 2, column 1: this key stands there twice'],
    [
      'a: @secret',
      'given.yml is not valid YAML at line 1, column 4: a value cannot begin with this character; put it in quotes',
    ],
    [
      'a: !secret',
      'given.yml is not valid YAML at line 1, column 4: tags (!name) are not known here; put a value that begins with ! in quotes',
    ],
    [
      'a: *secret',
      'given.yml is not valid YAML: it has an alias (*name) without its anchor (&name), or too many of them',
    ],
    ['kafka:\n\ttopics: x', 'given.yml is not valid YAML at line 2, column 1: tabs cannot indent; use spaces'],
  ])('refuses %j in one line', async (text, message) => {
    expect(await errorOf(() => load(text))).toBe(`CONFIG_INVALID: ${message}`);
  });

  it.each([
    [{ conf: 'none.conf' }, `there is no file ${folder}/none.conf, which --conf names`],
    [{ conf: 'none.yml' }, `there is no file ${folder}/none.yml, which --conf names`],
    [{ conf: '.' }, `cannot read the configuration file ${folder}: it is a folder`],
  ])('refuses %o', async (options, message) => {
    expect(await errorOf(() => loadConfig(options, environment()))).toBe(`CONFIG_INVALID: ${message}`);
  });
});

describe('HOCON', () => {
  const fixture = join(import.meta.dirname, '../../fixtures/config/every-key.conf');

  it('takes every key of the reference configuration', async () => {
    const env = { BROKERS: 'b1:9092,b2:9092', READER_PASSWORD: '007' };
    const { tree } = await loadConfig({ conf: fixture }, environment(env));
    expect(tree).toEqual({
      kafka: {
        cometOffsetsMode: 'FILE',
        customDeserializers: {},
        serverOptions: {
          bootstrap: { servers: 'b1:9092,b2:9092' },
          security: { protocol: 'SASL_SSL' },
          sasl: { mechanism: 'PLAIN', username: 'reader', password: '007' },
        },
        topics: {
          invoices: {
            topicName: 'shop.invoices',
            maxRead: 250000,
            fields: ['key as STRING', 'value as STRING', 'offset as LONG', 'timestamp as TIMESTAMP'],
            writeFormat: 'parquet',
            partitions: 3,
            replicationFactor: 2,
            createOptions: { 'cleanup.policy': 'delete' },
            accessOptions: {
              'kafka.bootstrap.servers': 'b1:9092,b2:9092',
              'bootstrap.servers': 'b1:9092,b2:9092',
              'key.deserializer': 'org.apache.kafka.common.serialization.StringDeserializer',
              'value.deserializer': 'org.apache.kafka.common.serialization.StringDeserializer',
              subscribe: 'shop.invoices',
              startingOffsets: { '0': '12' },
            },
          },
          comet_offsets: {
            topicName: 'state/offsets',
            maxRead: 0,
            partitions: 1,
            replicationFactor: 1,
            writeFormat: 'parquet',
            createOptions: { 'cleanup.policy': 'compact' },
            accessOptions: {
              'kafka.bootstrap.servers': 'b1:9092,b2:9092',
              'auto.offset.reset': 'earliest',
              'auto.commit.enable': 'false',
              'consumer.timeout.ms': '10',
            },
          },
        },
      },
    });
  });

  it('becomes a job as YAML does', async () => {
    const env = { BROKERS: 'b1:9092,b2:9092', READER_PASSWORD: '007' };
    const options = { conf: fixture, config: 'invoices', path: 'out' };
    const job = await resolveJob(options, environment(env));
    if (job.source.kind !== 'topic') throw new Error(job.source.kind);
    expect(job.source.kafka.connection).toMatchObject({
      bootstrap: [
        { host: 'b1', port: 9092 },
        { host: 'b2', port: 9092 },
      ],
      sasl: { mechanism: 'PLAIN', username: 'reader', password: '007' },
    });
    expect(job).toMatchObject({
      source: {
        selection: { kind: 'topics', topics: ['shop.invoices'] },
        maxRead: 250_000,
        startingOffsets: { kind: 'offsets', byTopic: { 'shop.invoices': { 0: 12 } } },
      },
      offsets: { mode: 'FILE', name: join(folder, 'state/offsets') },
    });
  });

  it('leaves other keys at the top to other commands and to substitutions', async () => {
    await write('given.conf', 'metrics { active = true }, t = a\nkafka { topics { a { topicName = ${t} } } }\n');
    expect((await loadConfig({ conf: 'given.conf' }, environment())).tree.kafka.topics).toEqual({
      a: { topicName: 'a' },
    });
    await write(
      'application.sl.yml',
      'application: { env: "${nope", kafka: { topics: { b: { topicName: "${B:-b}" } } } }',
    );
    expect((await loadConfig({ conf: 'application.sl.yml' }, environment())).tree.kafka.topics).toEqual({
      b: { topicName: 'b' },
    });
  });

  it.each([
    [
      'kafka { topics { a { topicName = ${NOPE} } } }',
      'is not valid HOCON at line 1, column 34: ${NOPE} is set neither',
    ],
    [
      'kafka { topics {}, custom-deserializers { x = "a.B" } }',
      'kafka.customDeserializers.x in given.conf names a class of the JVM, which cannot be loaded here; name a ' +
        'module whose default export is a function of the bytes, as "./decode.mjs", or remove it, and let fields read ' +
        'the bytes, as "value as STRING" or "value as BINARY"',
    ],
    [
      'kafka.topics.a { subscribe-pattern = "a.*" }',
      'kafka.topics.a.subscribePattern in given.conf is an option of the reader; put it into kafka.topics.a.accessOptions',
    ],
    [
      'kafka.topics.a { headers = x }',
      'kafka.topics.a.headers in given.conf must be a mapping of header names to texts, or a list of { key, value }',
    ],
    [
      'kafka.topics.a { chunk-records = 0 }',
      'kafka.topics.a.chunkRecords in given.conf must be a whole number of at least 1',
    ],
    [
      'kafka.topics.a { topicName = a, topic-name = b }',
      'kafka.topics.a.topicName and kafka.topics.a.topic-name in given.conf are the same key; keep one of them',
    ],
    ['kafka.topics.a.constructor = 1', 'unknown key kafka.topics.a.constructor in given.conf'],
    ['kafak { topics {} }', 'kafka in given.conf is missing'],
    ['kafka.topics = [a]', 'kafka.topics in given.conf must be a mapping of names to topics'],
  ])('refuses %j', async (text, message) => {
    await write('given.conf', text);
    expect(await errorOf(() => loadConfig({ conf: 'given.conf' }, environment()))).toContain(message);
  });

  it('takes constant headers in both forms', async () => {
    await write(
      'given.conf',
      'kafka.topics { a.headers { x = y, n = 1 }, b.headers = [{ key = x, value = "" }, { key = x, value = z }] }',
    );
    const { topics } = (await loadConfig({ conf: 'given.conf' }, environment())).tree.kafka;
    expect([topics.a?.headers, topics.b?.headers]).toEqual([
      [
        { key: 'x', value: 'y' },
        { key: 'n', value: '1' },
      ],
      [
        { key: 'x', value: '' },
        { key: 'x', value: 'z' },
      ],
    ]);
  });

  it('reads other blocks only when they are named, with their own variables', async () => {
    await write('given.yml', 'kafka: { topics: {} }\ncsv: { strict: { sep: "${SEP:-;}" } }\nother: { x: "${NOPE}" }\n');
    const { block, blockNames } = await loadConfig({ conf: 'given.yml' }, environment());
    expect(blockNames).toEqual(['csv', 'other']);
    expect(block('csv.strict')).toEqual({ sep: ';' });
    expect(block('none')).toBeUndefined();
    expect(await errorOf(() => block('other'))).toContain('the environment variable NOPE in other.x is not set');
  });

  it('takes empty custom deserializers, and connections of other commands', async () => {
    await write(
      'given.conf',
      'connections { bq { type = BIGQUERY } }\nkafka { comet_offsets_mode = file, custom-deserializers {}, topics.a {} }',
    );
    expect((await loadConfig({ conf: 'given.conf' }, environment())).tree).toEqual({
      kafka: { cometOffsetsMode: 'FILE', customDeserializers: {}, topics: { a: {} } },
    });
  });
});
