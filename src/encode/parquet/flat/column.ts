/** One flat column of a batch as one column chunk: pages, statistics, metadata. */
import type { Data, Field } from 'apache-arrow';
import { OffloadError } from '../../../errors.ts';
import { type ChunkIndex, indexLengths } from '../fileEnd.ts';
import { COLUMN_CHUNK, COLUMN_META_DATA, ENCODING } from '../format.ts';
import { columnIndex, offsetIndex, type PageSummary } from '../pageIndex.ts';
import { binary, integer, list, struct, type ThriftStruct, WIRE } from '../thrift.ts';
import { NO_BOUNDS, toStatistics } from './bounds.ts';
import { levelsBytes, putLevels } from './levels.ts';
import type { PageWriter } from './pages.ts';
import { type FlatValues, flatPhysicalType, flatValues } from './values.ts';

export interface FlatColumn {
  /** The ColumnChunk for the footer. */
  readonly columnChunk: ThriftStruct;
  readonly index: ChunkIndex;
  /** Bytes of its pages before compression. */
  readonly uncompressedBytes: number;
}

/**
 * Writes a column of a flat type.
 *
 * @param chunks The column, one Data for each Arrow batch, with one row in all at least.
 * @param pages Where it goes: behind what is there.
 * @throws OffloadError INTERNAL for nulls in a column that has none by its schema.
 */
export async function encodeFlatColumn(field: Field, chunks: readonly Data[], pages: PageWriter): Promise<FlatColumn> {
  const filled = chunks.filter((chunk) => chunk.length > 0);
  const values = flatValues(field.type, filled, pages.kernel);
  const physicalType = flatPhysicalType(field.type);
  if (!values || physicalType === undefined) {
    throw new OffloadError('INTERNAL', `cannot encode column ${field.name}: ${field.type} is not a flat type`);
  }
  const rows = filled.reduce((sum, chunk) => sum + chunk.length, 0);
  const nulls = filled.reduce((sum, chunk) => sum + chunk.nullCount, 0);
  if (nulls > 0 && !field.nullable) {
    throw new OffloadError(
      'INTERNAL',
      `cannot encode column ${field.name}: ${nulls} of its ${rows} values are null, and its schema allows none`,
    );
  }
  pages.startChunk();
  if (values.dictionary) {
    const { bytes, entries } = values.dictionary;
    await pages.writeDictionaryPage(bytes, entries);
  }
  for (const data of filled) {
    let from = 0;
    while (from < data.length) {
      const to = values.endOfPage(data, from);
      const { page, encoding, summary } = makePage(values, field.nullable, data, from, to, pages);
      await pages.writeDataPage(page, encoding, summary);
      from = to;
    }
  }
  const chunk = pages.finishChunk();
  const { dictionaryPageOffset } = chunk;
  const metaData = struct({
    [COLUMN_META_DATA.TYPE]: integer(WIRE.I32, physicalType),
    [COLUMN_META_DATA.ENCODINGS]: list(
      WIRE.I32,
      chunk.encodings.map((encoding) => integer(WIRE.I32, encoding)),
    ),
    [COLUMN_META_DATA.PATH_IN_SCHEMA]: list(WIRE.BINARY, [binary(Buffer.from(field.name))]),
    [COLUMN_META_DATA.CODEC]: integer(WIRE.I32, pages.codec),
    [COLUMN_META_DATA.NUM_VALUES]: integer(WIRE.I64, rows),
    [COLUMN_META_DATA.TOTAL_UNCOMPRESSED_SIZE]: integer(WIRE.I64, chunk.uncompressedBytes),
    [COLUMN_META_DATA.TOTAL_COMPRESSED_SIZE]: integer(WIRE.I64, chunk.compressedBytes),
    [COLUMN_META_DATA.DATA_PAGE_OFFSET]: integer(WIRE.I64, chunk.dataPageOffset),
    [COLUMN_META_DATA.DICTIONARY_PAGE_OFFSET]:
      dictionaryPageOffset === undefined ? undefined : integer(WIRE.I64, dictionaryPageOffset),
    [COLUMN_META_DATA.STATISTICS]: toStatistics(values.bounds(), nulls),
    [COLUMN_META_DATA.ENCODING_STATS]: list(WIRE.STRUCT, chunk.encodingStats),
  });
  const index: ChunkIndex = {
    columnIndex: columnIndex(chunk.pages, physicalType),
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

/** Levels and values of the rows `[from, to)`, as a view of the writer's scratch buffer. */
function makePage(
  values: FlatValues,
  nullable: boolean,
  data: Data,
  from: number,
  to: number,
  pages: PageWriter,
): { page: Buffer; encoding: number; summary: PageSummary } {
  const scratch = pages.scratch(levelsBytes(to - from) + values.pageBytes(data, from, to));
  const { end, nulls } = nullable ? putLevels(scratch, data, from, to) : { end: 0, nulls: 0 };
  // Without a value PLAIN is no bytes at all; readers have stumbled over delta blocks and dictionaries of nothing.
  if (nulls === to - from) {
    const summary = { rows: to - from, nulls, bounds: NO_BOUNDS };
    return { page: scratch.subarray(0, end), encoding: ENCODING.PLAIN, summary };
  }
  const { end: pageEnd, encoding, bounds } = values.put(scratch, end, { data, from, to, nulls });
  return { page: scratch.subarray(0, pageEnd), encoding, summary: { rows: to - from, nulls, bounds } };
}
