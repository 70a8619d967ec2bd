/** Where partitions that became ours go on: from what the sink knows, the group holds, or else `startingOffsets`. */
import type { OffsetSpec, TopicSource } from '../config/job.ts';
import { lookUpBounds, resolveOffsets } from '../coordinator/lookup.ts';
import type { SelectedTopic } from '../coordinator/topics.ts';
import { OffloadError } from '../errors.ts';
import type { Cluster } from '../kafka/cluster.ts';
import { offsetKey } from '../plan/places.ts';
import type { Looker } from './looker.ts';
import type { TopicCatalog } from './topicCatalog.ts';
import type { GroupMember, GroupOffset, Position, StreamFlow, StreamSink, TopicPartition } from './types.ts';

export interface ResumeContext {
  readonly member: GroupMember;
  readonly sink: Pick<StreamSink & StreamFlow, 'claim' | 'resume'> & Pick<StreamSink, 'groupCommitted'>;
  readonly cluster: Cluster;
  readonly source: TopicSource;
  readonly catalog: TopicCatalog;
  readonly looker: Looker;
}

/**
 * Looks up positions, and has the group hold them: what is read from there on is committed by its start as well.
 *
 * @returns One for each partition whose topic is there.
 * @throws OffloadError whatever sink and brokers meet; CONFIG_INVALID for a `startingOffsets` outside a log.
 */
export async function resumePartitions(
  { member, sink, cluster, source, catalog, looker }: ResumeContext,
  partitions: readonly TopicPartition[],
): Promise<Position[]> {
  await sink.claim?.(partitions);
  const committed = await member.committed(partitions);
  const resumed = await sink.resume(committed, catalog.ids);
  const known = new Set(resumed.map(offsetKey));
  const fresh = partitions.filter((place) => !known.has(offsetKey(place)));
  const begun = fresh.length > 0 ? await startOf(fresh) : [];
  const positions = [...resumed, ...begun];
  const held = new Map(committed.map((entry) => [offsetKey(entry), entry.offset]));
  const toCommit = positions.filter((position) => held.get(offsetKey(position)) !== position.offset);
  if (toCommit.length > 0) await member.commit(toCommit);
  await sink.groupCommitted?.(positions);
  return positions;

  /** Of a topic that the group knows already only what is new: that begins at its log start, whatever `startingOffsets` says. */
  async function startOf(places: readonly TopicPartition[]): Promise<Position[]> {
    const bounds = await looker.bounds(places);
    const topics = catalog.topics.filter(({ topic }) => places.some((place) => place.topic === topic));
    const siblings = topics.flatMap(({ topic, partitions: all }) => all.map((partition) => ({ topic, partition })));
    const seen = new Set((await member.committed(siblings)).filter(isCommitted).map(({ topic }) => topic));
    const begun = [...bounds.values()];
    const starting = await resolveOffsets(
      cluster,
      topics.map((topic) => ({
        ...topic,
        selected: begun.filter((entry) => entry.topic === topic.topic).map(({ partition }) => partition),
      })),
      source.kafka,
      specOf(source.startingOffsets, begun),
      begun,
      whereOf(source),
    );
    return begun.map((entry) => {
      const { topic, partition, logStartOffset, highWatermark } = entry;
      const offset = seen.has(topic) ? logStartOffset : (starting.get(offsetKey(entry)) ?? logStartOffset);
      if (offset <= highWatermark) return { topic, partition, offset };
      throw new OffloadError(
        'CONFIG_INVALID',
        `${whereOf(source)} asks for ${topic}/${partition} from offset ${offset}, but its log ends at ${highWatermark}; name an offset from ${logStartOffset} to ${highWatermark}`,
      );
    });
  }
}

/**
 * Looks at a start that names partitions, before the group is joined: each process begins its own alone.
 *
 * @throws OffloadError CONFIG_INVALID naming a topic or partition that is not read.
 */
export async function checkStartingOffsets(
  cluster: Cluster,
  topics: readonly SelectedTopic[],
  source: TopicSource,
): Promise<void> {
  if (source.startingOffsets.kind !== 'offsets') return;
  const bounds = await lookUpBounds(cluster, topics, source.kafka);
  await resolveOffsets(cluster, topics, source.kafka, source.startingOffsets, bounds, whereOf(source));
}

function whereOf({ startIsAsked }: TopicSource): string {
  return startIsAsked ? '--starting-offsets' : 'startingOffsets';
}

/** Others of the group begin their own partitions. */
function specOf(spec: OffsetSpec, places: readonly TopicPartition[]): OffsetSpec {
  if (spec.kind !== 'offsets') return spec;
  const own = new Set(places.map(offsetKey));
  const byTopic = Object.entries(spec.byTopic).map(([topic, offsets]) => {
    const named = Object.entries(offsets).filter(([partition]) => own.has(`${topic}/${partition}`));
    return [topic, Object.fromEntries(named)] as const;
  });
  return { kind: 'offsets', byTopic: Object.fromEntries(byTopic) };
}

function isCommitted({ offset }: GroupOffset): boolean {
  return offset !== null;
}
