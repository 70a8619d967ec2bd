/**
 * Dead letters: records of which no row can be made, as they are, with the reason behind their own headers.
 *
 *     kafkaload.error.topic, .partition, .offset, .timestamp   where it was read, and its time in milliseconds
 *     kafkaload.error.code, .message                           what a run with `onBadRecord = fail` would end with
 *     kafkaload.error.config                                   the entry that was read
 *
 * All of them are text. Kafka Connect's `__connect.errors.*` tell of stages and classes that there are none of here.
 *
 * Nothing of a record is kept for this while all goes well: the few that are bad are read once more.
 */
import {
  Binary,
  type Data,
  Field,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Timestamp,
  TimeUnit,
  Utf8,
} from 'apache-arrow';
import { DEFAULTS } from '../../config/defaults.ts';
import type { FetchSettings } from '../../config/kafkaSettings.ts';
import { type BinaryColumn, MessageColumns, wordsToNumber } from '../../decode/columns.ts';
import { DecodeKernel } from '../../decode/kernel.ts';
import { RecordSet } from '../../decode/recordSet.ts';
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import { DEFAULT_MAX_BATCH_BYTES, RecordEncoder } from '../../encode/records/recordEncoder.ts';
import { OffloadError } from '../../errors.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import { KafkaRangeReader } from '../../sources/kafkaRange.ts';
import type { OffsetRange } from '../../tasks.ts';
import type { BadRecord, DeadLetterPlan } from './badRecord.ts';

type Place = Pick<OffsetRange, 'topic' | 'partition'>;
type Header = readonly [key: Buffer, value: Buffer | null];

interface Letter {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestampMs: number;
  readonly headers: readonly Header[];
}

const MOST_MESSAGE_BYTES = 1_000;
/** Records further apart are read by requests of their own. */
const MOST_OFFSETS_BETWEEN = 5_000;
const FETCH_BYTES = 1024 ** 2;

export class DeadLetterMaker {
  readonly #plan: DeadLetterPlan;
  readonly #cluster: Cluster;
  readonly #fetch: FetchSettings;
  readonly #encoder: RecordEncoder;
  readonly #kernel = new DecodeKernel();

