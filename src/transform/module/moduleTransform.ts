/** A module that turns one Arrow table into another, in this thread. */
import * as arrow from 'apache-arrow';
import { type Data, Field, makeData, RecordBatch, Schema, Struct, Table, Type, Utf8 } from 'apache-arrow';
import { parametersOf } from '../../encode/arrow/access.ts';
import { messageOf, OffloadError } from '../../errors.ts';
import { type ArrowLibrary, adoptData, adoptType, tableFor } from '../arrow/adopt.ts';
import { concatData } from '../arrow/concat.ts';
import { NO_ROW, takeRows } from '../arrow/take.ts';
import type { BatchTransform, ModuleSettings, RowPlace } from '../batchTransform.ts';
import { describeRows, userContext } from '../places.ts';
import { kindOf, loadUserModule, type TransformContext, type TransformFunction } from './userModule.ts';

interface Column {
  readonly name: string;
  readonly data: Data;
}

/** Opens a module whose columns are known: those that `sampleModule` found. */
export async function openModuleTransform(settings: ModuleSettings): Promise<BatchTransform> {
  if (settings.columns === null) throw new OffloadError('INTERNAL', `${settings.where} was not run on a sample`);
  const schema = arrow.tableFromIPC(settings.columns).schema;
  const caller = await ModuleCaller.load(settings, false);
  return {
    schema,
    async apply(batch, place) {
      const columns = await caller.call(batch, place);
      return conform(columns, schema, caller.where, describeRows(place, batch.numRows));
    },
    close: async () => {},
  };
}

/**
 * Learns the columns of a module by running it on rows, or on none where there are none.
 *
 * @returns The settings completed: `openModuleTransform` needs them so.
 * @throws OffloadError TRANSFORM_INVALID if the module cannot be used; TRANSFORM_FAILED as `apply`.
 */
export async function sampleModule(
  settings: ModuleSettings,
  input: Schema,
  sample: { readonly batch: RecordBatch; readonly place: RowPlace } | null,
): Promise<ModuleSettings & { readonly columns: Uint8Array }> {
  const caller = await ModuleCaller.load(settings, true);
  const batch = sample?.batch ?? new RecordBatch(input, emptyRows(input));
  const columns = await caller.call(batch, sample?.place ?? null);
  const schema = new Schema(columns.map(({ name, data }) => new Field(name, settledType(data), true)));
  return { ...settings, columns: arrow.tableToIPC(new Table(schema), 'file') };
}

class ModuleCaller {
  readonly where: string;
  readonly #run: TransformFunction;
  readonly #settings: ModuleSettings;
  readonly #isSample: boolean;
  readonly #arrow: ArrowLibrary;

  private constructor(settings: ModuleSettings, run: TransformFunction, isSample: boolean, library: ArrowLibrary) {
    this.where = settings.where;
    this.#settings = settings;
    this.#run = run;
    this.#isSample = isSample;
    this.#arrow = library;
  }

  static async load(settings: ModuleSettings, isSample: boolean): Promise<ModuleCaller> {
    const { run } = await loadUserModule(settings.url, settings.where);
    // The copy that a module beside kafkaload imports, which the build's own is not: see scripts/bundlePackages.mjs.
    const library = await import('apache-arrow');
    return new ModuleCaller(settings, run as unknown as TransformFunction, isSample, library);
  }

