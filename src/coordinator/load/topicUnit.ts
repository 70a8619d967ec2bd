/** The records of one range of a source partition, as record batches in offset order. */
import type { MessageColumns } from '../../decode/columns.ts';
import { DecodeKernel } from '../../decode/kernel.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import { KafkaRangeReader } from '../../sources/kafkaRange.ts';
import type { DeadLetterMaker } from '../badRecords/deadLetters.ts';
import type { RowTransform } from '../rowTransform.ts';
import type { ChunkSender } from './chunkSender.ts';
import type { LoadSettings, TopicUnit, UnitEnd } from './chunks.ts';
import type { RecordMaker } from './recordMaker.ts';
import { TopicChunks } from './topicChunks.ts';

export interface TopicUnitContext {
  readonly source: Extract<LoadSettings['source'], { kind: 'topic' }>;
  readonly limits: Pick<LoadSettings, 'chunkRows' | 'chunkBytes'>;
  readonly cluster: Cluster;
  /** Empty; used again for the next unit after `clear`. */
  readonly columns: MessageColumns;
  readonly maker: RecordMaker;
  readonly deadLetters: DeadLetterMaker | null;
  readonly transform: RowTransform;
  readonly sender: ChunkSender;
}

/** @throws OffloadError OFFSET_LOST, INVALID_UTF8, what a row or a request fails with. */
export async function sendTopicUnit({ range }: TopicUnit, context: TopicUnitContext): Promise<UnitEnd> {
  const { source, cluster, maker, deadLetters, sender } = context;
  const { fetch, failOnDataLoss } = source;
  const reader = new KafkaRangeReader(cluster, range, { fetch, failOnDataLoss });
  const reading = { ...context, kernel: new DecodeKernel(), signal: sender.signal };
  const chunks = new TopicChunks(reading, range, {
    make: (batch, rowName) => maker.encode(batch, rowName),
    take: async ({ made, rows, bad, next }) => {
      const letters = bad.length === 0 ? [] : ((await deadLetters?.encode(range, bad)) ?? []);
      // Where no row is left, what comes next moves the position as well.
      if (made || letters.length > 0) await sender.send([...(made ?? []), ...letters], rows, next);
    },
  });
  for (let fetched = await reader.next(); fetched !== null; fetched = await reader.next()) await chunks.add(fetched);
  await chunks.flush(range.endOffset);
  return { ...chunks.counts, next: chunks.position, lost: reader.lostOffsets, dropped: 0 };
}