  /** @param cluster That the records are read from; stays the caller's. */
  constructor(plan: DeadLetterPlan, cluster: Cluster, fetch: FetchSettings) {
    this.#plan = plan;
    this.#cluster = cluster;
    this.#fetch = { ...fetch, maxBytes: Math.min(fetch.maxBytes, FETCH_BYTES) };
    this.#encoder = new RecordEncoder({
      defaultTopic: plan.topic,
      partitionCounts: new Map([[plan.topic, plan.partitions]]),
      compression: DEFAULTS.recordCompression,
      maxBatchBytes: DEFAULT_MAX_BATCH_BYTES,
      headers: [],
    });
  }

  /**
   * Placed by their keys, as the Java client does.
   *
   * @param bad In offset order; none twice.
   * @throws OffloadError OFFSET_LOST if one of them was deleted since it was read; what a request fails with.
   */
  async encode(place: Place, bad: readonly BadRecord[]): Promise<EncodedRecordBatch[]> {
    const batches: EncodedRecordBatch[] = [];
    for (const span of spansOf(bad)) {
      const letters = await this.#read(place, span);
      const rowName = (row: number): string =>
        `the dead letter of ${place.topic}/${place.partition} at offset ${span[row]?.offset}`;
      batches.push(...(await this.#encoder.encode(toBatch(letters), { defaultTimestampMs: Date.now(), rowName })));
    }
    return batches;
  }

  async #read(place: Place, bad: readonly BadRecord[]): Promise<Letter[]> {
    const wanted = new Map(bad.map((record) => [record.offset, record]));
    const [startOffset, endOffset] = [bad[0]?.offset ?? 0, (bad.at(-1)?.offset ?? 0) + 1];
    const range = { ...place, startOffset, endOffset };
    const { isolationLevel, checkCrcs, maxBatchBytes } = this.#fetch;
    const reader = new KafkaRangeReader(this.#cluster, range, { fetch: this.#fetch, failOnDataLoss: true });
    const columns = new MessageColumns(['key', 'value', 'headers', 'timestamp']);
    const letters: Letter[] = [];
    for (let fetched = await reader.next(); fetched !== null; fetched = await reader.next()) {
      const { records, aborted, startOffset: from } = fetched;
      const about = { isolationLevel, checkCrcs, maxBatchBytes, kernel: this.#kernel };
      const set = new RecordSet(records, aborted, { ...place, startOffset: from, endOffset, ...about });
      while ((await set.peek()) !== null) {
        columns.clear();
        await set.next(columns);
        for (let row = 0; row < columns.rows; row++) {
          const record = wanted.get(columns.offsetAt(row));
          if (record) letters.push(letterOf(columns, row, this.#headersOf(place, record, columns, row)));
        }
      }
    }
    if (letters.length === bad.length) return letters;
    throw new OffloadError(
      'OFFSET_LOST',
      `cannot read ${bad.length} bad records of ${place.topic}/${place.partition} from offset ${startOffset} on for ` +
        `topic ${this.#plan.topic}: ${letters.length} of them are left; set onBadRecord to skip to go on without them`,
      { context: { ...place, startOffset, endOffset } },
    );
  }

  #headersOf(
    { topic, partition }: Place,
    { offset, code, message }: BadRecord,
    columns: MessageColumns,
    row: number,
  ): Header[] {
    const timestampMs = columns.timestampWords ? wordsToNumber(columns.timestampWords, row) : -1;
    const about = { topic, partition, offset, timestamp: timestampMs, code, message, config: this.#plan.config };
    return Object.entries(about).map(([name, value]) => {
      return [Buffer.from(`kafkaload.error.${name}`), shorten(Buffer.from(String(value)))];
    });
  }
}

/** Parts of the list whose records stand near one another. */
function spansOf(bad: readonly BadRecord[]): BadRecord[][] {
  const spans: BadRecord[][] = [];
  for (const record of bad) {
    const last = spans.at(-1);
    const before = last?.at(-1)?.offset;
    if (last && before !== undefined && record.offset - before <= MOST_OFFSETS_BETWEEN) last.push(record);
    else spans.push([record]);
  }
  return spans;
}

/** Copies: the columns are used again. */
function letterOf(columns: MessageColumns, row: number, more: readonly Header[]): Letter {
  const { key, value, headers, timestampWords } = columns;
  const own: Header[] = [];
  if (headers) {
    for (let entry = headers.offsets[row] as number; entry < (headers.offsets[row + 1] as number); entry++) {
      own.push([bytesAt(headers.keys, entry) ?? Buffer.alloc(0), bytesAt(headers.values, entry)]);
    }
  }
  return {
    key: key && bytesAt(key, row),
    value: value && bytesAt(value, row),
    timestampMs: timestampWords ? wordsToNumber(timestampWords, row) : -1,
    headers: [...own, ...more],
  };
}

function bytesAt(column: BinaryColumn, row: number): Buffer | null {
  if (column.isNull(row)) return null;
  return Buffer.from(column.data.subarray(column.offsets[row], column.offsets[row + 1]));
}

/** At most so many bytes, no character cut. */
function shorten(text: Buffer): Buffer {
  if (text.length <= MOST_MESSAGE_BYTES) return text;
  let end = MOST_MESSAGE_BYTES;
  while (((text[end] as number) & 0xc0) === 0x80) end--;
  return text.subarray(0, end);
}

const HEADER = new Struct([new Field('key', new Utf8(), false), new Field('value', new Binary(), true)]);
const COLUMNS = [
  new Field('key', new Binary(), true),
  new Field('value', new Binary(), true),
  new Field('timestamp', new Timestamp(TimeUnit.MILLISECOND, 'UTC'), true),
  new Field('headers', new List(new Field('element', HEADER, false)), false),
] as const;

function toBatch(letters: readonly Letter[]): RecordBatch {
  const headers = letters.flatMap((letter) => letter.headers);
  const valueOffsets = new Int32Array(letters.length + 1);
  for (const [row, letter] of letters.entries()) {
    valueOffsets[row + 1] = (valueOffsets[row] as number) + letter.headers.length;
  }
  const entries = [
    bytesData(
      HEADER.children[0]?.type as Utf8,
      headers.map(([name]) => name),
    ),
  ];
  entries.push(
    bytesData(
      HEADER.children[1]?.type as Binary,
      headers.map(([, value]) => value),
    ),
  );
  const child = makeData({ type: HEADER, length: headers.length, nullCount: 0, children: entries });
  const [key, value, timestamp, list] = COLUMNS;
  const children: Data[] = [
    bytesData(
      key.type as Binary,
      letters.map((letter) => letter.key),
    ),
    bytesData(
      value.type as Binary,
      letters.map((letter) => letter.value),
    ),
    timestamps(timestamp.type as Timestamp, letters),
    makeData({ type: list.type as List, length: letters.length, nullCount: 0, valueOffsets, child }),
  ];
  const schema = new Schema([...COLUMNS]);
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length: letters.length, nullCount: 0, children }));
}

/** A time that Kafka does not take from a producer becomes that of now; the header has it as it was. */
function timestamps(type: Timestamp, letters: readonly Letter[]): Data {
  const isTaken = letters.map(({ timestampMs }) => timestampMs >= -1 && Number.isSafeInteger(timestampMs));
  const data = BigInt64Array.from(letters, ({ timestampMs }, row) => (isTaken[row] ? BigInt(timestampMs) : 0n));
  return makeData({ type, length: letters.length, ...validity(isTaken), data });
}

function bytesData(type: Utf8 | Binary, values: readonly (Buffer | null)[]): Data {
  const valueOffsets = new Int32Array(values.length + 1);
  for (const [row, value] of values.entries()) {
    valueOffsets[row + 1] = (valueOffsets[row] as number) + (value?.length ?? 0);
  }
  const data = Buffer.concat(values.map((value) => value ?? Buffer.alloc(0)));
  const common = { length: values.length, ...validity(values.map((value) => value !== null)), valueOffsets, data };
  return makeData({ type, ...common } as never);
}

function validity(isValid: readonly boolean[]): { nullCount: number; nullBitmap: Uint8Array } {
  const nullBitmap = new Uint8Array((isValid.length + 7) >>> 3);
  for (const [row, valid] of isValid.entries()) {
    if (valid) nullBitmap[row >>> 3] = (nullBitmap[row >>> 3] as number) | (1 << (row & 7));
  }
  return { nullCount: isValid.filter((valid) => !valid).length, nullBitmap };
}
