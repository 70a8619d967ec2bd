/** Runs of the command on a broker with listeners and users of every kind: attempts, and what is expected of them. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import type { ProgramResult } from './cache.ts';
import { type JsonReport, runCommand, temporaryFolder, writeConfig } from './command.ts';
import { ORACLE_FIELDS, Oracle } from './oracle.ts';
import { produce } from './producers.ts';
import { ScriptWriter, toHex } from './script.ts';
import { CLIENT_KEY_PASSWORD, PASSWORDS, type SecureKafka, startSecureKafka, TOKENS } from './secureBroker.ts';
import { randomName, TestTopics } from './topics.ts';
import { OFFSETS_MODES, type OffsetsMode } from './workspace.ts';

const MESSAGES = 4_000;
const PARTITIONS = 4;
/** A wrong setting must be told long before the deadline of 60 s that retries have. */
const QUICK_SECONDS = 15;

/** A topic with what it holds. */
export interface Filled {
  readonly topic: string;
  readonly messages: number;
  readonly oracle: Oracle;
}

interface Attempt {
  readonly listener: string;
  readonly options: Readonly<Record<string, string | number>>;
  /** Default: the one with few messages. */
  readonly from?: Filled;
  readonly mode?: OffsetsMode;
  /** Keeps offsets from attempt to attempt. */
  readonly offsets?: string;
  readonly args?: readonly string[];
}

interface Place {
  readonly folder: string;
  readonly kafka: SecureKafka;
  readonly topics: TestTopics;
  /** What ends after the tests, the last of them first. */
  readonly cleanUps: (() => Promise<void> | void)[];
}

/** Sets up, for the tests of a file, a broker of their own with a topic of few messages. */
export function useSecureRuns(): () => SecureRuns {
  const cleanUps: Place['cleanUps'] = [];
  let runs: SecureRuns;
  beforeAll(async () => {
    const folder = await temporaryFolder();
    cleanUps.push(folder.remove);
    const kafka = await startSecureKafka(folder.path);
    cleanUps.push(kafka.cluster.stop);
    const topics = new TestTopics(kafka.cluster.bootstrapServers);
    cleanUps.push(() => topics.cleanUp());
    const place = { folder: folder.path, kafka, topics, cleanUps };
    runs = new SecureRuns(place, await fill(place, 'secured', MESSAGES));
  });
  afterAll(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  });
  return () => runs;
}

export class SecureRuns {
  readonly #place: Place;
  readonly folder: string;
  readonly kafka: SecureKafka;
  readonly topics: TestTopics;
  /** The topic of attempts that name no other. */
  readonly few: Filled;

  constructor(place: Place, few: Filled) {
    this.#place = place;
    this.folder = place.folder;
    this.kafka = place.kafka;
    this.topics = place.topics;
    this.few = few;
  }

  /** Makes another topic. */
  fill(name: string, messages: number): Promise<Filled> {
    return fill(this.#place, name, messages);
  }

  async attempt(
    { listener, options, mode = 'FILE', offsets, args = [], from = this.few }: Attempt,
    topic = from.topic,
  ): Promise<ProgramResult & { work: string; seconds: number }> {
    const work = join(this.folder, randomName('work'));
    const { bootstrapServers } = this.kafka.cluster;
    const servers = listener === 'PLAINTEXT' ? bootstrapServers : this.kafka.cluster.listener(listener);
    await mkdir(work);
    const conf = await writeConfig(work, {
      bootstrapServers: servers,
      mode,
      offsets: offsets ?? (mode === 'FILE' ? join(work, 'offsets') : this.topics.reserve('offsets')),
      topics: { one: { topicName: topic, fields: ORACLE_FIELDS } },
      more: { serverOptions: { 'bootstrap.servers': servers, ...options } },
    });
    const began = performance.now();
    const target = ['--config', 'one', '--write-path', join(work, 'out'), '--conf', conf];
    const result = await runCommand([...target, '--report', 'json', ...args], { cwd: work });
    const said = result.stdout + result.stderr;
    for (const secret of [...Object.values(PASSWORDS), CLIENT_KEY_PASSWORD, ...Object.values(TOKENS)]) {
      expect(said).not.toContain(secret);
    }
    return { ...result, work, seconds: (performance.now() - began) / 1_000 };
  }

  /** With the saved offsets in a topic the login is librdkafka's too. */
  async expectInBothModes(attempt: Attempt): Promise<void> {
    await Promise.all(OFFSETS_MODES.map((mode) => this.expectOffloaded({ ...attempt, mode })));
  }

  /** Every message is in the files once. */
  async expectOffloaded(attempt: Attempt): Promise<{ seconds: number; stderr: string }> {
    const { messages, oracle } = attempt.from ?? this.few;
    const { work, ...result } = await this.attempt(attempt);
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
  async expectRefused(
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
      const result = await this.attempt({ ...attempt, args }, topic);
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
}

async function fill({ folder, kafka, topics, cleanUps }: Place, name: string, messages: number): Promise<Filled> {
  const { bootstrapServers } = kafka.cluster;
  const oracle = await Oracle.open();
  cleanUps.push(() => oracle.close());
  const topic = await topics.create(name, { partitions: PARTITIONS });
  const scriptPath = join(folder, `${name}.jsonl`);
  const recordPath = join(folder, `${name}.csv`);
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
