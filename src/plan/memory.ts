/**
 * Shares out `--max-memory`: what one worker may hold in fetch buffers, column arenas and the encoder's copies.
 */
import { DEFAULTS } from '../config/defaults.ts';
import type { StagedFormat } from '../config/writerOptions.ts';
import type { EncoderMemory } from '../encode/memory.ts';
import { OffloadError } from '../errors.ts';
import type { TransformMemory } from '../transform/memory.ts';

export interface MemoryPlan {
  /** Bytes asked for in one Fetch. */
  readonly fetchBytes: number;
  /** Message bytes after which a row group is cut. */
  readonly rowGroupBytes: number;
  /** Message bytes after which columns are encoded. */
  readonly partBytes: number;
}

export interface MemoryDemand {
  readonly maxMemoryBytes: number;
  readonly workers: number;
  /** What was asked for; memory may ask for less. */
  readonly rowGroupBytes: number;
  readonly fetchBytes: number;
  /** The encoder takes row groups in parts. */
  readonly takesParts?: boolean;
  readonly encoder: EncoderMemory;
  readonly transform: TransformMemory;
}

/**
 * For the buffers of whoever reads a file. DuckDB takes 32 MiB of it at a time, and needs some 70 for a file of two columns
 * of text (measured, 1.5.5).
 */
export const FILE_READER_BYTES = 96 * 1024 ** 2;

/** One answer is decoded while the next one arrives; each is one buffer. */
const FETCH_COPIES = 2;
/** Columns have room for a row group from the start (decode/columns.ts): a quarter is for what they keep of each row. */
const COLUMN_BYTES_PER_RAW_BYTE = 1.25;
/**
 * Of a row group that is encoded in parts, its columns hold no more than this: a few pages, which stay in the processor's
 * cache. The rest of it is held encoded.
 */
const PART_BYTES = 4 * 1024 * 1024;
const MIN_FETCH_BYTES = 512 * 1024;
const MIN_ROW_GROUP_BYTES = 1024 * 1024;

/**
 * Rows and raw bytes after which rows are encoded, unless memory asks for less. For Parquet they are a row group; the other
 * formats cut what they write themselves.
 *
 * @param isDivided Among folders.
 */
export function batchLimits(
  output: StagedFormat,
  isDivided: boolean,
): { readonly rows: number; readonly bytes: number } {
  if (output.format === 'parquet') return { rows: output.rowGroupRows, bytes: output.rowGroupBytes };
  return { rows: DEFAULTS.rowGroupRows, bytes: isDivided ? DEFAULTS.dividedRowGroupBytes : DEFAULTS.rowGroupBytes };
}

/**
 * @throws OffloadError USAGE if the memory is too small for so many workers.
 */
export function planMemory(demand: MemoryDemand): MemoryPlan {
  const { maxMemoryBytes, workers, encoder, transform } = demand;
  const copies = COLUMN_BYTES_PER_RAW_BYTE + encoder.bytesPerRawByte + transform.bytesPerRawByte;
  const fixedBytes = encoder.fixedBytes + transform.fixedBytes;
  const share = maxMemoryBytes / workers - fixedBytes;
  const fetchBytes = Math.min(demand.fetchBytes, Math.max(MIN_FETCH_BYTES, share / (4 * FETCH_COPIES)));
  const left = share - fetchBytes * FETCH_COPIES;
  const partBytes = demand.takesParts ? Math.min(PART_BYTES, left / (2 * copies)) : left / copies;
  const partCopies = COLUMN_BYTES_PER_RAW_BYTE + transform.bytesPerRawByte;
  const mostBytes = demand.takesParts ? (left - partBytes * partCopies) / encoder.bytesPerRawByte : partBytes;
  const rowGroupBytes = Math.min(demand.rowGroupBytes, mostBytes);
  if (rowGroupBytes < Math.min(MIN_ROW_GROUP_BYTES, demand.rowGroupBytes)) {
    const needed = workers * (fixedBytes + MIN_ROW_GROUP_BYTES * copies + MIN_FETCH_BYTES * FETCH_COPIES);
    const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 1024 ** 2)} MiB`;
    throw new OffloadError(
      'USAGE',
      `--max-memory ${mebibytes(maxMemoryBytes)} is too little for ${workers} workers, which need ${mebibytes(needed)}; give more memory or fewer --workers`,
    );
  }
  return {
    fetchBytes: Math.floor(fetchBytes),
    rowGroupBytes: Math.floor(rowGroupBytes),
    partBytes: Math.floor(Math.min(partBytes, rowGroupBytes)),
  };
}
