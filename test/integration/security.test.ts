import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../src/kafka/cluster.ts';
import { openGroupMember } from '../../src/stream/groupMember.ts';
import type { GroupMember } from '../../src/stream/types.ts';
import type { ProgramResult } from '../helpers/cache.ts';
import { type JsonReport, runCommand, temporaryFolder, writeConfig } from '../helpers/command.ts';
import { connectionSettings } from '../helpers/connectionSettings.ts';
import { Oracle } from '../helpers/oracle.ts';
import { produce } from '../helpers/producers.ts';
import { ScriptWriter, toHex } from '../helpers/script.ts';
import {
  CLIENT_KEY_PASSWORD,
  type Grant,
  grant,
  PASSWORDS,
  SESSION_MS,
  type SecureKafka,
  startSecureKafka,
  type User,
  unsecuredToken,
} from '../helpers/secureBroker.ts';
import { randomName, TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import { OFFSETS_MODES, type OffsetsMode } from '../helpers/workspace.ts';

/** TLS, logins and permissions: what the command does on listeners and with users of every kind, on a real broker. */

const MESSAGES = 4_000;
/** Of the topic that runs take long for. */
const MANY_MESSAGES = 60_000;
const PARTITIONS = 4;
const FIELDS = [
  'key',
  'value',
  'partition as INT',
  'offset as LONG',
  'timestamp as TIMESTAMP',
  'timestampType',
  'headers',
];
/** The messages of the larger topic take about 3 MB in its log. */
const SLOW_BYTES_PER_SECOND = 400_000;
/** Of tokens that runs outlive: long enough for a machine that is busy to use one in time. */
const TOKEN_SECONDS = 5;
/** A wrong setting must be told long before the deadline of 60 s that retries have. */
const QUICK_SECONDS = 15;

type Options = Readonly<Record<string, string | number>>;

interface Attempt {
  readonly listener: string;
  readonly options: Options;
  /** Default: the one with few messages. */
  readonly from?: Filled;
  readonly mode?: OffsetsMode;
  /** Keeps offsets from attempt to attempt. */
  readonly offsets?: string;
  readonly args?: readonly string[];
}

const cleanUps: (() => Promise<void> | void)[] = [];
let folder: { path: string; remove: () => Promise<void> };
let kafka: SecureKafka;
let topics: TestTopics;
/** A topic with what it holds. */
interface Filled {
  readonly topic: string;
  readonly messages: number;
  readonly oracle: Oracle;
}
let few: Filled;
let many: Filled;
const tokens = { valid: unsecuredToken('loader', 3_600), expired: unsecuredToken('loader', -600) };

beforeAll(async () => {
  folder = await temporaryFolder();
  cleanUps.push(folder.remove);
  kafka = await startSecureKafka(folder.path);
  cleanUps.push(kafka.cluster.stop);
  const { bootstrapServers } = kafka.cluster;
  topics = new TestTopics(bootstrapServers);
  cleanUps.push(() => topics.cleanUp());
  few = await fill('secured', MESSAGES);
  many = await fill('secured-many', MANY_MESSAGES);
});

afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

async function fill(name: string, messages: number): Promise<Filled> {
  const { bootstrapServers } = kafka.cluster;
  const oracle = await Oracle.open();
  cleanUps.push(() => oracle.close());
  const topic = await topics.create(name, { partitions: PARTITIONS });
  const scriptPath = join(folder.path, `${name}.jsonl`);
  const recordPath = join(folder.path, `${name}.csv`);
  const script = new ScriptWriter(scriptPath);
  script.open('plain', false, 2_000);
  while (script.nextNumber < messages) {
    const number = script.nextNumber;
    const text = { key: toHex(`key-${number}`), value: toHex(`value ${number}`) };
    script.send('plain', {
      partition: number % PARTITIONS,
      timestamp: 1_700_000_000_000 + number,
      headers: [],
      ...text,
    });
    if (number % 5_000 === 0) await script.drain();
  }
  await script.close();
  await produce('librdkafka', { bootstrapServers, topic, codec: 'none', scriptPath, recordPath });
  await oracle.addScript(scriptPath);
  await oracle.expect([recordPath]);
  return { topic, messages, oracle };
}

describe('TLS', () => {
  test('reads through it with the authority named, in both offset modes', async () => {
    await expectInBothModes({ listener: 'TLS', options: tls() });
  });

  test('an authority that did not sign the certificate is refused', async () => {
    const options = { ...tls(), 'ssl.ca.location': kafka.stranger.certificate };
    await expectRefused(
      { listener: 'TLS', options },
      /certificate of broker 127\.0\.0\.1:\d+ is not trusted .*ssl\.ca\.location/,
    );
  });

  test('a certificate of another host is refused, unless names are not checked', async () => {
    const attempt = { listener: 'OTHERHOST', options: tls() };
    await expectRefused(
      attempt,
      /certificate of broker 127\.0\.0\.1:\d+ .*broker\.example.*ssl\.endpoint\.identification/,
    );
    const unchecked = { ...tls(), 'ssl.endpoint.identification.algorithm': 'none' };
    await expectInBothModes({ ...attempt, options: unchecked });
  });

  test('a client certificate opens a listener that asks for one, and nothing else does', async () => {
    const options = {
      ...tls(),
      'ssl.certificate.location': kafka.client.certificate,
      'ssl.key.location': kafka.client.key,
      'ssl.key.password': CLIENT_KEY_PASSWORD,
    };
    await expectInBothModes({ listener: 'MUTUAL', options });
    await expectRefused({ listener: 'MUTUAL', options: tls() }, /127\.0\.0\.1:\d+ .*ssl\.certificate\.location/);
    const wrongPassword = { ...options, 'ssl.key.password': 'pw-wrong-2Lk6' };
    await expectRefused(
      { listener: 'MUTUAL', options: wrongPassword },
      /ssl\.key\.location .*ssl\.key\.password does not open it/,
      {
        secrets: ['pw-wrong-2Lk6'],
        code: 2,
      },
    );
  });

  test('stores in PEM under the names of the Java client, in both offset modes', async () => {
    const store = join(folder.path, 'client.store.pem');
    const { certificate, key } = kafka.client;
    await writeFile(store, `${await readFile(key, 'utf8')}${await readFile(certificate, 'utf8')}`);
    const options = {
      'security.protocol': 'SSL',
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': kafka.authority.certificate,
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': store,
      'ssl.key.password': CLIENT_KEY_PASSWORD,
    };
    await expectInBothModes({ listener: 'MUTUAL', options });
    const java = { 'security.protocol': 'SSL', 'ssl.truststore.location': '/etc/kafka/trust.jks' };
    await expectRefused({ listener: 'TLS', options: java }, /keytool -importkeystore .*openssl pkcs12/, { code: 2 });
  });

  test("a protocol that is not the listener's is named", async () => {
    const named = /^kafkaload: broker 127\.0\.0\.1:\d+ .*set security\.protocol to /;
    await expectRefused({ listener: 'TLS', options: {} }, named);
    await expectRefused({ listener: 'LOGIN', options: {} }, named);
    await expectRefused({ listener: 'TLSLOGIN', options: {} }, named);
    await expectRefused({ listener: 'PLAINTEXT', options: tls() }, named);
    await expectRefused({ listener: 'LOGIN', options: tls() }, named);
    await expectRefused({ listener: 'TLSLOGIN', options: tls() }, named);
    await expectRefused({ listener: 'PLAINTEXT', options: login('PLAIN') }, named);
    await expectRefused({ listener: 'TLSLOGIN', options: login('SCRAM-SHA-512') }, named);
  });
});

describe('SASL', () => {
  test.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)('%s: logs in, in both offset modes', async (name) => {
    await expectInBothModes({ listener: 'LOGIN', options: login(name) });
  });

  test('SCRAM-SHA-512 through TLS, in both offset modes', async () => {
    const options = { ...tls(), ...login('SCRAM-SHA-512'), 'security.protocol': 'SASL_SSL' };
    await expectInBothModes({ listener: 'TLSLOGIN', options });
  });

  test('OAUTHBEARER with a token, in both offset modes', async () => {
    await expectInBothModes({ listener: 'TOKEN', options: bearer(tokens.valid) });
  });

  test('OAUTHBEARER with a token from a file and from a command, in both offset modes', async () => {
    const path = join(folder.path, 'token');
    await writeFile(path, `${tokens.valid}\n`);
    const { 'sasl.oauthbearer.token': _, ...others } = bearer('');
    const file = { ...others, 'sasl.oauthbearer.token.endpoint.url': `file://${path}` };
    await expectInBothModes({ listener: 'TOKEN', options: file });
    await expectInBothModes({
      listener: 'TOKEN',
      options: { ...others, 'sasl.oauthbearer.token.command': `cat ${path}` },
    });
    await rm(path);
    await expectRefused(
      { listener: 'TOKEN', options: file },
      /cannot read the bearer token of .*token\.endpoint\.url from /,
    );
    const failing = { ...others, 'sasl.oauthbearer.token.command': `echo ${tokens.valid}; exit 7` };
    await expectRefused({ listener: 'TOKEN', options: failing }, /the command of .*token\.command ended with 7/);
  });

  test('a token that has run out is refused', async () => {
    await expectRefused({ listener: 'TOKEN', options: bearer(tokens.expired) }, /refused the login with OAUTHBEARER/);
  });

  test.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)('%s: a wrong password is refused', async (name) => {
    const options = { ...login(name), 'sasl.password': 'pw-wrong-2Lk6' };
    const said = new RegExp(`broker 127\\.0\\.0\\.1:\\d+ refused the login with ${name}; check sasl\\.username`);
    await expectRefused({ listener: 'LOGIN', options }, said, { secrets: ['pw-wrong-2Lk6'] });
  });

  test('a mechanism that is not offered: says which are', async () => {
    const attempt = { listener: 'TOKEN', options: login('SCRAM-SHA-256') };
    await expectRefused(attempt, /does not offer sasl\.mechanisms? SCRAM-SHA-256; it offers .*PLAIN/);
  });

  test('a run that is longer than a session logs in again and goes on', async () => {
    // Small answers and a quota make the run last several sessions, however fast the machine is.
    const options = { ...login('SCRAM-SHA-512'), 'fetch.max.bytes': 1_024 };
    const outlast = async (mode: OffsetsMode): Promise<void> => {
      await topics.limitFetch(`slow-${mode}`, SLOW_BYTES_PER_SECOND);
      const own = { ...options, 'client.id': `slow-${mode}` };
      const attempt = { listener: 'SHORT', options: own, mode, from: many, args: ['--verbose'] };
      const { seconds, stderr } = await expectOffloaded(attempt);
      expect(seconds).toBeGreaterThan((2 * SESSION_MS) / 1_000);
      expect(stderr).not.toMatch(/warn|failed|closed/i);
    };
    await Promise.all(OFFSETS_MODES.map(outlast));
  });
});

