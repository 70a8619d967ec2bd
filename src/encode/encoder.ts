/** What stands between Arrow batches and the bytes of an output format. */
import type { RecordBatch, Schema, Table } from 'apache-arrow';
import type { ParquetCompression } from '../config/job.ts';
import { ParquetEncoder } from './parquet/parquetEncoder.ts';

export interface EncoderSettings {
  readonly compression: ParquetCompression;
}

/** Makes the encoder of a worker. Parquet is the one format so far. */
export function createEncoder(settings: EncoderSettings): RowGroupEncoder {
  return new ParquetEncoder(settings.compression);
}

/** A file of one row group, in two parts that can be put anywhere in a larger file. */
export interface EncodedRowGroup {
  /** Everything between the leading magic and the footer, in order: views that the encoder's next call overwrites. */
  readonly body: readonly Uint8Array[];
  readonly bodyBytes: number;
  /** What a footer must say of the body, its positions counted in a file that has 4 bytes of magic before the body. */
  readonly footer: Uint8Array;
  readonly rows: number;
  /** Bytes of the columns before encoding: values, offsets and fixed-width numbers. */
  readonly rawBytes: number;
}

/** Encodes one batch at a time in the calling thread; keeps nothing of a batch afterwards. */
export interface RowGroupEncoder {
  /**
   * Encodes all rows of a batch as one row group. Now and then it lets the event loop turn.
   *
   * @param batch One row at least. Only read, and must not change before the promise settles.
   * @throws OffloadError INTERNAL when the encoder fails; after that it must not be used again.
   */
  encode(batch: RecordBatch | Table): Promise<EncodedRowGroup>;
  /** A file of no rows: an empty body, and a footer that has the schema and no row group. */
  emptyFile(schema: Schema): EncodedRowGroup;
  /** Which encoders wrote columns so far: `flat` (our own) and `parquet-wasm`, in this order. */
  usedEncoders(): string[];
  /** Gives back what the encoder holds; `encode` may not be called afterwards. */
  free(): void;
}
