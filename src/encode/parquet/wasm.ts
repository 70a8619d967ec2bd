/**
 * Arrow batches to Parquet row groups, with parquet-wasm for pages, codecs and statistics.
 *
 * Columns are encoded one at a time, large ones in pieces; the pages of the pieces are then put together and described
 * by a footer of our own (columnChunk.ts). Measured in November 2026, one row group of 64 MiB of ~180-byte JSON, snappy,
 * time and WASM memory left behind: one call for the whole row group 318 ms and 174 MiB (uncompressed: 277 MiB); a stream
 * of small batches, which moreover swallows errors, 303 ms and 103 MiB (311 MiB); this way 248 ms and 11 MiB (18 MiB).
 */
import {
  Table as ArrowTable,
  type Data,
  DataType,
  type Field,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Type,
  tableToIPC,
} from 'apache-arrow';
import {
  Compression,
  EnabledStatistics,
  Encoding,
  Table,
  type WriterProperties,
  WriterPropertiesBuilder,
  wasmMemory,
  writeParquet,
} from 'parquet-wasm/node';
import type { ParquetCompression } from '../../config/job.ts';
import { messageOf, OffloadError } from '../../errors.ts';
import type { EncodedRowGroup, RowGroupEncoder } from '../encoder.ts';
import { columnChunk, leafColumns } from './columnChunk.ts';
import { type ParsedFooter, parseFooter, readTail } from './footer.ts';
import { FILE_META_DATA, MAGIC, ROW_GROUP } from './format.ts';
import { type ColumnPiece, cutColumn } from './pieces.ts';
import { binary, encodeStruct, integer, list, struct, type ThriftStruct, WIRE, withFields } from './thrift.ts';

/** A column of at most this many bytes is encoded in one call, and may have a dictionary. */
const WHOLE_COLUMN_BYTES = 4 * 1024 * 1024;

/** Larger columns are encoded in pieces of this size. */
const PIECE_BYTES = 2 * 1024 * 1024;

/** Larger than any batch: row groups are cut by whoever makes the batches. */
const UNLIMITED_ROWS = 2 ** 31 - 1;

/** Rows looked at to see whether the values of a column repeat. */
const SAMPLED_ROWS = 256;

/** Types that are integers in Parquet. */
const INTEGRAL: ReadonlySet<number> = new Set([Type.Int, Type.Timestamp, Type.Date, Type.Time]);

/** Readers (parquet-mr) trust statistics of BINARY columns only if this has the form `NAME version NUMBER`. */
const CREATED_BY = 'kafkaload version 0.1.0 (build parquet-wasm 0.8.0)';

const CODECS: Readonly<Record<ParquetCompression, Compression>> = {
  snappy: Compression.SNAPPY,
  zstd: Compression.ZSTD,
  gzip: Compression.GZIP,
  lz4_raw: Compression.LZ4_RAW,
  none: Compression.UNCOMPRESSED,
};

/** Bytes of WASM memory held by this thread. It never shrinks, so this is also its high-water mark. */
export function wasmBytes(): number {
  return wasmMemory().buffer.byteLength;
}

/** Encodes in the calling thread; all encoders of one thread share the memory of one WASM instance. */
export class ParquetEncoder implements RowGroupEncoder {
  readonly #codec: Compression;
  /** Footers without row groups by schema, in its printed form: a worker sees one schema, batch after batch. */
  readonly #empty = new Map<string, ThriftStruct>();
  #failed: string | undefined;

  constructor(compression: ParquetCompression) {
    this.#codec = CODECS[compression];
  }

  encode(batch: RecordBatch | ArrowTable): EncodedRowGroup {
    const batches = batch instanceof ArrowTable ? batch.batches : [batch];
    const rows = batch.numRows;
    if (rows === 0) throw new OffloadError('INTERNAL', 'cannot encode a row group without rows');
    const pages: Uint8Array[] = [];
    const columns: ThriftStruct[] = [];
    let rawBytes = 0;
    let uncompressedBytes = 0;
    let position = MAGIC.length;
    for (const [index, field] of batch.schema.fields.entries()) {
      const chunks = batches.flatMap((one) => one.data.children[index] ?? []);
      const pieces = cutColumn(chunks, WHOLE_COLUMN_BYTES, PIECE_BYTES);
      const files = pieces.map((piece) => this.#encodePiece(field, piece, pieces.length === 1));
      for (const leaf of leafColumns(files)) {
        columns.push(columnChunk(leaf, position));
        for (const piece of leaf.pieces) {
          pages.push(piece.pages);
          position += piece.pages.length;
        }
      }
      rawBytes += pieces.reduce((sum, piece) => sum + piece.bytes, 0);
      uncompressedBytes += files.reduce((sum, file) => sum + (file.footer.rowGroups[0]?.totalByteSize ?? 0), 0);
    }
    const rowGroup = struct({
      [ROW_GROUP.COLUMNS]: list(WIRE.STRUCT, columns),
      [ROW_GROUP.TOTAL_BYTE_SIZE]: integer(WIRE.I64, uncompressedBytes),
      [ROW_GROUP.NUM_ROWS]: integer(WIRE.I64, rows),
      [ROW_GROUP.FILE_OFFSET]: integer(WIRE.I64, MAGIC.length),
      [ROW_GROUP.TOTAL_COMPRESSED_SIZE]: integer(WIRE.I64, position - MAGIC.length),
      [ROW_GROUP.ORDINAL]: integer(WIRE.I16, 0),
    });
    const footer = withFields(this.#emptyFooter(batch.schema), {
      [FILE_META_DATA.NUM_ROWS]: integer(WIRE.I64, rows),
      [FILE_META_DATA.ROW_GROUPS]: list(WIRE.STRUCT, [rowGroup]),
    });
    return { body: concatenate(pages, position - MAGIC.length), footer: encodeStruct(footer), rows, rawBytes };
  }

