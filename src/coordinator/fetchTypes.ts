/** What crosses between the coordinator and a worker that fetches. Plain data. */
import type { StagedLetters } from '../commit/types.ts';
import type { TopicSource } from '../config/job.ts';
import type { ConnectionSettings, FetchSettings } from '../config/kafkaSettings.ts';
import type { PartitionColumn } from '../config/partitionBy.ts';
import type { StagedFormat } from '../config/writerOptions.ts';
import type { PlainError } from '../errors.ts';
import type { FolderSegment } from '../stage/folderSegments.ts';
import type { Segment, StagedLayout } from '../stage/segments.ts';
import type { TurnFlags } from '../stage/turns.ts';
import type { OffsetRange } from '../tasks.ts';
import type { DeadLetterPlan } from './badRecords/badRecord.ts';
import type { BadRecordCounts } from './badRecords/counts.ts';
import type { TransformPlan } from './rowTransform.ts';
import type { SharedState } from './sharedState.ts';

/** The same for every task of a run, or of a micro-batch. */
export interface WorkerSettings {
  /** Another where what follows from `mark` on is for other files; the rest is the same for the life of a thread. */
  readonly stage: number;
  readonly connection: ConnectionSettings;
  readonly fetch: FetchSettings;
  readonly failOnDataLoss: boolean;
  readonly fields: TopicSource['fields'];
  readonly invalidUtf8: TopicSource['invalidUtf8'];
  /** True: records of which no row can be made are left out and counted; false: the first of them ends the run. */
  readonly leavesOutBad: boolean;
  /** Where they go, and the folder in which they wait; null: nowhere. */
  readonly deadLetters: { readonly plan: DeadLetterPlan; readonly folder: string } | null;
  readonly transform: TransformPlan | null;
  readonly output: StagedFormat;
  /** Folders below the target. */
  readonly partitionBy: readonly PartitionColumn[];
  /** What the format puts between blocks. */
  readonly mark: Uint8Array;
  /** Most rows and message bytes of a row group. */
  readonly rowGroupRows: number;
  readonly rowGroupBytes: number;
  /** Message bytes after which columns are encoded; whether what comes of it is a part of a row group, or one that is whole. */
  readonly partBytes: number;
  readonly takesParts: boolean;
  readonly layout: StagedLayout;
  /** Which tasks have written all, where rows must lie in order; null: tasks write as they come. */
  readonly turns: TurnFlags | null;
  readonly shared: SharedState;
}

export interface TaskResult {
  readonly ok: true;
  readonly worker: number;
  readonly range: OffsetRange;
  /** When its first fetch began, in milliseconds since 1970 by the clock that does not jump: the same in all threads. */
  readonly startedAtMs: number;
  readonly segments: readonly Segment[];
  readonly folders: readonly FolderSegment[];
  /** What the task did not get to before its byte limit; null: nothing. */
  readonly rest: OffsetRange | null;
  /** Messages that were read. */
  readonly rows: number;
  /** Rows made of them: other than `rows` only where a transform makes more or fewer. */
  readonly rowsWritten: number;
  readonly control: number;
  readonly aborted: number;
  /** Offsets that retention removed while the run was reading. */
  readonly lost: number;
  /** Values that were not UTF-8 and were replaced or made null. */
  readonly invalidUtf8: number;
  /** Of the messages that were read, those without a row. */
  readonly bad: BadRecordCounts;
  readonly deadLetters: readonly StagedLetters[];
  /** Which encoders have written columns in this thread so far. */
  readonly encoders: readonly string[];
}

export type TaskOutcome = TaskResult | { readonly ok: false; readonly error: PlainError };
