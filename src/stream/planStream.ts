/** What a stream would do, from one look: it joins no group, and creates, commits and finishes nothing. */
import type { GroupSettings } from '../config/job.ts';
import type { StreamJob } from '../coordinator/jobs.ts';
import { resolveOffsets } from '../coordinator/lookup.ts';
import { Cluster } from '../kafka/cluster.ts';
import { GroupCoordinator } from '../kafka/groupCoordinator.ts';
import { offsetKey } from '../plan/places.ts';
import { Looker } from './looker.ts';
import { planBatch } from './planBatch.ts';
import { TopicCatalog } from './topicCatalog.ts';
import type { Position } from './types.ts';

/**
 * @returns The plan as text: where the group is, how far the logs go, and what the first micro-batch would take if this
 *   process had all partitions.
 * @throws OffloadError as a stream would at its start.
 */
export async function planStream(job: StreamJob, group: GroupSettings, signal: AbortSignal): Promise<string> {
  const { source, stream } = job;
  const cluster = new Cluster(source.kafka.connection, signal);
  const coordinator = new GroupCoordinator(source.kafka.connection, group);
  try {
    const catalog = new TopicCatalog(cluster, source.selection, job.offsets);
    const looker = new Looker(cluster, source, catalog);
    const topics = await catalog.open();
    const places = topics.flatMap(({ topic, selected }) => selected.map((partition) => ({ topic, partition })));
    const [bounds, offsets] = [await looker.bounds(places), await coordinator.fetchOffsets(places, signal)];
    const where = source.startIsAsked ? '--starting-offsets' : 'startingOffsets';
    const starting = await resolveOffsets(
      ...([cluster, topics, source.kafka, source.startingOffsets, [...bounds.values()], where] as const),
    );
    const positions = places.map((place, index): Position => {
      const committed = offsets[index] ?? -1;
      const start = starting.get(offsetKey(place)) ?? bounds.get(offsetKey(place))?.logStartOffset ?? 0;
      return { ...place, offset: committed < 0 ? start : committed };
    });
    const plan = planBatch({
      ...{ group: group.groupId, positions, bounds, ends: null, maxBytes: null },
      bytesPerOffset: await looker.bytesPerOffset(bounds),
      maxOffsets: stream.maxOffsetsPerTrigger,
      failOnDataLoss: source.failOnDataLoss,
    });
    const known = new Map(places.map((place, index) => [offsetKey(place), offsets[index] ?? -1]));
    const lines = plan.lag.map((entry) => {
      const committed = known.get(offsetKey(entry)) ?? -1;
      const from = committed < 0 ? `begins at ${entry.position}` : `group is at ${entry.position}`;
      const range = plan.ranges.find((each) => offsetKey(each) === offsetKey(entry));
      const first = range ? `first micro-batch [${range.startOffset}, ${range.endOffset})` : 'nothing new';
      return `  ${offsetKey(entry)}: ${from}, log ends at ${entry.end}; ${first}`;
    });
    return [
      `plan: a stream of ${topics.map(({ topic }) => topic).join(', ')} to ${describeTarget(job)}, as group ${group.groupId}, ${describeTrigger(stream.trigger)}`,
      ...lines,
      'nothing was joined, read, written or committed',
      '',
    ].join('\n');
  } finally {
    coordinator.close();
    cluster.close();
  }
}

function describeTarget({ sink }: StreamJob): string {
  switch (sink.kind) {
    case 'files':
      return sink.target.path;
    case 'topic':
      return `topic ${sink.topic}`;
    case 'table':
      return `table ${sink.schema === null ? '' : `${sink.schema}.`}${sink.table}`;
    case 'console':
      return 'the console';
  }
}

function describeTrigger(trigger: StreamJob['stream']['trigger']): string {
  if (trigger.kind === 'availableNow') return 'until all there is now is taken';
  const every = `every ${trigger.intervalMs / 1000} s`;
  return trigger.kind === 'processingTime' ? `a micro-batch ${every}` : `continuously, committed ${every}`;
}
