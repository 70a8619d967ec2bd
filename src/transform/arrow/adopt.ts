/**
 * Arrow columns from one copy of apache-arrow to another: user code may have brought its own, and the build has put ours
 * into one file. What types and columns are is read from their shape, so that the classes need not be the same; buffers
 * are shared, not copied. A copy cannot read columns of another by itself: it gives null for every value (21.2.0).
 */
import type { DataType, Dictionary, Map_, Table } from 'apache-arrow';
import * as own from 'apache-arrow';
import { Data, Field, FixedSizeList, LargeList, List, RecordBatch, Struct, Type } from 'apache-arrow';
import { parametersOf } from '../../encode/arrow/access.ts';
import { OffloadError } from '../../errors.ts';
import { decodeDictionary } from './concat.ts';

/** A copy of apache-arrow. */
export type ArrowLibrary = typeof own;

/** The rows as a table of another copy; of our own, where it is that. */
export function tableFor(library: ArrowLibrary, batch: RecordBatch): Table {
  if (library.RecordBatch === RecordBatch) return new library.Table(batch);
  const data = dataOf(library, batch.data) as Data<Struct>;
  const schema = new library.Schema(data.type.children, new Map(batch.schema.metadata));
  return new library.Table(new library.RecordBatch(schema, data));
}

/**
 * The column as ours, dictionaries replaced by their values at every level.
 *
 * @throws OffloadError TRANSFORM_FAILED for a type that no format can hold, a union or a view.
 */
export function adoptData(data: Data): Data {
  // Not instanceof: that of apache-arrow takes the classes of another copy for its own.
  const isOwn = data.constructor === Data && data.type instanceof own.DataType;
  const adopted = isOwn ? data : dataOf(own, data);
  return hasDictionary(adopted.type) ? withoutDictionaries(adopted) : adopted;
}

/** The type that `adoptData` gives a column of this type. @throws OffloadError as it does. */
export function adoptType(type: DataType): DataType {
  return plainType(typeOf(own, type));
}

function dataOf(library: ArrowLibrary, foreign: Data): Data {
  const { offset, length, nullCount, children, dictionary } = foreign;
  const copy = (data: Data): Data => dataOf(library, data);
  const values = dictionary ? new library.Vector(dictionary.data.map(copy)) : undefined;
  const type = typeOf(library, foreign.type);
  return new library.Data(type, offset, length, nullCount, foreign.buffers as never, children.map(copy), values);
}

function typeOf(library: ArrowLibrary, type: DataType): DataType {
  const inner = (field: Field | undefined): Field => fieldOf(library, field as Field);
  const is = parametersOf(type);
  const [child] = is.children ?? [];
  switch (is.typeId) {
    case Type.Null:
      return new library.Null();
    case Type.Bool:
      return new library.Bool();
    case Type.Int:
      return new library.Int(is.isSigned as never, is.bitWidth as never);
    case Type.Float:
      return new library.Float(is.precision as never);
    case Type.Decimal:
      return new library.Decimal(is.scale, is.precision, is.bitWidth);
    case Type.Utf8:
      return new library.Utf8();
    case Type.LargeUtf8:
      return new library.LargeUtf8();
    case Type.Binary:
      return new library.Binary();
    case Type.LargeBinary:
      return new library.LargeBinary();
    case Type.FixedSizeBinary:
      return new library.FixedSizeBinary(is.byteWidth);
    case Type.Date:
      return new library.Date_(is.unit as never);
    case Type.Time:
      return new library.Time(is.unit as never, is.bitWidth as never);
    case Type.Timestamp:
      return new library.Timestamp(is.unit as never, is.timezone);
    case Type.Duration:
      return new library.Duration(is.unit as never);
    case Type.Interval:
      return new library.Interval(is.unit as never);
    case Type.List:
      return new library.List(inner(child));
    case Type.LargeList:
      return new library.LargeList(inner(child));
    case Type.FixedSizeList:
      return new library.FixedSizeList(is.listSize, inner(child));
    case Type.Struct:
      return new library.Struct(is.children.map(inner));
    case Type.Map:
      return new library.Map_(inner(child) as never, (type as Map_).keysSorted);
    case Type.Dictionary: {
      const { dictionary, indices, id, isOrdered } = type as Dictionary;
      return new library.Dictionary(typeOf(library, dictionary), typeOf(library, indices) as never, id, isOrdered);
    }
    default:
      throw new OffloadError('TRANSFORM_FAILED', `no format can hold a column of type ${String(type)}`);
  }
}

function fieldOf(library: ArrowLibrary, { name, nullable, type, metadata }: Field): Field {
  return new library.Field(name, typeOf(library, type), nullable, new Map(metadata));
}

function hasDictionary(type: DataType): boolean {
  if (type.typeId === Type.Dictionary) return true;
  if ([Type.Union, Type.BinaryView, Type.Utf8View].includes(type.typeId)) return !!typeOf(own, type);
  return (parametersOf(type).children ?? []).some((field) => hasDictionary(field.type));
}

function withoutDictionaries(data: Data): Data {
  if (data.type.typeId === Type.Dictionary) return withoutDictionaries(decodeDictionary(data));
  if (!hasDictionary(data.type)) return data;
  const children = data.children.map(withoutDictionaries);
  const { offset, length, nullCount, buffers } = data;
  return new Data(plainType(data.type), offset, length, nullCount, buffers as never, children);
}

function plainType(type: DataType): DataType {
  if (type.typeId === Type.Dictionary) return plainType((type as Dictionary).dictionary);
  const fields = (parametersOf(type).children ?? []).map(({ name, nullable, type: inner }) => {
    return new Field(name, plainType(inner), nullable);
  });
  const [child] = fields as [Field];
  switch (type.typeId) {
    case Type.List:
      return new List(child);
    case Type.LargeList:
      return new LargeList(child);
    case Type.FixedSizeList:
      return new FixedSizeList((type as FixedSizeList).listSize, child);
    case Type.Struct:
      return new Struct(fields);
    case Type.Map:
      return new own.Map_(child as never, (type as Map_).keysSorted);
    default:
      return type;
  }
}
