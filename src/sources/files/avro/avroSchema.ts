/**
 * Avro schemas as column types. A union of null and one type is that type; a union of several has no counterpart.
 *
 * | Avro | Column |
 * | --- | --- |
 * | int, long, float, double, boolean, string, bytes, fixed | INTEGER, BIGINT, FLOAT, DOUBLE, BOOLEAN, VARCHAR, BLOB, BLOB |
 * | enum, uuid | VARCHAR |
 * | decimal | DECIMAL |
 * | date, time-millis, time-micros | DATE, TIME, TIME |
 * | timestamp-millis, -micros | TIMESTAMPTZ |
 * | timestamp-nanos, local-timestamp-millis, -micros, -nanos | TIMESTAMP_NS, TIMESTAMP_MS, TIMESTAMP, TIMESTAMP_NS |
 * | record, array, map | STRUCT, LIST, MAP of VARCHAR to it |
 */
import type { ColumnType, ScalarType } from '../../../config/sparkSchema.ts';

/** Makes of a value as `avsc` gives it what `canonicalValue` takes. */
export type FromAvro = (value: unknown) => unknown;

export interface AvroType {
  readonly type: ColumnType;
  readonly convert: FromAvro;
}

type AvroSchema = string | readonly AvroSchema[] | AvroObject;
interface AvroObject {
  readonly type: AvroSchema;
  readonly name?: string;
  readonly namespace?: string;
  readonly logicalType?: string;
  readonly precision?: number;
  readonly scale?: number;
  readonly fields?: readonly { readonly name: string; readonly type: AvroSchema }[];
  readonly items?: AvroSchema;
  readonly values?: AvroSchema;
}

const PRIMITIVES: Readonly<Record<string, ScalarType>> = {
  null: 'NULL',
  boolean: 'BOOLEAN',
  int: 'INTEGER',
  long: 'BIGINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  bytes: 'BLOB',
  string: 'VARCHAR',
  fixed: 'BLOB',
  enum: 'VARCHAR',
};
const LOGICAL: Readonly<Record<string, readonly [ScalarType, number]>> = {
  'int date': ['DATE', 1],
  'int time-millis': ['TIME', 1000],
  'long time-micros': ['TIME', 1],
  'long timestamp-millis': ['TIMESTAMPTZ', 1000],
  'long timestamp-micros': ['TIMESTAMPTZ', 1],
  'long timestamp-nanos': ['TIMESTAMP_NS', 1],
  'long local-timestamp-millis': ['TIMESTAMP_MS', 1],
  'long local-timestamp-micros': ['TIMESTAMP', 1],
  'long local-timestamp-nanos': ['TIMESTAMP_NS', 1],
};
/** Deeper than any schema is; keeps a damaged one from exhausting the stack. */
const MAX_DEPTH = 100;
const same: FromAvro = (value) => value;

/**
 * @param refuse Throws; told where in the schema stands what has no counterpart.
 */
export function avroType(schema: unknown, refuse: (path: string, what: string) => never): AvroType {
  const names = new Map<string, AvroObject>();
  const open = new Set<AvroObject>();
  let depth = 0;

  const visit = (inner: AvroSchema, path: string, namespace: string): AvroType => {
    depth += 1;
    if (depth > MAX_DEPTH) return refuse(path.slice(0, 100), `more than ${MAX_DEPTH} types inside each other`);
    const found = visitType(inner, path, namespace);
    depth -= 1;
    return found;
  };

  const visitType = (inner: AvroSchema, path: string, namespace: string): AvroType => {
    if (typeof inner !== 'string' && (typeof inner !== 'object' || inner === null)) {
      return refuse(path, `${JSON.stringify(inner)}, which is no type`);
    }
    if (typeof inner === 'string') {
      const primitive = Object.hasOwn(PRIMITIVES, inner) ? PRIMITIVES[inner] : undefined;
      if (primitive !== undefined) return { type: primitive, convert: same };
      const named = names.get(inner) ?? names.get(`${namespace}.${inner}`);
      if (named === undefined) return refuse(path, `the type ${inner}, which the schema does not define`);
      if (open.has(named)) return refuse(path, `the type ${inner}, which holds itself`);
      return visit(named, path, namespace);
    }
    if (Array.isArray(inner)) {
      const types = (inner as readonly AvroSchema[]).filter((member) => member !== 'null');
      const only = types[0];
      if (types.length > 1) return refuse(path, `a union of ${types.length} types`);
      return only === undefined ? { type: 'NULL', convert: same } : visit(only, path, namespace);
    }
    const object = inner as AvroObject;
    const space = object.namespace ?? namespace;
    if (object.name !== undefined) {
      names.set(object.name, object);
      names.set(`${space}.${object.name}`, object);
    }
    switch (object.type) {
      case 'record':
        return visitRecord(object, path, space);
      case 'array':
        return visitList(visit(object.items ?? 'null', `${path}[]`, space));
      case 'map':
        return visitMap(visit(object.values ?? 'null', `${path}[]`, space));
    }
    if (typeof object.type !== 'string') return visit(object.type, path, space);
    if (object.logicalType === 'decimal' && (object.type === 'bytes' || object.type === 'fixed')) {
      const { precision = 0, scale = 0 } = object;
      if (precision > 38) return refuse(path, `a decimal of ${precision} digits, and 38 are the most`);
      return { type: { kind: 'decimal', precision, scale }, convert: decimalOf };
    }
    const [type, factor] = LOGICAL[`${object.type} ${object.logicalType}`] ?? [null, 1];
    if (type === null) return visit(object.type, path, space);
    return { type, convert: factor === 1 ? same : (value) => scaled(value, factor) };
  };

  const visitRecord = (object: AvroObject, path: string, space: string): AvroType => {
    open.add(object);
    const fields = (object.fields ?? []).map(({ name, type }) => ({ name, ...visit(type, `${path}.${name}`, space) }));
    open.delete(object);
    const convert: FromAvro = (value) =>
      value === null
        ? null
        : new Map(fields.map((field) => [field.name, field.convert((value as Record<string, unknown>)[field.name])]));
    return { type: { kind: 'struct', fields: fields.map(({ name, type }) => ({ name, type })) }, convert };
  };

  return visit(schema as AvroSchema, '', '');
}

function visitList(item: AvroType): AvroType {
  const convert: FromAvro = (value) => (value === null ? null : (value as unknown[]).map(item.convert));
  return { type: { kind: 'list', item: item.type }, convert };
}

function visitMap(inner: AvroType): AvroType {
  const convert: FromAvro = (value) =>
    value === null
      ? null
      : new Map(Object.entries(value as Record<string, unknown>).map(([key, item]) => [key, inner.convert(item)]));
  return { type: { kind: 'map', key: 'VARCHAR', value: inner.type }, convert };
}

function scaled(value: unknown, factor: number): unknown {
  if (typeof value === 'bigint') return value * BigInt(factor);
  if (typeof value !== 'number') return value;
  const product = value * factor;
  return Number.isSafeInteger(product) ? product : BigInt(value) * BigInt(factor);
}

/** Two's complement, the highest byte first. */
function decimalOf(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value;
  let unscaled = 0n;
  for (const byte of value) unscaled = (unscaled << 8n) | BigInt(byte);
  return BigInt.asIntN(value.length * 8, unscaled);
}
