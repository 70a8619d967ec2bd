/**
 * How the types of source files become Arrow types. Every value arrives exactly; what Arrow has no type for comes as text.
 *
 * | Source (DuckDB's name) | Arrow |
 * | --- | --- |
 * | BOOLEAN, TINYINT ... BIGINT, UTINYINT ... UBIGINT, FLOAT, DOUBLE | Bool, Int8 ... Int64, Uint8 ... Uint64, Float32, Float64 |
 * | HUGEINT, UHUGEINT | Decimal128(38, 0); a value of more than 38 digits is an error |
 * | DECIMAL(p, s) | Decimal128(p, s) |
 * | VARCHAR, JSON, UUID, ENUM, BIT, BIGNUM, TIMETZ | Utf8: the text DuckDB writes for it |
 * | BLOB | Binary |
 * | DATE, TIME, TIME_NS | DateDay, TimeMicrosecond, TimeNanosecond |
 * | TIMESTAMP_S, _MS, (micros), _NS | Timestamp of that unit, without a zone |
 * | TIMESTAMPTZ | Timestamp in microseconds, UTC |
 * | INTERVAL | Interval of months, days and nanoseconds |
 * | LIST, ARRAY | List |
 * | STRUCT, MAP | Struct, Map |
 * | UNION, VARIANT, GEOMETRY | none: an error that names column and type |
 */
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  IntervalMonthDayNano,
  List,
  Map_,
  Null,
  Schema,
  Struct,
  TimeMicrosecond,
  TimeNanosecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from 'apache-arrow';
import type { ColumnField, ColumnType, ScalarType } from '../../config/sparkSchema.ts';

const ARROW: Readonly<Record<ScalarType, () => DataType>> = {
  NULL: () => new Null(),
  BOOLEAN: () => new Bool(),
  TINYINT: () => new Int8(),
  SMALLINT: () => new Int16(),
  INTEGER: () => new Int32(),
  BIGINT: () => new Int64(),
  HUGEINT: () => new Decimal(0, 38, 128),
  UTINYINT: () => new Uint8(),
  USMALLINT: () => new Uint16(),
  UINTEGER: () => new Uint32(),
  UBIGINT: () => new Uint64(),
  UHUGEINT: () => new Decimal(0, 38, 128),
  FLOAT: () => new Float32(),
  DOUBLE: () => new Float64(),
  VARCHAR: () => new Utf8(),
  BLOB: () => new Binary(),
  DATE: () => new DateDay(),
  TIME: () => new TimeMicrosecond(),
  TIME_NS: () => new TimeNanosecond(),
  TIMESTAMP_S: () => new TimestampSecond(),
  TIMESTAMP_MS: () => new TimestampMillisecond(),
  TIMESTAMP: () => new TimestampMicrosecond(),
  TIMESTAMP_NS: () => new TimestampNanosecond(),
  TIMESTAMPTZ: () => new TimestampMicrosecond('UTC'),
  INTERVAL: () => new IntervalMonthDayNano(),
};

export function arrowType(type: ColumnType): DataType {
  if (typeof type === 'string') return ARROW[type]();
  switch (type.kind) {
    case 'decimal':
      return new Decimal(type.scale, type.precision, 128);
    case 'list':
      return new List(new Field('element', arrowType(type.item), true));
    case 'struct':
      return new Struct(type.fields.map(arrowField));
    case 'map': {
      const entries = new Struct([
        new Field('key', arrowType(type.key), false),
        new Field('value', arrowType(type.value), true),
      ]);
      return new Map_(new Field('entries', entries as never, false));
    }
  }
}

function arrowField({ name, type }: ColumnField): Field {
  return new Field(name, arrowType(type), true);
}

/** The Arrow schema of columns: every one may be null. */
export function toArrowSchema(columns: readonly ColumnField[]): Schema {
  return new Schema(columns.map(arrowField));
}

/** The type in SQL, as DuckDB reads it and as messages show it. */
export function sqlType(type: ColumnType): string {
  if (typeof type === 'string') return type === 'NULL' ? '"NULL"' : type;
  switch (type.kind) {
    case 'decimal':
      return `DECIMAL(${type.precision},${type.scale})`;
    case 'list':
      return `${sqlType(type.item)}[]`;
    case 'struct':
      return `STRUCT(${type.fields.map((field) => `${quoteName(field.name)} ${sqlType(field.type)}`).join(', ')})`;
    case 'map':
      return `MAP(${sqlType(type.key)}, ${sqlType(type.value)})`;
  }
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export function sameType(left: ColumnType, right: ColumnType): boolean {
  return sqlType(left) === sqlType(right);
}
