/**
 * Types of Arrow that Parquet lacks, and their like in Parquet: timestamps and times in seconds become those in
 * milliseconds, dates in milliseconds those in days, at every level. Left as they are, parquet-wasm writes them as
 * integers that say nothing of time.
 */
import {
  Data,
  type DataType,
  DateDay,
  DateUnit,
  Field,
  FixedSizeList,
  LargeList,
  List,
  Map_,
  Schema,
  Struct,
  TimeMillisecond,
  Timestamp,
  TimeUnit,
  Type,
} from 'apache-arrow';
import { OffloadError } from '../../errors.ts';
import { parametersOf, presenceOf, wordsOf } from '../arrow/access.ts';
import { daysOf } from '../text/scalars.ts';

const MS_PER_SECOND = 1000;

/** The schema itself where Parquet has all its types. */
export function storedSchema(schema: Schema): Schema {
  const fields = schema.fields.map(storedField);
  return fields.every((field, i) => field === schema.fields[i]) ? schema : new Schema(fields);
}

/** The field itself where Parquet has its type. */
export function storedField(field: Field): Field {
  const type = storedType(field.type);
  return type === field.type ? field : new Field(field.name, type, field.nullable);
}

/**
 * @param type What `storedField` made of the data's own.
 * @throws OffloadError ROW_INVALID for a timestamp of more milliseconds than 64 bits count.
 */
export function storedData(data: Data, type: DataType, column: string): Data {
  if (type === data.type) return data;
  const { offset, length, nullCount, buffers } = data;
  const children = data.children.map((child, i) => {
    return storedData(child, (type.children[i] as Field).type, column);
  });
  if (children.length > 0) return new Data(type, offset, length, nullCount, buffers as never, children);
  return new Data(type, offset, length, nullCount, { ...buffers, 1: storedValues(data, column) } as never);
}

function storedType(type: DataType): DataType {
  const { typeId, unit, timezone, children, listSize } = parametersOf(type);
  if (typeId === Type.Timestamp) {
    return unit === TimeUnit.SECOND ? new Timestamp(TimeUnit.MILLISECOND, timezone) : type;
  }
  if (typeId === Type.Date) return unit === DateUnit.MILLISECOND ? new DateDay() : type;
  if (typeId === Type.Time) return unit === TimeUnit.SECOND ? new TimeMillisecond() : type;
  if (!children || children.length === 0) return type;
  const inner = children.map(storedField);
  if (inner.every((field, i) => field === children[i])) return type;
  const [child] = inner as [Field];
  switch (typeId) {
    case Type.List:
      return new List(child);
    case Type.LargeList:
      return new LargeList(child);
    case Type.FixedSizeList:
      return new FixedSizeList(listSize, child);
    case Type.Map:
      return new Map_(child as never, (type as Map_).keysSorted);
    default:
      return new Struct(inner);
  }
}

function storedValues(data: Data, column: string): Int32Array | BigInt64Array {
  switch (data.type.typeId) {
    case Type.Time:
      return (data.values as Int32Array).map((seconds) => seconds * MS_PER_SECOND);
    case Type.Date:
      return days(data);
    default:
      return timestamps(data, column);
  }
}

function days(data: Data): Int32Array {
  const dayAt = daysOf(data);
  return Int32Array.from({ length: data.length }, (_, row) => dayAt(row));
}

/** Half by half: 64 bits are more than a number counts. */
function timestamps(data: Data, column: string): BigInt64Array {
  const seconds = wordsOf(data.values);
  const millis = new Int32Array(seconds.length);
  const isPresent = presenceOf(data);
  for (let row = 0; row < data.length; row++) {
    if (isPresent && !isPresent(row)) continue;
    const low = ((seconds[2 * row] as number) >>> 0) * MS_PER_SECOND;
    const high = (seconds[2 * row + 1] as number) * MS_PER_SECOND + Math.floor(low / 2 ** 32);
    if (high !== (high | 0)) throw tooLarge(column, data.values[row]);
    // Typed arrays keep the lower 32 bits of a number.
    millis[2 * row] = low;
    millis[2 * row + 1] = high;
  }
  return new BigInt64Array(millis.buffer);
}

function tooLarge(column: string, seconds: bigint): OffloadError {
  return new OffloadError(
    'ROW_INVALID',
    `cannot write the column ${column} as parquet: it counts milliseconds in 64 bits, and ${seconds} seconds are more; ` +
      'leave such rows out, or write the column as text',
    { context: { column, seconds: String(seconds) } },
  );
}
