/*
 * Records of one batch before compression (Kafka protocol guide, "Record"). Numbers are zigzag varints:
 *
 *     length, attributes (1 byte), timestamp delta, offset delta, key length, key, value length, value,
 *     number of headers, then for each: key length, key, value length, value. Length -1 is null.
 *
 * A record begins with its own length, so its size is counted first and its bytes are written once, in place.
 */
import { OffloadError } from '../../errors.ts';
import { type CompressedSection, compressSection, type RecordCompression } from './compress.ts';
import {
  type ByteColumn,
  type HeaderColumns,
  type InputColumns,
  isNull,
  type TimestampColumn,
} from './inputColumns.ts';
import type { RowName } from './placement.ts';
import { BATCH_HEADER_BYTES } from './recordBatch.ts';
import { SectionMemory } from './sectionMemory.ts';
import { longVarintBytes, varintBytes, writeLongVarint, writeVarint } from './varint.ts';

/** Up to here a loop over the bytes is quicker than a call that copies them (measured in bench/produce.ts). */
const MAX_LOOPED_BYTES = 24;
const INITIAL_BYTES = 64 * 1024;
/** A record that needed more leaves its memory behind: a memory of WebAssembly cannot shrink. */
const MAX_KEPT_BYTES = 4 * 1024 ** 2;
/** Longest varint of 32 bits. */
const MAX_VARINT_BYTES = 5;
const TWO_POW_32 = 0x1_0000_0000;

export interface ConstantHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

export interface SectionSettings {
  /** Bytes of a batch before compression, header included; a record that is larger is a batch alone. */
  readonly maxBatchBytes: number;
  /** Added to every record, behind its own headers. */
  readonly headers: readonly ConstantHeader[];
}

/** What the records of a call have in common. */
export interface RecordDefaults {
  /** For rows whose timestamp is null or absent, in milliseconds since the epoch; -1: none. */
  readonly timestampMs: number;
  readonly rowName: RowName;
}

/** The batch that is being filled; its memory is used again for the next one. */
export class RecordSection {
  rows = 0;
  baseTimestampMs = -1;
  maxTimestampMs = -1;
  readonly #maxBatchBytes: number;
  readonly #constantHeaders: Buffer;
  readonly #constantHeaderCount: number;
  #memory = new SectionMemory();
  #bytes: Buffer = Buffer.alloc(0);
  #used = 0;

  constructor({ maxBatchBytes, headers }: SectionSettings) {
    this.#maxBatchBytes = maxBatchBytes;
    this.#constantHeaders = Buffer.concat(headers.flatMap(({ key, value }) => [field(Buffer.from(key)), field(value)]));
    this.#constantHeaderCount = headers.length;
  }