describe('OAUTHBEARER in the middle of a run', () => {
  test('a run that is longer than a session and a token logs in with another token and goes on', async () => {
    const { 'sasl.oauthbearer.token': _, ...others } = bearer('');
    const outlive = async (mode: OffsetsMode): Promise<void> => {
      const counted = join(folder.path, `counted-${mode}`);
      const options = {
        ...others,
        'sasl.oauthbearer.token.command': shortToken(counted),
        'client.id': `token-${mode}`,
        'fetch.max.bytes': 1_024,
      };
      await topics.limitFetch(`token-${mode}`, SLOW_BYTES_PER_SECOND);
      const attempt = { listener: 'SHORT', options, mode, from: many, args: ['--verbose'] };
      const { seconds, stderr } = await expectOffloaded(attempt);
      expect(seconds).toBeGreaterThan(TOKEN_SECONDS);
      expect(stderr).not.toMatch(/warn|failed|closed/i);
      expect((await readFile(counted, 'utf8')).length).toBeGreaterThan(2);
    };
    // Both wait for the broker most of the time.
    await Promise.all(OFFSETS_MODES.map(outlive));
  });
});

describe('permissions', () => {
  test('none to read the topic: named', async () => {
    const options = login('PLAIN', 'noRead');
    await grant(kafka.cluster.bootstrapServers, [{ user: 'noRead', on: 'TOPIC', name: few.topic, may: 'DESCRIBE' }]);
    await expectRefused({ listener: 'LOGIN', options }, new RegExp(`Read .*topic ${few.topic}`, 'i'));
  });

  test('none to see the topic: named, or not found', async () => {
    const hidden = await topics.create('hidden');
    await expectRefused({ listener: 'LOGIN', options: login('PLAIN', 'noRead') }, new RegExp(hidden), {
      topic: hidden,
    });
  });

  test('none on the cluster: sizes are estimated from a sample', async () => {
    await grant(kafka.cluster.bootstrapServers, [{ user: 'reader', on: 'TOPIC', name: few.topic, may: 'READ' }]);
    await expectOffloaded({ listener: 'LOGIN', options: login('PLAIN', 'reader'), mode: 'FILE' });
  });

  test('to write the offsets topic: asked for step by step', async () => {
    const offsets = topics.reserve('offsets');
    const attempt = { listener: 'LOGIN', options: login('PLAIN', 'reader'), mode: 'STREAM', offsets } as const;
    const allow = (may: 'READ' | 'WRITE' | 'CREATE') =>
      grant(kafka.cluster.bootstrapServers, [{ user: 'reader', on: 'TOPIC', name: offsets, may }]);
    await expectRefused(attempt, new RegExp(`permission Describe on topic ${offsets}`));
    await allow('READ');
    await expectRefused(attempt, new RegExp(`create topic ${offsets}.*authoriz`, 'i'));
    await allow('CREATE');
    await expectRefused(attempt, new RegExp(`transactional id kafkaload/${offsets}/one.*authoriz`, 'i'));
    const name = `kafkaload/${offsets}/one`;
    await grant(kafka.cluster.bootstrapServers, [{ user: 'reader', on: 'TRANSACTIONAL_ID', name, may: 'WRITE' }]);
    await expectRefused(attempt, new RegExp(`write to topic ${offsets}.*authoriz`, 'i'), {
      logged: /warning: the run record stays: .*Producer attempted a transactional operation in an invalid state/,
    });
    await allow('WRITE');
    await expectOffloaded(attempt);
  });
});

