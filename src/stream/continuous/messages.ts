/**
 * What crosses between a thread that reads partitions as they grow and the coordinator that passes their rows on. Plain
 * data. A thread has a credit of messages with rows that nobody took yet, so that memory is bounded however slow the target
 * is; what is read meanwhile is read in larger pieces.
 */
import type { MessagePort } from 'node:worker_threads';
import type { DeadLetterPlan } from '../../coordinator/badRecords/badRecord.ts';
import type { BadRecordCounts } from '../../coordinator/badRecords/counts.ts';
import type { LoadSettings } from '../../coordinator/load/chunks.ts';
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import type { PlainError } from '../../errors.ts';
import type { RowTable } from '../../sinks/console.ts';
import type { Position, TopicPartition } from '../types.ts';

/** Messages with rows of one thread that are on their way. */
export const MESSAGES_IN_HAND = 3;

export interface FlowSettings extends Pick<LoadSettings, 'transform' | 'chunkRows' | 'chunkBytes'> {
  readonly source: Extract<LoadSettings['source'], { kind: 'topic' }>;
  /** Where bad records go, in the transaction of the others; null: nowhere. */
  readonly deadLetters: DeadLetterPlan | null;
  readonly outlet:
    | { readonly kind: 'topic'; readonly target: LoadSettings['target'] }
    /** At most so many rows of a chunk are shown. */
    | { readonly kind: 'console'; readonly numRows: number };
}

/** Rows of one partition that were read together, and the next offset behind them. */
export interface FlowPart extends TopicPartition {
  readonly next: number;
  /** Given by the transform. */
  readonly rows: number;
  /** To a topic. */
  readonly batches: readonly EncodedRecordBatch[];
  /** To the console: the first of them. */
  readonly table: RowTable | null;
}

export type FlowMessage =
  | {
      readonly kind: 'rows';
      readonly parts: readonly FlowPart[];
      /** Message bytes, as decoded. */
      readonly bytesRead: number;
      readonly invalidUtf8: number;
      readonly bad: BadRecordCounts;
    }
  /** Nothing of the partitions of this request comes any more. */
  | { readonly kind: 'removed'; readonly request: number }
  | { readonly kind: 'failed'; readonly error: PlainError };

export type FlowRequest =
  | { readonly kind: 'add'; readonly positions: readonly Position[] }
  | { readonly kind: 'remove'; readonly request: number; readonly places: readonly TopicPartition[] }
  | { readonly kind: 'credit' }
  | { readonly kind: 'stop' };

export interface FlowTask {
  readonly settings: FlowSettings;
  readonly port: MessagePort;
}
