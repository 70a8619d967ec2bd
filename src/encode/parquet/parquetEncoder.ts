/**
 * Arrow batches to Parquet row groups, column by column: flat types and headers by our own encoder, straight from the Arrow
 * buffers, all others by parquet-wasm. Which of them wrote a column shows neither in the schema nor in the values.
 */
import { Table as ArrowTable, type Data, type Field, type RecordBatch, type Schema } from 'apache-arrow';
import type { ParquetCompression } from '../../config/job.ts';
import { OffloadError } from '../../errors.ts';
import type { BatchEncoder, EncodedRows } from '../encoder.ts';
import { BodyBlocks } from '../output/bodyBlocks.ts';
import { columnChunk } from './columnChunk.ts';
import { type ChunkIndex, encodePart } from './fileEnd.ts';
import { PAGE_CODECS } from './flat/codecs.ts';
import { encodeFlatColumn } from './flat/column.ts';
import { areShortLists, encodeListColumn, listFields } from './flat/listColumn.ts';
import { PageWriter } from './flat/pages.ts';
import { flatFooter } from './flat/schema.ts';
import { flatPhysicalType } from './flat/values.ts';
import { FILE_META_DATA, MAGIC, ROW_GROUP } from './format.ts';
import { storedData, storedField, storedSchema } from './storedTypes.ts';
import { binary, encodeStruct, integer, list, struct, type ThriftStruct, WIRE, withFields } from './thrift.ts';
import { WasmColumns } from './wasm.ts';

/** Readers (parquet-mr) trust statistics of BINARY columns only if this has the form `NAME version NUMBER`. */
const CREATED_BY = 'kafkaload version 0.1.0 (build parquet-wasm 0.8.0)';

interface EncodedColumn {
  /** A ColumnChunk for each leaf. */
  readonly columnChunks: readonly ThriftStruct[];
  /** Its page index; empty where there is none. */
  readonly indexes: readonly ChunkIndex[];
  readonly uncompressedBytes: number;
}

export class ParquetEncoder implements BatchEncoder {
  readonly #body = new BodyBlocks();
  readonly #pages: PageWriter;
  readonly #wasm: WasmColumns;
  /** Footers without row groups by schema, in its printed form: a worker sees one schema, batch after batch. */
  readonly #empty = new Map<string, ThriftStruct>();
  readonly #used = new Set<'flat' | 'parquet-wasm'>();
  #state: 'open' | 'freed' = 'open';

  constructor(compression: ParquetCompression) {
    this.#pages = new PageWriter(PAGE_CODECS[compression], this.#body);
    this.#wasm = new WasmColumns(compression);
  }

  async encode(batch: RecordBatch | ArrowTable): Promise<EncodedRows> {
    if (this.#state === 'freed') throw new OffloadError('INTERNAL', 'cannot encode a row group: the encoder was freed');
    const batches = batch instanceof ArrowTable ? batch.batches : [batch];
    const rows = batch.numRows;
    if (rows === 0) throw new OffloadError('INTERNAL', 'cannot encode a row group without rows');
    this.#body.clear();
    const columnChunks: ThriftStruct[] = [];
    const indexes: ChunkIndex[] = [];
    let uncompressedBytes = 0;
    for (const [index, given] of batch.schema.fields.entries()) {
      const field = storedField(given);
      const chunks = batches.flatMap((one) => {
        const data = one.data.children[index];
        return data ? [storedData(data, field === given ? data.type : field.type, field.name)] : [];
      });
      const column = await this.#encodeColumn(field, chunks);
      columnChunks.push(...column.columnChunks);
      indexes.push(...column.indexes);
      uncompressedBytes += column.uncompressedBytes;
    }
    const bodyBytes = this.#body.length;
    const rowGroup = struct({
      [ROW_GROUP.COLUMNS]: list(WIRE.STRUCT, columnChunks),
      [ROW_GROUP.TOTAL_BYTE_SIZE]: integer(WIRE.I64, uncompressedBytes),
      [ROW_GROUP.NUM_ROWS]: integer(WIRE.I64, rows),
      [ROW_GROUP.FILE_OFFSET]: integer(WIRE.I64, MAGIC.length),
      [ROW_GROUP.TOTAL_COMPRESSED_SIZE]: integer(WIRE.I64, bodyBytes),
      [ROW_GROUP.ORDINAL]: integer(WIRE.I16, 0),
    });
    const footer = withFields(this.#emptyFooter(batch.schema), {
      [FILE_META_DATA.NUM_ROWS]: integer(WIRE.I64, rows),
      [FILE_META_DATA.ROW_GROUPS]: list(WIRE.STRUCT, [rowGroup]),
    });
    return { body: this.#body.pieces(), bodyBytes, footer: encodePart(footer, indexes), rows };
  }

  check(batch: RecordBatch): void {
    for (const [index, given] of batch.schema.fields.entries()) {
      const data = batch.data.children[index];
      const field = storedField(given);
      if (data && field !== given) storedData(data, field.type, field.name);
    }
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
    this.#body.free();
    this.#state = 'freed';
  }

  async #encodeColumn(field: Field, chunks: readonly Data[]): Promise<EncodedColumn> {
    if (flatPhysicalType(field.type) !== undefined) {
      this.#used.add('flat');
      const column = await encodeFlatColumn(field, chunks, this.#pages);
      const { columnChunk: chunk, index, uncompressedBytes } = column;
      return { columnChunks: [chunk], indexes: [index], uncompressedBytes };
    }
    if (listFields(field.type) && areShortLists(chunks)) {
      this.#used.add('flat');
      const columns = await encodeListColumn(field, chunks, this.#pages);
      return {
        columnChunks: columns.map(({ columnChunk: chunk }) => chunk),
        indexes: columns.map(({ index }) => index),
        uncompressedBytes: columns.reduce((sum, column) => sum + column.uncompressedBytes, 0),
      };
    }
    this.#used.add('parquet-wasm');
    const { leaves, uncompressedBytes } = this.#wasm.encode(field, chunks);
    const columnChunks = leaves.map((leaf) => {
      const position = MAGIC.length + this.#body.length;
      for (const piece of leaf.pieces) this.#body.append(piece.pages);
      return columnChunk(leaf, position);
    });
    return { columnChunks, indexes: [], uncompressedBytes };
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
