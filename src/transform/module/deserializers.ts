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
import { type BadRow, inOrder, type PlacedRows } from '../badRows.ts';
import type { BatchTransform, DeserializedColumn, DeserializerSettings, RowPlace } from '../batchTransform.ts';
import { userContext } from '../places.ts';
import { openModuleTransform } from './moduleTransform.ts';
import { type Deserializer, loadUserModule, type UserModule } from './userModule.ts';

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
    async findBadRows(batch, place) {
      const bad: BadRow[] = [];
      for (const column of columns) column.findBadRows(batch, place, bad);
      return inOrder(bad);
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
 * @param leavesOut Rows that a function fails on, or that do not go with earlier ones, teach nothing.
 * @throws OffloadError TRANSFORM_INVALID if a module cannot be used; TRANSFORM_FAILED where a function fails or gives
 *   values that no one type holds: on all rows, if `leavesOut`.
 */
export async function sampleDeserializers(
  settings: DeserializerSettings,
  samples: readonly PlacedRows[],
  leavesOut = false,
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
      type:
        declaredType(module, column) ??
        inferType({ module, column, config: settings.config, isSample: true }, samples, leavesOut),
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

function inferType(call: DeserializerCall, samples: readonly PlacedRows[], leavesOut: boolean): ColumnType {
  const { column } = call;
  let type: ColumnType = 'NULL';
  let good = 0;
  let failure: OffloadError | null = null;
  const onFailure = (error: OffloadError): void => {
    failure ??= error;
  };
  for (const { batch, place } of samples) {
    const onValue: OnValue = (value, row) => {
      const next = isTypeless(value) ? null : widerType(type, typeOfValue(value));
      if (next === null)
        throw mismatch(column, place, row, `${shown(value)} is no ${sqlType(type)}, as earlier rows have`);
      type = next;
      good += 1;
    };
    deserialize(call, batch, place, onValue, leavesOut ? onFailure : undefined);
  }
  if (good === 0 && failure !== null) throw failure;
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
    try {
      deserialize(this.#call, batch, place, (value, row) => this.#append(value, place, row));
    } catch (error) {
      // The rows before it are none of the next batch.
      this.#builder.finish();
      throw error;
    }
    return this.#builder.finish();
  }

  /** Adds those to `bad` that `decode` fails on. */
  findBadRows(batch: RecordBatch, place: RowPlace, bad: BadRow[]): void {
    const onFailure = (error: OffloadError, row: number): void => void bad.push({ row, error });
    deserialize(this.#call, batch, place, (value, row) => this.#append(value, place, row), onFailure);
    this.#builder.finish();
  }

  #append(value: unknown, place: RowPlace, row: number): void {
    const { type } = this;
    try {
      checkKeys(type, value, '');
      this.#builder.appendValue(canonicalValue(type, value));
    } catch (error) {
      if (!(error instanceof ValueMismatch)) throw error;
      throw mismatch(
        this.#call.column,
        place,
        row,
        `${error.path === '' ? '' : `${error.path.replace(/^\./, '')}: `}${error.message}`,
      );
    }
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
  onFailure?: (error: OffloadError, row: number) => void,
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
    try {
      let value: unknown;
      try {
        value = run(
          isPresent === null || isPresent(row) ? bytes.subarray(offsets[row], offsets[row + 1]) : null,
          context,
        );
      } catch (error) {
        const what = `the ${column.column} of ${place.rowName(row)}`;
        throw new OffloadError('TRANSFORM_FAILED', `${column.where} failed on ${what}: ${messageOf(error)}`, {
          cause: error,
        });
      }
      onValue(value, row);
    } catch (error) {
      if (!onFailure || !(error instanceof OffloadError)) throw error;
      onFailure(error, row);
    }
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
