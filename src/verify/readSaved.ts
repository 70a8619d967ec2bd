/** Saved offsets of a config, as they stand: nothing is locked or recovered. */
import { readSavedState, type VisibleState } from '../commit/session.ts';
import type { VerifyJob } from '../config/job.ts';
import { namedTopics } from '../config/topicSelection.ts';
import { plainTopicOf } from '../coordinator/topics.ts';
import { Cluster } from '../kafka/cluster.ts';

type SavedSettings = NonNullable<VerifyJob['saved']>;

/** @throws OffloadError SAVED_OFFSETS_INVALID, IO_FAILED and broker errors. */
export async function readSaved(
  { config, selection, offsets }: SavedSettings,
  cluster: Cluster,
  signal: AbortSignal,
): Promise<VisibleState> {
  const offsetsCluster = offsets.kafka ? new Cluster(offsets.kafka.connection, signal) : cluster;
  try {
    return await readSavedState({
      config,
      topics: namedTopics(selection),
      plainTopic: plainTopicOf(selection),
      offsets,
      reader: async (topic, options) => {
        const { readTopicCommitted } = await import('../kafka/topicReader.ts');
        return readTopicCommitted(offsetsCluster, topic, options);
      },
    });
  } finally {
    if (offsetsCluster !== cluster) offsetsCluster.close();
  }
}
