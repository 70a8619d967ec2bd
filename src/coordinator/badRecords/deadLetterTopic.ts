import type { Intent, StagedLetters } from '../../commit/types.ts';
import type { Job, TopicSource } from '../../config/job.ts';
import type { KafkaSettings } from '../../config/kafkaSettings.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import { ensureTopic } from '../load/targetTopic.ts';
import type { DeadLetterPlan } from './badRecord.ts';

/**
 * Where the bad records of a job go; their topic is made if it is not there.
 *
 * @param cluster That the topic is on, and `kafka` how it is reached.
 * @returns Null: nowhere.
 * @throws OffloadError as `ensureTopic`.
 */
export async function planDeadLetters(
  { config, source }: Pick<Job, 'config'> & { readonly source: TopicSource },
  cluster: Cluster,
  kafka: KafkaSettings,
): Promise<DeadLetterPlan | null> {
  const { onBadRecord } = source;
  if (onBadRecord.kind !== 'dlq') return null;
  const { topic, create } = onBadRecord;
  return { topic, partitions: await ensureTopic(cluster, kafka, { ...create, topic }), config };
}

/** What an intent says of dead letters that are staged; nothing where there are none. */
export function lettersOf(
  { source, offsets }: Pick<Job, 'offsets'> & { readonly source: TopicSource },
  { results }: { readonly results: readonly { readonly deadLetters: readonly StagedLetters[] }[] },
): Pick<Intent, 'deadLetters'> {
  const files = results.flatMap(({ deadLetters }) => deadLetters);
  if (source.onBadRecord.kind !== 'dlq' || files.length === 0) return {};
  const { progressTopic: topic, replicationFactor } = offsets;
  const progress = { topic, partitions: 1, replicationFactor, createOptions: {} };
  return { deadLetters: { topic: source.onBadRecord.topic, progress, files } };
}
