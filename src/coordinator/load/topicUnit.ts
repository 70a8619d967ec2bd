/** The records of one source partition, as chunks in offset order. */
import type { MessageColumns } from '../../decode/columns.ts';
import { DecodeKernel } from '../../decode/kernel.ts';
import { RecordSet } from '../../decode/recordSet.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import { KafkaRangeReader } from '../../sources/kafkaRange.ts';
import type { RowPlace } from '../../transform/batchTransform.ts';
import { messagePlace } from '../../transform/places.ts';
import { toArrowBatch } from '../../transform/toArrow.ts';
import type { RowTransform } from '../rowTransform.ts';
import type { ChunkSender } from './chunkSender.ts';
import type { LoadSettings, TopicUnit, UnitEnd } from './chunks.ts';
import type { RecordMaker } from './recordMaker.ts';

type TopicSettings = Extract<LoadSettings['source'], { kind: 'topic' }>;

export interface TopicUnitContext {
  readonly source: TopicSettings;
  readonly limits: Pick<LoadSettings, 'chunkRows' | 'chunkBytes'>;
  readonly cluster: Cluster;
  /** Empty; used again for the next unit after `clear`. */
  readonly columns: MessageColumns;
  readonly maker: RecordMaker;
  readonly transform: RowTransform;
  readonly sender: ChunkSender;
}

/** @throws OffloadError OFFSET_LOST, INVALID_UTF8, what a row or a request fails with. */
export async function sendTopicUnit({ range }: TopicUnit, context: TopicUnitContext): Promise<UnitEnd> {
  const { source, limits, cluster, columns, maker, transform, sender } = context;
  const { fetch, failOnDataLoss, fields, invalidUtf8 } = source;
  const { topic, partition, startOffset, endOffset } = range;
  const reader = new KafkaRangeReader(cluster, range, { fetch, failOnDataLoss });
  const counts = { rows: 0, control: 0, aborted: 0, invalidUtf8: 0 };
  let position = startOffset;

  const cut = async (): Promise<void> => {
    const onInvalidUtf8 = (values: number): void => {
      counts.invalidUtf8 += values;
    };
    const read = toArrowBatch(columns, fields, { topic, partition, invalidUtf8, onInvalidUtf8 });
    const origin = messagePlace(topic, partition, (row) => columns.offsetAt(row));
    const { batch, place } = await transform.apply(read, origin, onInvalidUtf8);
    const encoded = batch.numRows === 0 ? [] : await maker.encode(batch, nameOf(transform, place));
    counts.rows += columns.rows;
    columns.clear();
    // Where no row is left, what comes next moves the position as well.
    if (batch.numRows > 0) await sender.send(encoded, batch.numRows, position);
  };

  const kernel = new DecodeKernel();
  for (;;) {
    const fetched = await reader.next();
    if (fetched === null) break;
    const set = new RecordSet(fetched.records, fetched.aborted, {
      topic,
      partition,
      startOffset: fetched.startOffset,
      endOffset,
      isolationLevel: fetch.isolationLevel,
      checkCrcs: fetch.checkCrcs,
      maxBatchBytes: fetch.maxBatchBytes,
      kernel,
    });
    for (let size = await set.peek(); size !== null; size = await set.peek()) {
      const isFull = columns.rawBytes + size.bytes > limits.chunkBytes || columns.rows + size.rows > limits.chunkRows;
      if (columns.rows > 0 && (isFull || !columns.hasRoomFor(size.bytes, size.rows))) await cut();
      sender.signal.throwIfAborted();
      await set.next(columns);
      position = Math.max(position, set.nextOffset);
    }
    position = Math.max(position, set.nextOffset);
    counts.control += set.counts.control;
    counts.aborted += set.counts.aborted;
  }
  position = Math.max(position, endOffset);
  if (columns.rows > 0) await cut();
  return { ...counts, next: position, lost: reader.lostOffsets, dropped: 0 };
}

function nameOf(transform: RowTransform, { rowName }: RowPlace): (row: number) => string {
  return transform.isNone ? (row) => `the record of ${rowName(row)}` : rowName;
}
