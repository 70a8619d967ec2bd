import { type Data, type List, type Map_, makeData, type Struct } from 'apache-arrow';
import { ValidityStore } from '../byteStore.ts';
import { type Vector, vectorApi } from '../duckdb/vectorApi.ts';
import { type ColumnBuilder, isValid } from './builder.ts';

/** Lists, and maps as lists of entries. */
export class ListBuilder implements ColumnBuilder {
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

export class StructBuilder implements ColumnBuilder {
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
