/** A range as cursors over the answers of the broker, in the calling thread: for looking at messages, not for moving them. */
import type { TopicSource } from '../config/job.ts';
import { DecodeKernel } from '../decode/kernel.ts';
import { RecordSet } from '../decode/recordSet.ts';
import type { Cluster } from '../kafka/cluster.ts';
import type { OffsetRange } from '../tasks.ts';
import { KafkaRangeReader } from './kafkaRange.ts';

/** What of a source says how its records are read. */
export type ReadSettings = Pick<TopicSource, 'kafka' | 'failOnDataLoss'>;

/**
 * @param mostBytes Asked for at once, unless `fetch.max.bytes` is less.
 * @returns A set for each answer, in offset order; valid until the next one is asked for.
 * @throws OffloadError as `KafkaRangeReader.next`.
 */
export async function* readRecordSets(
  cluster: Cluster,
  range: OffsetRange,
  { kafka, failOnDataLoss }: ReadSettings,
  mostBytes: number,
): AsyncGenerator<RecordSet> {
  const fetch = { ...kafka.fetch, maxBytes: Math.min(kafka.fetch.maxBytes, mostBytes) };
  const { isolationLevel, checkCrcs, maxBatchBytes } = fetch;
  const { topic, partition, endOffset } = range;
  const kernel = new DecodeKernel();
  const reader = new KafkaRangeReader(cluster, range, { fetch, failOnDataLoss });
  for (let fetched = await reader.next(); fetched !== null; fetched = await reader.next()) {
    const { records, aborted, startOffset } = fetched;
    const place = { topic, partition, startOffset, endOffset, isolationLevel, checkCrcs, maxBatchBytes, kernel };
    yield new RecordSet(records, aborted, place);
  }
}
