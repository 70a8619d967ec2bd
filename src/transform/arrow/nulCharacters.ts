/** NUL characters (U+0000) in text: valid UTF-8, and no text for PostgreSQL, which can store none. */
import { type Data, type Field, makeData, RecordBatch, Struct, Type } from 'apache-arrow';
import { offsetsOf } from '../../encode/arrow/access.ts';
import { OffloadError } from '../../errors.ts';
import type { RowPlace } from '../batchTransform.ts';
import { bitAt, setBit } from './bits.ts';
import { decodeDictionary } from './concat.ts';

const REPLACEMENT = Buffer.from('\ufffd');

export interface NulPolicy {
  /** As for bytes that are not UTF-8; what cannot be null is replaced under `null`. */
  readonly policy: 'fail' | 'replace' | 'null';
  readonly place: RowPlace;
  /** Told how many texts were changed; not called for none. */
  readonly onChanged: (values: number) => void;
}

/**
 * The batch without NUL characters in its text, at every level: the batch itself where there are none.
 *
 * @throws OffloadError INVALID_UTF8 under `fail`, naming the first row of the first column that has one.
 */
export function withoutNul(batch: RecordBatch, { policy, place, onChanged }: NulPolicy): RecordBatch {
  let changed = 0;
  const { schema, numRows } = batch;
  const children = schema.fields.map((field, index) => {
    const rowOf = (row: number): number => row;
    return rebuild(batch.data.children[index] as Data, field, rowOf, (found) => {
      if (policy === 'fail') throw hasNul(field.name, place.rowName(found.rowOf(found.first)));
      const result = policy === 'null' && found.field.nullable ? nullText(found) : replaceText(found);
      changed += result.changed;
      return result.data;
    });
  });
  if (changed === 0) return batch;
  onChanged(changed);
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: numRows, nullCount: 0, children }),
  );
}

function hasNul(column: string, rowName: string): OffloadError {
  return new OffloadError(
    'INVALID_UTF8',
    `cannot write the column ${column} of ${rowName} to PostgreSQL, whose text cannot hold the character U+0000; ` +
      'set invalidUtf8 to replace or null, or take the bytes as they are (BINARY)',
    { context: { column, row: rowName } },
  );
}

/** Text with a NUL character in it. */
interface FoundText {
  readonly data: Data;
  readonly field: Field;
  /** First row of `data` that has one. */
  readonly first: number;
  /** Row of the batch that a row of `data` belongs to. */
  readonly rowOf: (row: number) => number;
}

type Fix = (found: FoundText) => Data;

function rebuild(data: Data, field: Field, rowOf: (row: number) => number, fix: Fix): Data {
  const { type, length } = data;
  const parameters = type as unknown as { readonly children: readonly Field[]; readonly listSize: number };
  switch (type.typeId) {
    case Type.Utf8:
    case Type.LargeUtf8: {
      const first = firstWithNul(data);
      return first < 0 ? data : fix({ data, field, first, rowOf });
    }
    case Type.Dictionary:
      return rebuild(decodeDictionary(data), field, rowOf, fix);
    case Type.List:
    case Type.LargeList:
    case Type.Map:
    case Type.FixedSizeList: {
      const offsets = type.typeId === Type.FixedSizeList ? null : offsetsOf(data);
      const outer = (item: number): number =>
        rowOf(offsets ? lastAtOrBefore(offsets, length, item) : Math.floor(item / parameters.listSize));
      const child = data.children[0] as Data;
      const item = rebuild(child, parameters.children[0] as Field, outer, fix);
      return item === child ? data : withChildren(data, [item]);
    }
    case Type.Struct: {
      const children = data.children.map((child, i) => rebuild(child, parameters.children[i] as Field, rowOf, fix));
      return children.every((child, i) => child === data.children[i]) ? data : withChildren(data, children);
    }
    default:
      return data;
  }
}

function withChildren(data: Data, children: Data[]): Data {
  const { type, offset, length, nullCount, buffers } = data;
  return new (data.constructor as typeof Data)(type, offset, length, nullCount, buffers as never, children);
}

function firstWithNul(data: Data): number {
  const offsets = offsetsOf(data);
  const { buffer, byteOffset } = data.values as Uint8Array;
  const end = offsets[data.length] as number;
  const bytes = Buffer.from(buffer, byteOffset, end);
  for (let from = offsets[0] as number; from < end; ) {
    const at = bytes.indexOf(0, from);
    if (at < 0) return -1;
    const row = lastAtOrBefore(offsets, data.length, at);
    if (isPresent(data, row)) return row;
    from = offsets[row + 1] as number;
  }
  return -1;
}

/** The row, of `rows`, whose bytes or items hold this one. */
function lastAtOrBefore(offsets: Int32Array, rows: number, at: number): number {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle + 1] as number) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isPresent({ nullBitmap, offset, nullCount }: Data, row: number): boolean {
  return nullCount === 0 || !nullBitmap || nullBitmap.length === 0 || bitAt(nullBitmap, offset + row);
}

/** Text by row. */
function textsOf(data: Data): (row: number) => Uint8Array {
  const offsets = offsetsOf(data);
  const values = data.values as Uint8Array;
  return (row) => values.subarray(offsets[row], offsets[row + 1]);
}

function replaceText({ data, first }: FoundText): { data: Data; changed: number } {
  const { type, length } = data;
  const pieces: Uint8Array[] = [];
  const ends = new Int32Array(length + 1);
  const textAt = textsOf(data);
  let [changed, end] = [0, 0];
  for (let row = 0; row < length; row++) {
    const text = isPresent(data, row) ? textAt(row) : new Uint8Array(0);
    const before = end;
    let from = 0;
    for (let at = row < first ? -1 : text.indexOf(0); at >= 0; at = text.indexOf(0, from)) {
      pieces.push(text.subarray(from, at), REPLACEMENT);
      end += at - from + REPLACEMENT.length;
      from = at + 1;
    }
    pieces.push(text.subarray(from));
    end += text.length - from;
    if (end - before !== text.length) changed += 1;
    ends[row + 1] = end;
  }
  const { nullBitmap, nullCount } = validityOf(data, () => true);
  const valueOffsets = type.typeId === Type.LargeUtf8 ? BigInt64Array.from(ends, BigInt) : ends;
  const values = { type, length, nullCount, nullBitmap, valueOffsets, data: Buffer.concat(pieces, end) };
  return { data: makeData(values as never), changed };
}

function nullText({ data, first }: FoundText): { data: Data; changed: number } {
  const { type, length, values, valueOffsets } = data;
  const textAt = textsOf(data);
  const validity = validityOf(data, (row) => row < first || !textAt(row).includes(0));
  const changed = validity.nullCount - data.nullCount;
  return { data: makeData({ type, length, ...validity, valueOffsets, data: values } as never), changed };
}

/** The same nulls, and those of rows that are not kept, for a column that begins at bit 0. */
function validityOf(data: Data, isKept: (row: number) => boolean): { nullBitmap: Uint8Array; nullCount: number } {
  const nullBitmap = new Uint8Array((data.length + 7) >>> 3);
  let nullCount = 0;
  for (let row = 0; row < data.length; row++) {
    if (isPresent(data, row) && isKept(row)) setBit(nullBitmap, row);
    else nullCount += 1;
  }
  return { nullBitmap, nullCount };
}