test('permissions of a member of a group are asked for one by one', async () => {
  const { bootstrapServers } = kafka.cluster;
  const { topic } = few;
  const groupId = randomName('group');
  const sasl = { mechanism: 'PLAIN', username: 'noRead', password: PASSWORDS.noRead } as const;
  const cluster = new Cluster({ ...connectionSettings(kafka.cluster.listener('LOGIN')), sasl });
  const timeouts = { sessionTimeoutMs: 10_000, heartbeatIntervalMs: 500, rebalanceTimeoutMs: 10_000 };
  const ignore = async (): Promise<void> => {};
  let isAssigned: boolean = false;
  const assigned = async (): Promise<void> => {
    isAssigned = true;
  };
  const join = (): Promise<GroupMember> =>
    openGroupMember({
      ...{ cluster, settings: { groupId, instanceId: null, ...timeouts } },
      topics: async () => [{ topic, topicId: null, partitions: [0] }],
      listener: { assigned, revoked: ignore, lost: ignore },
      signal: new AbortController().signal,
    });
  const missing = (right: string) =>
    expect.objectContaining({
      code: 'NOT_AUTHORIZED',
      message: expect.stringContaining(`the user needs the permission ${right} (kafka-acls)`),
    });
  await expect(join()).rejects.toThrow(missing(`Read on group ${groupId}`));
  await grant(bootstrapServers, [{ user: 'noRead', on: 'GROUP', name: groupId, may: 'DESCRIBE' }]);
  await expect(join()).rejects.toThrow(missing(`Read on group ${groupId}`));
  await grant(bootstrapServers, [{ user: 'noRead', on: 'GROUP', name: groupId, may: 'READ' }]);
  const member = await join();
  try {
    await waitFor('the partition', () => isAssigned);
    await expect(member.commit([{ topic, partition: 0, offset: 1 }])).rejects.toThrow(
      missing(`Read on topic ${topic}`),
    );
    expect(member.signal.aborted).toBe(false);
  } finally {
    await member.close();
    cluster.close();
  }
});

