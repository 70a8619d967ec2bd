/** Values as Avro and msgpack libraries give them, checked and made what a column builder takes. */
import type { ColumnType } from '../../config/sparkSchema.ts';
import { integerRange } from './integers.ts';
import { isNot } from './rowErrors.ts';

/** A value that is not of the type of its column. */
export class ValueMismatch extends Error {
  /** Where in a nested value it stands: `.street`, `[3]`; empty at the top. */
  readonly path: string;

  constructor(message: string, path: string) {
    super(message);
    this.path = path;
  }
}

const UNITS_A_MS: Readonly<Record<string, readonly [bigint, bigint]>> = {
  TIMESTAMP_S: [1n, 1000n],
  TIMESTAMP_MS: [1n, 1n],
  TIMESTAMP: [1000n, 1n],
  TIMESTAMPTZ: [1000n, 1n],
  TIMESTAMP_NS: [1_000_000n, 1n],
};
const DAY_MS = 86_400_000;

/**
 * @returns null, a boolean, a number, a bigint, a string or bytes; for lists and maps an array of those, for structs and
 *   entries of maps the values of the fields in order. Times are counted in the unit of the type.
 * @throws ValueMismatch
 */
export function canonicalValue(type: ColumnType, value: unknown, path = ''): unknown {
  if (value === null || value === undefined) return null;
  // Times beyond the year 275,760 have no number of milliseconds.
  if (value instanceof Date && Number.isNaN(value.getTime())) throw new ValueMismatch('its time cannot be told', path);
  if (typeof type !== 'string') return canonicalNested(type, value, path);
  switch (type) {
    case 'BOOLEAN':
      return need(typeof value === 'boolean', type, value, path);
    case 'FLOAT':
    case 'DOUBLE':
      return need(typeof value === 'number', type, value, path);
    case 'VARCHAR':
      return need(typeof value === 'string', type, value, path);
    case 'BLOB':
      return need(value instanceof Uint8Array, type, value, path);
    case 'DATE':
      if (value instanceof Date) return Math.floor(value.getTime() / DAY_MS);
      return need(Number.isInteger(value), type, value, path);
    case 'NULL':
    case 'INTERVAL':
      throw new ValueMismatch(isNot(value, type), path);
  }
  const unit = UNITS_A_MS[type];
  if (unit !== undefined && value instanceof Date) return (BigInt(value.getTime()) * unit[0]) / unit[1];
  const [least, most] = integerRange(type) ?? (integerRange('BIGINT') as readonly [bigint, bigint]);
  const isInteger = typeof value === 'bigint' || Number.isInteger(value);
  return need(isInteger && (value as bigint) >= least && (value as bigint) <= most, type, value, path);
}

function canonicalNested(type: Exclude<ColumnType, string>, value: unknown, path: string): unknown {
  switch (type.kind) {
    case 'decimal':
      return need(typeof value === 'bigint', type, value, path);
    case 'list':
      need(Array.isArray(value), type, value, path);
      return (value as unknown[]).map((item, i) => canonicalValue(type.item, item, `${path}[${i}]`));
    case 'struct': {
      const fields = entriesOf(value);
      if (fields === null) throw new ValueMismatch(isNot(value, type), path);
      return type.fields.map((field) => canonicalValue(field.type, fields.get(field.name), `${path}.${field.name}`));
    }
    case 'map': {
      const entries = entriesOf(value);
      if (entries === null) throw new ValueMismatch(isNot(value, type), path);
      return [...entries].map(([key, inner]) => [
        canonicalValue(type.key, key, path),
        canonicalValue(type.value, inner, `${path}[${String(key)}]`),
      ]);
    }
  }
}

/** What an object or a Map holds; null for anything else. */
export function entriesOf(value: unknown): Map<unknown, unknown> | null {
  if (value instanceof Map) return value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  if (value instanceof Uint8Array || value instanceof Date) return null;
  return new Map(Object.entries(value));
}

function need(isRight: boolean, type: ColumnType, value: unknown, path: string): unknown {
  if (!isRight) throw new ValueMismatch(isNot(value, type), path);
  return value;
}