  emptyFile(schema: Schema): EncodedRowGroup {
    return { body: new Uint8Array(0), footer: encodeStruct(this.#emptyFooter(schema)), rows: 0, rawBytes: 0 };
  }

  free(): void {
    this.#empty.clear();
    this.#failed ??= 'it was freed';
  }

  #emptyFooter(schema: Schema): ThriftStruct {
    const key = schema.toString();
    const known = this.#empty.get(key);
    if (known) return known;
    const bytes = this.#write(new ArrowTable(new Schema(schema.fields)), () => this.#properties(), 'the schema');
    const footer = withFields(footerOf(bytes).fileMetaData, {
      // Without ARROW:schema: it repeats the schema, and joined files would keep that of the first alone.
      [FILE_META_DATA.KEY_VALUE_METADATA]: undefined,
      [FILE_META_DATA.CREATED_BY]: binary(Buffer.from(CREATED_BY)),
    });
    this.#empty.set(key, footer);
    return footer;
  }

  #encodePiece(field: Field, piece: ColumnPiece, alone: boolean): { bytes: Uint8Array; footer: ParsedFooter } {
    const schema = new Schema([field]);
    const batches = piece.chunks.map((chunk) => columnBatch(schema, field, chunk));
    const properties = () => this.#properties(INTEGRAL.has(field.type.typeId), alone && hasRepeats(field.type, piece));
    const bytes = this.#write(new ArrowTable(schema, batches), properties, `column ${field.name}`);
    const footer = footerOf(bytes);
    if (footer.rows !== piece.rows) {
      throw new OffloadError(
        'INTERNAL',
        `cannot encode column ${field.name}: the Parquet writer wrote ${footer.rows} rows of ${piece.rows}`,
        { context: { column: field.name, rows: piece.rows, written: footer.rows } },
      );
    }
    return { bytes, footer };
  }

  /** Copies the table into WASM memory and encodes it there; every object made there is consumed or freed. */
  #write(table: ArrowTable, properties: () => WriterProperties, what: string): Uint8Array {
    if (this.#failed !== undefined) throw new OffloadError('INTERNAL', `cannot encode ${what}: ${this.#failed}`);
    try {
      const input = Table.fromIPCStream(tableToIPC(table, 'stream'));
      return writeParquet(input, properties());
    } catch (error) {
      // After a trap the instance's memory is in no known state: what it would write next cannot be trusted.
      this.#failed = `the Parquet writer failed before (${messageOf(error)})`;
      throw new OffloadError('INTERNAL', `cannot encode ${what} as Parquet: ${messageOf(error)}`, {
        context: { rows: table.numRows, wasmBytes: wasmBytes() },
        cause: error,
      });
    }
  }

  #properties(delta = false, dictionary = false): WriterProperties {
    let builder = new WriterPropertiesBuilder()
      .setCompression(this.#codec)
      .setDictionaryEnabled(dictionary)
      .setStatisticsEnabled(EnabledStatistics.Chunk)
      .setMaxRowGroupSize(UNLIMITED_ROWS);
    // Offsets, timestamps and partitions hardly differ from row to row: next to nothing is left of them.
    if (delta) builder = builder.setEncoding(Encoding.DELTA_BINARY_PACKED);
    return builder.build();
  }
}

function columnBatch(schema: Schema, field: Field, chunk: Data): RecordBatch {
  const type = new Struct([field]);
  return new RecordBatch(schema, makeData({ type, length: chunk.length, nullCount: 0, children: [chunk] }));
}

function footerOf(file: Uint8Array): ParsedFooter {
  const { footerStart, footerBytes } = readTail(file, file.length);
  return parseFooter(file.subarray(footerStart, footerStart + footerBytes));
}

/** Whether a dictionary pays: for header lists, whose keys repeat, and where at most half of a sample is distinct. */
function hasRepeats(type: DataType, piece: ColumnPiece): boolean {
  if (DataType.isList(type)) return true;
  if (!DataType.isUtf8(type) && !DataType.isBinary(type)) return false;
  const step = Math.max(1, Math.floor(piece.rows / SAMPLED_ROWS));
  const seen = new Set<string>();
  let sampled = 0;
  for (const { length, valueOffsets, values } of piece.chunks) {
    for (let row = 0; row < length; row += step) {
      seen.add(Buffer.from(values.subarray(valueOffsets[row], valueOffsets[row + 1])).toString('latin1'));
      sampled++;
    }
  }
  return seen.size * 2 <= sampled;
}

function concatenate(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}
