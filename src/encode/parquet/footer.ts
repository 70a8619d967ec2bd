/**
 * Footers: where one begins, what it says, and how several become one.
 *
 * A Parquet file is the magic, the pages of its row groups, and a footer that holds every position as an absolute
 * offset. Row groups can therefore be copied byte for byte into another file, provided the positions in their footer
 * move along; nothing is decoded. Positions of 0 mean "none" in old writers (the magic is there) and stay 0.
 *
 * One thing cannot move with the footer alone: an offset index lies among the bytes of the file and repeats absolute
 * page positions. A part that moves by any delta but 0 therefore loses its reference to page indexes that lie so (both are
 * only of use together); statistics of its column chunks stay. Those of our own encoder come apart, see fileEnd.ts.
 */
import { OffloadError } from '../../errors.ts';
import { decodeStruct, encodeStruct } from './compactThrift.ts';
import {
  COLUMN_CHUNK,
  COLUMN_META_DATA,
  ENCRYPTED_MAGIC,
  FILE_META_DATA,
  MAGIC,
  ROW_GROUP,
  SCHEMA_ELEMENT,
} from './format.ts';
import {
  binaryField,
  fieldOf,
  integer,
  list,
  numberField,
  structField,
  structsField,
  type ThriftNode,
  type ThriftStruct,
  WIRE,
  withFields,
} from './thrift.ts';

/** Bytes after the footer: its length, little-endian, and the magic. */
export const TAIL_BYTES = 8;

/** The largest number an i16 holds; row groups beyond it carry no ordinal. */
const MAX_ORDINAL = 32767;

export interface ParsedFooter {
  readonly fileMetaData: ThriftStruct;
  readonly rows: number;
  readonly rowGroups: readonly RowGroupSummary[];
  /** Bytes it took. */
  readonly byteLength: number;
}

export interface RowGroupSummary {
  readonly rows: number;
  /** Bytes of all pages before compression. */
  readonly totalByteSize: number;
  /** Bytes of all pages as they lie in the file. */
  readonly compressedSize: number;
}

export interface FooterPart {
  /** The FileMetaData of a file, parsed or as it was encoded. */
  readonly footer: ParsedFooter | Uint8Array;
  /** What to add to each file offset in it: position of the part's pages in the new file, less that in its own. */
  readonly delta: number;
  /** Where page indexes lie that were laid elsewhere: fields for each ColumnChunk of all row groups, in order. */
  readonly indexFields?: readonly Readonly<Record<number, ThriftNode | undefined>>[];
}

/**
 * Finds the footer of a file.
 *
 * @param end The last bytes of the file, 8 at least, more at will.
 * @param fileBytes Length of the whole file.
 * @returns Position of the footer's first byte in the file and its length, without the 8 bytes that follow it.
 * @throws OffloadError TARGET_UNSUITABLE when this is no Parquet file, or an encrypted one.
 */
export function readTail(end: Uint8Array, fileBytes: number): { footerStart: number; footerBytes: number } {
  const tail = Buffer.from(end.buffer, end.byteOffset, end.byteLength).subarray(-TAIL_BYTES);
  if (fileBytes < MAGIC.length + TAIL_BYTES || tail.length < TAIL_BYTES) {
    throw unsuitable(`${fileBytes} bytes are fewer than the shortest Parquet file has`, { fileBytes });
  }
  const magic = tail.subarray(4);
  if (magic.equals(ENCRYPTED_MAGIC)) throw unsuitable('its footer is encrypted (it ends with PARE)', { fileBytes });
  if (!magic.equals(MAGIC)) {
    throw unsuitable(`it ends with the bytes ${magic.toString('hex')}, not with PAR1 (50415231)`, { fileBytes });
  }
  const footerBytes = tail.readUInt32LE(0);
  const footerStart = fileBytes - TAIL_BYTES - footerBytes;
  if (footerStart < MAGIC.length) {
    throw unsuitable(`its footer claims ${footerBytes} bytes, the file has ${fileBytes}`, { fileBytes, footerBytes });
  }
  return { footerStart, footerBytes };
}

/**
 * Reads a FileMetaData.
 *
 * @param bytes The footer without its length and the magic; what follows it is left aside. Not copied: the result holds views of it.
 * @throws OffloadError TARGET_UNSUITABLE when it is damaged, encrypted, or its pages lie in other files.
 */
