/** What is known of a running stream, as plain data: the page, the metrics and the progress line show nothing else. */
import type { RetryCounts } from '../../retryCounts.ts';
import type { OffsetRange } from '../../tasks.ts';
import type { TopicPartition } from '../types.ts';

/** `waiting`: for what is away, a broker, a disk, a database; it goes on by itself. */
export type StreamState = 'joining' | 'running' | 'waiting' | 'stopping';

/** Since the process began. */
export interface StreamTotals {
  /** Messages and their bytes as decoded; those of micro-batches that were abandoned among them. */
  readonly rowsRead: number;
  readonly bytesRead: number;
  /** Rows, and bytes of files or record batches, of micro-batches that are committed. */
  readonly rowsWritten: number;
  readonly bytesWritten: number;
  readonly filesWritten: number;
  /** Micro-batches that were committed, and that were not. */
  readonly written: number;
  readonly abandoned: number;
  readonly badRecords: number;
  readonly rebalances: number;
  readonly retries: RetryCounts;
}

/** A partition of ours; null: not known yet. */
export interface PartitionStatus extends TopicPartition {
  readonly position: number | null;
  readonly end: number | null;
  /** Offsets between the two, not messages: compaction and transactions leave gaps. */
  readonly lag: number | null;
  /** Of commits, over the window of the rates. */
  readonly offsetsPerSecond: number;
}

/** A micro-batch that was committed. */
export interface CommitStatus {
  /** Of the micro-batch. */
  readonly number: number;
  /** Its name where it is recorded: number of the chain's entry, id of the run; null: none. */
  readonly name: string | null;
  /** Wall clock. */
  readonly atMs: number;
  readonly seconds: number;
  readonly rows: number;
  readonly bytes: number;
  readonly badRecords: number;
  /** All of them; `files` and `ranges` may end early. */
  readonly fileCount: number;
  readonly rangeCount: number;
  readonly files: readonly { readonly path: string; readonly rows: number; readonly bytes: number }[];
  readonly ranges: readonly OffsetRange[];
}

export interface StreamStatus {
  readonly config: string;
  /** Null: a stream of files has no group. */
  readonly group: string | null;
  readonly memberId: string | null;
  readonly generation: number | null;
  /** When this was so, and when the process began; wall clock. */
  readonly atMs: number;
  readonly startedAtMs: number;
  readonly state: StreamState;
  readonly stateSeconds: number;
  /** What is waited for, or why it stops. */
  readonly why: string | null;
  /** The newest; it may long be over. */
  readonly lastError: { readonly code: string; readonly message: string; readonly atMs: number } | null;
  /** Since anything was heard of the stream. */
  readonly silentSeconds: number;
  readonly totals: StreamTotals;
  /** Means over the last `windowSeconds`, of what is read. */
  readonly rates: { readonly windowSeconds: number; readonly rows: number; readonly bytes: number };
  /** Of all partitions, as far as it is known. */
  readonly lag: number;
  /** By topic, then partition. */
  readonly partitions: readonly PartitionStatus[];
  readonly lastCommit: { readonly atMs: number; readonly seconds: number } | null;
  /** Of this process, all threads. */
  readonly memory: { readonly rssBytes: number; readonly heapBytes: number; readonly limitBytes: number };
}

export interface ObserverClock {
  /** As `Date.now()`: for what is shown. It jumps when the clock is set. */
  wallMs(): number;
  /** Never jumps: for durations. */
  monotonicMs(): number;
}

export const systemTime: ObserverClock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };
