/** How row-wise encoders look into Arrow columns: buffers, without a JavaScript value for each cell. */
import { type Data, type DataType, type Field, type RecordBatch, Table, Type } from 'apache-arrow';
import { OffloadError } from '../../errors.ts';

/** What a type says of itself; which of it there is depends on `typeId`, by which Arrow's own types do not narrow. */
export interface TypeParameters {
  readonly typeId: Type;
  readonly children: readonly Field[];
  readonly bitWidth: number;
  readonly isSigned: boolean;
  readonly precision: number;
  readonly scale: number;
  readonly unit: number;
  readonly timezone: string | null | undefined;
  readonly byteWidth: number;
  readonly listSize: number;
  readonly dictionary: DataType;
}

export function parametersOf(type: DataType): TypeParameters {
  return type as unknown as TypeParameters;
}

/** The batches a table or batch consists of; those without rows are left out. */
export function batchesOf(batch: RecordBatch | Table): readonly RecordBatch[] {
  return (batch instanceof Table ? batch.batches : [batch]).filter(({ numRows }) => numRows > 0);
}

/** Whether a row holds a value; null where every row does. */
export function presenceOf(data: Data): ((row: number) => boolean) | null {
  if (data.type.typeId === Type.Null) return () => false;
  const { nullBitmap, offset } = data;
  if (data.nullCount === 0 || nullBitmap === null || nullBitmap === undefined || nullBitmap.length === 0) return null;
  return (row) => (((nullBitmap[(offset + row) >>> 3] as number) >>> ((offset + row) & 7)) & 1) === 1;
}

/** Where the values of a column of variable size begin and end, also where Arrow counts them in 64 bits. */
export function offsetsOf(data: Data): Int32Array {
  const offsets: Int32Array | BigInt64Array = data.valueOffsets;
  if (offsets instanceof Int32Array) return offsets;
  const words = wordsOf(offsets);
  return Int32Array.from({ length: offsets.length }, (_, i) => {
    if (words[2 * i + 1] !== 0) throw new OffloadError('INTERNAL', 'a batch has a column of more than 4 GiB');
    return words[2 * i] as number;
  });
}

/** The 32-bit halves of wider values, the lower one first. */
export function wordsOf(values: ArrayBufferView): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.byteLength / Int32Array.BYTES_PER_ELEMENT);
}

/** A type that a format cannot hold. */
export function cannotHold(format: string, column: string, type: DataType, instead: string): OffloadError {
  return new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot write the column ${column} as ${format}: ${format} cannot hold its type ${type}; ${instead}`,
    { context: { column, type: String(type), format } },
  );
}

/** Calls one function or another by row: what a column of dictionaries that were replaced needs. */
export function dictionaryIndexes(data: Data): {
  readonly values: readonly Data[];
  locate(row: number): [number, number];
} {
  const chunks = data.dictionary?.data ?? [];
  const indexes = data.values as Int32Array | BigInt64Array;
  const words = indexes instanceof BigInt64Array || indexes instanceof BigUint64Array ? wordsOf(indexes) : null;
  return {
    values: chunks,
    locate(row) {
      let index = (words ? words[2 * row] : indexes[row]) as number;
      let chunk = 0;
      for (; chunk < chunks.length - 1 && index >= (chunks[chunk] as Data).length; chunk++) {
        index -= (chunks[chunk] as Data).length;
      }
      return [chunk, index];
    },
  };
}
