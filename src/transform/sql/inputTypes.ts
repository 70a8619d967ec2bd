/** The columns a statement sees, and their types: the other way round than `columnTypes.ts`. */
import { type DataType, type Field, type Schema, TimeUnit, Type } from 'apache-arrow';
import type { ColumnType } from '../../config/sparkSchema.ts';
import { parametersOf } from '../../encode/arrow/access.ts';
import { OffloadError } from '../../errors.ts';
import type { InputColumn } from './rewrite.ts';

const INTEGERS = ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT'] as const;
const UNSIGNED = ['UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT'] as const;
const TIMESTAMPS = ['TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP', 'TIMESTAMP_NS'] as const;

export function inputColumns(schema: Schema): InputColumn[] {
  return schema.fields.map(({ name, type }) => ({ name, isBinary: type.typeId === Type.Binary }));
}

/** @throws OffloadError INTERNAL for a type that neither messages nor files have. */
export function inputType(type: DataType): ColumnType {
  const { bitWidth, isSigned, precision, scale, unit, timezone, children } = parametersOf(type);
  switch (type.typeId) {
    case Type.Null:
      return 'NULL';
    case Type.Bool:
      return 'BOOLEAN';
    case Type.Int:
      return (isSigned ? INTEGERS : UNSIGNED)[Math.log2(bitWidth / 8)] as ColumnType;
    case Type.Float:
      return precision === 1 ? 'FLOAT' : 'DOUBLE';
    case Type.Utf8:
      return 'VARCHAR';
    case Type.Binary:
      return 'BLOB';
    case Type.Decimal:
      return { kind: 'decimal', precision, scale };
    case Type.Date:
      return 'DATE';
    case Type.Time:
      return unit === TimeUnit.NANOSECOND ? 'TIME_NS' : 'TIME';
    case Type.Timestamp:
      return timezone ? 'TIMESTAMPTZ' : (TIMESTAMPS[unit] as ColumnType);
    case Type.Interval:
      return 'INTERVAL';
    case Type.List:
      return { kind: 'list', item: inputType((children[0] as Field).type) };
    case Type.Struct:
      return { kind: 'struct', fields: children.map(({ name, type: inner }) => ({ name, type: inputType(inner) })) };
    case Type.Map: {
      const [key, value] = ((children[0] as Field).type as { children: Field[] }).children as [Field, Field];
      return { kind: 'map', key: inputType(key.type), value: inputType(value.type) };
    }
    default:
      throw new OffloadError('INTERNAL', `a statement cannot read a column of type ${type}`);
  }
}
