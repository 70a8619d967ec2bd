import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mustRun } from './cache.ts';
import { type ScriptMessage, ScriptWriter } from './script.ts';
import { javaClassPath, kafkaClassPath, pythonWithLibrdkafka } from './servers.ts';
import { randomName } from './topics.ts';

export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type Codec = (typeof CODECS)[number];

export const PRODUCERS = ['java', 'librdkafka'] as const;
export type ProducerKind = (typeof PRODUCERS)[number];

export interface ProduceOptions {
  readonly bootstrapServers: string;
  readonly topic: string;
  readonly codec: Codec;
  /** Made with ScriptWriter. */
  readonly scriptPath: string;
  /** CSV to write: n, partition, offset, timestamp, timestampType, committed. */
  readonly recordPath: string;
}

/**
 * Carries out a script with one of the two clients, which records what the broker acknowledged.
 *
 * @throws Error when a message is not delivered, or the client cannot produce the codec.
 */
export async function produce(kind: ProducerKind, options: ProduceOptions): Promise<void> {
  const args = [options.bootstrapServers, options.topic, options.codec, options.scriptPath, options.recordPath];
  if (kind === 'librdkafka') {
    const script = fileURLToPath(new URL('./python/recording_producer.py', import.meta.url));
    await mustRun(await pythonWithLibrdkafka(), [script, ...args]);
    return;
  }
  const source = fileURLToPath(new URL('./java/RecordingProducer.java', import.meta.url));
  const classPath = await javaClassPath(source);
  // Short runs: the first compiler alone costs a quarter less CPU time than both.
  const machine = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const logging = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';
  await mustRun('java', [...machine, logging, '-cp', classPath, 'RecordingProducer', ...args]);
}

/** Sends messages with librdkafka, lz4, and waits for their acknowledgement. */
export async function sendMessages(
  target: { bootstrapServers: string; topic: string; folder: string },
  messages: Iterable<ScriptMessage>,
): Promise<void> {
  const name = join(target.folder, randomName('send'));
  const script = new ScriptWriter(`${name}.jsonl`);
  // Small batches: a broker never sends less than a whole one, and some tests need a run to take small steps.
  script.open('plain', false, 20_000);
  for (const message of messages) {
    script.send('plain', message);
    if (script.nextNumber % 1_000 === 0) await script.drain();
  }
  await script.close();
  const { bootstrapServers, topic } = target;
  const paths = { scriptPath: `${name}.jsonl`, recordPath: `${name}.csv` };
  await produce('librdkafka', { bootstrapServers, topic, codec: 'lz4', ...paths });
}

export interface TopicMessage {
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** Everything librdkafka's consumer reads from a topic under read_committed, in no order between partitions. */
export async function readTopic(bootstrapServers: string, topic: string): Promise<TopicMessage[]> {
  const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, 'hex'));
  const lines = await runReader(bootstrapServers, topic, []);
  return lines.map((line) => {
    const message = JSON.parse(line) as { partition: number; offset: number; timestamp: number } & {
      key: string | null;
      value: string | null;
    };
    return { ...message, key: bytes(message.key), value: bytes(message.value) };
  });
}

/** A message as the Java client reads it. */
export interface JavaMessage extends TopicMessage {
  readonly headers: readonly (readonly [key: string, value: Buffer | null])[];
}

/** Everything the Java client reads from a topic under read_committed, headers too; partitions in no order. */
export async function readTopicWithJava(bootstrapServers: string, topic: string): Promise<JavaMessage[]> {
  const source = fileURLToPath(new URL('./java/ReadTopic.java', import.meta.url));
  const machine = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const logging = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';
  const classPath = await javaClassPath(source);
  const output = await mustRun('java', [...machine, logging, '-cp', classPath, 'ReadTopic', bootstrapServers, topic]);
  const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, 'hex'));
  const lines = output.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const message = JSON.parse(line) as Pick<TopicMessage, 'partition' | 'offset' | 'timestamp'> & {
      readonly key: string | null;
      readonly value: string | null;
      readonly headers: readonly [string, string | null][];
    };
    const headers = message.headers.map(([key, value]) => [key, bytes(value)] as const);
    return { ...message, key: bytes(message.key), value: bytes(message.value), headers };
  });
}

/** Positions of all messages librdkafka's consumer reads from a topic, as lines of JSON with partition and offset. */
export function readPositions(bootstrapServers: string, topic: string): Promise<string[]> {
  return runReader(bootstrapServers, topic, ['positions']);
}

async function runReader(bootstrapServers: string, topic: string, options: readonly string[]): Promise<string[]> {
  const script = fileURLToPath(new URL('./python/read_topic.py', import.meta.url));
  const output = await mustRun(await pythonWithLibrdkafka(), [script, bootstrapServers, topic, ...options]);
  return output.split('\n').filter((line) => line !== '');
}

/** Fills partition 0 with `count` messages of random bytes as fast as the Java client can. */
export async function fillTopic(
  bootstrapServers: string,
  topic: string,
  options: { count: number; bytes: number },
): Promise<void> {
  await mustRun('java', [
    ...[
      '-Xmx512m',
      '-XX:+UseSerialGC',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
      '-cp',
      await kafkaClassPath(),
    ],
    ...['org.apache.kafka.tools.ProducerPerformance', '--topic', topic, '--throughput', '-1'],
    ...['--num-records', String(options.count), '--record-size', String(options.bytes)],
    ...['--producer-props', `bootstrap.servers=${bootstrapServers}`, 'compression.type=lz4', 'batch.size=200000'],
  ]);
}

/** A transaction somebody left open in a topic: killing the process leaves it to the broker's time-out. */
export async function openTransaction(
  bootstrapServers: string,
  options: { topic: string; transactionalId: string; key: string; value: string },
): Promise<{ kill: () => Promise<void> }> {
  const script = fileURLToPath(new URL('./python/open_transaction.py', import.meta.url));
  const { topic, transactionalId, key, value } = options;
  const args = [script, bootstrapServers, topic, transactionalId, key, value];
  const child = spawn(await pythonWithLibrdkafka(), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  const opened = once(child.stdout, 'data');
  const failed = gone.then(([code]) => {
    throw new Error(`the transaction could not be opened: python ended with ${String(code)}`);
  });
  await Promise.race([opened, failed]);
  failed.catch(() => {});
  return {
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