export function parseFooter(bytes: Uint8Array): ParsedFooter {
  const { struct: fileMetaData, byteLength } = decodeFooter(bytes);
  const rows = numberField(fileMetaData, FILE_META_DATA.NUM_ROWS);
  if (rows === undefined || structsField(fileMetaData, FILE_META_DATA.SCHEMA).length === 0) {
    throw unsuitable('its footer has no schema or no number of rows', { footerBytes: bytes.length });
  }
  if (fieldOf(fileMetaData, FILE_META_DATA.ENCRYPTION_ALGORITHM)) throw unsuitable('its columns are encrypted');
  const rowGroups = structsField(fileMetaData, FILE_META_DATA.ROW_GROUPS);
  for (const chunk of rowGroups.flatMap((group) => structsField(group, ROW_GROUP.COLUMNS))) checkChunk(chunk);
  return { fileMetaData, rows, rowGroups: rowGroups.map(summarize), byteLength };
}

/**
 * One FileMetaData for the row groups of all parts, in the order given. Only file offsets, row group ordinals and the
 * number of rows change; the schema, column orders, created_by and key/value metadata are those of the first part.
 *
 * @throws OffloadError TARGET_UNSUITABLE when a part's schema differs from the first one's; INTERNAL without parts.
 */
export function joinFooters(parts: readonly FooterPart[]): Buffer {
  const parsed = parts.map(({ footer, delta, indexFields = [] }) => ({
    footer: footer instanceof Uint8Array ? parseFooter(footer) : footer,
    delta,
    indexFields,
  }));
  const first = parsed[0]?.footer;
  if (!first) throw new OffloadError('INTERNAL', 'cannot join Parquet footers: there is none');
  const schema = schemaBytes(first);
  const rowGroups: ThriftStruct[] = [];
  let rows = 0;
  for (const [index, { footer, delta, indexFields }] of parsed.entries()) {
    if (!schemaBytes(footer).equals(schema)) {
      throw unsuitable(
        `its columns (${columnNames(first).join(', ')}) and those of part ${index} (${columnNames(footer).join(', ')}) differ in name, type or nullability`,
        { part: index },
      );
    }
    rows += footer.rows;
    let chunks = 0;
    for (const group of structsField(footer.fileMetaData, FILE_META_DATA.ROW_GROUPS)) {
      const columns = structsField(group, ROW_GROUP.COLUMNS).map((chunk) =>
        withFields(moveColumnChunk(chunk, delta), indexFields[chunks++] ?? {}),
      );
      rowGroups.push(moveRowGroup(group, columns, delta, rowGroups.length));
    }
  }
  return encodeStruct(
    withFields(first.fileMetaData, {
      [FILE_META_DATA.NUM_ROWS]: integer(WIRE.I64, rows),
      [FILE_META_DATA.ROW_GROUPS]: list(WIRE.STRUCT, rowGroups),
      // A signature covers the old bytes; plain footers of ours have none.
      [FILE_META_DATA.FOOTER_SIGNING_KEY_METADATA]: undefined,
    }),
  );
}

/**
 * What two files must have in common for their row groups to stand under one footer: the schema and the order its
 * statistics follow. The name of the root is left out: writers choose it freely and no row group refers to it.
 */
export function schemaBytes(footer: ParsedFooter): Buffer {
  const [root, ...columns] = structsField(footer.fileMetaData, FILE_META_DATA.SCHEMA);
  if (!root) throw unsuitable('its footer has no schema');
  const orders = fieldOf(footer.fileMetaData, FILE_META_DATA.COLUMN_ORDERS);
  const unnamed = withFields(root, { [SCHEMA_ELEMENT.NAME]: undefined });
  const fields: { id: number; value: ThriftNode }[] = [{ id: 1, value: list(WIRE.STRUCT, [unnamed, ...columns]) }];
  if (orders) fields.push({ id: 2, value: orders });
  return encodeStruct({ type: WIRE.STRUCT, fields });
}

/** Names of the leaf and group columns, root excluded, in order: for messages about schemas that differ. */
export function columnNames(footer: ParsedFooter): string[] {
  const [, ...columns] = structsField(footer.fileMetaData, FILE_META_DATA.SCHEMA);
  return columns.map((column) => Buffer.from(binaryField(column, SCHEMA_ELEMENT.NAME) ?? []).toString());
}

/** The end of a file: footer, its length, PAR1. */
export function fileTail(footer: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([footer, length, MAGIC]);
}

