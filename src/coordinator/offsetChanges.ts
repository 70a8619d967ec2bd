/** Saved offsets before and after: what `offsets set` makes of them, and how a report tells it. */
import type { SavedOffset } from '../commit/savedOffsets.ts';
import type { DiscardedRun, SavedState } from '../commit/types.ts';
import { OffloadError } from '../errors.ts';
import { comparePlaces, offsetKey } from '../plan/places.ts';
import type { PartitionOffset } from '../tasks.ts';
import type { ChangedOffset } from './offsetsReport.ts';
import { keptTopicIds, type SelectedTopic } from './topics.ts';

/** What is to be saved of the topics a config reads. */
export interface Change {
  readonly offsets: readonly SavedOffset[];
  readonly topicIds: Readonly<Record<string, string>>;
}

/**
 * What is saved, with the offsets asked for in place of those of their partitions.
 *
 * @param asked By `offsetKey`.
 * @throws OffloadError OFFSET_LOST where one that stays belongs to a topic that was made again, or to no partition.
 */
export function decideSet(
  config: string,
  topics: readonly SelectedTopic[],
  saved: SavedState,
  asked: ReadonlyMap<string, number>,
): Change {
  const kept = saved.offsets.flatMap(({ topic, partition, offset }): SavedOffset[] => {
    return asked.has(offsetKey({ topic, partition })) || offset === null ? [] : [{ topic, partition, offset }];
  });
  for (const entry of kept) checkKept(config, topics, saved, entry);
  const set = topics.flatMap(({ topic, partitions }) => {
    return partitions.flatMap((partition): SavedOffset[] => {
      const offset = asked.get(offsetKey({ topic, partition }));
      return offset === undefined ? [] : [{ topic, partition, offset }];
    });
  });
  const ids = topics.flatMap(({ topic, topicId }) => (topicId === null ? [] : [[topic, topicId] as const]));
  return {
    offsets: [...kept, ...set].sort(comparePlaces),
    topicIds: { ...keptTopicIds(saved), ...Object.fromEntries(ids) },
  };
}

function checkKept(
  config: string,
  topics: readonly SelectedTopic[],
  { topicIds }: SavedState,
  { topic, partition, offset }: SavedOffset,
): void {
  const info = topics.find((entry) => entry.topic === topic);
  const before = topicIds[topic];
  const isRemade = before !== undefined && info !== undefined && info.topicId !== null && info.topicId !== before;
  if (!isRemade && info?.partitions.includes(partition)) return;
  const why = isRemade
    ? `which is that of a topic ${topic} that was deleted (topic id ${before})`
    : 'which the topic does not have';
  throw new OffloadError(
    'OFFSET_LOST',
    `cannot set offsets of ${config}: offset ${offset} is saved for ${offsetKey({ topic, partition })}, ${why}, and would stay; ` +
      `run kafkaload offsets reset --config ${config} first`,
    { context: { config, topic, partition, offset } },
  );
}

/** Partitions of both, with what is saved before and after. */
export function listChanges(from: readonly PartitionOffset[], to: readonly PartitionOffset[]): ChangedOffset[] {
  const before = new Map(from.map((entry) => [offsetKey(entry), entry.offset]));
  const after = new Map(to.map((entry) => [offsetKey(entry), entry.offset]));
  const places = [...new Map([...from, ...to].map((entry) => [offsetKey(entry), entry])).values()];
  return places.sort(comparePlaces).map(({ topic, partition }) => {
    const key = offsetKey({ topic, partition });
    return { topic, partition, from: before.get(key) ?? null, to: after.get(key) ?? null };
  });
}

/** What a run moves. */
export function listMoves({ previous, next }: Pick<DiscardedRun, 'previous' | 'next'>): ChangedOffset[] {
  return next.map(({ topic, partition, offset }, index) => {
    return { topic, partition, from: previous[index]?.offset ?? null, to: offset };
  });
}