  /** The records as they go into the batch, until the section is cleared. */
  compressed(compression: RecordCompression): CompressedSection | Promise<CompressedSection> {
    return compressSection(compression, this.#bytes.subarray(0, this.#used), this.#memory);
  }

  clear(): void {
    this.rows = 0;
    this.#used = 0;
    this.baseTimestampMs = -1;
    this.maxTimestampMs = -1;
    if (this.#bytes.length <= Math.max(MAX_KEPT_BYTES, this.#maxBatchBytes)) return;
    this.#memory = new SectionMemory();
    this.#bytes = Buffer.alloc(0);
  }

  /**
   * Adds the rows `order[start] ... order[end - 1]` as far as they lie in this Arrow batch and fit.
   *
   * @returns Place in `order` of the first row not added. The section is full if that row lies in this Arrow batch.
   * @throws OffloadError ROW_INVALID naming the row.
   */
  add(columns: InputColumns, order: Int32Array, start: number, end: number, defaults: RecordDefaults): number {
    const { firstRow, key, value, timestamp, headers } = columns;
    const endRow = firstRow + columns.rows;
    const limit = this.#maxBatchBytes - BATCH_HEADER_BYTES;
    const constantHeaderBytes = this.#constantHeaders.length;
    let bytes: Buffer = this.#bytes;
    let used = this.#used;
    let rows = this.rows;
    let place = start;
    for (; place < end; place++) {
      const globalRow = order[place] as number;
      if (globalRow >= endRow) break;
      const row = globalRow - firstRow;
      const timestampMs = timestamp === null ? defaults.timestampMs : timestampAt(timestamp, row, globalRow, defaults);
      if (rows === 0) this.baseTimestampMs = timestampMs;
      const delta = timestampMs - this.baseTimestampMs;

      const keyLength = lengthAt(key, row);
      const valueLength = lengthAt(value, row);
      const firstHeader = headers === null || isNull(headers.nulls, row) ? 0 : (headers.offsets[row] as number);
      const endHeader = headers === null || isNull(headers.nulls, row) ? 0 : (headers.offsets[row + 1] as number);
      const headerCount = endHeader - firstHeader + this.#constantHeaderCount;
      let length =
        1 +
        longVarintBytes(delta) +
        varintBytes(rows) +
        varintBytes(keyLength) +
        varintBytes(valueLength) +
        varintBytes(headerCount) +
        constantHeaderBytes;
      if (keyLength > 0) length += keyLength;
      if (valueLength > 0) length += valueLength;
      if (headers !== null && endHeader > firstHeader) {
        length += headersBytes(headers, firstHeader, endHeader, globalRow, defaults.rowName);
      }
      const after = used + varintBytes(length) + length;
      if (after > limit && rows > 0) break;
      if (after + MAX_VARINT_BYTES > bytes.length) bytes = this.#grow(after + MAX_VARINT_BYTES);

      used = writeVarint(bytes, used, length);
      bytes[used++] = 0; // attributes: none are defined
      used = writeLongVarint(bytes, used, delta);
      used = writeVarint(bytes, used, rows);
      used = writeField(bytes, used, key, row, keyLength);
      used = writeField(bytes, used, value, row, valueLength);
      used = writeVarint(bytes, used, headerCount);
      if (headers !== null) {
        for (let entry = firstHeader; entry < endHeader; entry++) {
          used = writeField(bytes, used, headers.keys, entry, lengthAt(headers.keys, entry));
          used = writeField(bytes, used, headers.values, entry, lengthAt(headers.values, entry));
        }
      }
      if (constantHeaderBytes > 0) {
        bytes.set(this.#constantHeaders, used);
        used += constantHeaderBytes;
      }
      if (timestampMs > this.maxTimestampMs) this.maxTimestampMs = timestampMs;
      rows++;
    }
    this.rows = rows;
    this.#used = used;
    return place;
  }

  #grow(needed: number): Buffer {
    this.#bytes = this.#memory.reserve(Math.max(needed, 2 * this.#bytes.length, INITIAL_BYTES));
    return this.#bytes;
  }
}

/** -1 for null. */
function lengthAt(column: ByteColumn | null, row: number): number {
  if (column === null || isNull(column.nulls, row)) return -1;
  return (column.offsets[row + 1] as number) - (column.offsets[row] as number);
}

function writeField(to: Buffer, at: number, column: ByteColumn | null, row: number, length: number): number {
  const position = writeVarint(to, at, length);
  if (length <= 0 || column === null) return position;
  const { data } = column;
  const start = column.offsets[row] as number;
  if (length <= MAX_LOOPED_BYTES) {
    for (let i = 0; i < length; i++) to[position + i] = data[start + i] as number;
  } else {
    data.copy(to, position, start, start + length);
  }
  return position + length;
}

function headersBytes(headers: HeaderColumns, first: number, end: number, row: number, rowName: RowName): number {
  let bytes = 0;
  for (let entry = first; entry < end; entry++) {
    const keyLength = isNull(headers.entryNulls, entry) ? -1 : lengthAt(headers.keys, entry);
    if (keyLength < 0) {
      const message = `cannot write ${rowName(row)} to Kafka: header ${entry - first + 1} has no key, and Kafka needs one`;
      throw new OffloadError('ROW_INVALID', message, { context: { row, header: entry - first } });
    }
    const valueLength = lengthAt(headers.values, entry);
    bytes += varintBytes(keyLength) + keyLength + varintBytes(valueLength) + Math.max(0, valueLength);
  }
  return bytes;
}

function timestampAt(column: TimestampColumn, row: number, globalRow: number, defaults: RecordDefaults): number {
  if (isNull(column.nulls, row)) return defaults.timestampMs;
  const high = column.words[2 * row + 1] as number;
  const low = (column.words[2 * row] as number) >>> 0;
  const { divisor } = column;
  let timestampMs: number;
  if (divisor === 1) {
    timestampMs = (high * TWO_POW_32 + low) * column.multiplier;
  } else {
    // Nanoseconds of today have more than 53 bits: divided as by hand, each step is exact.
    const quotient = Math.floor(high / divisor);
    timestampMs = quotient * TWO_POW_32 + Math.floor(((high - quotient * divisor) * TWO_POW_32 + low) / divisor);
  }
  // Kafka knows no time before 1970; -1 is its mark for none.
  if (timestampMs >= -1 && timestampMs <= Number.MAX_SAFE_INTEGER) return timestampMs;
  throw new OffloadError(
    'ROW_INVALID',
    `cannot write ${defaults.rowName(globalRow)} to Kafka: its timestamp is ${timestampMs} ms since 1970, and Kafka takes ` +
      `0 to ${Number.MAX_SAFE_INTEGER}, or -1 for none`,
    { context: { row: globalRow, timestampMs } },
  );
}

/** A field with its length before it, for what is the same in every record. */
function field(value: Uint8Array | null): Buffer {
  const length = Buffer.alloc(MAX_VARINT_BYTES);
  const bytes = writeVarint(length, 0, value === null ? -1 : value.length);
  return Buffer.concat([length.subarray(0, bytes), value ?? Buffer.alloc(0)]);
}
