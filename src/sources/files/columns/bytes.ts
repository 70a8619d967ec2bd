import { type Data, type DataType, makeData } from 'apache-arrow';
import { ByteStore, ValidityStore } from '../byteStore.ts';
import { appendStrings } from '../duckdb/strings.ts';
import { type Vector, vectorApi } from '../duckdb/vectorApi.ts';
import type { ColumnBuilder } from './builder.ts';

/** Text and bytes. Arrow counts them with 32 bits, which a batch stays far below. */
export class BytesBuilder implements ColumnBuilder {
  readonly #type: DataType;
  readonly #offsets = new ByteStore();
  readonly #values = new ByteStore();
  readonly #validity = new ValidityStore();

  constructor(type: DataType) {
    this.#type = type;
  }

  get rows(): number {
    return this.#validity.rows;
  }

  get bytes(): number {
    return this.#values.length + this.#offsets.length;
  }

  appendVector(vector: Vector, start: number, count: number): void {
    const { data, validity } = vectorApi().parts(vector, 16, start + count);
    this.#validity.appendBits(validity, start, count);
    const ends = this.#reserveOffsets(count);
    appendStrings(this.#values, ends, data, validity, start, count);
    this.#offsets.length += count * 4;
  }

  appendValue(value: unknown): void {
    this.#validity.append(value !== null);
    if (typeof value === 'string') {
      this.#values.reserve(value.length * 3);
      this.#values.length += this.#values.bytes.write(value, this.#values.length);
    } else if (value !== null) {
      this.#values.append(value as Uint8Array);
    }
    this.#endRow();
  }

  /** Appends bytes `from` to `to` of `source` as one row. */
  appendBytes(source: Buffer, from: number, to: number): void {
    const { bytes: target, length } = this.room(to - from);
    // A call costs more than copying a short text here.
    if (to - from < 48) for (let at = from; at < to; at++) target[length + at - from] = source[at] as number;
    else source.copy(target, length, from, to);
    this.endValue(length + to - from);
  }

  /** Memory that has room for `count` bytes behind `length`, for a caller that fills it and calls `endValue`. */
  room(count: number): ByteStore {
    this.#values.reserve(count);
    return this.#values;
  }

  /** @param end Where the value written into `room` ends. */
  endValue(end: number): void {
    this.#values.length = end;
    this.#validity.append(true);
    this.#endRow();
  }

  #endRow(): void {
    const ends = this.#reserveOffsets(1);
    ends[0] = this.#values.length;
    this.#offsets.length += 4;
  }

  /** Where the ends of the next `count` values go. */
  #reserveOffsets(count: number): Int32Array {
    this.#offsets.reserve(count * 4);
    return new Int32Array(this.#offsets.bytes.buffer, this.#offsets.length, count);
  }

  finish(): Data {
    const { bits, nullCount, rows } = this.#validity.take();
    const ends = this.#offsets.take();
    const valueOffsets = new Int32Array(rows + 1);
    valueOffsets.set(new Int32Array(ends.buffer, ends.byteOffset, rows), 1);
    const data = this.#values.take();
    return makeData({ type: this.#type, length: rows, nullCount, nullBitmap: bits, valueOffsets, data } as never);
  }
}
