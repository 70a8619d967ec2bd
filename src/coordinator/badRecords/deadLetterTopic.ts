import type { Job, KafkaSettings, TopicSource } from '../../config/job.ts';
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
