/** Functions of the user that make typed columns of the bytes of keys and values, in this thread. */
import { type Data, Field, makeData, RecordBatch, Schema, Struct } from 'apache-arrow';
import { type ColumnType, parseSparkSchema } from '../../config/sparkSchema.ts';
import { offsetsOf, presenceOf } from '../../encode/arrow/access.ts';
import { messageOf, OffloadError } from '../../errors.ts';
import { canonicalValue, entriesOf, ValueMismatch } from '../../sources/files/canonical.ts';
import type { ColumnBuilder } from '../../sources/files/columns/builder.ts';
import { columnBuilder } from '../../sources/files/columns/columnBuilder.ts';
import { arrowType, sqlType } from '../../sources/files/columnTypes.ts';
import { shown } from '../../sources/files/rowErrors.ts';
import { widerType } from '../../sources/files/unify.ts';
import { typeOfValue, withoutNulls } from '../../sources/files/valueTypes.ts';
import type { BatchTransform, DeserializedColumn, DeserializerSettings, RowPlace } from '../batchTransform.ts';
import { userContext } from '../places.ts';
import { openModuleTransform } from './moduleTransform.ts';
import { type Deserializer, loadUserModule, type UserModule } from './userModule.ts';

/** Rows and where they stand. */
interface PlacedBatch {
  readonly batch: RecordBatch;
  readonly place: RowPlace;
}

/** What the bytes of a row are, and where it stands. */
type OnValue = (value: unknown, row: number) => void;

/** Opens deserializers whose types are known: declared, or those that `sampleDeserializers` found. */
export async function openDeserializers(settings: DeserializerSettings, input: Schema): Promise<BatchTransform> {
  const columns = await Promise.all(settings.columns.map((column) => TypedColumn.open(column, settings.config)));
  const next = settings.next && (await openModuleTransform(settings.next));
  const fields = [...input.fields];
  for (const { index, type } of columns) {
    fields[index] = new Field((input.fields[index] as Field).name, arrowType(type), true);
  }
  const schema = new Schema(fields);
  return {
    schema: next?.schema ?? schema,
    async apply(batch, place) {
      const children = [...batch.data.children];
      for (const column of columns) children[column.index] = column.decode(batch, place);
      const type = new Struct(fields);
      const typed = new RecordBatch(schema, makeData({ type, length: batch.numRows, nullCount: 0, children }));
      return next ? next.apply(typed, place) : typed;
    },
    close: async () => next?.close(),
  };
}

/**
 * Learns the types of what the functions give: as the module declares it (`export const type`), or by running it.
 *
 * Whole numbers become BIGINT, numbers with a fraction among them DOUBLE, objects STRUCT of all keys seen; what is null in
 * every row becomes text.
 *
 * @throws OffloadError TRANSFORM_INVALID if a module cannot be used; TRANSFORM_FAILED where a function fails or gives
 *   values that no one type holds.
 */
export async function sampleDeserializers(
  settings: DeserializerSettings,
  samples: readonly PlacedBatch[],
): Promise<DeserializerSettings> {
  const columns: DeserializedColumn[] = [];
  for (const column of settings.columns) {
    if (column.type !== null) {
      columns.push(column);
      continue;
    }
    const module = await loadUserModule(column.url, column.where);
    columns.push({
      ...column,
      type: declaredType(module, column) ?? inferType(module, column, settings.config, samples),
    });
  }
  return { ...settings, columns };
}

function declaredType({ exports }: UserModule, { where }: DeserializedColumn): ColumnType | null {
  const { type } = exports;
  if (type === undefined) return null;
  try {
    if (typeof type !== 'string') throw new Error(`it is ${shown(type)}`);
    const [field, more] = parseSparkSchema(`value ${type}`);
    if (field === undefined || more !== undefined) throw new Error('it is no single type');
    return field.type;
  } catch (error) {
    const why = messageOf(error).replace(/^the option schema ".*" cannot be read: /, '');
    throw new OffloadError(
      'TRANSFORM_INVALID',
      `${where}: its export "type" names no type, as BIGINT or STRUCT<id: BIGINT, price: DOUBLE>: ${why}`,
      { cause: error },
    );
  }
}

