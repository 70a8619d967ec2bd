/** What stands between Arrow batches and the bytes of an output format. */
import type { RecordBatch, Table } from 'apache-arrow';

/** Encoded rows, as they can stand anywhere between the head and the tail of a file. */
export interface EncodedRows {
  /** In order: views that the encoder's next call overwrites. */
  readonly body: readonly Uint8Array[];
  readonly bodyBytes: number;
  /** What the tail of a file must say of the body; empty for formats without a tail. */
  readonly footer: Uint8Array;
  /** How many rows of the batch these are, from its first: one at least. */
  readonly rows: number;
}

/** Encodes one batch at a time in the calling thread; keeps nothing of a batch afterwards. */
export interface BatchEncoder {
  /**
   * Encodes the rows of a batch, or the first of them when they are many: the caller goes on with the rest. Parquet
   * always takes all, as one row group. Now and then it lets the event loop turn.
   *
   * @param batch One row at least. Only read, and must not change before the promise settles.
   * @throws OffloadError TARGET_UNSUITABLE naming a column whose type the format cannot hold; INTERNAL when the encoder
   *   fails. After either it must not be used again.
   */
  encode(batch: RecordBatch | Table): Promise<EncodedRows>;
  /**
   * Looks for values that `encode` would refuse, without encoding anything; left out where there are no such values.
   *
   * @throws OffloadError ROW_INVALID
   */
  check?(batch: RecordBatch): void;
  /** Which encoders wrote so far: for Parquet `flat` (our own) and `parquet-wasm`, else the format. */
  usedEncoders(): string[];
  /** Gives back what the encoder holds; `encode` may not be called afterwards. */
  free(): void;
}

/** One that takes a row group in parts, and then holds of its rows what they take encoded. */
export interface PartsEncoder extends BatchEncoder {
  /**
   * Encodes rows behind those that were added before.
   *
   * @param batch As that of `encode`; may change when the promise has settled.
   * @returns False: it cannot stand in one row group with them, and nothing was done; it begins one after `finish`.
   * @throws OffloadError as `encode`; after ROW_INVALID nothing was done.
   */
  add(batch: RecordBatch): Promise<boolean>;
  /** What was added since the last `finish` or `discard`: once at least. Views that the next `add` overwrites. */
  finish(): Promise<EncodedRows>;
  /** Forgets what was added. */
  discard(): void;
}

export function takesParts(encoder: BatchEncoder): encoder is PartsEncoder {
  return 'add' in encoder;
}
