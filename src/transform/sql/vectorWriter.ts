/** Arrow columns to DuckDB's vectors: the other way round than `columnBuilder.ts`, buffer by buffer. */
import duckdb from '@duckdb/node-bindings';
import { type Data, TimeUnit, Type } from 'apache-arrow';
import { parametersOf, presenceOf, wordsOf } from '../../encode/arrow/access.ts';
import { OffloadError } from '../../errors.ts';

/** A value that DuckDB has no room for. */
class OutOfRange extends Error {}

const INLINE_BYTES = 12;
const STRING_BYTES = 16;

/** Memory for what has to be put together; DuckDB copies it. */
let scratch = new ArrayBuffer(1 << 16);
function room(bytes: number): ArrayBuffer {
  if (scratch.byteLength < bytes) scratch = new ArrayBuffer(bytes * 2);
  return scratch;
}

/**
 * Writes rows `from` to `to` of a column from row 0 of the vector on.
 *
 * @throws OutOfRange
 */
export function writeVector(vector: duckdb.Vector, data: Data, from: number, to: number): void {
  const count = to - from;
  if (count === 0) return;
  writeValidity(vector, data, from, count);
  const { typeId, precision, timezone, unit } = parametersOf(data.type);
  switch (typeId) {
    case Type.Null:
      break;
    case Type.Bool:
      writeBooleans(vector, data, from, count);
      break;
    case Type.Utf8:
    case Type.Binary:
      writeBytes(vector, data, from, count);
      break;
    case Type.Decimal:
      writeDecimals(vector, data, from, count, decimalBytes(precision));
      break;
    case Type.Interval:
      writeIntervals(vector, data, from, count);
      break;
    case Type.Timestamp:
      if (timezone && unit !== TimeUnit.MICROSECOND) writeInstants(vector, data, from, count, unit);
      else writeFixed(vector, data, from, count);
      break;
    case Type.List:
    case Type.Map:
      writeList(vector, data, from, to);
      break;
    case Type.Struct:
      data.children.forEach((child, i) => {
        writeVector(duckdb.struct_vector_get_child(vector, i), child, from, to);
      });
      break;
    default:
      writeFixed(vector, data, from, count);
  }
}

function writeValidity(vector: duckdb.Vector, data: Data, from: number, count: number): void {
  const isPresent = presenceOf(data);
  if (isPresent === null) return;
  const bytes = ((count + 63) >>> 6) * 8;
  const bits = new Uint8Array(room(bytes), 0, bytes).fill(0);
  for (let row = 0; row < count; row++) {
    if (isPresent(from + row)) bits[row >>> 3] = (bits[row >>> 3] as number) | (1 << (row & 7));
  }
  duckdb.vector_ensure_validity_writable(vector);
  duckdb.copy_data_to_vector_validity(vector, 0, bits.buffer as ArrayBuffer, 0, bytes);
}

function copy(vector: duckdb.Vector, values: ArrayBufferView, at: number, bytes: number): void {
  duckdb.copy_data_to_vector(vector, 0, values.buffer as ArrayBuffer, values.byteOffset + at, bytes);
}

function writeFixed(vector: duckdb.Vector, { values }: Data, from: number, count: number): void {
  const array = values as Uint8Array;
  copy(vector, array, from * array.BYTES_PER_ELEMENT, count * array.BYTES_PER_ELEMENT);
}

function writeBooleans(vector: duckdb.Vector, { values, offset }: Data, from: number, count: number): void {
  const bits = values as Uint8Array;
  const bytes = new Uint8Array(room(count), 0, count);
  for (let row = 0; row < count; row++) {
    const at = offset + from + row;
    bytes[row] = ((bits[at >>> 3] as number) >>> (at & 7)) & 1;
  }
  copy(vector, bytes, 0, count);
}

/**
 * A row is 16 bytes: the length, then up to 12 bytes of it, or 4 bytes and the address of the whole (`duckdb_string_t`).
 * Handing over rows one by one costs a call each. Instead all bytes of the chunk go over as one text, and the rows point into it.
 */
