import type { OutputFormat } from './config/writerOptions.ts';

/**
 * What crosses between folders and between threads: plain data only, so that structured clone carries it whole.
 *
 * A range `[startOffset, endOffset)` is half-open. Offsets and timestamps are safe integers: they are checked where
 * they enter. Offsets have gaps, so `endOffset - startOffset` is never a number of rows.
 */

export interface OffsetRange {
  readonly topic: string;
  readonly partition: number;
  /** First offset to read. */
  readonly startOffset: number;
  /** First offset not to read. */
  readonly endOffset: number;
}

/** The next offset to read of one partition; `null` where nothing is saved yet. */
export interface PartitionOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number | null;
}

/** Offsets of a range that hold no row, by cause. */
export interface GapCounts {
  /** Control records: transaction markers. */
  readonly control: number;
  /** Records of aborted transactions, left out under `read_committed`. */
  readonly aborted: number;
  /** Offsets for which the log holds no record any more: compaction, or batches that were emptied. */
  readonly compacted: number;
  /**
   * Offsets that were due and lay below the log start when the run was planned: before its range. Whether retention or a
   * person deleted them, the broker does not tell.
   */
  readonly deleted: number;
  /** Offsets of the range that were deleted while the run was on its way to them. */
  readonly lost: number;
  /** Records that were left out, or went to the topic of dead letters, since no row could be made of them. */
  readonly bad: number;
}

export const NO_GAPS: GapCounts = { control: 0, aborted: 0, compacted: 0, deleted: 0, lost: 0, bad: 0 };

/** A column of files that holds topics, partitions or offsets as they are. */
export interface OriginColumn {
  readonly name: string;
  readonly type: 'LONG' | 'INT' | 'STRING';
  /** Among the columns of the files, from 0: in CSV without a header nothing else tells it. */
  readonly index: number;
}

/** Of files with one row a message: how they are read again, and which columns tell where a row is from; null: none does. */
export interface FileContent {
  readonly output: OutputFormat;
  readonly topic: OriginColumn | null;
  readonly partition: OriginColumn | null;
  readonly offset: OriginColumn | null;
}

/** A staged file, complete and synced, not yet visible. */
export interface StagedFile {
  /** Absolute path in the run's staging folder. */
  readonly stagedPath: string;
  /** Absolute path it is published under. */
  readonly targetPath: string;
  /** Of the whole file: those it was appended to are among them where the format says how many they are (Parquet). */
  readonly rows: number;
  readonly bytes: number;
  /** CRC-32C (Castagnoli) of the whole file. */
  readonly crc32c: number;
  /** What this run put into the file, in partition, then offset order. */
  readonly ranges: readonly OffsetRange[];
}
