/**
 * Puts the column chunks of several small files one behind the other as one column chunk.
 *
 * Pages carry no position and no row number, so the pages of one column may follow each other as they are, as long as
 * none of the pieces has a dictionary: a column chunk may have only one, and it comes first.
 */
import { OffloadError } from '../../errors.ts';
import { moveMetaData, type ParsedFooter } from './footer.ts';
import {
  COLUMN_CHUNK,
  COLUMN_META_DATA,
  FILE_META_DATA,
  PAGE_ENCODING_STATS,
  PHYSICAL_TYPE,
  ROW_GROUP,
  SCHEMA_ELEMENT,
  STATISTICS,
} from './format.ts';
import { comparatorOf, mergeStatistics } from './statistics.ts';
import {
  fieldOf,
  integer,
  list,
  numberField,
  struct,
  structField,
  structsField,
  type ThriftNode,
  type ThriftStruct,
  WIRE,
  withFields,
} from './thrift.ts';

/** Field id in the union LogicalType. */
const FLOAT16 = 15;

/** One column chunk of a piece: its pages and what the piece's footer says of them. */
interface PieceChunk {
  readonly pages: Uint8Array;
  /** Position of the pages in the piece's own file. */
  readonly start: number;
  readonly metaData: ThriftStruct;
}

/** One leaf column of a row group, its pages still in pieces. */
export interface LeafColumn {
  readonly pieces: readonly PieceChunk[];
  /** The SchemaElement of the leaf. */
  readonly element: ThriftStruct;
}

/**
 * The leaf columns of a top-level column that was encoded in several files of one row group each.
 *
 * @param files Bytes and footer of each, in row order, all with the same schema.
 */
export function leafColumns(
  files: readonly { readonly bytes: Uint8Array; readonly footer: ParsedFooter }[],
): LeafColumn[] {
  const first = files[0];
  if (!first) return [];
  const leaves = structsField(first.footer.fileMetaData, FILE_META_DATA.SCHEMA).filter(
    (element) => numberField(element, SCHEMA_ELEMENT.NUM_CHILDREN) === undefined,
  );
  return leaves.map((element, index) => ({
    element,
    pieces: files.map(({ bytes, footer }) => pieceChunk(bytes, footer, index)),
  }));
}

/**
 * The ColumnChunk of a leaf whose pages are put one behind the other.
 *
 * @param position Where the first of its pages lies in the new file.
 */
export function columnChunk(leaf: LeafColumn, position: number): ThriftStruct {
  const first = leaf.pieces[0];
  if (!first) throw new OffloadError('INTERNAL', 'cannot write a column chunk without pages');
  const whole = leaf.pieces.length === 1 ? first.metaData : mergeMetaData(leaf);
  const metaData = isFloat(leaf.element) ? withoutBounds(whole) : whole;
  return struct({
    // Deprecated, and required: 0 since parquet-format 2.11.
    [COLUMN_CHUNK.FILE_OFFSET]: integer(WIRE.I64, 0),
    [COLUMN_CHUNK.META_DATA]: moveMetaData(metaData, position - first.start),
  });
}

/** Bounds of floats leave NaN aside, so they do not tell where it is; to some readers it is above every number. */
function isFloat(element: ThriftStruct): boolean {
  const type = numberField(element, SCHEMA_ELEMENT.TYPE);
  if (type === PHYSICAL_TYPE.FLOAT || type === PHYSICAL_TYPE.DOUBLE) return true;
  const logicalType = structField(element, SCHEMA_ELEMENT.LOGICAL_TYPE);
  return logicalType !== undefined && fieldOf(logicalType, FLOAT16) !== undefined;
}

function withoutBounds(metaData: ThriftStruct): ThriftStruct {
  const statistics = structField(metaData, COLUMN_META_DATA.STATISTICS);
  return withFields(metaData, {
    [COLUMN_META_DATA.STATISTICS]:
      statistics &&
      withFields(statistics, {
        [STATISTICS.OLD_MAX]: undefined,
        [STATISTICS.OLD_MIN]: undefined,
        [STATISTICS.MAX_VALUE]: undefined,
        [STATISTICS.MIN_VALUE]: undefined,
        [STATISTICS.IS_MAX_VALUE_EXACT]: undefined,
        [STATISTICS.IS_MIN_VALUE_EXACT]: undefined,
      }),
  });
}

