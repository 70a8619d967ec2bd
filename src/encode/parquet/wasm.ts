/**
 * Columns of any Arrow type as Parquet pages, by parquet-wasm: decimals, nested types.
 *
 * Columns are encoded one at a time, large ones in pieces; the pages of the pieces are then put together and described
 * by a footer of our own (columnChunk.ts). Measured in November 2026, one row group of 64 MiB of ~180-byte JSON, snappy,
 * time and WASM memory left behind: one call for the whole row group 318 ms and 174 MiB (uncompressed: 277 MiB); a stream
 * of small batches, which moreover swallows errors, 303 ms and 103 MiB (311 MiB); this way 248 ms and 11 MiB (18 MiB).
 */
import { createRequire } from 'node:module';
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
import type * as ParquetWasm from 'parquet-wasm/node';
import type { ParquetCompression } from '../../config/job.ts';
import { messageOf, OffloadError } from '../../errors.ts';
import { type LeafColumn, leafColumns } from './columnChunk.ts';
import { type ParsedFooter, parseFooter, readTail } from './footer.ts';
import { type ColumnPiece, cutColumn } from './pieces.ts';
import type { ThriftStruct } from './thrift.ts';

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

const CODECS: Readonly<Record<ParquetCompression, keyof typeof ParquetWasm.Compression>> = {
  snappy: 'SNAPPY',
  zstd: 'ZSTD',
  gzip: 'GZIP',
  lz4_raw: 'LZ4_RAW',
  none: 'UNCOMPRESSED',
};

let loaded: typeof ParquetWasm | undefined;
/** Loaded when a column first needs it: that takes time and memory, and most runs never do. */
function wasm(): typeof ParquetWasm {
  loaded ??= createRequire(import.meta.url)('parquet-wasm/node') as typeof ParquetWasm;
  return loaded;
}

/** Bytes of WASM memory held by this thread. It never shrinks, so this is also its high-water mark. */
export function wasmBytes(): number {
  return loaded ? loaded.wasmMemory().buffer.byteLength : 0;
}

/** Encodes in the calling thread; all encoders of one thread share the memory of one WASM instance. */
export class WasmColumns {
  readonly #compression: ParquetCompression;
  #failed: string | undefined;

  constructor(compression: ParquetCompression) {
    this.#compression = compression;
  }

  /**
   * Encodes a column in pieces.
   *
   * @param chunks The column, one Data for each Arrow batch.
   * @returns Its leaves, each with its pages, and the size of all pages before compression.
   * @throws OffloadError INTERNAL when the writer fails; after that it must not be used again.
   */
  encode(field: Field, chunks: readonly Data[]): { leaves: readonly LeafColumn[]; uncompressedBytes: number } {
    const pieces = cutColumn(chunks, WHOLE_COLUMN_BYTES, PIECE_BYTES);
    const files = pieces.map((piece) => this.#encodePiece(field, piece, pieces.length === 1));
    const uncompressedBytes = files.reduce((sum, file) => sum + (file.footer.rowGroups[0]?.totalByteSize ?? 0), 0);
    return { leaves: leafColumns(files), uncompressedBytes };
  }

  /** The FileMetaData of a file without rows. */
  emptyFooter(schema: Schema): ThriftStruct {
    return footerOf(this.#write(new ArrowTable(new Schema(schema.fields)), () => this.#properties(), 'the schema'))
      .fileMetaData;
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
  #write(table: ArrowTable, properties: () => ParquetWasm.WriterProperties, what: string): Uint8Array {
    if (this.#failed !== undefined) throw new OffloadError('INTERNAL', `cannot encode ${what}: ${this.#failed}`);
    try {
      const input = wasm().Table.fromIPCStream(tableToIPC(table, 'stream'));
      return wasm().writeParquet(input, properties());
    } catch (error) {
      // After a trap the instance's memory is in no known state: what it would write next cannot be trusted.
      this.#failed = `the Parquet writer failed before (${messageOf(error)})`;
      throw new OffloadError('INTERNAL', `cannot encode ${what} as Parquet: ${messageOf(error)}`, {
        context: { rows: table.numRows, wasmBytes: wasmBytes() },
        cause: error,
      });
    }
  }

  #properties(delta = false, dictionary = false): ParquetWasm.WriterProperties {
    const { Compression, EnabledStatistics, Encoding, WriterPropertiesBuilder } = wasm();
    let builder = new WriterPropertiesBuilder()
      .setCompression(Compression[CODECS[this.#compression]])
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
