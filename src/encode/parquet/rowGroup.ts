/** A row group on its way: its columns, to which rows come in parts, each written by whichever encoder knows its type. */
import { type Data, type Field, RecordBatch, type Schema, type Table } from 'apache-arrow';
import type { ParquetCompression } from '../../config/job.ts';
import { BodyBlocks } from '../output/bodyBlocks.ts';
import { columnChunk, type LeafColumn } from './columnChunk.ts';
import type { ChunkIndex } from './fileEnd.ts';
import type { ColumnWriter, EncodedChunk } from './flat/chunk.ts';
import { PAGE_CODECS } from './flat/codecs.ts';
import { FlatColumnWriter } from './flat/column.ts';
import { PageKernel } from './flat/kernel.ts';
import { areShortLists, ListColumnWriter, listFields } from './flat/listColumn.ts';
import { PageWriter } from './flat/pages.ts';
import { flatPhysicalType } from './flat/values.ts';
import { MAGIC, ROW_GROUP } from './format.ts';
import { storedData, storedField } from './storedTypes.ts';
import { integer, list, struct, type ThriftStruct, WIRE } from './thrift.ts';
import type { WasmColumns } from './wasm.ts';

/** Of the pages of a column chunk: several are filled at a time. */
const BLOCK_BYTES = 1024 * 1024;

export type Encoder = 'flat' | 'parquet-wasm';

/** What row groups of one thread use one after the other. */
export class RowGroupMemory {
  readonly kernel = new PageKernel();
  readonly #blocks: BodyBlocks[] = [];
  #taken = 0;

  /** Of the row group before, all bytes may be overwritten from here on. */
  start(): void {
    this.#taken = 0;
  }

  /** Empty blocks. */
  take(): BodyBlocks {
    const blocks = this.#blocks[this.#taken] ?? new BodyBlocks(BLOCK_BYTES);
    this.#blocks[this.#taken++] = blocks;
    blocks.clear();
    return blocks;
  }

  free(): void {
    for (const blocks of this.#blocks) blocks.free();
    this.#blocks.length = 0;
  }
}

/** A row group that is whole. */
export interface EncodedRowGroup {
  readonly rowGroup: ThriftStruct;
  readonly indexes: readonly ChunkIndex[];
  readonly body: readonly Uint8Array[];
  readonly bodyBytes: number;
  readonly rows: number;
}

/** Rows of one part, by column, as they are stored. */
type Columns = readonly (readonly Data[])[];

export class RowGroup {
  readonly #fields: readonly Field[];
  readonly #columns: readonly ColumnWriter[];
  readonly #encoders: readonly Encoder[];
  #rows = 0;

  /** @param columns Of the first part, by which it is decided who writes a column. */
  constructor(
    fields: readonly Field[],
    columns: Columns,
    compression: ParquetCompression,
    memory: RowGroupMemory,
    wasm: WasmColumns,
  ) {
    memory.start();
    const pages = () => new PageWriter(PAGE_CODECS[compression], memory.kernel, [memory.take(), memory.take()]);
    this.#fields = fields;
    this.#encoders = fields.map((field, index) => encoderOf(field, columns[index] ?? []));
    this.#columns = fields.map((field, index) => {
      if (this.#encoders[index] === 'parquet-wasm') return new WasmColumnWriter(field, wasm, memory.take());
      return flatPhysicalType(field.type) === undefined
        ? new ListColumnWriter(field, pages)
        : new FlatColumnWriter(field, pages());
    });
  }

  get encoders(): readonly Encoder[] {
    return this.#encoders;
  }