function inferType(
  module: UserModule,
  column: DeserializedColumn,
  config: string,
  samples: readonly PlacedBatch[],
): ColumnType {
  let type: ColumnType = 'NULL';
  for (const { batch, place } of samples) {
    deserialize({ module, column, config, isSample: true }, batch, place, (value, row) => {
      const next = isTypeless(value) ? null : widerType(type, typeOfValue(value));
      if (next === null)
        throw mismatch(column, place, row, `${shown(value)} is no ${sqlType(type)}, as earlier rows have`);
      type = next;
    });
  }
  if (hasNoFields(type)) {
    throw new OffloadError(
      'TRANSFORM_FAILED',
      `${column.where} gave objects without keys for all of the first rows, of which no column can be made; declare what they hold, as export const type = 'STRUCT<id: BIGINT>'`,
    );
  }
  return withoutNulls(type);
}

function isTypeless(value: unknown): boolean {
  return typeof value === 'function' || typeof value === 'symbol' || value instanceof Promise;
}

function hasNoFields(type: ColumnType): boolean {
  if (typeof type === 'string') return false;
  if (type.kind === 'list') return hasNoFields(type.item);
  return type.kind === 'struct' && (type.fields.length === 0 || type.fields.some((field) => hasNoFields(field.type)));
}

/** One column under its function. */
class TypedColumn {
  readonly index: number;
  readonly type: ColumnType;
  readonly #call: DeserializerCall;
  readonly #builder: ColumnBuilder;

  private constructor(call: DeserializerCall, type: ColumnType) {
    this.index = call.column.index;
    this.type = type;
    this.#call = call;
    this.#builder = columnBuilder(type);
  }

  static async open(column: DeserializedColumn, config: string): Promise<TypedColumn> {
    if (column.type === null) throw new OffloadError('INTERNAL', `${column.where} was not run on a sample`);
    const module = await loadUserModule(column.url, column.where);
    return new TypedColumn({ module, column, config, isSample: false }, column.type);
  }

  decode(batch: RecordBatch, place: RowPlace): Data {
    const { type } = this;
    const { column } = this.#call;
    deserialize(this.#call, batch, place, (value, row) => {
      try {
        checkKeys(type, value, '');
        this.#builder.appendValue(canonicalValue(type, value));
      } catch (error) {
        if (!(error instanceof ValueMismatch)) throw error;
        throw mismatch(
          column,
          place,
          row,
          `${error.path === '' ? '' : `${error.path.replace(/^\./, '')}: `}${error.message}`,
        );
      }
    });
    return this.#builder.finish();
  }
}

interface DeserializerCall {
  readonly module: UserModule;
  readonly column: DeserializedColumn;
  readonly config: string;
  readonly isSample: boolean;
}

function deserialize(
  { module, column, config, isSample }: DeserializerCall,
  batch: RecordBatch,
  place: RowPlace,
  onValue: OnValue,
): void {
  const data = batch.data.children[column.index] as Data;
  const run = module.run as unknown as Deserializer;
  const offsets = offsetsOf(data);
  const bytes = Buffer.from(data.values.buffer, data.values.byteOffset, data.values.byteLength);
  const isPresent = presenceOf(data);
  const { origin } = place;
  // One for all rows: an object a row is what costs.
  const context = { ...userContext(config, origin, isSample), column: column.column, offset: 0 };
  for (let row = 0; row < batch.numRows; row++) {
    if ('offsetAt' in origin) context.offset = origin.offsetAt(row);
    let value: unknown;
    try {
      value = run(
        isPresent === null || isPresent(row) ? bytes.subarray(offsets[row], offsets[row + 1]) : null,
        context,
      );
    } catch (error) {
      throw new OffloadError(
        'TRANSFORM_FAILED',
        `${column.where} failed on the ${column.column} of ${place.rowName(row)}: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
    onValue(value, row);
  }
}

/** A key that no column was made for would be lost. @throws ValueMismatch */
function checkKeys(type: ColumnType, value: unknown, path: string): void {
  if (typeof type === 'string' || value === null || value === undefined) return;
  if (type.kind === 'list' && Array.isArray(value)) {
    for (const item of value) checkKeys(type.item, item, path);
  }
  if (type.kind !== 'struct') return;
  for (const [key, inner] of entriesOf(value) ?? []) {
    const field = type.fields.find(({ name }) => name === key);
    if (field === undefined) {
      const names = type.fields.map(({ name }) => name).join(', ');
      throw new ValueMismatch(`it has a key ${String(key)}, where ${names} are expected`, path);
    }
    checkKeys(field.type, inner, `${path}.${field.name}`);
  }
}

function mismatch({ where, column }: DeserializedColumn, place: RowPlace, row: number, why: string): OffloadError {
  return new OffloadError(
    'TRANSFORM_FAILED',
    `${where} gave for the ${column} of ${place.rowName(row)} what does not fit its column: ${why}; give values of one type, or declare it, as export const type = 'STRUCT<id: BIGINT, price: DOUBLE>'`,
  );
}
