/** What is done with each batch of rows in a worker, between decoding and encoding. */
import type { RecordBatch, Schema } from 'apache-arrow';
import type { ColumnType } from '../config/sparkSchema.ts';
import type { BadRow } from './badRows.ts';

export interface BatchTransform {
  /** Columns of every result, in order. */
  readonly schema: Schema;
  /**
   * @param batch Rows of the input schema. Only read, and must not change before the promise settles.
   * @param onInvalidUtf8 Told how many values were replaced or made null since they were not UTF-8; not called for none.
   * @returns Rows of `schema`: as many as the batch has, fewer, none or more. Valid until the next call.
   * @throws OffloadError TRANSFORM_FAILED naming the rows.
   */
  apply(batch: RecordBatch, place: RowPlace, onInvalidUtf8?: (values: number) => void): Promise<RecordBatch>;
  /**
   * After `apply` has failed: the rows that it fails on, each with its error; null or none where that is not known.
   * Leave it out where only trying tells.
   */
  findBadRows?(batch: RecordBatch, place: RowPlace): Promise<readonly BadRow[] | null>;
  close(): Promise<void>;
}

/** Names rows of a batch in messages. */
export interface RowPlace {
  /** `orders/3` for a partition, the path of a file. */
  readonly source: string;
  /** `orders/3 at offset 12`, `row 3 of /data/a.json`; rows of the batch count from 0. */
  rowName(row: number): string;
  /** The same as data, for user code. */
  readonly origin: RowOrigin;
}

/** Where the first row of a batch stands: `offset` in a partition, or row of a file, counted from 0. */
export type RowOrigin =
  | {
      readonly topic: string;
      readonly partition: number;
      readonly offset: number;
      /** Of any row of the batch. */
      readonly offsetAt: (row: number) => number;
    }
  | { readonly file: string; readonly row: number };

/** SQL over each batch, which it sees as the table `messages`. */
export interface SqlSettings {
  readonly kind: 'sql';
  /** One SELECT, as it was given or as it was made of `fields`. */
  readonly statement: string;
  /** Where it stands: `--transform`, `orders.fields`. */
  readonly where: string;
  /** What becomes of bytes that are not UTF-8 where the statement wants text of a binary column. */
  readonly invalidUtf8: 'fail' | 'replace' | 'null';
  /**
   * Of `fields` that has plain columns too: where the columns of the result come from. The batch begins with the plain ones,
   * which go past the statement; the table `messages` are those behind them. Null: all columns are the statement's.
   */
  readonly order: readonly ('plain' | 'sql')[] | null;
}

/** A module that turns one Arrow table into another. */
export interface ModuleSettings {
  readonly kind: 'module';
  /** URL of the file. */
  readonly url: string;
  /** What names it: `--transform ./x.mjs`. */
  readonly where: string;
  /** Name of the entry, which user code is told. */
  readonly config: string;
  /** An empty table with the columns of every result, as Arrow IPC; null until `sampleModule` has found them. */
  readonly columns: Uint8Array | null;
}

/** Functions of the user that make typed columns of keys and values. */
export interface DeserializerSettings {
  readonly kind: 'deserializers';
  /** Name of the entry, which user code is told. */
  readonly config: string;
  readonly columns: readonly DeserializedColumn[];
  /** What is done with the typed columns. */
  readonly next: ModuleSettings | null;
}

/** A column of the batch, BINARY, that becomes what a function makes of each value. */
export interface DeserializedColumn {
  readonly index: number;
  readonly column: 'key' | 'value';
  /** URL of the module. */
  readonly url: string;
  /** What names it: `kafka.customDeserializers.decode`. */
  readonly where: string;
  /** Of the results; null until `sampleDeserializers` has found it. */
  readonly type: ColumnType | null;
}

/** Plain data: it crosses threads. */
export type TransformSettings = SqlSettings | ModuleSettings | DeserializerSettings;

export interface OpenTransformOptions {
  /** What the transform may hold beside the batch and its result. */
  readonly memoryBytes: number;
}

/**
 * Loads what the transform needs and checks it against the columns it will get.
 *
 * @throws OffloadError TRANSFORM_INVALID
 */
export async function openTransform(
  settings: TransformSettings,
  input: Schema,
  options: OpenTransformOptions,
): Promise<BatchTransform> {
  switch (settings.kind) {
    case 'sql': {
      const { openSqlTransform } = await import('./sql/sqlTransform.ts');
      return openSqlTransform(settings, input, options);
    }
    case 'module': {
      const { openModuleTransform } = await import('./module/moduleTransform.ts');
      return openModuleTransform(settings);
    }
    case 'deserializers': {
      const { openDeserializers } = await import('./module/deserializers.ts');
      return openDeserializers(settings, input);
    }
  }
}

/** The columns of the result, found by opening the transform and closing it again. */
export async function transformedSchema(
  settings: TransformSettings,
  input: Schema,
  options: OpenTransformOptions,
): Promise<Schema> {
  const transform = await openTransform(settings, input, options);
  await transform.close();
  return transform.schema;
}
