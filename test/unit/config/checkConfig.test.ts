import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { checkConfig } from '../../../src/config/checkConfig.ts';
import { maskSecrets } from '../../../src/config/maskSecrets.ts';
import { configOf, errorOf, makeWorkspace } from './workspace.ts';

const { environment, write } = await makeWorkspace();

const FILE = `
secret-of-others { password = "opensesame1" }
connections {
  store { type = JDBC, options { url = "jdbc:postgresql://me:opensesame2@host/db" } }
  cluster { type = KAFKA, options { bootstrapServers = "h:9092", ssl { key { password = "opensesame3" } } } }
  disk { type = fs, options { path = "/data", url = "ftp://me:opensesame4@host/x", more = "password=opensesame5;a=b" } }
}
kafka {
  comet-offsets-mode = FILE
  server-options {
    bootstrap.servers = "localhost:9092"
    security.protocol = SASL_PLAINTEXT
    sasl.mechanism = PLAIN
    "sasl.jaas.config" = "x.PlainLoginModule required username=\\"u\\" password=\\"opensesame6\\";"
    "key.deserializer" = a.B
  }
  topics {
    tokens { topic-name = tokens, max_read = 5, headers { auth-token = opensesame7, origin = x } }
    several { topic-name = one, access-options { subscribe = "one,two" } }
  }
}
`;

async function check(file: string, options: object = {}) {
  await write('given.conf', file);
  return checkConfig({ conf: 'given.conf', ...options }, environment());
}

describe('config check', () => {
  it('prints the resolved tree as YAML, warnings before it, without a secret', async () => {
    const text = await check(FILE);
    expect(text.split('\n').filter((line) => line.startsWith('#'))).toEqual([
      '# given.conf is valid: 2 topic entries, 3 connections',
      '# kafka.topics.several.accessOptions.subscribe is one, two and kafka.topics.several.topicName is one: one, two is read',
    ]);
    expect(text).not.toContain('opensesame');
    expect(parse(text)).toEqual({
      kafka: {
        cometOffsetsMode: 'FILE',
        serverOptions: {
          bootstrap: { servers: 'localhost:9092' },
          security: { protocol: 'SASL_PLAINTEXT' },
          sasl: { mechanism: 'PLAIN' },
          'sasl.jaas.config': '***',
          'key.deserializer': 'a.B',
        },
        topics: {
          tokens: {
            topicName: 'tokens',
            maxRead: 5,
            headers: [
              { key: 'auth-token', value: '***' },
              { key: 'origin', value: 'x' },
            ],
          },
          several: { topicName: 'one', accessOptions: { subscribe: 'one,two' } },
        },
      },
      connections: {
        store: { type: 'JDBC', options: { url: 'jdbc:postgresql://***@host/db' } },
        cluster: { type: 'KAFKA', options: { bootstrapServers: 'h:9092', ssl: { key: { password: '***' } } } },
        disk: { type: 'fs', options: { path: '/data', url: 'ftp://***@host/x', more: 'password=***;a=b' } },
      },
    });
  });

  it('says notes with --verbose, and everything as JSON', async () => {
    const note = 'kafka.serverOptions.key.deserializer has no effect here: fields decides how keys and values are read';
    expect(await check(FILE, { verbose: true })).toContain(`# ${note}\n`);
    const json = await check(FILE, { report: 'JSON' });
    expect(json).not.toContain('opensesame');
    expect(JSON.parse(json)).toMatchObject({ file: 'given.conf', entries: 2, connections: 3, notes: [note] });
  });

  it.each([
    [{ kafka: { topics: {} } }, null],
    [{ topics: { b: { topicName: 'b', fields: ['x'] } } }, '(2 of 2 topic entries checked)'],
    [{ topic: { topicName: 'a b' } }, '(1 of 1 topic entry checked)'],
    [{ access: { 'compression.type': 'brotli' } }, 'compression.type is "brotli"'],
    [{ access: { colour: 'red' } }, 'unknown property kafka.topics.orders.accessOptions.colour'],
    [{ kafka: { takeOverAfterMs: 300 } }, 'kafka.takeOverAfterMs (300) must be at least twice'],
  ])('checks %j', async (parts, message) => {
    await write('given.yml', configOf(parts));
    const attempt = () => checkConfig({ conf: 'given.yml' }, environment());
    if (message === null) expect(await attempt()).toContain('is valid: 0 topic entries');
    else expect(await errorOf(attempt)).toContain(message);
  });

  it.each([
    ['{ x: { type: FS, quote: q } }', 'unknown key connections.x.quote'],
    ['{ x: { type: KAFKA, mode: append } }', 'connections.x.mode in given.yml has no meaning for type KAFKA'],
    ['{ x: { type: KAFKA, options: { colour: red } } }', 'unknown property connections.x.options.colour'],
    ['{ x: { type: JDBC, options: { url: "jdbc:postgresql://h/d" } } }', 'connections.x.options.user is missing'],
  ])('checks connections %s', async (connections, message) => {
    await write(
      'given.yml',
      `kafka: { serverOptions: { bootstrap.servers: h }, topics: {} }\nconnections: ${connections}`,
    );
    expect(await errorOf(() => checkConfig({ conf: 'given.yml' }, environment()))).toContain(message);
  });
});

