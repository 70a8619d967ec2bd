/** What workers are told of topics that they read, in a run and in a stream. */
import { planLoadMemory } from '../../plan/loadMemory.ts';
import { transformMemory } from '../../transform/memory.ts';
import type { TopicToTopicJob } from '../jobs.ts';
import { transformPlan } from '../rowTransform.ts';
import type { LoadSettings } from './chunks.ts';

/** What every unit is done with. @param lanes That units are under way in at once. */
export function loadSettings(
  job: TopicToTopicJob,
  {
    deadLetters,
    ...target
  }: Pick<LoadSettings['target'], 'partitions' | 'readTopics'> & Pick<LoadSettings, 'deadLetters'>,
  lanes: number,
): LoadSettings {
  const { source, sink, maxMemoryBytes, workers } = job;
  const { connection, fetch } = source.kafka;
  const memory = planLoadMemory({
    ...{ source: 'topic', maxMemoryBytes, workers, fetchBytes: fetch.maxBytes },
    transform: transformMemory(job.transform),
  });
  return {
    source: {
      kind: 'topic',
      connection,
      fetch: { ...fetch, maxBytes: memory.fetchBytes },
      failOnDataLoss: source.failOnDataLoss,
      fields: source.fields,
      invalidUtf8: source.invalidUtf8,
      leavesOutBad: source.onBadRecord.kind !== 'fail',
    },
    transform: transformPlan(job.transform),
    target: {
      connection: sink.kafka.connection,
      topic: sink.topic,
      ...target,
      compression: sink.compression,
      headers: sink.headers,
    },
    deadLetters,
    // A chunk of each lane makes a transaction.
    chunkRows: Math.ceil(sink.chunkRecords / Math.max(1, lanes)),
    chunkBytes: memory.chunkBytes,
  };
}