describe('permissions to load', () => {
  const may = (on: Grant['on'], name: string, ...rights: Grant['may'][]) =>
    grant(
      kafka.cluster.bootstrapServers,
      rights.map((right) => ({ user: 'writer', on, name, may: right })),
    );

  test('are asked for one by one, and with all that were asked for it goes', async () => {
    const target = topics.reserve('written');
    const progress = topics.reserve('progress');
    const asked: string[] = [];
    const kinds = { topic: 'TOPIC', 'transactional id': 'TRANSACTIONAL_ID' } as const;
    for (;;) {
      const { code, stderr } = await attemptLoad(target, progress);
      if (code === 0) break;
      expect(code, stderr).toBe(1);
      const [, right = '', kind = '', name = ''] =
        /the user needs the permission (\w+) on (topic|transactional id) ([^\s,]+)/.exec(stderr) ?? [];
      expect(kind, stderr).not.toBe('');
      expect(asked, stderr).not.toContain(`${right} on ${name}`);
      asked.push(`${right} on ${name}`);
      await may(kinds[kind as keyof typeof kinds], name, right.toUpperCase() as Grant['may']);
    }
    expect(asked).toEqual(
      expect.arrayContaining([
        `Create on ${target}`,
        `Write on ${target}`,
        `Create on ${progress}`,
        `Write on ${progress}`,
      ]),
    );
  });
});

