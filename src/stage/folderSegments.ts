/**
 * Rows for many folders, written by several workers at once, with few files open: encoded rows of all folders go to a
 * few spools, whole and in any order, and the coordinator copies them to the file of their folder when all are there.
 */
import type { RecordBatch } from 'apache-arrow';
import type { BatchEncoder } from '../encode/encoder.ts';
import type { Partitioning } from '../partition/partitioning.ts';
import { splitBatch } from '../partition/splitBatch.ts';
import type { OffsetRange } from '../tasks.ts';
import type { Segment, SegmentWriter } from './segments.ts';

/** Bytes in a spool. */
export type Spooled = Pick<Segment, 'file' | 'position' | 'bytes' | 'crc32c'>;

/** Encoded rows of one folder. */
export interface FolderSegment {
  /** `a=1/b=x` */
  readonly folder: string;
  readonly body: Spooled;
  /** What the file's tail must say of the body, in the spool too: there may be more of them than memory. Null: nothing. */
  readonly footer: Spooled | null;
  readonly rows: number;
  /** The offsets the rows are among. */
  readonly range: OffsetRange;
}

/** Encodes the rows of batches by folder and writes them to the spools. */
export class FolderEncoder {
  readonly #encoder: BatchEncoder;
  readonly #partitioning: Partitioning;
  readonly #mostRows: number;

  /** @param mostRows Most rows encoded at a time. */
  constructor(encoder: BatchEncoder, partitioning: Partitioning, mostRows: number) {
    this.#encoder = encoder;
    this.#partitioning = partitioning;
    this.#mostRows = mostRows;
  }

  /** Refuses what `write` would, without a trace. @throws OffloadError ROW_INVALID */
  check(batch: RecordBatch, rowName: (row: number) => string): void {
    for (const { rows } of splitBatch(batch, this.#partitioning, rowName)) this.#encoder.check?.(rows);
  }

  /**
   * @param range Where the batch comes from.
   * @param rowName Names a row of the batch in messages.
   * @returns For each folder in the order of the rows.
   * @throws OffloadError ROW_INVALID for a value that no folder can be named by; and as the encoder.
   */
  async write(
    batch: RecordBatch,
    range: OffsetRange,
    writer: SegmentWriter,
    rowName: (row: number) => string,
  ): Promise<FolderSegment[]> {
    const segments: FolderSegment[] = [];
    for (const { folder, rows } of splitBatch(batch, this.#partitioning, rowName)) {
      for (let row = 0, end = 0; row < rows.numRows; row = end) {
        const most = Math.min(rows.numRows, row + this.#mostRows);
        const encoded = await this.#encoder.encode(most - row === rows.numRows ? rows : rows.slice(row, most));
        end = row + encoded.rows;
        const body = await writer.write(null, encoded.body);
        const footer = encoded.footer.length === 0 ? null : await writer.write(null, [encoded.footer]);
        segments.push({ folder, body, footer, rows: encoded.rows, range });
      }
    }
    return segments;
  }
}
