/**
 * The Avro schema of an Arrow one, under the names Spark gives records.
 *
 * | Arrow | Avro |
 * | --- | --- |
 * | Bool, Utf8, Binary, Null | boolean, string, bytes, null |
 * | Int8 to Int32, Uint8, Uint16; Int64, Uint32 | int; long |
 * | Uint64 | bytes, decimal(20, 0) |
 * | Float16, Float32; Float64 | float; double |
 * | Decimal | bytes, decimal |
 * | FixedSizeBinary | bytes |
 * | Date | int, date |
 * | Time s, ms; us | int, time-millis; long, time-micros |
 * | Timestamp s, ms; us; ns | long, timestamp-millis; -micros; -nanos; without a zone: local-timestamp-... |
 * | Interval, Duration | string, ISO 8601 |
 * | List, FixedSizeList | array |
 * | Struct; Map with text keys | record; map |
 *
 * A column that may be null is a union of its type and null, in this order, as Spark writes it.
 */
import { type DataType, type Field, Precision, type Schema, TimeUnit, Type } from 'apache-arrow';
import type { AvroOutput } from '../../config/writerOptions.ts';
import { OffloadError } from '../../errors.ts';
import { cannotHold, parametersOf } from '../arrow/access.ts';

/** A schema as JSON has it. */
export type AvroType = string | readonly AvroType[] | { readonly type: string; readonly [key: string]: unknown };

const NAME = /^[A-Za-z_]\w*$/;
/** Digits of the largest Uint64. */
const UINT64_DIGITS = 20;
/** `timestamp-millis` and so on, by unit. */
const TIMESTAMP_UNITS: Readonly<Record<number, string>> = {
  [TimeUnit.SECOND]: 'millis',
  [TimeUnit.MILLISECOND]: 'millis',
  [TimeUnit.MICROSECOND]: 'micros',
  [TimeUnit.NANOSECOND]: 'nanos',
};

/** @throws OffloadError TARGET_UNSUITABLE naming a column whose name or type Avro does not have. */
export function avroSchema(
  schema: Schema,
  { recordName, recordNamespace }: Omit<AvroOutput, 'format' | 'codec'>,
): AvroType {
  const names = new Names(recordNamespace);
  return record(schema.fields, names.take(recordName), names, '');
}

/** Every record of a schema needs a name of its own. */
class Names {
  readonly #namespace: string;
  readonly #taken = new Set<string>();

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  take(name: string): { name: string; namespace?: string } {
    let free = name;
    for (let i = 2; this.#taken.has(free); i++) free = `${name}${i}`;
    this.#taken.add(free);
    return this.#namespace === '' ? { name: free } : { name: free, namespace: this.#namespace };
  }
}

function record(
  fields: readonly Field[],
  name: { name: string; namespace?: string },
  names: Names,
  path: string,
): AvroType {
  return {
    type: 'record',
    ...name,
    fields: fields.map((field) => {
      const column = path === '' ? field.name : `${path}.${field.name}`;
      if (!NAME.test(field.name)) {
        throw new OffloadError(
          'TARGET_UNSUITABLE',
          `cannot write the column ${column} as avro: its name must be letters, digits and "_" there, no digit first; rename it, as in "${field.name} as name"`,
          { context: { column } },
        );
      }
      return { name: field.name, type: fieldType(field, names, column) };
    }),
  };
}

function fieldType(field: Field, names: Names, path: string): AvroType {
  const type = avroType(field.type, names, path);
  return isNullable(field) ? [type, 'null'] : type;
}

/** Whether a field is written as a union with null. */
export function isNullable({ nullable, type }: Field): boolean {
  return nullable && type.typeId !== Type.Null;
}

function avroType(arrowType: DataType, names: Names, path: string): AvroType {
  const type = parametersOf(arrowType);
  switch (type.typeId) {
    case Type.Null:
      return 'null';
    case Type.Bool:
      return 'boolean';
    case Type.Int: {
      const { bitWidth, isSigned } = type;
      if (bitWidth === 64 && !isSigned) return decimal(UINT64_DIGITS, 0);
      return bitWidth === 64 || (bitWidth === 32 && !isSigned) ? 'long' : 'int';
    }
    case Type.Float:
      return type.precision === Precision.DOUBLE ? 'double' : 'float';
    case Type.Utf8:
    case Type.LargeUtf8:
    case Type.Interval:
    case Type.Duration:
      return 'string';
    case Type.Binary:
    case Type.LargeBinary:
    case Type.FixedSizeBinary:
      return 'bytes';
    case Type.Decimal:
      if (type.scale < 0) break;
      return decimal(type.precision, type.scale);
    case Type.Date:
      return { type: 'int', logicalType: 'date' };
    case Type.Time:
      if (type.unit === TimeUnit.NANOSECOND) break;
      if (type.unit === TimeUnit.MICROSECOND) return { type: 'long', logicalType: 'time-micros' };
      return { type: 'int', logicalType: 'time-millis' };
    case Type.Timestamp:
      return {
        type: 'long',
        logicalType: `${type.timezone ? '' : 'local-'}timestamp-${TIMESTAMP_UNITS[type.unit]}`,
      };
    case Type.Dictionary:
      return avroType(type.dictionary, names, path);
    case Type.List:
    case Type.LargeList:
    case Type.FixedSizeList:
      return { type: 'array', items: fieldType(type.children[0] as Field, names, path) };
    case Type.Struct:
      return record(type.children, names.take(path.replaceAll('.', '_')), names, path);
    case Type.Map: {
      const [keys, values] = (type.children[0] as Field).type.children as [Field, Field];
      if (keys.type.typeId !== Type.Utf8 && keys.type.typeId !== Type.LargeUtf8) break;
      return { type: 'map', values: fieldType(values, names, path) };
    }
    default:
  }
  throw cannotHold('avro', path, arrowType, 'leave the column out, or cast it');
}

function decimal(precision: number, scale: number): AvroType {
  return { type: 'bytes', logicalType: 'decimal', precision, scale };
}
