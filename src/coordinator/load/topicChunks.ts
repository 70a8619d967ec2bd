/** The records of one source partition as rows, and those as chunks, in offset order. */

import type { RecordBatch } from 'apache-arrow';
import type { MessageColumns } from '../../decode/columns.ts';
import type { DecodeKernel } from '../../decode/kernel.ts';
import { RecordSet } from '../../decode/recordSet.ts';
import type { FetchedRecords } from '../../sources/kafkaRange.ts';
import type { OffsetRange } from '../../tasks.ts';
import { type PlacedRows, workOnGoodRows } from '../../transform/badRows.ts';
import type { RowPlace } from '../../transform/batchTransform.ts';
import { toRows } from '../../transform/toRows.ts';
import { type BadRecord, badRecordsOf } from '../badRecords/badRecord.ts';
import { addBadRows, type BadRecordCounts, NO_BAD_RECORDS } from '../badRecords/counts.ts';
import type { RowTransform } from '../rowTransform.ts';
import type { LoadSettings } from './chunks.ts';

type TopicSettings = Extract<LoadSettings['source'], { kind: 'topic' }>;

export interface TopicChunksContext {
  readonly source: Pick<TopicSettings, 'fetch' | 'fields' | 'invalidUtf8' | 'leavesOutBad'>;
  readonly limits: Pick<LoadSettings, 'chunkRows' | 'chunkBytes'>;
  /** Empty; used again for the next partition after `clear`. */
  readonly columns: MessageColumns;
  readonly kernel: DecodeKernel;
  readonly transform: RowTransform;
  /** Ends the work between two record batches, with its reason. */
  readonly signal: AbortSignal;
}

/** Rows that go on together. */
export interface RowChunk<Made> {
  /** What was made of them; null if there is no row: the transform left none, or all were bad. */
  readonly made: Made | null;
  readonly rows: number;
  /** Those that were left out, in offset order. */
  readonly bad: readonly BadRecord[];
  /** The next offset behind them. */
  readonly next: number;
}

export interface ChunkWork<Made> {
  /**
   * Works on the rows of a chunk, one at least, and leaves no trace: where some of them are bad it is called again, with
   * fewer. What it gives may look into the rows, which are valid until `take` returns.
   *
   * @param rowName Names a row of the batch in errors.
   */
  readonly make: (batch: RecordBatch, rowName: (row: number) => string) => Promise<Made>;
  /** Called with each chunk, one after the other. */
  readonly take: (chunk: RowChunk<Made>) => Promise<void>;
}

export interface ChunkCounts {
  readonly rows: number;
  readonly control: number;
  readonly aborted: number;
  readonly invalidUtf8: number;
  /** Among `rows`: those that were left out. */
  readonly bad: BadRecordCounts;
  readonly bytesRead: number;
}

export class TopicChunks<Made> {
  readonly #context: TopicChunksContext;
  readonly #range: OffsetRange;
  readonly #work: ChunkWork<Made>;
  readonly #counts = { rows: 0, control: 0, aborted: 0, invalidUtf8: 0, bad: NO_BAD_RECORDS, bytesRead: 0 };
  #position: number;

  constructor(context: TopicChunksContext, range: OffsetRange, work: ChunkWork<Made>) {
    this.#context = context;
    this.#range = range;
    this.#work = work;
    this.#position = range.startOffset;
  }

  get counts(): ChunkCounts {
    return this.#counts;
  }

  /** Next offset to read: everything before it was decoded. */
  get position(): number {
    return this.#position;
  }

  /** @throws OffloadError BATCH_CORRUPT, INVALID_UTF8, what a row fails with, what `make` and `take` throw. */
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
    const { invalidUtf8, leavesOutBad } = source;
    const context = { topic, partition, invalidUtf8, onInvalidUtf8 };
    const { bad, ...read } = toRows(columns, source.fields, context, leavesOutBad);
    const make = async (rows: PlacedRows): Promise<Pick<RowChunk<Made>, 'made' | 'rows'> & { invalid: number }> => {
      let invalid = 0;
      const { batch, place } = await transform.apply(rows.batch, rows.place, (values) => {
        invalid += values;
      });
      const made = batch.numRows === 0 ? null : await this.#work.make(batch, nameOf(transform, place));
      return { made, rows: batch.numRows, invalid };
    };
    const find = (rows: PlacedRows) => transform.findBadRows(rows);
    const worked = leavesOutBad
      ? await workOnGoodRows(read, { make, check: make, find })
      : { made: await make(read), bad: [] };
    const { made, rows, invalid } = worked.made ?? { made: null, rows: 0, invalid: 0 };
    if (invalid > 0) onInvalidUtf8(invalid);
    this.#counts.bad = addBadRows(this.#counts.bad, [...bad, ...worked.bad]);
    const records = badRecordsOf(columns, bad, read.place, worked.bad);
    this.#counts.rows += columns.rows;
    this.#counts.bytesRead += columns.rawBytes;
    await this.#work.take({ made, rows, bad: records, next: this.#position });
    columns.clear();
  }
}

function nameOf(transform: RowTransform, { rowName }: RowPlace): (row: number) => string {
  return transform.isNone ? (row) => `the record of ${rowName(row)}` : rowName;
}
