/** The topics that a load writes to: found, or made. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TopicSink, TopicToCreate } from '../../config/job.ts';
import type { KafkaSettings } from '../../config/kafkaSettings.ts';
import { OffloadError } from '../../errors.ts';
import { createTopic } from '../../kafka/client.ts';
import type { Cluster } from '../../kafka/cluster.ts';

const NEW_TOPIC_WAIT_MS = 15_000;
const NEW_TOPIC_LOOK_MS = 100;

/**
 * Number of partitions of a topic, which is made if it is not there.
 *
 * @throws OffloadError NOT_AUTHORIZED, BROKER_REFUSED; BROKER_TIMEOUT if it cannot be seen after it was made.
 */
export async function ensureTopic(
  cluster: Cluster,
  kafka: KafkaSettings,
  wanted: TopicToCreate & { readonly topic: string },
): Promise<number> {
  const found = await cluster.findTopic(wanted.topic);
  if (found) return found.partitions.length;
  // What the control path makes is compacted unless told otherwise; brokers delete by default.
  const createOptions = { 'cleanup.policy': 'delete', ...wanted.createOptions };
  await createTopic(kafka, { ...wanted, createOptions });
  for (let waitedMs = 0; waitedMs < NEW_TOPIC_WAIT_MS; waitedMs += NEW_TOPIC_LOOK_MS) {
    const made = await cluster.findTopic(wanted.topic);
    if (made) return made.partitions.length;
    await sleep(NEW_TOPIC_LOOK_MS);
  }
  throw new OffloadError(
    'BROKER_TIMEOUT',
    `topic ${wanted.topic} is not there ${NEW_TOPIC_WAIT_MS / 1000} s after it was created; run again`,
    { context: { topic: wanted.topic } },
  );
}

/** The topic of progress is compacted, unless its options say otherwise. */
export function compacted(progress: TopicSink['progress']): TopicSink['progress'] {
  return { ...progress, createOptions: { 'cleanup.policy': 'compact', ...progress.createOptions } };
}
