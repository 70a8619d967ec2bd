/** The types of columns as values show them. */
import type { ColumnType } from '../../config/sparkSchema.ts';
import { entriesOf } from './canonical.ts';
import { widerType } from './unify.ts';

/** The narrowest type of a value; whole numbers beyond 2^53 are not exact, and count as fractions. */
export function typeOfValue(value: unknown): ColumnType {
  switch (typeof value) {
    case 'boolean':
      return 'BOOLEAN';
    case 'number':
      return Number.isSafeInteger(value) ? 'BIGINT' : 'DOUBLE';
    case 'bigint':
      return value > 2n ** 63n - 1n ? 'UBIGINT' : 'BIGINT';
    case 'string':
      return 'VARCHAR';
  }
  if (value === null || value === undefined) return 'NULL';
  if (value instanceof Uint8Array) return 'BLOB';
  if (value instanceof Date) return 'TIMESTAMPTZ';
  if (Array.isArray(value)) {
    const item = value.reduce<ColumnType | null>(
      (type, inner) => widerType(type ?? 'NULL', typeOfValue(inner)),
      'NULL',
    );
    return { kind: 'list', item: item ?? 'VARCHAR' };
  }
  const fields = [...(entriesOf(value) ?? [])].map(([name, inner]) => ({
    name: String(name),
    type: typeOfValue(inner),
  }));
  return { kind: 'struct', fields };
}

/** What was null throughout becomes text, as Spark has it. */
export function withoutNulls(type: ColumnType): ColumnType {
  if (typeof type === 'string') return type === 'NULL' ? 'VARCHAR' : type;
  if (type.kind === 'list') return { kind: 'list', item: withoutNulls(type.item) };
  if (type.kind !== 'struct') return type;
  return { kind: 'struct', fields: type.fields.map((field) => ({ ...field, type: withoutNulls(field.type) })) };
}
