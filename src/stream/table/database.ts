/** A database with the table of a stream, and the table of its positions beside it. */
import type { Schema } from 'apache-arrow';
import type { StagedLetters } from '../../commit/types.ts';
import type { StagedFormat } from '../../config/writerOptions.ts';
import type { StagedFile } from '../../tasks.ts';
import type { TopicPartition } from '../types.ts';
import type { BatchLetters, Outbox } from './outbox.ts';

/** Where positions are kept, in the schema of the table. */
export const OFFSETS_TABLE = '_kafkaload_offsets';

/** Whose positions they are. */
export interface StreamName {
  readonly config: string;
  readonly groupId: string;
}

/** What the table of positions says of a partition: the last rows are those of `[start, next)`. */
export interface TablePosition extends TopicPartition {
  readonly start: number;
  readonly next: number;
  /** Null where the broker has none. */
  readonly topicId: string | null;
}

/** What a micro-batch does to the position of a partition, or a person did. */
export interface Move extends TablePosition {
  /** What must stand there now: an offset as `next`; null: nothing. */
  readonly from: number | null;
}

/** A position that is put right: `next` null removes it. */
export interface Correction extends TopicPartition {
  readonly next: number | null;
  readonly topicId: string | null;
}

export interface AppendRequest {
  /** In topic, then partition order. */
  readonly moves: readonly Move[];
  readonly files: readonly StagedFile[];
  /** Of the records that could not become rows; null: none. */
  readonly letters: BatchLetters<StagedLetters> | null;
  readonly signal: AbortSignal;
  /** Called before the outcome can be in doubt. */
  readonly onCommit: () => void;
}

/** Errors of all calls: DATABASE_UNREACHABLE and DATABASE_BUSY, which may be tried again; DATABASE_REFUSED, NOT_AUTHORIZED. */
export interface TableDatabase {
  /** Of dead letters that wait; to be used after `open`. */
  readonly outbox: Outbox;
  /** Makes the table of positions if it is missing. */
  open(): Promise<void>;
  /**
   * Makes the table, or the columns it lacks.
   *
   * @returns How rows of these columns are staged for `append`.
   * @throws OffloadError TARGET_UNSUITABLE naming column and types, where values would not fit a column that is there.
   */
  prepare(schema: Schema): Promise<StagedFormat>;
  /** Reads positions, and corrects some of them, as one step that nobody comes between. */
  settle(
    partitions: readonly TopicPartition[],
    correct: (found: readonly TablePosition[]) => readonly Correction[],
  ): Promise<void>;
  /**
   * Appends rows and dead letters, and moves positions: all of it or nothing.
   *
   * @returns False: somebody else has moved a position meanwhile, and nothing was written.
   * @throws The signal's reason if it aborts before the commit.
   */
  append(request: AppendRequest): Promise<boolean>;
  close(): Promise<void>;
}
