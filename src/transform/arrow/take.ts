/** Rows of a column in another order, as a column of their own: what sorting, splitting and decoding dictionaries need. */
import { type Data, type DataType, makeData, Type } from 'apache-arrow';
import { OffloadError } from '../../errors.ts';
import { bitAt, setBit } from './bits.ts';

/** In place of a row: null. */
export const NO_ROW = -1;

/** Below so many bytes a loop is quicker than a call. */
const SHORT_BYTES = 32;

/**
 * Copies rows. The values of a dictionary are shared with the column, everything else is memory of its own.
 *
 * @param rows Numbers of rows, in any order, also more than once; NO_ROW gives a null.
 * @throws OffloadError INTERNAL for a union, which no format can hold.
 */
export function takeRows(data: Data, rows: Int32Array): Data {
  const { type } = data;
  const { nullBitmap, nullCount } = takeValidity(data, rows);
  const common = { type, length: rows.length, nullCount, nullBitmap };
  switch (type.typeId) {
    case Type.Null:
      return makeData({ type, length: rows.length } as never);
    case Type.Bool:
      return makeData({ ...common, data: takeBooleans(data, rows) } as never);
    case Type.Utf8:
    case Type.Binary:
    case Type.LargeUtf8:
    case Type.LargeBinary:
      return makeData({ ...common, ...takeBytes(data, rows) } as never);
    case Type.List:
    case Type.LargeList:
    case Type.Map: {
      const { valueOffsets, items } = takeEntries(data, rows);
      return makeData({ ...common, valueOffsets, child: takeRows(data.children[0] as Data, items) } as never);
    }
    case Type.FixedSizeList: {
      const items = fixedEntries(data.stride, rows);
      return makeData({ ...common, child: takeRows(data.children[0] as Data, items) } as never);
    }
    case Type.Struct:
      return makeData({ ...common, children: data.children.map((child) => takeRows(child, rows)) } as never);
    case Type.Dictionary:
      return makeData({ ...common, data: takeFixed(data, rows, 1), dictionary: data.dictionary } as never);
    case Type.Union:
      throw new OffloadError('INTERNAL', 'rows of a union cannot be taken');
    default:
      return makeData({ ...common, data: takeFixed(data, rows, data.stride) } as never);
  }
}

function takeValidity(data: Data, rows: Int32Array): { nullBitmap: Uint8Array | null; nullCount: number } {
  const { offset, nullBitmap: source } = data;
  const mayBeNull = data.nullCount > 0 && source !== null && source !== undefined && source.length > 0;
  if (!mayBeNull && !rows.includes(NO_ROW)) return { nullBitmap: null, nullCount: 0 };
  const bits = new Uint8Array((rows.length + 7) >>> 3);
  let nullCount = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row !== NO_ROW && (!mayBeNull || bitAt(source, offset + row))) setBit(bits, i);
    else nullCount++;
  }
  return { nullBitmap: bits, nullCount };
}

function takeBooleans({ values, offset }: Data, rows: Int32Array): Uint8Array {
  const bits = new Uint8Array((rows.length + 7) >>> 3);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row !== NO_ROW && bitAt(values, offset + row)) setBit(bits, i);
  }
  return bits;
}

type Numbers = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;

/** @param stride Elements of the array for a row. */
function takeFixed({ values }: Data, rows: Int32Array, stride: number): ArrayBufferView {
  const source: Numbers & { readonly BYTES_PER_ELEMENT: number } = values;
  // Wider values as 32-bit halves: neither bigints nor NaNs that change their bits.
  const isWide = source.BYTES_PER_ELEMENT >= 4;
  const elements = isWide ? new Int32Array(source.buffer, source.byteOffset, source.byteLength / 4) : source;
  const each = isWide ? (stride * source.BYTES_PER_ELEMENT) / 4 : stride;
  const ArrayType = elements.constructor as new (length: number) => Numbers;
  const taken = new ArrayType(rows.length * each);
  if (each === 1) {
    for (let i = 0; i < rows.length; i++) taken[i] = elements[rows[i] as number] ?? 0;
  } else {
    for (let i = 0; i < rows.length; i++) {
      const from = (rows[i] as number) * each;
      if (from >= 0) for (let k = 0; k < each; k++) taken[i * each + k] = elements[from + k] as number;
    }
  }
  const OwnType = values.constructor as new (buffer: ArrayBufferLike) => ArrayBufferView;
  return isWide ? new OwnType(taken.buffer) : taken;
}

function takeBytes(data: Data, rows: Int32Array): { valueOffsets: Int32Array | BigInt64Array; data: Uint8Array } {
  const { starts, step } = offsetWords(data);
  const source: Uint8Array = data.values;
  const offsets = new Int32Array(rows.length + 1);
  let end = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row !== NO_ROW) end += (starts[(row + 1) * step] as number) - (starts[row * step] as number);
    if (end > 0x7fffffff) throw new OffloadError('INTERNAL', 'a batch has a column of more than 2 GiB');
    offsets[i + 1] = end;
  }
  const taken = Buffer.allocUnsafeSlow(end);
  const bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row === NO_ROW) continue;
    const from = starts[row * step] as number;
    const length = (starts[(row + 1) * step] as number) - from;
    const at = offsets[i] as number;
    if (length > SHORT_BYTES) bytes.copy(taken, at, from, from + length);
    else for (let k = 0; k < length; k++) taken[at + k] = bytes[from + k] as number;
  }
  return { valueOffsets: widened(offsets, data.type), data: taken };
}

/** Numbers of the child rows that make up the lists of `rows`. */
function takeEntries(data: Data, rows: Int32Array): { valueOffsets: Int32Array | BigInt64Array; items: Int32Array } {
  const { starts, step } = offsetWords(data);
  const offsets = new Int32Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const length = row === NO_ROW ? 0 : (starts[(row + 1) * step] as number) - (starts[row * step] as number);
    offsets[i + 1] = (offsets[i] as number) + length;
  }
  const items = new Int32Array(offsets[rows.length] as number);
  for (let i = 0; i < rows.length; i++) {
    const to = offsets[i + 1] as number;
    let item = starts[(rows[i] as number) * step] as number;
    for (let at = offsets[i] as number; at < to; at++) items[at] = item++;
  }
  return { valueOffsets: widened(offsets, data.type), items };
}

function fixedEntries(listSize: number, rows: Int32Array): Int32Array {
  const items = new Int32Array(rows.length * listSize);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    for (let k = 0; k < listSize; k++) items[i * listSize + k] = row === NO_ROW ? NO_ROW : row * listSize + k;
  }
  return items;
}

/** Where values begin: every `step`-th number. Of 64-bit offsets the lower halves, which a batch does not exceed. */
function offsetWords(data: Data): { starts: Int32Array; step: number } {
  const offsets: Int32Array | BigInt64Array = data.valueOffsets;
  if (offsets instanceof Int32Array) return { starts: offsets, step: 1 };
  return { starts: new Int32Array(offsets.buffer, offsets.byteOffset, offsets.length * 2), step: 2 };
}

/** Offsets in the width that the type counts in. */
export function widened(offsets: Int32Array, { typeId }: DataType): Int32Array | BigInt64Array {
  if (typeId !== Type.LargeUtf8 && typeId !== Type.LargeBinary && typeId !== Type.LargeList) return offsets;
  const words = new Int32Array(offsets.length * 2);
  for (let i = 0; i < offsets.length; i++) words[2 * i] = offsets[i] as number;
  return new BigInt64Array(words.buffer);
}
