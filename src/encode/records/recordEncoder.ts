/**
 * Rows to record batches, in the calling thread: from data to data. Rows are placed first and then written partition by
 * partition, so that one section is held at a time however many partitions there are.
 */
import { setImmediate } from 'node:timers/promises';
import type { RecordBatch, Table } from 'apache-arrow';
import type { RecordCompression } from './compress.ts';
import { type InputColumns, inputColumns } from './inputColumns.ts';
import { type PlacedRows, Placer, type RowName, topicNames } from './placement.ts';
import { assembleBatch, BATCH_HEADER_BYTES, type EncodedRecordBatch } from './recordBatch.ts';
import { type ConstantHeader, type RecordDefaults, RecordSection } from './recordSection.ts';

/** What brokers accept by default is 12 bytes more (`message.max.bytes`). */
export const DEFAULT_MAX_BATCH_BYTES = 1024 * 1024;

/** Compressed bytes that may pile up before the event loop turns: there the native codecs' memory is freed. */
const RELEASE_EVERY_BYTES = 4 * 1024 * 1024;

export interface RecordEncoderSettings {
  /** For rows that name no topic; null: every row must. */
  readonly defaultTopic: string | null;
  /** Number of partitions of each topic that rows go to. Looked at in each call: it may grow between them. */
  readonly partitionCounts: ReadonlyMap<string, number>;
  readonly compression: RecordCompression;
  /** Bytes of a batch before compression; DEFAULT_MAX_BATCH_BYTES suits brokers as they come. */
  readonly maxBatchBytes: number;
  /** Constant headers, added to every record behind its own. */
  readonly headers: readonly ConstantHeader[];
}

export interface EncodeOptions {
  /** For rows without a timestamp: now, in milliseconds since the epoch. */
  readonly defaultTimestampMs: number;
  /** Names a row in errors, given its number in the input, from 0. */
  readonly rowName: RowName;
}

/** Encodes one input at a time; its memory is that of one record batch, and is used again. */
export class RecordEncoder {
  readonly #settings: RecordEncoderSettings;
  readonly #placer: Placer;
  readonly #section: RecordSection;
  #unreleasedBytes = 0;

  constructor(settings: RecordEncoderSettings) {
    this.#settings = settings;
    this.#placer = new Placer(settings.defaultTopic, settings.partitionCounts);
    this.#section = new RecordSection(settings);
  }

  /**
   * Encodes all rows. Columns are found by name, and each may be absent:
   *
   *     key, value   Utf8 or Binary                 topic      Utf8
   *     partition    an integer; null: by the key   timestamp  Timestamp of any unit, or Int64 milliseconds
   *     headers      List<Struct<key, value>> or Map<key, value>, keys Utf8, values Utf8 or Binary
   *
   * Others are left aside. Null and empty keys, values and header values stay what they are.
   *
   * @param input Only read, and must not change before the promise settles.
   * @returns Batches in the order of topics, then partitions, then rows; rows of one partition keep their order.
   * @throws OffloadError ROW_INVALID for a row that cannot be written, which it names; FIELD_INVALID for a column of a
   *   wrong type; TOPIC_UNKNOWN for a topic that `partitionCounts` has not.
   */
  async encode(input: RecordBatch | Table, options: EncodeOptions): Promise<EncodedRecordBatch[]> {
    const columns = inputColumns(input);
    if (columns.length === 0) return [];
    const { order, targets } = this.#placer.place(columns, input.numRows, options.rowName);
    const defaults = { timestampMs: options.defaultTimestampMs, rowName: options.rowName };
    const batches: EncodedRecordBatch[] = [];
    for (const target of targets) await this.#encodeTarget(columns, order, target, defaults, batches);
    return batches;
  }

  async #encodeTarget(
    batches: readonly InputColumns[],
    order: Int32Array,
    target: PlacedRows,
    defaults: RecordDefaults,
    into: EncodedRecordBatch[],
  ): Promise<void> {
    this.#section.clear();
    let place = target.start;
    for (const columns of batches) {
      const endRow = columns.firstRow + columns.rows;
      while (place < target.end && (order[place] as number) < endRow) {
        place = this.#section.add(columns, order, place, target.end, defaults);
        const isFull = place < target.end && (order[place] as number) < endRow;
        if (isFull || place === target.end) into.push(await this.#close(target));
      }
    }
  }

  async #close({ topic, partition }: PlacedRows): Promise<EncodedRecordBatch> {
    const { rows, baseTimestampMs, maxTimestampMs } = this.#section;
    const compressed = this.#section.compressed(this.#settings.compression);
    const { codec, bytes: records } = compressed instanceof Promise ? await compressed : compressed;
    const bytes = assembleBatch(records, { codec, rows, baseTimestampMs, maxTimestampMs });
    this.#section.clear();
    this.#unreleasedBytes += bytes.length - BATCH_HEADER_BYTES;
    if (this.#unreleasedBytes >= RELEASE_EVERY_BYTES) {
      this.#unreleasedBytes = 0;
      await setImmediate();
    }
    return { topic, partition, rows, bytes, maxTimestampMs };
  }
}

/** The topics that rows of the input go to, so that their partitions can be looked up before it is encoded. */
export function topicsOf(input: RecordBatch | Table, defaultTopic: string | null): ReadonlySet<string> {
  return topicNames(inputColumns(input), defaultTopic);
}
