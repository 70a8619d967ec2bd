import type { DataType } from 'apache-arrow';
import { sqlType } from '../sources/files/columnTypes.ts';
import { inputType } from './sql/inputTypes.ts';

/** The type as DuckDB names it; as Arrow does where DuckDB has no such type. */
export function typeName(type: DataType): string {
  try {
    return sqlType(inputType(type)).replace(/"([A-Za-z_]\w*)" /g, '$1 ');
  } catch {
    return String(type);
  }
}
