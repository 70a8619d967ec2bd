/**
 * Writes the dead letters of a prepared run, or of a micro-batch that counts, to their topic, once, whoever finishes it.
 * Order, and what a crash after each step leaves:
 *
 * 1. Opens the producer of the config: whoever was at it before is fenced, and what he left open is aborted.
 * 2. Looks whether they still wait. Not: another has finished, letters and all, and may be runs further.
 * 3. Reads how far they are, which counts now that nobody else can write: the run, and how many of its files are written.
 * 4. Transactions of some files each, with the progress they make. A crash: whoever comes next goes on after the last.
 *
 * A sleeper who wakes up between 1 and 4 is fenced by whoever took over, or sees in 2 that nothing is left to do. The
 * progress is kept in `kafka.progressTopic`, never in the topic of saved offsets: a transaction that is left open must not
 * hold up whoever comes to finish the run.
 */

import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCount, isObject, parseJson } from '../../commit/shapes.ts';
import type { DeadLetterOffice, IntentDeadLetters } from '../../commit/types.ts';
import type { KafkaSettings } from '../../config/kafkaSettings.ts';
import { OffloadError } from '../../errors.ts';
import { nodeFileSystem } from '../../io.ts';
import { LOAD_TRANSACTION_TIMEOUT_MS } from '../../kafka/client.ts';
import { Cluster } from '../../kafka/cluster.ts';
import { TransactionalProducer } from '../../kafka/transactionalProducer.ts';
import { passStep } from '../../steps.ts';
import { ProgressTopic, progressKey } from '../load/progressTopic.ts';
import { compacted, ensureTopic } from '../load/targetTopic.ts';
import { batchesOf, readLetters } from './stagedLetters.ts';

/** Of one run or micro-batch: a config has no two that wait. */
export interface LettersToDeliver<File extends { readonly bytes: number }> extends Omit<IntentDeadLetters, 'files'> {
  readonly config: string;
  readonly run: string;
  readonly files: readonly File[];
}

/** Bytes in one transaction, about. */
const MOST_BYTES = 16 * 1024 ** 2;
/** How often another who is at the same letters is fenced, and looked after. */
const ATTEMPTS = 3;
/** Whoever has fenced us most likely ends meanwhile; two that wait for as long would fence one another again. */
const PAUSE_MS = [200, 800] as const;

/** For letters in staging folders. @param kafka The cluster of the topic of dead letters. */
export function deadLetterOffice(kafka: KafkaSettings): DeadLetterOffice {
  return {
    deliver: (letters, isHeld) => deliverLetters(kafka, letters, (file) => readLetters(nodeFileSystem, file), isHeld),
    isDelivered: (about) =>
      withCluster(kafka, async (cluster) => {
        const { producer, done } = await open(cluster, kafka, about);
        await producer.close();
        return done > 0;
      }),
  };
}

/**
 * Writes those that are not written yet, each once.
 *
 * @param kafka The cluster of their topic.
 * @param read Gives what `stageLetters` wrote.
 * @param isHeld Whether they still wait.
 * @returns False: they do not, and nothing was written.
 */
export function deliverLetters<File extends { readonly bytes: number }>(
  kafka: KafkaSettings,
  letters: LettersToDeliver<File>,
  read: (file: File) => Promise<Buffer>,
  isHeld: () => Promise<boolean>,
): Promise<boolean> {
  return withCluster(kafka, async (cluster) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await deliver(cluster, kafka, letters, read, isHeld);
      } catch (error) {
        if (!(error instanceof OffloadError) || error.code !== 'FENCED') throw error;
        await sleep(randomInt(...PAUSE_MS));
        if (!(await isHeld())) return false;
        if (attempt === ATTEMPTS) throw error;
      }
    }
  });
}

async function withCluster<Result>(kafka: KafkaSettings, use: (cluster: Cluster) => Promise<Result>): Promise<Result> {
  const cluster = new Cluster(kafka.connection);
  try {
    return await use(cluster);
  } finally {
    cluster.close();
  }
}

async function open(
  cluster: Cluster,
  kafka: KafkaSettings,
  { config, run, progress: { topic, ...create } }: Pick<LettersToDeliver<never>, 'config' | 'run' | 'progress'>,
): Promise<{ producer: TransactionalProducer; progress: ProgressTopic; key: string; done: number }> {
  const partitions = await ensureTopic(cluster, kafka, compacted({ ...create, topic }));
  const producer = await TransactionalProducer.open(cluster, {
    transactionalId: `kafkaload.dlq/${topic}/${config}`,
    transactionTimeoutMs: LOAD_TRANSACTION_TIMEOUT_MS,
  });
  passStep('deadLetters.othersFenced');
  try {
    const progress = new ProgressTopic(topic, partitions);
    const key = progressKey(config, '_kafkaload.dlq');
    const found = (await progress.read(cluster, (each) => each === key)).get(key);
    return { producer, progress, key, done: doneOf(key, found?.value ?? null, run) };
  } catch (error) {
    await producer.close();
    throw error;
  }
}

/** How many files of a run are written. */
function doneOf(key: string, text: string | null, run: string): number {
  if (text === null) return 0;
  const value = parseJson(text);
  if (isObject(value) && typeof value.run === 'string' && isCount(value.done))
    return value.run === run ? value.done : 0;
  throw new OffloadError(
    'SAVED_OFFSETS_INVALID',
    `the record ${key} of the progress topic is "${text}", which is no progress; correct it, or write a tombstone`,
    { context: { key } },
  );
}

async function deliver<File extends { readonly bytes: number }>(
  cluster: Cluster,
  kafka: KafkaSettings,
  letters: LettersToDeliver<File>,
  read: (file: File) => Promise<Buffer>,
  isHeld: () => Promise<boolean>,
): Promise<boolean> {
  const { topic, files, run } = letters;
  const { producer, progress, key, done } = await open(cluster, kafka, letters);
  try {
    if (!(await isHeld())) return false;
    passStep('deadLetters.progressRead');
    for (let next = done; next < files.length; ) {
      await producer.begin();
      for (let bytes = 0; next < files.length && bytes < MOST_BYTES; next++) {
        const file = files[next] as File;
        await producer.send(batchesOf(await read(file), topic));
        bytes += file.bytes;
      }
      passStep('deadLetters.sent');
      await producer.send(await progress.encode([{ key, value: JSON.stringify({ run, done: next }) }]));
      await producer.commit();
      passStep('deadLetters.committed');
    }
    return true;
  } finally {
    await producer.close();
  }
}
