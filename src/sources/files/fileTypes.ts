/** What the readers of all formats share. */
import type { RecordBatch } from 'apache-arrow';
import type { ColumnField } from '../../config/sparkSchema.ts';

/** Columns of a source, the same for all its files. Plain data: it crosses threads. */
export interface FileSchema {
  readonly columns: readonly ColumnField[];
}

export interface OpenFileOptions {
  /** Rows that are not given, counted from 0 as the file has them without those left out. */
  readonly startRow: number;
  /** Row of a Parquet file before which to stop, so that no row group behind it is looked at; left out: the file's end. */
  readonly endRow?: number;
  /** A batch ends at so many rows, or once it holds so many bytes. */
  readonly batchRows: number;
  readonly batchBytes: number;
  /** For the reader's own buffers. Parquet and JSON take 64 MiB at least. */
  readonly memoryLimitBytes: number;
  /** Columns as `readSchema` gave them for all files; those of the file itself if left out. */
  readonly schema?: FileSchema;
  readonly signal?: AbortSignal;
}

/** Rows in the order of the file. `firstRow` is the number of the first one, the same whenever the file is read. */
export interface FileBatch {
  readonly firstRow: number;
  /** May be empty where `dropped` is not 0. */
  readonly batch: RecordBatch;
  /** Bad rows left out since the batch before; for JSON all of the file at its end. */
  readonly dropped: number;
  /** Nobody looks at the batch any more: its memory serves the next one. Left out, the garbage collector has it. */
  readonly giveBack: () => void;
}
