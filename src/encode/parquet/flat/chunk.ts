/** What becomes of a column chunk when its data pages are written: its dictionary, and what the footer says of it. */
import type { Data } from 'apache-arrow';
import { type ChunkIndex, indexLengths } from '../fileEnd.ts';
import { COLUMN_CHUNK, COLUMN_META_DATA } from '../format.ts';
import { columnIndex, offsetIndex } from '../pageIndex.ts';
import { binary, integer, list, struct, type ThriftStruct, WIRE } from '../thrift.ts';
import { toStatistics } from './bounds.ts';
import type { PageWriter } from './pages.ts';
import type { FlatValues } from './values.ts';

/** A column chunk that is whole. */
export interface EncodedChunk {
  /** The ColumnChunk for the footer. */
  readonly columnChunk: ThriftStruct;
  /** Its page index; undefined where there is none. */
  readonly index: ChunkIndex | undefined;
  /** Bytes of its pages before compression, and after. */
  readonly uncompressedBytes: number;
  readonly bytes: number;
  readonly body: readonly Uint8Array[];
}

/** One top-level column of a row group, which may be several column chunks. Its rows come in parts. */
export interface ColumnWriter {
  /**
   * Writes the next rows.
   *
   * @param chunks One Data for each Arrow batch, with one row in all at least. Nothing of them is kept.
   * @throws OffloadError INTERNAL for nulls where the schema allows none.
   */
  add(chunks: readonly Data[]): Promise<void>;
  /** @param position Where its first chunk will lie. */
  finish(position: number): Promise<readonly EncodedChunk[]>;
}

/** What is to be told of a column chunk whose data pages are written. */
interface WrittenColumn {
  readonly path: readonly string[];
  readonly physicalType: number;
  /** As PageSummary counts them. */
  readonly values: number;
  readonly nulls: number;
}

/** @param position Where the column chunk will lie. */
export async function finishChunk(
  column: WrittenColumn,
  values: FlatValues,
  pages: PageWriter,
  position: number,
): Promise<EncodedChunk> {
  const chunk = await pages.finish(position, values.dictionary());
  const { dictionaryPageOffset } = chunk;
  const metaData = struct({
    [COLUMN_META_DATA.TYPE]: integer(WIRE.I32, column.physicalType),
    [COLUMN_META_DATA.ENCODINGS]: list(
      WIRE.I32,
      chunk.encodings.map((encoding) => integer(WIRE.I32, encoding)),
    ),
    [COLUMN_META_DATA.PATH_IN_SCHEMA]: list(
      WIRE.BINARY,
      column.path.map((name) => binary(Buffer.from(name))),
    ),
    [COLUMN_META_DATA.CODEC]: integer(WIRE.I32, pages.codec),
    [COLUMN_META_DATA.NUM_VALUES]: integer(WIRE.I64, column.values),
    [COLUMN_META_DATA.TOTAL_UNCOMPRESSED_SIZE]: integer(WIRE.I64, chunk.uncompressedBytes),
    [COLUMN_META_DATA.TOTAL_COMPRESSED_SIZE]: integer(WIRE.I64, chunk.compressedBytes),
    [COLUMN_META_DATA.DATA_PAGE_OFFSET]: integer(WIRE.I64, chunk.dataPageOffset),
    [COLUMN_META_DATA.DICTIONARY_PAGE_OFFSET]:
      dictionaryPageOffset === undefined ? undefined : integer(WIRE.I64, dictionaryPageOffset),
    [COLUMN_META_DATA.STATISTICS]: toStatistics(values.bounds(), column.nulls),
    [COLUMN_META_DATA.ENCODING_STATS]: list(WIRE.STRUCT, chunk.encodingStats),
  });
  const index: ChunkIndex = {
    columnIndex: columnIndex(chunk.pages, column.physicalType),
    offsetIndex: offsetIndex(chunk.pages),
  };
  return {
    // The position is deprecated, and required: 0 since parquet-format 2.11.
    columnChunk: struct({
      [COLUMN_CHUNK.FILE_OFFSET]: integer(WIRE.I64, 0),
      [COLUMN_CHUNK.META_DATA]: metaData,
      ...indexLengths(index),
    }),
    index,
    uncompressedBytes: chunk.uncompressedBytes,
    bytes: chunk.compressedBytes,
    body: chunk.body,
  };
}
