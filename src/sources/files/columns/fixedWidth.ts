/** Columns of values that all have the same number of bytes, or bits, and columns of nulls. */
import { type Data, type DataType, makeData } from 'apache-arrow';
import { OffloadError } from '../../../errors.ts';
import { ByteStore, ValidityStore } from '../byteStore.ts';
import { wideDecimals } from '../duckdb/decimals.ts';
import { type Vector, vectorApi } from '../duckdb/vectorApi.ts';
import { type ColumnBuilder, isValid } from './builder.ts';

/** Integers, times and decimals: `width` bytes a value, little endian, as Arrow and DuckDB both keep them. */
export class FixedBuilder implements ColumnBuilder {
  protected readonly type: DataType;
  protected readonly width: number;
  readonly #vectorWidth: number;
  /** Digits of a decimal that the vector does not bound by itself; 0 where it does. */
  readonly #maxDigits: number;
  protected readonly store = new ByteStore();
  protected readonly validity = new ValidityStore();

  constructor(type: DataType, width: number, vectorWidth: number = width, maxDigits = 0) {
    this.type = type;
    this.width = width;
    this.#vectorWidth = vectorWidth;
    this.#maxDigits = maxDigits;
  }

  get rows(): number {
    return this.validity.rows;
  }

  get bytes(): number {
    return this.store.length;
  }

  appendVector(vector: Vector, start: number, count: number): void {
    const { data, validity } = vectorApi().parts(vector, this.#vectorWidth, start + count);
    this.validity.appendBits(validity, start, count);
    const values = data.subarray(start * this.#vectorWidth, (start + count) * this.#vectorWidth);
    if (this.width === this.#vectorWidth && this.#maxDigits === 0) this.store.append(values);
    else wideDecimals(this.store, values, this.#vectorWidth, (row) => isValid(validity, start + row), this.#maxDigits);
  }

  appendValue(value: unknown): void {
    const { store } = this;
    this.validity.append(value !== null);
    store.reserve(this.width);
    if (value !== null) this.write(value as number | bigint, store.bytes, store.length);
    else store.bytes.fill(0, store.length, store.length + this.width);
    store.length += this.width;
  }

  protected write(value: number | bigint, target: Buffer, at: number): void {
    if (typeof value === 'bigint') {
      for (let word = 0; word < this.width; word += 4) {
        target.writeUInt32LE(Number(BigInt.asUintN(32, value >> BigInt(word * 8))), at + word);
      }
      return;
    }
    const high = Math.floor(value / 2 ** 32);
    switch (this.width) {
      case 1:
        target[at] = value;
        return;
      case 2:
        target[at] = value;
        target[at + 1] = value >> 8;
        return;
      case 4:
        target.writeInt32LE(value | 0, at);
        return;
      default:
        target.writeUInt32LE(value - high * 2 ** 32, at);
        target.writeInt32LE(high | 0, at + 4);
        if (this.width === 16) target.fill(value < 0 ? 0xff : 0, at + 8, at + 16);
    }
  }

  finish(): Data {
    const { bits, nullCount, rows } = this.validity.take();
    return makeData({ type: this.type, length: rows, nullCount, nullBitmap: bits, data: this.store.take() } as never);
  }
}

export class FloatBuilder extends FixedBuilder {
  protected override write(value: number, target: Buffer, at: number): void {
    if (this.width === 4) target.writeFloatLE(value, at);
    else target.writeDoubleLE(value, at);
  }
}

/** Months and days as they are; DuckDB counts microseconds, Arrow nanoseconds. */
export class IntervalBuilder extends FixedBuilder {
  override appendVector(vector: Vector, start: number, count: number): void {
    const from = this.store.length;
    super.appendVector(vector, start, count);
    for (let at = from + 8; at < this.store.length; at += 16) {
      const nanos = this.store.bytes.readBigInt64LE(at) * 1000n;
      // Beyond 292 years of microseconds; such a row is null or cannot be.
      if (BigInt.asIntN(64, nanos) !== nanos) {
        const row = (at - 8 - from) / 16;
        if (isValid(vectorApi().parts(vector, this.width, start + count).validity, start + row)) {
          throw new RangeError('an interval of more than 292 years of time');
        }
      }
      this.store.bytes.writeBigInt64LE(BigInt.asIntN(64, nanos), at);
    }
  }
}

export class BooleanBuilder implements ColumnBuilder {
  readonly #type: DataType;
  readonly #values = new ValidityStore();
  readonly #validity = new ValidityStore();

  constructor(type: DataType) {
    this.#type = type;
  }

  get rows(): number {
    return this.#validity.rows;
  }

  get bytes(): number {
    return this.rows >>> 3;
  }

  appendVector(vector: Vector, start: number, count: number): void {
    const { data, validity } = vectorApi().parts(vector, 1, start + count);
    this.#validity.appendBits(validity, start, count);
    for (let row = start; row < start + count; row++) this.#values.append(data[row] !== 0);
  }

  appendValue(value: unknown): void {
    this.#validity.append(value !== null);
    this.#values.append(value === true);
  }

  finish(): Data {
    const { bits, nullCount, rows } = this.#validity.take();
    const data = this.#values.take().bits ?? new Uint8Array((rows + 7) >>> 3).fill(0xff);
    return makeData({ type: this.#type, length: rows, nullCount, nullBitmap: bits, data } as never);
  }
}

export class NullBuilder implements ColumnBuilder {
  readonly #type: DataType;
  readonly bytes = 0;
  rows = 0;

  constructor(type: DataType) {
    this.#type = type;
  }

  appendVector(_vector: Vector, _start: number, count: number): void {
    this.rows += count;
  }

  appendValue(value: unknown): void {
    if (value !== null) throw new OffloadError('INTERNAL', 'a value came for a column that holds nulls only');
    this.rows += 1;
  }

  finish(): Data {
    const length = this.rows;
    this.rows = 0;
    return makeData({ type: this.#type, length } as never);
  }
}
