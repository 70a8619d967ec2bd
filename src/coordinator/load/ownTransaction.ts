import { isKnownDead } from '../../commit/owner.ts';
import { readStreamState } from '../../commit/streamState.ts';
import { toOffloadError } from '../../errors.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import { readTopicCommitted } from '../../kafka/topicReader.ts';
import type { TopicToTopicJob } from '../jobs.ts';

const HELD_MS = 2_000;

/**
 * Whether an open transaction holds up readers of the saved offsets, and it can only be that of this config's last run,
 * which is dead: it died between its progress and the commit, or behind that, and both topics are one. Then its transaction
 * is to be ended before anything is read, else everybody waits for its time-out.
 */
export async function isHeldByDeadRun(
  { config, offsets, sink }: TopicToTopicJob,
  saved: { readonly topics: readonly string[]; readonly plainTopic: string | null },
  offsetsCluster: Cluster,
  target: Cluster,
): Promise<boolean> {
  if (offsets.mode !== 'STREAM' || sink.progress.topic !== offsets.name) return false;
  if ((await offsetsCluster.clusterId()) !== (await target.clusterId())) return false;
  try {
    await readTopicCommitted(offsetsCluster, offsets.name, { waitForStableMs: HELD_MS });
    return false;
  } catch (error) {
    if (toOffloadError(error).code !== 'BROKER_TIMEOUT') throw error;
  }
  const reader = (topic: string) =>
    readTopicCommitted(offsetsCluster, topic, { waitForStableMs: 0, orStopThere: true });
  const { run } = await readStreamState(reader, { topic: offsets.name, config, ...saved, waitForStableMs: 0 });
  // One that has committed has no record any more, and may yet have died before it had forgotten its progress.
  return run === null || (run.owner !== null && (await isKnownDead(run.owner)));
}
