import { OffloadError } from '../../errors.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import type { TopicToTopicJob } from '../jobs.ts';

/**
 * Refuses a job whose rows would go back to a topic that they are read from: it would read them again, for ever.
 *
 * @param topics Those that are read.
 * @returns Topics that no row may name, where the rows themselves say which topic they go to.
 * @throws OffloadError USAGE
 */
export async function checkNoLoop(
  { source, sink, transform }: TopicToTopicJob,
  topics: readonly { readonly topic: string }[],
  from: Cluster,
  to: Cluster,
): Promise<readonly string[]> {
  const names = topics.map(({ topic }) => topic);
  const isNamed = names.includes(sink.topic);
  // A field `topic` made of the source's own column sends every row to where it came from. Beside a transform, fields are
  // what it reads.
  const keepsTopic =
    transform === null && source.fields.some(({ name, column }) => name === 'topic' && column === 'topic');
  const mayNameTopics = transform !== null || source.fields.some(({ name }) => name === 'topic');
  const letters = source.onBadRecord.kind === 'dlq' ? source.onBadRecord.topic : null;
  const areLettersRead = letters !== null && names.includes(letters);
  if (!isNamed && !mayNameTopics && !areLettersRead) return [];
  const [fromId, toId] = await Promise.all([from.clusterId(), to.clusterId()]);
  if (fromId !== toId) return [];
  if (isNamed) {
    throw new OffloadError(
      'USAGE',
      `topic ${sink.topic} is read and written by the same job, on the same cluster: it would never end; write to another`,
      { context: { topic: sink.topic } },
    );
  }
  if (areLettersRead) {
    throw new OffloadError(
      'USAGE',
      `onBadRecord is dlq:${letters}, and the same job reads topic ${letters}, on the same cluster: it would never end; ` +
        'name another topic for dead letters',
      { context: { topic: letters } },
    );
  }
  if (!keepsTopic) return names;
  throw new OffloadError(
    'USAGE',
    `the field topic sends every row back to the topic it was read from (${names.join(', ')}), on the same cluster; ` +
      'leave it out of fields, or give it another name: topic as source_topic',
    { context: { topic: names[0] ?? '' } },
  );
}