describe('connections of databases', () => {
  it('shows none of their passwords, and leaves those of other databases to other commands', async () => {
    await write(
      'given.yml',
      `kafka: { serverOptions: { bootstrap.servers: h }, topics: {} }
connections:
  one: { type: JDBC, options: { url: "jdbc:postgresql://h:1/d?user=u&password=opensesame", ApplicationName: x } }
  two: { type: postgresql, options: { url: "postgresql://u:opensesame@h/d" } }
  three: { type: POSTGRESQL, options: { host: h, database: d, user: u, password: opensesame } }
  four: { type: JDBC, options: { url: "jdbc:mysql://h/d", dbtable: t } }
`,
    );
    const shown = await checkConfig({ conf: 'given.yml', verbose: true }, environment());
    expect(shown).toContain('3 connections');
    expect(shown).not.toContain('opensesame');
    expect(shown).not.toContain('four');
  });
});

describe('maskSecrets', () => {
  it.each([
    [{ 'sasl.password': 'x' }, { 'sasl.password': '***' }],
    [{ password: { a: ['x', { b: 'y' }], c: null } }, { password: { a: ['***', { b: '***' }], c: null } }],
    [{ 'basic.auth.user.info': 'u:p' }, { 'basic.auth.user.info': '***' }],
    [{ basic_auth: { user: 'u' } }, { basic_auth: { user: '***' } }],
    [
      { clientSecret: 'x', 'oauth-token': 'y', API_KEY: 1 },
      { clientSecret: '***', 'oauth-token': '***', API_KEY: '***' },
    ],
    [
      { 'ssl.key.pem': 'x', 'ssl.key.location': '/a' },
      { 'ssl.key.pem': '***', 'ssl.key.location': '/a' },
    ],
    [{ note: '-----BEGIN PRIVATE KEY-----\nx' }, { note: '***' }],
    [{ url: 'https://u:p@h/?token=t&a=b' }, { url: 'https://***@h/?token=***&a=b' }],
    [{ url: 'https://h/a@b' }, { url: 'https://h/a@b' }],
    [
      { fields: ['key as STRING'], n: 5, on: true },
      { fields: ['key as STRING'], n: 5, on: true },
    ],
    [
      { kafka: { topics: { passwords: { topicName: 'p' } } } },
      { kafka: { topics: { passwords: { topicName: 'p' } } } },
    ],
  ])('%j', (tree, masked) => {
    expect(maskSecrets(tree)).toEqual(masked);
  });
});