test('files of state are readable by their owner alone, data by the umask', async () => {
  const { code, stderr, work } = await attemptRun({ listener: 'PLAINTEXT', options: {} });
  expect(code, stderr).toBe(0);
  const modes = async (path: string): Promise<number[]> => {
    const names = await readdir(path, { withFileTypes: true });
    const files = names.filter((entry) => entry.isFile());
    return await Promise.all(files.map(async ({ name }) => (await stat(join(path, name))).mode & 0o777));
  };
  const state = await modes(join(work, 'offsets'));
  expect(state.length).toBeGreaterThan(1);
  expect(new Set(state)).toEqual(new Set([0o600]));
  expect(new Set(await modes(join(work, 'out')))).toEqual(new Set([0o666 & ~process.umask()]));
});

/** Loads three rows as the user `writer`. */
async function attemptLoad(target: string, progress: string): Promise<ProgramResult> {
  const work = join(folder.path, randomName('work'));
  const servers = kafka.cluster.listener('LOGIN');
  await mkdir(work);
  await writeFile(join(work, 'in.csv'), 'key,value\n1,a\n2,b\n3,c\n');
  const conf = await writeConfig(work, {
    bootstrapServers: servers,
    mode: 'FILE',
    offsets: join(work, 'offsets'),
    topics: { copy: { topicName: target } },
    more: { progressTopic: progress, serverOptions: { 'bootstrap.servers': servers, ...login('PLAIN', 'writer') } },
  });
  const from = ['--path', 'in.csv', '--format', 'csv', '--options', 'header=true'];
  return await runCommand([...from, '--write-config', 'copy', '--conf', conf], { cwd: work });
}

function tls(): Options {
  return { 'security.protocol': 'SSL', 'ssl.ca.location': kafka.authority.certificate };
}

function login(mechanism: string, user: User = 'loader'): Options {
  return {
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': mechanism,
    'sasl.username': user,
    'sasl.password': PASSWORDS[user],
  };
}

