import { type DataType, type Field, Precision, Type } from 'apache-arrow';
import { parametersOf } from '../encode/arrow/access.ts';
import { quoteName, sqlType } from '../sources/files/columnTypes.ts';
import { inputType } from './sql/inputTypes.ts';

/** The type as DuckDB names it, for people; as Arrow does where DuckDB has no such type. */
export function typeName(type: DataType): string {
  const { children } = parametersOf(type);
  const [child] = children ?? [];
  switch (type.typeId) {
    case Type.LargeUtf8:
      return 'VARCHAR';
    case Type.LargeBinary:
    case Type.FixedSizeBinary:
      return 'BLOB';
    case Type.List:
    case Type.LargeList:
    case Type.FixedSizeList:
      return `${typeName((child as Field).type)}[]`;
    case Type.Struct:
      return `STRUCT(${children.map((field) => `${shownName(field.name)} ${typeName(field.type)}`).join(', ')})`;
    case Type.Map: {
      const [key, value] = parametersOf((child as Field).type).children as [Field, Field];
      return `MAP(${typeName(key.type)}, ${typeName(value.type)})`;
    }
    default:
      return scalarName(type);
  }
}

function scalarName(type: DataType): string {
  // DuckDB reads 16 bits as 32.
  if (type.typeId === Type.Float && parametersOf(type).precision === Precision.HALF) return 'FLOAT';
  try {
    return sqlType(inputType(type));
  } catch {
    return String(type);
  }
}

/** In quotes where it could not be told from what stands around it. */
function shownName(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : quoteName(name);
}
