/**
 * Columns under construction: from DuckDB's vectors or from values, to Arrow. A column builder is used again for the
 * batch after `finish`, which gives away the memory it filled.
 */
import type { List, Map_, Struct } from 'apache-arrow';
import type { ColumnType } from '../../../config/sparkSchema.ts';
import { arrowType } from '../columnTypes.ts';
import { MAX_DECIMAL_DIGITS } from '../duckdb/decimals.ts';
import type { ColumnBuilder } from './builder.ts';
import { BytesBuilder } from './bytes.ts';
import { BooleanBuilder, FixedBuilder, FloatBuilder, IntervalBuilder, NullBuilder } from './fixedWidth.ts';
import { ListBuilder, StructBuilder } from './nested.ts';

export function columnBuilder(type: ColumnType): ColumnBuilder {
  const arrow = arrowType(type);
  if (typeof type !== 'string') {
    switch (type.kind) {
      case 'decimal':
        return new FixedBuilder(arrow, 16, decimalVectorBytes(type.precision));
      case 'list':
        return new ListBuilder(arrow as List, columnBuilder(type.item));
      case 'struct':
        return new StructBuilder(
          arrow as Struct,
          type.fields.map(({ name }) => name),
          type.fields.map((field) => columnBuilder(field.type)),
        );
      case 'map': {
        const entries = (arrow as Map_).children[0]?.type as Struct;
        const parts = [columnBuilder(type.key), columnBuilder(type.value)];
        return new ListBuilder(arrow as Map_, new StructBuilder(entries, ['key', 'value'], parts));
      }
    }
  }
  switch (type) {
    case 'NULL':
      return new NullBuilder(arrow);
    case 'BOOLEAN':
      return new BooleanBuilder(arrow);
    case 'VARCHAR':
    case 'BLOB':
      return new BytesBuilder(arrow);
    case 'HUGEINT':
    case 'UHUGEINT':
      return new FixedBuilder(arrow, 16, 16, MAX_DECIMAL_DIGITS);
    case 'INTERVAL':
      return new IntervalBuilder(arrow, 16, 16);
    case 'TINYINT':
    case 'UTINYINT':
      return new FixedBuilder(arrow, 1);
    case 'SMALLINT':
    case 'USMALLINT':
      return new FixedBuilder(arrow, 2);
    case 'INTEGER':
    case 'UINTEGER':
    case 'DATE':
      return new FixedBuilder(arrow, 4);
    case 'FLOAT':
      return new FloatBuilder(arrow, 4);
    case 'DOUBLE':
      return new FloatBuilder(arrow, 8);
    default:
      return new FixedBuilder(arrow, 8);
  }
}

/** DuckDB keeps a decimal in the smallest integer that has room for its digits. */
function decimalVectorBytes(precision: number): number {
  if (precision <= 4) return 2;
  if (precision <= 9) return 4;
  return precision <= 18 ? 8 : 16;
}