/** A command of the shell that prints a token of TOKEN_SECONDS, as `unsecuredToken`, and leaves a mark each time. */
function shortToken(counted: string): string {
  const part = `part() { printf %s "$1" | base64 -w0 | tr +/ -_ | tr -d =; }`;
  const claims = `{\\"sub\\":\\"loader\\",\\"iat\\":$now,\\"exp\\":$((now + ${TOKEN_SECONDS}))}`;
  return `${part}; now=$(date +%s); printf x >> '${counted}'; echo "$(part '{"alg":"none"}').$(part "${claims}")."`;
}

function bearer(token: string): Options {
  return {
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': 'OAUTHBEARER',
    'sasl.oauthbearer.token': token,
  };
}

async function attemptRun(
  { listener, options, mode = 'FILE', offsets, args = [], from = few }: Attempt,
  topic = from.topic,
): Promise<ProgramResult & { work: string; seconds: number }> {
  const work = join(folder.path, randomName('work'));
  const { bootstrapServers } = kafka.cluster;
  const servers = listener === 'PLAINTEXT' ? bootstrapServers : kafka.cluster.listener(listener);
  await mkdir(work);
  const conf = await writeConfig(work, {
    bootstrapServers: servers,
    mode,
    offsets: offsets ?? (mode === 'FILE' ? join(work, 'offsets') : topics.reserve('offsets')),
    topics: { one: { topicName: topic, fields: FIELDS } },
    more: { serverOptions: { 'bootstrap.servers': servers, ...options } },
  });
  const began = performance.now();
  const target = ['--config', 'one', '--write-path', join(work, 'out'), '--conf', conf];
  const result = await runCommand([...target, '--report', 'json', ...args], { cwd: work });
  const said = result.stdout + result.stderr;
  for (const secret of [...Object.values(PASSWORDS), CLIENT_KEY_PASSWORD, ...Object.values(tokens)]) {
    expect(said).not.toContain(secret);
  }
  return { ...result, work, seconds: (performance.now() - began) / 1_000 };
}

/** With the saved offsets in a topic the login is librdkafka's too. */
async function expectInBothModes(attempt: Attempt): Promise<void> {
  await Promise.all(OFFSETS_MODES.map((mode) => expectOffloaded({ ...attempt, mode })));
}

/** Every message is in the files once. */
async function expectOffloaded(attempt: Attempt): Promise<{ seconds: number; stderr: string }> {
  const { messages, oracle } = attempt.from ?? few;
  const { work, ...result } = await attemptRun(attempt);
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect((JSON.parse(result.stdout) as JsonReport).rows).toBe(messages);
  expect(await oracle.compare([join(work, 'out', '*.parquet')])).toEqual({
    produced: messages,
    found: messages,
    missing: 0,
    unexpected: 0,
    examples: [],
  });
  return result;
}

/** One line, soon, with exit status 1 (2 for what no broker is asked about) and no secret, with --verbose too. */
async function expectRefused(
  attempt: Attempt,
  said: RegExp,
  more: {
    readonly secrets?: readonly string[];
    readonly topic?: string;
    readonly code?: number;
    /** A line of the log that comes before it. */
    readonly logged?: RegExp;
  } = {},
): Promise<void> {
  const { secrets = [], topic, code = 1, logged = /^$/ } = more;
  // Where there is a secret to tell, once more with all there is to say.
  for (const args of secrets.length > 0 ? [[], ['--verbose']] : [[]]) {
    const result = await attemptRun({ ...attempt, args }, topic);
    expect(result.code, result.stderr).toBe(code);
    expect(result.stdout).toBe('');
    const lines = result.stderr.trimEnd().split('\n');
    const [line = '', ...others] = lines.filter((each) => each.startsWith('kafkaload: '));
    expect(line).toMatch(said);
    expect(others).toEqual([]);
    if (args.length === 0) for (const each of lines) if (each !== line) expect(each).toMatch(logged);
    expect(result.seconds).toBeLessThan(QUICK_SECONDS);
    for (const secret of secrets) expect(result.stdout + result.stderr).not.toContain(secret);
  }
}