function moveRowGroup(
  group: ThriftStruct,
  columns: readonly ThriftStruct[],
  delta: number,
  ordinal: number,
): ThriftStruct {
  return withFields(group, {
    [ROW_GROUP.COLUMNS]: list(WIRE.STRUCT, columns),
    [ROW_GROUP.FILE_OFFSET]: movedOffset(group, ROW_GROUP.FILE_OFFSET, delta),
    [ROW_GROUP.ORDINAL]: ordinal <= MAX_ORDINAL ? integer(WIRE.I16, ordinal) : undefined,
  });
}

function moveColumnChunk(chunk: ThriftStruct, delta: number): ThriftStruct {
  if (delta === 0) return chunk;
  const metaData = structField(chunk, COLUMN_CHUNK.META_DATA);
  return withFields(chunk, {
    [COLUMN_CHUNK.FILE_OFFSET]: movedOffset(chunk, COLUMN_CHUNK.FILE_OFFSET, delta),
    [COLUMN_CHUNK.META_DATA]: metaData && moveMetaData(metaData, delta),
    [COLUMN_CHUNK.OFFSET_INDEX_OFFSET]: undefined,
    [COLUMN_CHUNK.OFFSET_INDEX_LENGTH]: undefined,
    [COLUMN_CHUNK.COLUMN_INDEX_OFFSET]: undefined,
    [COLUMN_CHUNK.COLUMN_INDEX_LENGTH]: undefined,
  });
}

/** The ColumnMetaData with its page positions moved by `delta` bytes. */
export function moveMetaData(metaData: ThriftStruct, delta: number): ThriftStruct {
  const moved: Record<number, ThriftNode | undefined> = {};
  for (const id of [
    COLUMN_META_DATA.DATA_PAGE_OFFSET,
    COLUMN_META_DATA.INDEX_PAGE_OFFSET,
    COLUMN_META_DATA.DICTIONARY_PAGE_OFFSET,
    COLUMN_META_DATA.BLOOM_FILTER_OFFSET,
  ]) {
    moved[id] = movedOffset(metaData, id, delta);
  }
  return withFields(metaData, moved);
}

function movedOffset(parent: ThriftStruct, id: number, delta: number): ThriftNode | undefined {
  const offset = numberField(parent, id);
  if (offset === undefined) return undefined;
  return integer(WIRE.I64, offset === 0 ? 0 : offset + delta);
}

function summarize(group: ThriftStruct): RowGroupSummary {
  let compressedSize = 0;
  for (const chunk of structsField(group, ROW_GROUP.COLUMNS)) {
    const metaData = structField(chunk, COLUMN_CHUNK.META_DATA);
    compressedSize += (metaData && numberField(metaData, COLUMN_META_DATA.TOTAL_COMPRESSED_SIZE)) ?? 0;
  }
  return {
    rows: numberField(group, ROW_GROUP.NUM_ROWS) ?? 0,
    totalByteSize: numberField(group, ROW_GROUP.TOTAL_BYTE_SIZE) ?? 0,
    compressedSize,
  };
}

function checkChunk(chunk: ThriftStruct): void {
  const filePath = binaryField(chunk, COLUMN_CHUNK.FILE_PATH);
  if (filePath) throw unsuitable(`its pages lie in another file, ${Buffer.from(filePath).toString()}`);
  if (fieldOf(chunk, COLUMN_CHUNK.CRYPTO_METADATA) || fieldOf(chunk, COLUMN_CHUNK.ENCRYPTED_COLUMN_METADATA)) {
    throw unsuitable('its columns are encrypted');
  }
  if (!structField(chunk, COLUMN_CHUNK.META_DATA)) throw unsuitable('its footer lacks the metadata of a column chunk');
}

function decodeFooter(bytes: Uint8Array): { readonly struct: ThriftStruct; readonly byteLength: number } {
  try {
    return decodeStruct(bytes);
  } catch (error) {
    throw unsuitable(`its footer is damaged: ${error instanceof Error ? error.message : String(error)}`, {
      footerBytes: bytes.length,
    });
  }
}

/** What is wrong with a file; who knows its path adds it. */
export function unsuitable(why: string, context: Record<string, string | number> = {}): OffloadError {
  return new OffloadError('TARGET_UNSUITABLE', `cannot use the file as Parquet: ${why}`, { context });
}