  /** Whether these rows can stand in this row group: pages of parquet-wasm have their dictionary in front, if any. */
  takes(columns: Columns): boolean {
    return this.#fields.every(
      (field, index) => this.#encoders[index] === 'flat' && encoderOf(field, columns[index] ?? []) === 'flat',
    );
  }

  async add(columns: Columns, rows: number): Promise<void> {
    for (const [index, column] of this.#columns.entries()) await column.add(columns[index] ?? []);
    this.#rows += rows;
  }

  async finish(): Promise<EncodedRowGroup> {
    const chunks: EncodedChunk[] = [];
    let bodyBytes = 0;
    for (const column of this.#columns) {
      const own = await column.finish(MAGIC.length + bodyBytes);
      bodyBytes += own.reduce((sum, { bytes }) => sum + bytes, 0);
      chunks.push(...own);
    }
    const uncompressedBytes = chunks.reduce((sum, chunk) => sum + chunk.uncompressedBytes, 0);
    const rowGroup = struct({
      [ROW_GROUP.COLUMNS]: list(
        WIRE.STRUCT,
        chunks.map((chunk) => chunk.columnChunk),
      ),
      [ROW_GROUP.TOTAL_BYTE_SIZE]: integer(WIRE.I64, uncompressedBytes),
      [ROW_GROUP.NUM_ROWS]: integer(WIRE.I64, this.#rows),
      [ROW_GROUP.FILE_OFFSET]: integer(WIRE.I64, MAGIC.length),
      [ROW_GROUP.TOTAL_COMPRESSED_SIZE]: integer(WIRE.I64, bodyBytes),
      [ROW_GROUP.ORDINAL]: integer(WIRE.I16, 0),
    });
    const indexes = chunks.flatMap(({ index }) => index ?? []);
    return { rowGroup, indexes, body: chunks.flatMap(({ body }) => body), bodyBytes, rows: this.#rows };
  }
}

/** Of the columns of rows, as they are stored. @throws OffloadError ROW_INVALID */
export function storedColumns(schema: Schema, batches: readonly RecordBatch[]): Columns {
  return schema.fields.map((given, index) => {
    const field = storedField(given);
    return batches.flatMap((batch) => {
      const data = batch.data.children[index];
      return data ? [storedData(data, field === given ? data.type : field.type, field.name)] : [];
    });
  });
}

export function batchesOf(rows: RecordBatch | Table): readonly RecordBatch[] {
  return rows instanceof RecordBatch ? [rows] : rows.batches;
}

/** Whether our own encoder writes such a column, but for lists that are too long. */
export function isFlatColumn(given: Field): boolean {
  const { type } = storedField(given);
  return flatPhysicalType(type) !== undefined || listFields(type) !== undefined;
}

function encoderOf(field: Field, chunks: readonly Data[]): Encoder {
  if (flatPhysicalType(field.type) !== undefined) return 'flat';
  return listFields(field.type) && areShortLists(chunks) ? 'flat' : 'parquet-wasm';
}

/** A column of one part by parquet-wasm, which may have a dictionary. */
class WasmColumnWriter implements ColumnWriter {
  readonly #field: Field;
  readonly #wasm: WasmColumns;
  readonly #blocks: BodyBlocks;
  /** Without their pages, which are in the blocks. */
  #leaves: readonly { readonly leaf: LeafColumn; readonly bytes: number }[] = [];
  #uncompressedBytes = 0;

  constructor(field: Field, wasm: WasmColumns, blocks: BodyBlocks) {
    this.#field = field;
    this.#wasm = wasm;
    this.#blocks = blocks;
  }

  async add(chunks: readonly Data[]): Promise<void> {
    const { leaves, uncompressedBytes } = this.#wasm.encode(this.#field, chunks);
    this.#uncompressedBytes = uncompressedBytes;
    this.#leaves = leaves.map((leaf) => {
      const start = this.#blocks.length;
      for (const { pages } of leaf.pieces) this.#blocks.append(pages);
      return { leaf, bytes: this.#blocks.length - start };
    });
  }

  async finish(position: number): Promise<readonly EncodedChunk[]> {
    let start = position;
    return this.#leaves.map(({ leaf, bytes }, index) => {
      const chunk = columnChunk(leaf, start);
      start += bytes;
      // All of the column is told with its first chunk.
      const whole = index === 0;
      return {
        columnChunk: chunk,
        index: undefined,
        uncompressedBytes: whole ? this.#uncompressedBytes : 0,
        bytes,
        body: whole ? this.#blocks.pieces() : [],
      };
    });
  }
}