function pieceChunk(bytes: Uint8Array, footer: ParsedFooter, index: number): PieceChunk {
  const [group, ...others] = structsField(footer.fileMetaData, FILE_META_DATA.ROW_GROUPS);
  const chunk = group && structsField(group, ROW_GROUP.COLUMNS)[index];
  const metaData = chunk && structField(chunk, COLUMN_CHUNK.META_DATA);
  const dataStart = metaData && numberField(metaData, COLUMN_META_DATA.DATA_PAGE_OFFSET);
  const length = metaData && numberField(metaData, COLUMN_META_DATA.TOTAL_COMPRESSED_SIZE);
  if (!metaData || dataStart === undefined || length === undefined || others.length > 0) {
    throw new OffloadError(
      'INTERNAL',
      `the Parquet writer gave ${footer.rowGroups.length} row groups; one was expected`,
    );
  }
  const start = numberField(metaData, COLUMN_META_DATA.DICTIONARY_PAGE_OFFSET) ?? dataStart;
  return { pages: bytes.subarray(start, start + length), start, metaData };
}

function mergeMetaData({ element, pieces }: LeafColumn): ThriftStruct {
  const metas = pieces.map((piece) => piece.metaData);
  const [first] = metas;
  if (!first || metas.some((meta) => fieldOf(meta, COLUMN_META_DATA.DICTIONARY_PAGE_OFFSET))) {
    throw new OffloadError('INTERNAL', 'cannot join the pages of column chunks that have a dictionary each');
  }
  const statistics = mergeStatistics(
    metas.map((meta) => ({
      statistics: structField(meta, COLUMN_META_DATA.STATISTICS),
      values: numberField(meta, COLUMN_META_DATA.NUM_VALUES) ?? 0,
    })),
    comparatorOf(element),
  );
  // From nothing rather than from the first piece: what is not known to add up (size statistics) must not stay.
  return struct({
    [COLUMN_META_DATA.TYPE]: fieldOf(first, COLUMN_META_DATA.TYPE),
    [COLUMN_META_DATA.ENCODINGS]: list(WIRE.I32, encodingsOf(metas)),
    [COLUMN_META_DATA.PATH_IN_SCHEMA]: fieldOf(first, COLUMN_META_DATA.PATH_IN_SCHEMA),
    [COLUMN_META_DATA.CODEC]: fieldOf(first, COLUMN_META_DATA.CODEC),
    [COLUMN_META_DATA.NUM_VALUES]: sumOf(metas, COLUMN_META_DATA.NUM_VALUES),
    [COLUMN_META_DATA.TOTAL_UNCOMPRESSED_SIZE]: sumOf(metas, COLUMN_META_DATA.TOTAL_UNCOMPRESSED_SIZE),
    [COLUMN_META_DATA.TOTAL_COMPRESSED_SIZE]: sumOf(metas, COLUMN_META_DATA.TOTAL_COMPRESSED_SIZE),
    [COLUMN_META_DATA.DATA_PAGE_OFFSET]: fieldOf(first, COLUMN_META_DATA.DATA_PAGE_OFFSET),
    [COLUMN_META_DATA.STATISTICS]: statistics,
    [COLUMN_META_DATA.ENCODING_STATS]: encodingStatsOf(metas),
  });
}

function sumOf(metas: readonly ThriftStruct[], id: number): ThriftNode {
  return integer(
    WIRE.I64,
    metas.reduce((sum, meta) => sum + (numberField(meta, id) ?? 0), 0),
  );
}

/** Every encoding that occurs in a piece, once. */
function encodingsOf(metas: readonly ThriftStruct[]): ThriftNode[] {
  const byCode = new Map<string, ThriftNode>();
  for (const meta of metas) {
    const encodings = fieldOf(meta, COLUMN_META_DATA.ENCODINGS);
    if (encodings?.type !== WIRE.LIST) continue;
    for (const item of encodings.items) if (item.type === WIRE.I32) byCode.set(item.raw.toString(), item);
  }
  return [...byCode.values()];
}

/** Number of pages by kind and encoding over all pieces; undefined if a piece does not tell. */
function encodingStatsOf(metas: readonly ThriftStruct[]): ThriftNode | undefined {
  const byKind = new Map<string, { readonly stats: ThriftStruct; readonly count: number }>();
  for (const meta of metas) {
    const stats = structsField(meta, COLUMN_META_DATA.ENCODING_STATS);
    if (stats.length === 0) return undefined;
    for (const entry of stats) {
      const kind = `${numberField(entry, PAGE_ENCODING_STATS.PAGE_TYPE)}/${numberField(entry, PAGE_ENCODING_STATS.ENCODING)}`;
      const count = (byKind.get(kind)?.count ?? 0) + (numberField(entry, PAGE_ENCODING_STATS.COUNT) ?? 0);
      byKind.set(kind, { stats: entry, count });
    }
  }
  const merged = [...byKind.values()].map(({ stats, count }) =>
    withFields(stats, { [PAGE_ENCODING_STATS.COUNT]: integer(WIRE.I32, count) }),
  );
  return list(WIRE.STRUCT, merged);
}