function writeBytes(vector: duckdb.Vector, { valueOffsets, values }: Data, from: number, count: number): void {
  const offsets = valueOffsets as Int32Array;
  const source = values as Uint8Array;
  const first = offsets[from] as number;
  duckdb.vector_assign_string_element_len(vector, 0, source.subarray(first, offsets[from + count]));
  const whole = duckdb.vector_get_data(vector, STRING_BYTES);
  const [, , low, high] = new Uint32Array(whole.buffer, whole.byteOffset, 4) as unknown as [
    number,
    number,
    number,
    number,
  ];
  const words = new Uint32Array(room(count * STRING_BYTES), 0, count * 4);
  const bytes = new Uint8Array(words.buffer, 0, count * STRING_BYTES);
  for (let row = 0; row < count; row++) {
    const start = offsets[from + row] as number;
    const length = (offsets[from + row + 1] as number) - start;
    const at = row * 4;
    words[at] = length;
    if (length <= INLINE_BYTES) {
      words[at + 1] = 0;
      words[at + 2] = 0;
      words[at + 3] = 0;
      for (let i = 0; i < length; i++) bytes[at * 4 + 4 + i] = source[start + i] as number;
    } else {
      for (let i = 0; i < 4; i++) bytes[at * 4 + 4 + i] = source[start + i] as number;
      const address = low + (start - first);
      words[at + 2] = address;
      words[at + 3] = address >= 2 ** 32 ? high + 1 : high;
    }
  }
  copy(vector, words, 0, count * STRING_BYTES);
}

/** DuckDB keeps a decimal in the smallest integer that has room for its digits. */
function decimalBytes(precision: number): number {
  if (precision <= 4) return 2;
  if (precision <= 9) return 4;
  return precision <= 18 ? 8 : 16;
}

function writeDecimals(vector: duckdb.Vector, { values }: Data, from: number, count: number, width: number): void {
  const array = values as Uint32Array;
  if (width === 16) {
    copy(vector, array, from * 16, count * 16);
    return;
  }
  const source = new Uint8Array(array.buffer, array.byteOffset + from * 16, count * 16);
  const bytes = new Uint8Array(room(count * width), 0, count * width);
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < width; i++) bytes[row * width + i] = source[row * 16 + i] as number;
  }
  copy(vector, bytes, 0, count * width);
}

/** Months and days as they are; Arrow counts nanoseconds, DuckDB microseconds. */
function writeIntervals(vector: duckdb.Vector, { values }: Data, from: number, count: number): void {
  const array = values as Int32Array;
  const bytes = Buffer.from(room(count * 16), 0, count * 16);
  bytes.set(new Uint8Array(array.buffer, array.byteOffset + from * 16, count * 16));
  for (let at = 8; at < count * 16; at += 16) bytes.writeBigInt64LE(bytes.readBigInt64LE(at) / 1000n, at);
  copy(vector, bytes, 0, count * 16);
}

/** Instants as microseconds, the one unit that DuckDB has for them. */
function writeInstants(vector: duckdb.Vector, data: Data, from: number, count: number, unit: TimeUnit): void {
  if (unit === TimeUnit.NANOSECOND) throw new OffloadError('INTERNAL', 'instants in nanoseconds are not read');
  const factor = unit === TimeUnit.SECOND ? 1_000_000 : 1000;
  const isPresent = presenceOf(data);
  const source = wordsOf(data.values);
  const words = new Int32Array(room(count * 8), 0, count * 2);
  for (let row = 0; row < count; row++) {
    const at = (from + row) * 2;
    const low = ((source[at] as number) >>> 0) * factor;
    const high = (source[at + 1] as number) * factor + Math.floor(low / 2 ** 32);
    if ((high >= 2 ** 31 || high < -(2 ** 31)) && isPresent?.(from + row) !== false) {
      throw new OutOfRange('its timestamp is out of the range of microseconds');
    }
    words[row * 2] = low % 2 ** 32;
    words[row * 2 + 1] = high;
  }
  copy(vector, words, 0, count * 8);
}

/** Lists, and maps as lists of entries. A row is where its items begin in the child, and how many there are. */
function writeList(vector: duckdb.Vector, data: Data, from: number, to: number): void {
  const offsets = data.valueOffsets as Int32Array;
  const first = offsets[from] as number;
  const items = (offsets[to] as number) - first;
  const entries = new Uint32Array(room((to - from) * 16), 0, (to - from) * 4);
  for (let row = from; row < to; row++) {
    const at = (row - from) * 4;
    entries[at] = (offsets[row] as number) - first;
    entries[at + 1] = 0;
    entries[at + 2] = (offsets[row + 1] as number) - (offsets[row] as number);
    entries[at + 3] = 0;
  }
  copy(vector, entries, 0, entries.byteLength);
  duckdb.list_vector_reserve(vector, items);
  duckdb.list_vector_set_size(vector, items);
  writeVector(duckdb.list_vector_get_child(vector), data.children[0] as Data, first, first + items);
}
