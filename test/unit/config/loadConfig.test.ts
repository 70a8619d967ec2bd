// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables as they stand in a configuration file
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/loadConfig.ts';
import { errorOf, makeWorkspace } from './workspace.ts';

const { folder, environment, write } = await makeWorkspace();

async function load(text: string, env: Record<string, string> = {}) {
  await write('given.yml', text);
  return (await loadConfig({ conf: 'given.yml' }, environment(env))).tree;
}

describe('loadConfig', () => {
  it('says where it looked when there is no file', async () => {
    expect(await errorOf(() => loadConfig({}, environment()))).toBe(
      `CONFIG_INVALID: there is no configuration file in ${folder} (looked for kafkaload.yml, kafkaload.yaml, ` +
        'kafkaload.json); name one with --conf FILE or KAFKALOAD_CONF',
    );
  });

  it('takes --conf, then KAFKALOAD_CONF, then the file in the working directory', async () => {
    for (const name of ['kafkaload.json', 'env.yml', 'option.yml']) await write(name, '{"kafka": {"topics": {}}}');
    const fromFolder = await loadConfig({}, environment({ KAFKALOAD_CONF: '' }));
    const fromEnv = await loadConfig({}, environment({ KAFKALOAD_CONF: 'env.yml' }));
    const fromOption = await loadConfig({ conf: 'option.yml' }, environment({ KAFKALOAD_CONF: 'env.yml' }));
    expect([fromFolder.file, fromEnv.file, fromOption.file]).toEqual(['kafkaload.json', 'env.yml', 'option.yml']);
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
      'unknown key kafka.topics.a.zzz in given.yml; known here: topicName, fields, maxRead, accessOptions, writeFormat, invalidUtf8, maxBatchBytes, partitions, replicationFactor, createOptions',
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
    [{ conf: 'app.conf' }, '--conf names app.conf: HOCON is not in this version; write the same tree as YAML or JSON'],
    [{ conf: 'none.yml' }, `there is no file ${folder}/none.yml, which --conf names`],
    [{ conf: '.' }, `cannot read the configuration file ${folder}: it is a folder`],
  ])('refuses %o', async (options, message) => {
    expect(await errorOf(() => loadConfig(options, environment()))).toBe(`CONFIG_INVALID: ${message}`);
  });
});
