/**
 * Arrow batches to Parquet row groups, column by column: flat types and headers by our own encoder, straight from the Arrow
 * buffers, all others by parquet-wasm. Which of them wrote a column shows neither in the schema nor in the values.
 */
import type { RecordBatch, Schema, Table } from 'apache-arrow';
import type { ParquetCompression } from '../../config/job.ts';
import { OffloadError } from '../../errors.ts';
import type { EncodedRows, PartsEncoder } from '../encoder.ts';
import { encodeStruct } from './compactThrift.ts';
import { encodePart } from './fileEnd.ts';
import { flatFooter } from './flat/schema.ts';
import { FILE_META_DATA } from './format.ts';
import { batchesOf, type Encoder, RowGroup, RowGroupMemory, storedColumns } from './rowGroup.ts';
import { storedSchema } from './storedTypes.ts';
import { binary, integer, list, type ThriftStruct, WIRE, withFields } from './thrift.ts';
import { WasmColumns } from './wasm.ts';

/** Readers (parquet-mr) trust statistics of BINARY columns only if this has the form `NAME version NUMBER`. */
const CREATED_BY = 'kafkaload version 0.1.0 (build parquet-wasm 0.8.0)';

export class ParquetEncoder implements PartsEncoder {
  readonly #compression: ParquetCompression;
  readonly #memory = new RowGroupMemory();
  readonly #wasm: WasmColumns;
  /** Footers without row groups by schema, in its printed form: a worker sees one schema, batch after batch. */
  readonly #empty = new Map<string, ThriftStruct>();
  readonly #used = new Set<Encoder>();
  #open: { readonly rowGroup: RowGroup; readonly schema: Schema } | null = null;
  #state: 'open' | 'freed' = 'open';

  constructor(compression: ParquetCompression) {
    this.#compression = compression;
    this.#wasm = new WasmColumns(compression);
  }

  async encode(batch: RecordBatch | Table): Promise<EncodedRows> {
    this.discard();
    await this.add(batch);
    return this.finish();
  }

  async add(batch: RecordBatch | Table): Promise<boolean> {
    if (this.#state === 'freed') throw new OffloadError('INTERNAL', 'cannot encode a row group: the encoder was freed');
    const { schema, numRows: rows } = batch;
    if (rows === 0) throw new OffloadError('INTERNAL', 'cannot encode a row group without rows');
    const columns = storedColumns(schema, batchesOf(batch));
    if (this.#open && !this.#open.rowGroup.takes(columns)) return false;
    if (!this.#open) {
      const { fields } = storedSchema(schema);
      const rowGroup = new RowGroup(fields, columns, this.#compression, this.#memory, this.#wasm);
      for (const encoder of rowGroup.encoders) this.#used.add(encoder);
      this.#open = { rowGroup, schema };
    }
    await this.#open.rowGroup.add(columns, rows);
    return true;
  }

  async finish(): Promise<EncodedRows> {
    if (!this.#open) throw new OffloadError('INTERNAL', 'cannot encode a row group without rows');
    const { rowGroup, schema } = this.#open;
    this.#open = null;
    const { rowGroup: description, indexes, ...encoded } = await rowGroup.finish();
    const footer = withFields(this.#emptyFooter(schema), {
      [FILE_META_DATA.NUM_ROWS]: integer(WIRE.I64, encoded.rows),
      [FILE_META_DATA.ROW_GROUPS]: list(WIRE.STRUCT, [description]),
    });
    return { ...encoded, footer: encodePart(footer, indexes) };
  }

  discard(): void {
    this.#open = null;
  }

  check(batch: RecordBatch): void {
    storedColumns(batch.schema, [batch]);
  }

  /** A file of no rows: an empty body, and a footer that has the schema and no row group. */
  emptyFile(schema: Schema): EncodedRows {
    return { body: [], bodyBytes: 0, footer: encodeStruct(this.#emptyFooter(schema)), rows: 0 };
  }

  usedEncoders(): string[] {
    return [...this.#used].toSorted((a, b) => a.localeCompare(b));
  }

  free(): void {
    this.#empty.clear();
    this.#memory.free();
    this.#state = 'freed';
  }

  #emptyFooter(given: Schema): ThriftStruct {
    const key = given.toString();
    const known = this.#empty.get(key);
    if (known) return known;
    const schema = storedSchema(given);
    const footer = withFields(flatFooter(schema) ?? this.#wasm.emptyFooter(schema), {
      // Without ARROW:schema: it repeats the schema, and joined files would keep that of the first alone.
      [FILE_META_DATA.KEY_VALUE_METADATA]: undefined,
      [FILE_META_DATA.CREATED_BY]: binary(Buffer.from(CREATED_BY)),
    });
    this.#empty.set(key, footer);
    return footer;
  }
}
