/** The records of one source partition as rows, and those as chunks, in offset order. */

import type { RecordBatch } from 'apache-arrow';
import type { MessageColumns } from '../../decode/columns.ts';
import type { DecodeKernel } from '../../decode/kernel.ts';
import { RecordSet } from '../../decode/recordSet.ts';
import type { FetchedRecords } from '../../sources/kafkaRange.ts';
import type { OffsetRange } from '../../tasks.ts';
import type { RowPlace } from '../../transform/batchTransform.ts';
import { messagePlace } from '../../transform/places.ts';
import { toArrowBatch } from '../../transform/toArrow.ts';
import type { RowTransform } from '../rowTransform.ts';
import type { LoadSettings } from './chunks.ts';

type TopicSettings = Extract<LoadSettings['source'], { kind: 'topic' }>;

export interface TopicChunksContext {
  readonly source: Pick<TopicSettings, 'fetch' | 'fields' | 'invalidUtf8'>;
  readonly limits: Pick<LoadSettings, 'chunkRows' | 'chunkBytes'>;
  /** Empty; used again for the next partition after `clear`. */
  readonly columns: MessageColumns;
  readonly kernel: DecodeKernel;
  readonly transform: RowTransform;
  /** Ends the work between two record batches, with its reason. */
  readonly signal: AbortSignal;
}

/** Rows that go on together: none of them, if the transform left none. */
export interface RowChunk {
  readonly batch: RecordBatch;
  /** Names a row of the batch in errors. */
  readonly rowName: (row: number) => string;
  /** The next offset behind them. */
  readonly next: number;
}

export interface ChunkCounts {
  readonly rows: number;
  readonly control: number;
  readonly aborted: number;
  readonly invalidUtf8: number;
  readonly bytesRead: number;
}

export class TopicChunks {
  readonly #context: TopicChunksContext;
  readonly #range: OffsetRange;
  readonly #take: (chunk: RowChunk) => Promise<void>;
  readonly #counts = { rows: 0, control: 0, aborted: 0, invalidUtf8: 0, bytesRead: 0 };
  #position: number;

  /** @param take Called with each chunk, one after the other; its rows are valid until it returns. */
  constructor(context: TopicChunksContext, range: OffsetRange, take: (chunk: RowChunk) => Promise<void>) {
    this.#context = context;
    this.#range = range;
    this.#take = take;
    this.#position = range.startOffset;
  }

  get counts(): ChunkCounts {
    return this.#counts;
  }

  /** Next offset to read: everything before it was decoded. */
  get position(): number {
    return this.#position;
  }

  /** @throws OffloadError BATCH_CORRUPT, INVALID_UTF8, what a row fails with, what `take` throws. */
  async add({ records, aborted, startOffset }: FetchedRecords): Promise<void> {
    const { source, limits, columns, kernel, signal } = this.#context;
    const { isolationLevel, checkCrcs, maxBatchBytes } = source.fetch;
    const { topic, partition, endOffset } = this.#range;
    const place = { topic, partition, startOffset, endOffset, isolationLevel, checkCrcs, maxBatchBytes, kernel };
    const set = new RecordSet(records, aborted, place);
    for (let size = await set.peek(); size !== null; size = await set.peek()) {
      const isFull = columns.rawBytes + size.bytes > limits.chunkBytes || columns.rows + size.rows > limits.chunkRows;
      if (columns.rows > 0 && (isFull || !columns.hasRoomFor(size.bytes, size.rows))) await this.#cut();
      signal.throwIfAborted();
      await set.next(columns);
      this.#position = Math.max(this.#position, set.nextOffset);
    }
    this.#position = Math.max(this.#position, set.nextOffset);
    this.#counts.control += set.counts.control;
    this.#counts.aborted += set.counts.aborted;
  }

  /** Hands over the rows that wait for more. @param next Nothing lies between them and this offset. */
  async flush(next: number = this.#position): Promise<void> {
    this.#position = Math.max(this.#position, next);
    if (this.#context.columns.rows > 0) await this.#cut();
  }

  async #cut(): Promise<void> {
    const { source, columns, transform } = this.#context;
    const { topic, partition } = this.#range;
    const onInvalidUtf8 = (values: number): void => {
      this.#counts.invalidUtf8 += values;
    };
    const read = toArrowBatch(columns, source.fields, {
      topic,
      partition,
      invalidUtf8: source.invalidUtf8,
      onInvalidUtf8,
    });
    const origin = messagePlace(topic, partition, (row) => columns.offsetAt(row));
    const { batch, place } = await transform.apply(read, origin, onInvalidUtf8);
    this.#counts.rows += columns.rows;
    this.#counts.bytesRead += columns.rawBytes;
    await this.#take({ batch, rowName: nameOf(transform, place), next: this.#position });
    columns.clear();
  }
}

function nameOf(transform: RowTransform, { rowName }: RowPlace): (row: number) => string {
  return transform.isNone ? (row) => `the record of ${rowName(row)}` : rowName;
}
