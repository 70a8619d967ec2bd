/**
 * What is told of row groups until their file is put together, and the end of that file.
 *
 * Page indexes belong between the last row group and the footer, and hold absolute positions, which are known only when
 * everything lies in its place. So each part brings its own behind its FileMetaData:
 *
 *     FileMetaData | ColumnIndex of each column chunk that has one | OffsetIndex of each that has one
 *
 * Its column chunks tell the lengths of these and no positions. The file then ends with
 *
 *     all ColumnIndexes | all OffsetIndexes, the positions in them moved | FileMetaData | its length | PAR1
 *
 * Indexes that lie among the bytes of a file already, as in one that is appended to, stay where they are (footer.ts).
 */
import { OffloadError } from '../../errors.ts';
import { encodeStruct } from './compactThrift.ts';
import { fileTail, joinFooters, type ParsedFooter, parseFooter } from './footer.ts';
import { COLUMN_CHUNK, FILE_META_DATA, ROW_GROUP } from './format.ts';
import { movedOffsetIndex } from './pageIndex.ts';
import { integer, numberField, structsField, type ThriftNode, type ThriftStruct, WIRE } from './thrift.ts';

/** The page index of a column chunk, as far as it has one. */
export interface ChunkIndex {
  readonly columnIndex: Uint8Array | undefined;
  readonly offsetIndex: Uint8Array | undefined;
}

/** Row groups that lie in the file. */
export interface FilePart {
  /** What `encodePart` made, or the FileMetaData of a file. */
  readonly footer: Uint8Array;
  /** What to add to each file offset in it: position of the part's pages in the file, less that in its own. */
  readonly delta: number;
}

/** The fields of a ColumnChunk that tell how long its indexes are; they come before `encodePart`. */
export function indexLengths({ columnIndex, offsetIndex }: ChunkIndex): Record<number, ThriftNode | undefined> {
  return {
    [COLUMN_CHUNK.OFFSET_INDEX_LENGTH]: offsetIndex && integer(WIRE.I32, offsetIndex.length),
    [COLUMN_CHUNK.COLUMN_INDEX_LENGTH]: columnIndex && integer(WIRE.I32, columnIndex.length),
  };
}

/** @param indexes Of all column chunks of the footer, in order; positions in them are those of a file of this part alone. */
export function encodePart(footer: ThriftStruct, indexes: readonly ChunkIndex[]): Buffer {
  const columnIndexes = indexes.flatMap(({ columnIndex }) => columnIndex ?? []);
  const offsetIndexes = indexes.flatMap(({ offsetIndex }) => offsetIndex ?? []);
  return Buffer.concat([encodeStruct(footer), ...columnIndexes, ...offsetIndexes]);
}

/**
 * Page indexes and footer of a file.
 *
 * @param position Where they begin: all parts lie before it.
 * @throws OffloadError TARGET_UNSUITABLE when a part's schema differs from the first one's.
 */
export function endOfFile(parts: readonly FilePart[], position: number): Buffer {
  const read = parts.map(({ footer, delta }) => {
    const parsed = parseFooter(footer);
    return { parsed, delta, indexes: indexesOf(parsed, footer, delta) };
  });
  const end = new Placer(position);
  const all = read.flatMap(({ indexes }) => indexes);
  const columnPositions = all.map(({ columnIndex }) => end.put(columnIndex));
  const offsetPositions = all.map(({ offsetIndex }) => end.put(offsetIndex));
  let next = 0;
  const placed = read.map(({ parsed, delta, indexes }) => {
    const first = next;
    next += indexes.length;
    const indexFields = indexes.map((index, chunk) => ({
      [COLUMN_CHUNK.OFFSET_INDEX_OFFSET]: offsetPositions[first + chunk],
      [COLUMN_CHUNK.COLUMN_INDEX_OFFSET]: columnPositions[first + chunk],
      ...indexLengths(index),
    }));
    return { footer: parsed, delta, indexFields };
  });
  return Buffer.concat([...end.pieces, fileTail(joinFooters(placed))]);
}

/** Lays pieces one behind the other. */
class Placer {
  readonly pieces: Uint8Array[] = [];
  #position: number;

  constructor(position: number) {
    this.#position = position;
  }

  /** @returns Where the piece begins. */
  put(piece: Uint8Array | undefined): ThriftNode | undefined {
    if (!piece) return undefined;
    const position = integer(WIRE.I64, this.#position);
    this.pieces.push(piece);
    this.#position += piece.length;
    return position;
  }
}

/** The indexes of all column chunks of a part, moved; none for a footer that comes alone. */
function indexesOf({ fileMetaData, byteLength }: ParsedFooter, part: Uint8Array, delta: number): ChunkIndex[] {
  if (byteLength === part.length) return [];
  const chunks = structsField(fileMetaData, FILE_META_DATA.ROW_GROUPS).flatMap((group) =>
    structsField(group, ROW_GROUP.COLUMNS),
  );
  let end = byteLength;
  const take = (chunk: ThriftStruct, lengthField: number): Uint8Array | undefined => {
    const length = numberField(chunk, lengthField);
    if (length === undefined) return undefined;
    end += length;
    return part.subarray(end - length, end);
  };
  const columnIndexes = chunks.map((chunk) => take(chunk, COLUMN_CHUNK.COLUMN_INDEX_LENGTH));
  const offsetIndexes = chunks.map((chunk) => take(chunk, COLUMN_CHUNK.OFFSET_INDEX_LENGTH));
  if (end !== part.length) {
    throw new OffloadError(
      'INTERNAL',
      `page indexes of a row group take ${part.length - byteLength} bytes, its footer says ${end - byteLength}`,
    );
  }
  return chunks.map((_, index) => {
    const offsetIndex = offsetIndexes[index];
    return { columnIndex: columnIndexes[index], offsetIndex: offsetIndex && movedOffsetIndex(offsetIndex, delta) };
  });
}
