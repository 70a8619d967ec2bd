/**
 * Arrow columns that another copy of apache-arrow made, as ours: user code may have brought its own. What types and
 * columns are is read from their shape, so that the classes need not be the same; buffers are shared, not copied.
 */
import {
  Binary,
  Bool,
  Data,
  DataType,
  Date_,
  Decimal,
  Dictionary,
  Duration,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float,
  Int,
  Interval,
  LargeBinary,
  LargeList,
  LargeUtf8,
  List,
  Map_,
  Null,
  Struct,
  Time,
  Timestamp,
  Type,
  Utf8,
  Vector,
} from 'apache-arrow';
import { parametersOf } from '../../encode/arrow/access.ts';
import { OffloadError } from '../../errors.ts';
import { decodeDictionary } from './concat.ts';

/**
 * The column as ours, dictionaries replaced by their values at every level.
 *
 * @throws OffloadError TRANSFORM_FAILED for a type that no format can hold, a union or a view.
 */
export function adoptData(data: Data): Data {
  // Not instanceof: that of apache-arrow takes the classes of another copy for its own.
  const isOwn = data.constructor === Data && data.type instanceof DataType;
  const own = isOwn ? data : adopt(data);
  return hasDictionary(own.type) ? withoutDictionaries(own) : own;
}

/** The type that `adoptData` gives a column of this type. @throws OffloadError as it does. */
export function adoptType(type: DataType): DataType {
  return plainType(ownType(type));
}

function adopt(foreign: Data): Data {
  const { offset, length, nullCount, children, dictionary } = foreign;
  const values = dictionary ? new Vector(dictionary.data.map(adopt)) : undefined;
  const own = children.map(adopt);
  return new Data(ownType(foreign.type), offset, length, nullCount, foreign.buffers as never, own, values);
}

function ownType(type: DataType): DataType {
  const is = parametersOf(type);
  const [child] = is.children ?? [];
  switch (is.typeId) {
    case Type.Null:
      return new Null();
    case Type.Bool:
      return new Bool();
    case Type.Int:
      return new Int(is.isSigned as never, is.bitWidth as never);
    case Type.Float:
      return new Float(is.precision as never);
    case Type.Decimal:
      return new Decimal(is.scale, is.precision, is.bitWidth);
    case Type.Utf8:
      return new Utf8();
    case Type.LargeUtf8:
      return new LargeUtf8();
    case Type.Binary:
      return new Binary();
    case Type.LargeBinary:
      return new LargeBinary();
    case Type.FixedSizeBinary:
      return new FixedSizeBinary(is.byteWidth);
    case Type.Date:
      return new Date_(is.unit as never);
    case Type.Time:
      return new Time(is.unit as never, is.bitWidth as never);
    case Type.Timestamp:
      return new Timestamp(is.unit as never, is.timezone);
    case Type.Duration:
      return new Duration(is.unit as never);
    case Type.Interval:
      return new Interval(is.unit as never);
    case Type.List:
      return new List(ownField(child as Field));
    case Type.LargeList:
      return new LargeList(ownField(child as Field));
    case Type.FixedSizeList:
      return new FixedSizeList(is.listSize, ownField(child as Field));
    case Type.Struct:
      return new Struct(is.children.map(ownField));
    case Type.Map:
      return new Map_(ownField(child as Field) as never, (type as Map_).keysSorted);
    case Type.Dictionary: {
      const { dictionary, indices, id, isOrdered } = type as Dictionary;
      return new Dictionary(ownType(dictionary), ownType(indices) as never, id, isOrdered);
    }
    default:
      throw new OffloadError('TRANSFORM_FAILED', `no format can hold a column of type ${String(type)}`);
  }
}

function ownField({ name, nullable, type }: Field): Field {
  return new Field(name, ownType(type), nullable);
}

function hasDictionary(type: DataType): boolean {
  if (type.typeId === Type.Dictionary) return true;
  if ([Type.Union, Type.BinaryView, Type.Utf8View].includes(type.typeId)) return !!ownType(type);
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
      return new Map_(child as never, (type as Map_).keysSorted);
    default:
      return type;
  }
}
