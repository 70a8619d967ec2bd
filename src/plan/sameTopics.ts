/** Whether saved offsets are those of the topics as they are now: a topic of the same name can be another one. */
import { OffloadError } from '../errors.ts';
import { offsetKey, type Place } from './places.ts';
import type { PlannedTopic, RangeInput } from './ranges.ts';

/**
 * @throws OffloadError OFFSET_LOST if saved offsets are those of another topic, of one that was made again meanwhile, or
 *   of a partition that is not there any more.
 */
export function checkSameTopics(input: RangeInput): void {
  const { config, topics, plainTopic, saved, otherTopics } = input;
  const [before] = otherTopics;
  if (plainTopic !== null && saved.length === 0 && before !== undefined) {
    throw new OffloadError(
      'OFFSET_LOST',
      `cannot resume ${plainTopic}: the saved offsets of ${config} are those of topic ${before}; give this topic an entry of its own, or ${resetHint(config)}`,
      { context: { topic: plainTopic, config, before } },
    );
  }
  for (const topic of topics) checkSameTopic(input, topic);
}

function checkSameTopic(input: RangeInput, { topic, topicId, partitions }: PlannedTopic): void {
  const { config, savedTopicIds } = input;
  const saved = input.saved.filter((entry) => entry.topic === topic);
  const savedTopicId = savedTopicIds[topic] ?? null;
  // A range that is asked for and saves nothing does not begin at what is saved.
  const isFree = input.startIsAsked && !input.commit;
  const isUsed = (place: Place): boolean =>
    partitions.includes(place.partition) && !input.starting.has(offsetKey(place));
  const used = isFree ? saved.filter(isUsed) : saved;
  if (used.length === 0) return;
  if (topicId !== null && savedTopicId !== null && topicId !== savedTopicId) {
    throw new OffloadError(
      'OFFSET_LOST',
      `cannot resume ${topic}: it was made again (topic id ${savedTopicId} when ${config} was last offloaded, ${topicId} now), so the saved offsets mean nothing; ${resetHint(config)}`,
      { context: { topic, config, savedTopicId, topicId } },
    );
  }
  const gone = used.find(({ partition }) => !partitions.includes(partition));
  if (gone) {
    throw new OffloadError(
      'OFFSET_LOST',
      `cannot resume ${topic}/${gone.partition} at offset ${gone.offset}: the topic has ${partitions.length} partitions now and not that one; ${resetHint(config)}`,
      { context: { topic, config, partition: gone.partition, savedOffset: gone.offset } },
    );
  }
}

export function resetHint(config: string): string {
  return `run kafkaload offsets reset --config ${config} to begin anew`;
}
