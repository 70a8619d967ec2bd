/** Which topics and partitions a selection stands for, as the cluster has them now. */
import type { SavedState } from '../commit/types.ts';
import type { Job, TopicSelection } from '../config/job.ts';
import { compileTopicPattern } from '../config/topicPattern.ts';
import { namedTopics } from '../config/topicSelection.ts';
import { OffloadError } from '../errors.ts';
import type { Cluster, TopicInfo } from '../kafka/cluster.ts';

/** A topic, and those of its partitions that are read. */
export interface SelectedTopic extends TopicInfo {
  readonly selected: readonly number[];
}

export interface SelectedTopics {
  /** In order of their names. */
  readonly topics: readonly SelectedTopic[];
  /** The only topic the selection can ever mean, whose saved offsets do not name it; else null. */
  readonly plainTopic: string | null;
}

/**
 * Finds the topics of a selection. Looks only: none is created.
 *
 * @param offsets A topic that holds saved offsets or progress never matches a pattern, nor do the broker's internal ones.
 * @throws OffloadError TOPIC_UNKNOWN for a topic that is not there, and for a pattern that no topic matches;
 *   CONFIG_INVALID for an assigned partition that is not there.
 */
export async function findTopics(
  cluster: Cluster,
  selection: TopicSelection,
  offsets: Job['offsets'],
): Promise<SelectedTopics> {
  const found = selection.kind === 'pattern' ? await findMatching(cluster, selection.pattern, offsets) : [];
  for (const topic of namedTopics(selection)) found.push(await findTopic(cluster, topic));
  const topics = found.map((info) => selectPartitions(info, selection));
  return {
    topics: topics.sort((a, b) => (a.topic < b.topic ? -1 : 1)),
    plainTopic: plainTopicOf(selection),
  };
}

/** The one topic that a selection can mean. A pattern can match others tomorrow, however many it matches today. */
export function plainTopicOf(selection: TopicSelection): string | null {
  const [only, ...more] = namedTopics(selection);
  return only === undefined || more.length > 0 ? null : only;
}

/** Ids by name; a topic of a broker that has none is left out. */
export function topicIdsOf({ topics }: SelectedTopics): Record<string, string> {
  return Object.fromEntries(topics.flatMap(({ topic, topicId }) => (topicId === null ? [] : [[topic, topicId]])));
}

/** Ids of topics that are not read now: their offsets are still saved, and they may be read again. */
export function keptTopicIds({ others, topicIds }: SavedState): Record<string, string> {
  const kept = new Set(others.map(({ topic }) => topic));
  return Object.fromEntries(Object.entries(topicIds).filter(([topic]) => kept.has(topic)));
}

/** @throws OffloadError TOPIC_UNKNOWN; it is never created by looking. */
async function findTopic(cluster: Cluster, topic: string): Promise<TopicInfo> {
  const found = await cluster.findTopic(topic);
  if (found) return found;
  throw new OffloadError(
    'TOPIC_UNKNOWN',
    `there is no topic ${topic} on the cluster at ${addressOf(cluster)}; check topicName and bootstrap.servers`,
    { context: { topic } },
  );
}

/** As `exclude.internal.topics` of the Java consumer has it by default, and without the topics that hold our own state. */
async function findMatching(cluster: Cluster, pattern: string, offsets: Job['offsets']): Promise<TopicInfo[]> {
  const matcher = compileTopicPattern(pattern);
  const own = [offsets.progressTopic, ...(offsets.mode === 'STREAM' ? [offsets.name] : [])];
  const found = await cluster.findTopics((topic) => matcher.test(topic) && !own.includes(topic));
  if (found.length > 0) return found;
  throw new OffloadError(
    'TOPIC_UNKNOWN',
    `no topic on the cluster at ${addressOf(cluster)} matches subscribePattern ${pattern}; the whole name must match, ` +
      'and internal topics never do',
    { context: { pattern } },
  );
}

function selectPartitions(info: TopicInfo, selection: TopicSelection): SelectedTopic {
  if (selection.kind !== 'assign') return { ...info, selected: info.partitions };
  const { topic, partitions } = info;
  const selected = [...(selection.partitions[topic] ?? [])].sort((a, b) => a - b);
  const missing = selected.find((partition) => !partitions.includes(partition));
  if (missing === undefined) return { ...info, selected };
  throw new OffloadError(
    'CONFIG_INVALID',
    `assign names partition ${missing} of ${topic}, which has partitions ${partitions.join(', ')}`,
    { context: { topic, partition: missing } },
  );
}

function addressOf({ settings }: Cluster): string {
  return settings.bootstrap.map(({ host, port }) => `${host}:${port}`).join(',');
}
