/**
 * What Arrow types are in PostgreSQL.
 *
 * | Arrow | A column that is made | One that is there may also be |
 * | --- | --- | --- |
 * | Bool | boolean | |
 * | Int8 to Int64, Uint8 to Uint32 | smallint, integer, bigint: the smallest that holds all | a wider one, numeric |
 * | Uint64 | numeric(20,0) | numeric that holds it |
 * | Float16, Float32, Float64 | real, double precision | double precision |
 * | Decimal(p, s) | numeric(p,s) | numeric that holds it |
 * | Utf8, Null | text | varchar |
 * | Binary | bytea | |
 * | Date, Time up to microseconds | date, time | |
 * | Timestamp up to microseconds | timestamp, with a zone timestamptz | |
 * | Interval, Duration | interval | |
 * | List, Struct, Map | jsonb | json |
 */
import { type DataType, Precision, TimeUnit, Type } from 'apache-arrow';
import { cannotHold, parametersOf } from '../arrow/access.ts';

/** Types as PostgreSQL's `format_type` names them, without their digits. */
export type PostgresType =
  | 'boolean'
  | 'smallint'
  | 'integer'
  | 'bigint'
  | 'real'
  | 'double precision'
  | 'numeric'
  | 'text'
  | 'bytea'
  | 'date'
  | 'time without time zone'
  | 'timestamp without time zone'
  | 'timestamp with time zone'
  | 'interval'
  | 'json'
  | 'jsonb';

const INTEGERS: readonly PostgresType[] = ['smallint', 'integer', 'bigint'];
/** Digits of the largest value, by bits. */
const DIGITS: Readonly<Record<number, number>> = { 8: 3, 16: 5, 32: 10, 64: 20 };

/**
 * The type of a column made for values of an Arrow type, in SQL.
 *
 * @throws OffloadError TARGET_UNSUITABLE naming the column.
 */
export function postgresColumn(column: string, type: DataType): string {
  const { typeId, bitWidth, isSigned, precision, scale, unit, timezone, dictionary } = parametersOf(type);
  switch (typeId) {
    case Type.Dictionary:
      return postgresColumn(column, dictionary);
    case Type.Bool:
      return 'boolean';
    case Type.Int:
      return integerColumn(bitWidth, isSigned);
    case Type.Float:
      return precision === Precision.DOUBLE ? 'double precision' : 'real';
    case Type.Decimal:
      return scale < 0 ? `numeric(${precision - scale},0)` : `numeric(${precision},${scale})`;
    case Type.Null:
    case Type.Utf8:
    case Type.LargeUtf8:
      return 'text';
    case Type.Binary:
    case Type.LargeBinary:
    case Type.FixedSizeBinary:
      return 'bytea';
    case Type.Date:
      return 'date';
    case Type.Time:
      if (unit !== TimeUnit.NANOSECOND) return 'time without time zone';
      break;
    case Type.Timestamp:
      if (unit !== TimeUnit.NANOSECOND) return `timestamp ${timezone ? 'with' : 'without'} time zone`;
      break;
    case Type.Interval:
    case Type.Duration:
      return 'interval';
    case Type.List:
    case Type.LargeList:
    case Type.FixedSizeList:
    case Type.Struct:
    case Type.Map:
      return 'jsonb';
    default:
  }
  const isNanos = unit === TimeUnit.NANOSECOND && (typeId === Type.Time || typeId === Type.Timestamp);
  throw cannotHold('PostgreSQL', column, type, isNanos ? 'cast it to microseconds' : 'leave it out');
}

function integerColumn(bitWidth: number, isSigned: boolean): string {
  // A type without a sign needs the next one.
  const bits = isSigned ? bitWidth : bitWidth * 2;
  if (bits > 64) return 'numeric(20,0)';
  return INTEGERS[Math.max(0, Math.log2(bits) - 4)] as string;
}

/**
 * As what values of an Arrow type are written into a column.
 *
 * @param actual Type of the column as `format_type` gives it.
 * @returns Null where not every value would arrive as it is.
 */
export function postgresWireType(column: string, type: DataType, actual: string): PostgresType | null {
  if (type.typeId === Type.Dictionary) return postgresWireType(column, parametersOf(type).dictionary, actual);
  const wanted = postgresColumn(column, type);
  const [, name = '', digits = '', rest = ''] = /^([^(]*?)(?:\((\d+(?:,-?\d+)?)\))?( with.*)?$/.exec(actual) ?? [];
  const base = name + rest;
  const wantedBase = wanted.replace(/\(.*\)/, '');
  const { typeId } = parametersOf(type);
  if (base === 'numeric' && (typeId === Type.Int || typeId === Type.Decimal)) {
    return holdsDecimals(digits, type) ? 'numeric' : null;
  }
  const rank = INTEGERS.indexOf(base as PostgresType);
  if (typeId === Type.Int && rank >= 0) {
    const least = INTEGERS.indexOf(wanted as PostgresType);
    return least >= 0 && rank >= least ? (INTEGERS[rank] ?? null) : null;
  }
  if (wanted === 'real' && base === 'double precision') return 'double precision';
  if (wanted === 'text' && base === 'character varying') return 'text';
  if (wanted === 'jsonb' && base === 'json') return 'json';
  if (base !== wantedBase) return null;
  // Fewer digits of a second would round.
  if (digits !== '' && digits !== '6') return null;
  return base as PostgresType;
}

function holdsDecimals(digits: string, type: DataType): boolean {
  if (digits === '') return true;
  const [precision = 0, scale = 0] = digits.split(',').map(Number);
  const own = parametersOf(type);
  const isInteger = own.typeId === Type.Int;
  const ownScale = isInteger ? 0 : own.scale;
  const ownDigits = isInteger ? (DIGITS[own.bitWidth] as number) : own.precision;
  return scale >= ownScale && precision - scale >= ownDigits - ownScale;
}
