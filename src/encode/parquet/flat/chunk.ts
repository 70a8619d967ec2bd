/** What stands around the data pages of a column chunk: its dictionary, and what the footer says of it. */
import { type ChunkIndex, indexLengths } from '../fileEnd.ts';
import { COLUMN_CHUNK, COLUMN_META_DATA } from '../format.ts';
import { columnIndex, offsetIndex } from '../pageIndex.ts';
import { binary, integer, list, struct, type ThriftStruct, WIRE } from '../thrift.ts';
import { type Bounds, toStatistics } from './bounds.ts';
import type { PageWriter } from './pages.ts';
import type { FlatValues } from './values.ts';

export interface FlatColumn {
  /** The ColumnChunk for the footer. */
  readonly columnChunk: ThriftStruct;
  readonly index: ChunkIndex;
  /** Bytes of its pages before compression. */
  readonly uncompressedBytes: number;
}

/** A column chunk whose pages are written. */
interface WrittenColumn {
  readonly path: readonly string[];
  readonly physicalType: number;
  /** As PageSummary counts them. */
  readonly values: number;
  readonly nulls: number;
  readonly bounds: Bounds;
}

/** Begins a column chunk, with its dictionary if it has one. */
export async function startColumn({ dictionary }: FlatValues, pages: PageWriter): Promise<void> {
  pages.startChunk();
  if (!dictionary) return;
  const { bytes, entries } = dictionary;
  await pages.writeDictionaryPage(bytes, entries);
}

export function finishColumn(column: WrittenColumn, pages: PageWriter): FlatColumn {
  const chunk = pages.finishChunk();
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
    [COLUMN_META_DATA.STATISTICS]: toStatistics(column.bounds, column.nulls),
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
  };
}
