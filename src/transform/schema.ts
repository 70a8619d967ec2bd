import {
  Field as ArrowField,
  Binary,
  type DataType,
  DateDay,
  Int32,
  Int64,
  List,
  Schema,
  Struct,
  Timestamp,
  TimeUnit,
  Utf8,
} from 'apache-arrow';
import type { Field } from '../config/fields.ts';
import { OffloadError } from '../errors.ts';
import { allowedCasts } from './casts.ts';

/** One header of a message: Kafka has no null key, and a null value is not an empty one. */
const HEADER_TYPE = new Struct([new ArrowField('key', new Utf8(), false), new ArrowField('value', new Binary(), true)]);
const HEADERS_TYPE = new List(new ArrowField('element', HEADER_TYPE, false));

/**
 * The Arrow schema of these fields, the same whether there are rows or not. Only key and value can be null; a message
 * without headers has an empty list.
 *
 * @throws OffloadError FIELD_INVALID for a cast the column does not take.
 */
export function arrowSchema(fields: readonly Field[]): Schema {
  return new Schema(fields.map((field) => arrowField(field)));
}

function arrowField(field: Field): ArrowField {
  const allowed = allowedCasts[field.column];
  if (!allowed.includes(field.type)) {
    throw new OffloadError(
      'FIELD_INVALID',
      `cannot cast the column ${field.column} to ${field.type}: it takes ${allowed.join(', ')}`,
      { context: { field: field.name, column: field.column, type: field.type } },
    );
  }
  const nullable = field.column === 'key' || field.column === 'value';
  return new ArrowField(field.name, arrowType(field), nullable);
}

function arrowType({ type }: Field): DataType {
  switch (type) {
    case 'STRING':
      return new Utf8();
    case 'BINARY':
      return new Binary();
    case 'INT':
      return new Int32();
    case 'LONG':
      return new Int64();
    case 'TIMESTAMP':
      return new Timestamp(TimeUnit.MILLISECOND, 'UTC');
    case 'DATE':
      return new DateDay();
    case 'HEADERS':
      return HEADERS_TYPE;
    case 'DOUBLE':
      throw new OffloadError('INTERNAL', 'no column of a message is cast to DOUBLE');
  }
}
