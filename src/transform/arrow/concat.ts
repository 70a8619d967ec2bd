/** Columns that came in pieces, as one: user code may give a table of several batches. */
import { type Data, makeData, Type } from 'apache-arrow';
import { OffloadError } from '../../errors.ts';
import { copyBits, setBits } from './bits.ts';
import { takeRows, widened } from './take.ts';

/**
 * @param pieces Of one type, at least one.
 * @returns The piece itself where there is one alone; else a copy of all rows.
 */
export function concatData(pieces: readonly Data[]): Data {
  const [first, second] = pieces as readonly [Data, ...Data[]];
  if (second === undefined) return first;
  const { type } = first;
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const nullCount = pieces.reduce((sum, piece) => sum + piece.nullCount, 0);
  const common = { type, length, nullCount, nullBitmap: nullCount === 0 ? null : concatValidity(pieces, length) };
  switch (type.typeId) {
    case Type.Null:
      return makeData({ type, length } as never);
    case Type.Bool:
      return makeData({ ...common, data: concatBooleans(pieces, length) } as never);
    case Type.Utf8:
    case Type.Binary:
    case Type.LargeUtf8:
    case Type.LargeBinary: {
      const parts = pieces.map((piece) => offsetsFromZero(piece));
      const data = parts.map(({ from, to }, i) => (pieces[i] as Data).values.subarray(from, to) as Uint8Array);
      const valueOffsets = widened(joinOffsets(parts, length), type);
      return makeData({ ...common, valueOffsets, data: Buffer.concat(data) } as never);
    }
    case Type.List:
    case Type.LargeList:
    case Type.Map: {
      const parts = pieces.map((piece) => offsetsFromZero(piece));
      const child = concatData(
        parts.map(({ from, to }, i) => ((pieces[i] as Data).children[0] as Data).slice(from, to - from)),
      );
      return makeData({ ...common, valueOffsets: widened(joinOffsets(parts, length), type), child } as never);
    }
    case Type.FixedSizeList:
      return makeData({ ...common, child: concatData(pieces.map(({ children }) => children[0] as Data)) } as never);
    case Type.Struct: {
      const children = first.children.map((_, i) => concatData(pieces.map((piece) => piece.children[i] as Data)));
      return makeData({ ...common, children } as never);
    }
    case Type.Dictionary:
    case Type.Union:
      throw new OffloadError('INTERNAL', `columns of ${type} cannot be joined`);
    default:
      return makeData({ ...common, data: concatValues(pieces) } as never);
  }
}

/** A column of dictionary indexes as the values they refer to. */
export function decodeDictionary(data: Data): Data {
  const values = concatData(data.dictionary?.data ?? []);
  const indexes: Int32Array | BigInt64Array = data.values;
  const { nullBitmap, offset } = data;
  const hasNulls = data.nullCount > 0 && nullBitmap !== null && nullBitmap.length > 0;
  const rows = new Int32Array(data.length);
  for (let row = 0; row < data.length; row++) {
    const isNull = hasNulls && (((nullBitmap[(offset + row) >>> 3] as number) >>> ((offset + row) & 7)) & 1) === 0;
    rows[row] = isNull ? -1 : Number(indexes[row]);
  }
  return takeRows(values, rows);
}

function concatValidity(pieces: readonly Data[], length: number): Uint8Array {
  const bits = new Uint8Array((length + 7) >>> 3);
  let at = 0;
  for (const { nullBitmap, nullCount, offset, length: count } of pieces) {
    if (nullCount === 0 || nullBitmap === null || nullBitmap.length === 0) setBits(bits, at, count);
    else copyBits(bits, at, nullBitmap, offset, count);
    at += count;
  }
  return bits;
}

function concatBooleans(pieces: readonly Data[], length: number): Uint8Array {
  const bits = new Uint8Array((length + 7) >>> 3);
  let at = 0;
  for (const { values, offset, length: count } of pieces) {
    copyBits(bits, at, values, offset, count);
    at += count;
  }
  return bits;
}

function concatValues(pieces: readonly Data[]): ArrayBufferView {
  const arrays = pieces.map(({ values, length, stride }) => values.subarray(0, length * stride) as Uint8Array);
  const ArrayType = (arrays[0] as Uint8Array).constructor as new (length: number) => Uint8Array;
  const joined = new ArrayType(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    joined.set(array, at);
    at += array.length;
  }
  return joined;
}

interface Offsets {
  readonly offsets: Int32Array;
  /** The part of the values that the rows use. */
  readonly from: number;
  readonly to: number;
}

function offsetsFromZero({ valueOffsets, length }: Data): Offsets {
  const source: Int32Array | BigInt64Array = valueOffsets;
  const from = Number(source[0] ?? 0);
  const offsets = new Int32Array(length + 1);
  for (let i = 0; i <= length; i++) offsets[i] = Number(source[i] ?? 0) - from;
  return { offsets, from, to: from + (offsets[length] as number) };
}

function joinOffsets(parts: readonly Offsets[], length: number): Int32Array {
  const joined = new Int32Array(length + 1);
  let at = 0;
  let end = 0;
  for (const { offsets } of parts) {
    for (let i = 1; i < offsets.length; i++) joined[at + i] = end + (offsets[i] as number);
    at += offsets.length - 1;
    end = joined[at] as number;
  }
  return joined;
}