  /** @param place Null: there are no rows. */
  async call(batch: RecordBatch, place: RowPlace | null): Promise<Column[]> {
    const rows = describeRows(place, batch.numRows);
    let result: unknown;
    try {
      result = await this.#run(tableFor(this.#arrow, batch), this.#context(place));
    } catch (error) {
      throw new OffloadError('TRANSFORM_FAILED', `${this.where} failed on ${rows}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return columnsOf(result, this.where, rows);
  }

  #context(place: RowPlace | null): TransformContext {
    const origin = place?.origin;
    return {
      ...userContext(this.#settings.config, origin, this.#isSample),
      startOffset: origin && 'offset' in origin ? origin.offset : null,
      startRow: origin && 'row' in origin ? origin.row : null,
      arrow: this.#arrow,
    };
  }
}

/** What a module gave, whichever copy of apache-arrow it was made with. */
function columnsOf(result: unknown, where: string, rows: string): Column[] {
  const wrong = (came: string, cause?: unknown): OffloadError =>
    new OffloadError('TRANSFORM_FAILED', `${where} returned ${came} for ${rows}, where an Arrow table is expected`, {
      cause,
    });
  if (!isTable(result)) throw wrong(kindOf(result));
  const { fields } = result.schema;
  if (fields.length === 0) throw wrong('a table without columns');
  const seen = new Set<string>();
  for (const { name } of fields) {
    const key = String(name).toLowerCase();
    if (seen.has(key)) throw wrong(`two columns ${name}`);
    seen.add(key);
  }
  try {
    return fields.map(({ name, type }, i) => {
      // Batches without rows may hold anything: apache-arrow puts vectors into them.
      const batches = result.batches.filter(({ numRows }) => numRows > 0);
      const pieces = batches.map((batch) => adoptData(batch.data.children[i] as Data));
      return { name: String(name), data: pieces.length > 0 ? concatData(pieces) : noRows(adoptType(type)) };
    });
  } catch (error) {
    throw wrong(`what cannot be used (${messageOf(error)})`, error);
  }
}

function isTable(value: unknown): value is Table {
  const { schema, batches } = (value ?? {}) as Partial<Table>;
  return Array.isArray(schema?.fields) && Array.isArray(batches) && batches.every((batch) => batch?.data?.children);
}

/** The columns as those of the schema. @throws OffloadError TRANSFORM_FAILED saying what came and what was expected. */
function conform(columns: readonly Column[], schema: Schema, where: string, rows: string): RecordBatch {
  const isSame = columns.length === schema.fields.length && schema.fields.every((field, i) => fits(columns[i], field));
  if (!isSame) {
    const came = columns.map(({ name, data }) => `${name} ${data.type}`).join(', ');
    const expected = schema.fields.map(({ name, type }) => `${name} ${type}`).join(', ');
    throw new OffloadError(
      'TRANSFORM_FAILED',
      `${where} returned the columns (${came}) for ${rows}, where (${expected}) are expected, as for the first rows; return the same columns each time`,
    );
  }
  const length = columns[0]?.data.length ?? 0;
  const children = schema.fields.map(({ type }, i) => {
    const { data } = columns[i] as Column;
    return data.type.typeId === Type.Null && type.typeId !== Type.Null ? nullRows(type, data.length) : data;
  });
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }));
}

/** A column without any value is of no type, and goes with all. */
function fits(column: Column | undefined, { name, type }: Field): boolean {
  if (column?.name !== name) return false;
  return column.data.type.typeId === Type.Null || String(column.data.type) === String(type);
}

function nullRows(type: arrow.DataType, rows: number): Data {
  return takeRows(noRows(type), new Int32Array(rows).fill(NO_ROW));
}

/** With its children: `makeData` leaves that of a list out, and another copy of apache-arrow is given all of them. */
function noRows(type: arrow.DataType): Data {
  const children = (parametersOf(type).children ?? []).map((field) => noRows(field.type));
  return makeData({ type, length: 0, nullCount: 0, children, child: children[0] } as never);
}

/** Rows that are all null leave the type open: text, as Spark has it. */
function settledType({ type }: Data): arrow.DataType {
  return type.typeId === Type.Null ? new Utf8() : type;
}

function emptyRows({ fields }: Schema): Data<Struct> {
  const children = fields.map(({ type }) => noRows(type));
  return makeData({ type: new Struct(fields), length: 0, nullCount: 0, children });
}
