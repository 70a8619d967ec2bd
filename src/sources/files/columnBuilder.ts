/**
 * Columns under construction: from DuckDB's vectors or from values, to Arrow. A column builder is used again for the
 * batch after `finish`, which gives away the memory it filled.
 */
import { type Data, type DataType, type List, type Map_, makeData, type Struct } from 'apache-arrow';
import type { ColumnType } from '../../config/sparkSchema.ts';
import { OffloadError } from '../../errors.ts';
import { ByteStore, ValidityStore } from './byteStore.ts';
import { arrowType } from './columnTypes.ts';
import { MAX_DECIMAL_DIGITS, wideDecimals } from './duckdb/decimals.ts';
import { appendStrings } from './duckdb/strings.ts';
import { type Vector, vectorApi } from './duckdb/vectorApi.ts';

/** Rows are either taken from a vector, `count` of them from `start` on, or given one by one in canonical form. */
export interface ColumnBuilder {
  readonly rows: number;
  /** Memory filled so far. */
  readonly bytes: number;
  appendVector(vector: Vector, start: number, count: number): void;
  /** @param value As `canonicalValue` gives it for the type of the column. */
  appendValue(value: unknown): void;
  /** @throws OffloadError INTERNAL never for values that were checked; what was appended is gone from the builder. */
  finish(): Data;
}

export function columnBuilder(type: ColumnType): ColumnBuilder {
  const arrow = arrowType(type);
  if (typeof type !== 'string') {
    switch (type.kind) {
      case 'decimal':
        return new FixedBuilder(arrow, 16, decimalVectorBytes(type.precision));
      case 'list':
        return new ListBuilder(arrow as List, columnBuilder(type.item));
      case 'struct':
        return new StructBuilder(
          arrow as Struct,
          type.fields.map(({ name }) => name),
          type.fields.map((field) => columnBuilder(field.type)),
        );
      case 'map': {
        const entries = (arrow as Map_).children[0]?.type as Struct;
        const parts = [columnBuilder(type.key), columnBuilder(type.value)];
        return new ListBuilder(arrow as Map_, new StructBuilder(entries, ['key', 'value'], parts));
      }
    }
  }
  switch (type) {
    case 'NULL':
      return new NullBuilder(arrow);
    case 'BOOLEAN':
      return new BooleanBuilder(arrow);
    case 'VARCHAR':
    case 'BLOB':
      return new BytesBuilder(arrow);
    case 'HUGEINT':
    case 'UHUGEINT':
      return new FixedBuilder(arrow, 16, 16, MAX_DECIMAL_DIGITS);
    case 'INTERVAL':
      return new IntervalBuilder(arrow, 16, 16);
    case 'TINYINT':
    case 'UTINYINT':
      return new FixedBuilder(arrow, 1);
    case 'SMALLINT':
    case 'USMALLINT':
      return new FixedBuilder(arrow, 2);
    case 'INTEGER':
    case 'UINTEGER':
    case 'DATE':
      return new FixedBuilder(arrow, 4);
    case 'FLOAT':
      return new FloatBuilder(arrow, 4);
    case 'DOUBLE':
      return new FloatBuilder(arrow, 8);
    default:
      return new FixedBuilder(arrow, 8);
  }
}

/** DuckDB keeps a decimal in the smallest integer that has room for its digits. */
function decimalVectorBytes(precision: number): number {
  if (precision <= 4) return 2;
  if (precision <= 9) return 4;
  return precision <= 18 ? 8 : 16;
}

