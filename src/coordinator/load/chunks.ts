/**
 * What crosses between a worker that prepares records and the coordinator that writes them. Plain data.
 *
 * A *unit* is what one worker takes at a time: the range of one source partition, or rows of one file. Its rows come as
 * *chunks*, in their order, through a port of its own; behind the last one comes the end of the unit. A worker has a
 * credit of chunks that are not committed yet, so that memory is bounded however slow the target is.
 */

import type { RecordCompression, TopicSource } from '../../config/job.ts';
import type { ConnectionSettings, FetchSettings } from '../../config/kafkaSettings.ts';
import type { InputFormat } from '../../config/readerOptions.ts';
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import type { PlainError } from '../../errors.ts';
import type { FileSchema } from '../../sources/files/fileTypes.ts';
import type { OffsetRange } from '../../tasks.ts';
import type { DeadLetterPlan } from '../badRecords/badRecord.ts';
import type { BadRecordCounts } from '../badRecords/counts.ts';
import type { TransformPlan } from '../rowTransform.ts';

/** Chunks of one worker that are on their way or in the open transaction. */
export const CHUNKS_IN_HAND = 2;

export interface TopicUnit {
  readonly kind: 'topic';
  readonly range: OffsetRange;
}

export interface FileUnit {
  readonly kind: 'file';
  /** Place in the list of files of the load. */
  readonly file: number;
  readonly path: string;
  readonly startRow: number;
  /** Null: to the end of the file. */
  readonly endRow: number | null;
  /** Nothing of the file is behind it. */
  readonly isLast: boolean;
}

export type LoadUnit = TopicUnit | FileUnit;

/** The same for every unit of a run. */
export interface LoadSettings {
  /** Of a run that changes them on its way: another number, and threads begin anew with these. */
  readonly version?: number;
  readonly source:
    | {
        readonly kind: 'topic';
        readonly connection: ConnectionSettings;
        readonly fetch: FetchSettings;
        readonly failOnDataLoss: boolean;
        readonly fields: TopicSource['fields'];
        readonly invalidUtf8: TopicSource['invalidUtf8'];
        /** True: records of which no record can be made are left out and counted; false: the first of them ends the run. */
        readonly leavesOutBad: boolean;
      }
    | {
        readonly kind: 'files';
        readonly input: InputFormat;
        readonly schema: FileSchema;
        /** For the reader's own buffers. */
        readonly memoryLimitBytes: number;
      };
  readonly transform: TransformPlan | null;
  readonly target: {
    readonly connection: ConnectionSettings;
    readonly topic: string;
    readonly partitions: number;
    /** Topics of the same cluster that the job reads: rows that name one of them would be read again. */
    readonly readTopics: readonly string[];
    readonly compression: RecordCompression;
    readonly headers: readonly { readonly key: string; readonly value: string }[];
  };
  /** Of a topic: where bad records go, in the transaction of the others; null: nowhere. */
  readonly deadLetters: DeadLetterPlan | null;
  /** A chunk is cut at so many rows, or once its rows hold so many bytes. */
  readonly chunkRows: number;
  readonly chunkBytes: number;
}

/** Records that are written in one transaction, and where their source goes on after them. */
export interface Chunk {
  readonly batches: readonly EncodedRecordBatch[];
  readonly rows: number;
  /** Encoded. */
  readonly bytes: number;
  /** Of a topic: the next offset to read. Of a file: the next row. */
  readonly next: number;
}

/** How a unit ended: everything before `next` was in its chunks, or gave no row. */
export interface UnitEnd {
  readonly next: number;
  readonly rows: number;
  /** Of a topic: offsets without a row. */
  readonly control: number;
  readonly aborted: number;
  readonly lost: number;
  /** Values that were not UTF-8 and were replaced or made null. */
  readonly invalidUtf8: number;
  /** Records of a topic that were left out; they are among `rows`. */
  readonly bad: BadRecordCounts;
  /** Bad rows of a file that were left out. */
  readonly dropped: number;
  /** Message bytes, as decoded; of a file: 0. */
  readonly bytesRead: number;
}

export type UnitMessage =
  | { readonly kind: 'chunk'; readonly chunk: Chunk }
  | { readonly kind: 'end'; readonly end: UnitEnd }
  | { readonly kind: 'failed'; readonly error: PlainError };

/** To a worker: so many chunks more may be sent, or that nobody wants them any more. */
export type CreditMessage = { readonly kind: 'credit'; readonly credit: number } | { readonly kind: 'stop' };

export function bytesOf(batches: readonly EncodedRecordBatch[]): number {
  return batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