/** Integers, times and decimals: `width` bytes a value, little endian, as Arrow and DuckDB both keep them. */
class FixedBuilder implements ColumnBuilder {
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

class FloatBuilder extends FixedBuilder {
  protected override write(value: number, target: Buffer, at: number): void {
    if (this.width === 4) target.writeFloatLE(value, at);
    else target.writeDoubleLE(value, at);
  }
}

/** Months and days as they are; DuckDB counts microseconds, Arrow nanoseconds. */
class IntervalBuilder extends FixedBuilder {
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

class BooleanBuilder implements ColumnBuilder {
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

/** Lists, and maps as lists of entries. */
class ListBuilder implements ColumnBuilder {
  readonly #type: List | Map_;
  readonly #child: ColumnBuilder;
  readonly #validity = new ValidityStore();
  #ends: number[] = [];

  constructor(type: List | Map_, child: ColumnBuilder) {
    this.#type = type;
    this.#child = child;
  }

  get rows(): number {
    return this.#validity.rows;
  }

  get bytes(): number {
    return this.#child.bytes + this.#ends.length * 4;
  }

  appendVector(vector: Vector, start: number, count: number): void {
    const api = vectorApi();
    const { data, validity } = api.parts(vector, 16, start + count);
    this.#validity.appendBits(validity, start, count);
    const entries = new Uint32Array(data.buffer, data.byteOffset, (start + count) * 4);
    const child = api.listChild(vector);
    let end = this.#child.rows;
    // Entries usually lie one behind the other, and are then taken as one run.
    let runStart = 0;
    let runEnd = 0;
    for (let row = start; row < start + count; row++) {
      if (isValid(validity, row)) {
        const from = entries[row * 4] as number;
        const length = entries[row * 4 + 2] as number;
        if (length > 0 && from !== runEnd) {
          this.#child.appendVector(child, runStart, runEnd - runStart);
          runStart = from;
          runEnd = from;
        }
        runEnd += length;
        end += length;
      }
      this.#ends.push(end);
    }
    this.#child.appendVector(child, runStart, runEnd - runStart);
  }

  appendValue(value: unknown): void {
    this.#validity.append(value !== null);
    if (value !== null) for (const item of value as readonly unknown[]) this.#child.appendValue(item);
    this.#ends.push(this.#child.rows);
  }

  finish(): Data {
    const { bits, nullCount, rows } = this.#validity.take();
    const valueOffsets = new Int32Array(rows + 1);
    valueOffsets.set(this.#ends, 1);
    this.#ends = [];
    const child = this.#child.finish();
    return makeData({ type: this.#type, length: rows, nullCount, nullBitmap: bits, valueOffsets, child } as never);
  }
}

class StructBuilder implements ColumnBuilder {
  readonly #type: Struct;
  readonly #names: readonly string[];
  readonly #children: readonly ColumnBuilder[];
  readonly #validity = new ValidityStore();

  constructor(type: Struct, names: readonly string[], children: readonly ColumnBuilder[]) {
    this.#type = type;
    this.#names = names;
    this.#children = children;
  }

  get rows(): number {
    return this.#validity.rows;
  }

  get bytes(): number {
    return this.#children.reduce((sum, child) => sum + child.bytes, 0);
  }

  appendVector(vector: Vector, start: number, count: number): void {
    if (count === 0) return;
    const api = vectorApi();
    this.#validity.appendBits(api.validity(vector, start + count), start, count);
    this.#children.forEach((child, i) => {
      child.appendVector(api.structChild(vector, i), start, count);
    });
  }

  /** @param value The values of the fields in their order. */
  appendValue(value: unknown): void {
    this.#validity.append(value !== null);
    const values = value as readonly unknown[] | null;
    for (let i = 0; i < this.#names.length; i++) this.#children[i]?.appendValue(values?.[i] ?? null);
  }

  finish(): Data {
    const { bits, nullCount, rows } = this.#validity.take();
    const children = this.#children.map((child) => child.finish());
    return makeData({ type: this.#type, length: rows, nullCount, nullBitmap: bits, children });
  }
}

class NullBuilder implements ColumnBuilder {
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

function isValid(validity: Uint8Array | null, row: number): boolean {
  return validity === null || (((validity[row >>> 3] as number) >>> (row & 7)) & 1) === 1;
}
