/**
 * Checks of a footer that somebody else may have written, before its row groups are put under a footer of ours. Parquet has
 * no checksum for a footer: what contradicts itself or the file is found here, not by whoever reads the rows years later.
 */
import { type ParsedFooter, unsuitable } from './footer.ts';
import { COLUMN_CHUNK, COLUMN_META_DATA, FILE_META_DATA, MAGIC, ROW_GROUP, SCHEMA_ELEMENT } from './format.ts';
import { numberField, structField, structsField, type ThriftStruct } from './thrift.ts';

/**
 * @param pagesEnd Where the footer begins: all pages lie before it.
 * @throws OffloadError TARGET_UNSUITABLE with both values of the check that failed.
 */
export function checkOldFooter({ fileMetaData, rows, rowGroups }: ParsedFooter, pagesEnd: number): void {
  const rowsOfGroups = rowGroups.reduce((sum, group) => sum + group.rows, 0);
  if (rowsOfGroups !== rows || rowGroups.some((group) => group.rows < 0)) {
    throw unsuitable(`its footer says ${rows} rows, and its row groups have ${rowsOfGroups}`);
  }
  const leaves = structsField(fileMetaData, FILE_META_DATA.SCHEMA).filter(
    (element) => (numberField(element, SCHEMA_ELEMENT.NUM_CHILDREN) ?? 0) === 0,
  ).length;
  for (const [index, group] of structsField(fileMetaData, FILE_META_DATA.ROW_GROUPS).entries()) {
    const chunks = structsField(group, ROW_GROUP.COLUMNS);
    if (chunks.length !== leaves && rows > 0) {
      throw unsuitable(`its row group ${index} has ${chunks.length} columns, and its schema ${leaves}`);
    }
    for (const chunk of chunks) checkPages(chunk, index, pagesEnd);
  }
}

function checkPages(chunk: ThriftStruct, group: number, pagesEnd: number): void {
  const metaData = structField(chunk, COLUMN_CHUNK.META_DATA);
  const field = (id: number): number => (metaData && numberField(metaData, id)) ?? 0;
  const dictionary = field(COLUMN_META_DATA.DICTIONARY_PAGE_OFFSET);
  const data = field(COLUMN_META_DATA.DATA_PAGE_OFFSET);
  const bytes = field(COLUMN_META_DATA.TOTAL_COMPRESSED_SIZE);
  // Old writers say 0 for no dictionary.
  const start = dictionary > 0 ? Math.min(dictionary, data) : data;
  if (start >= MAGIC.length && bytes >= 0 && start + bytes <= pagesEnd) return;
  throw unsuitable(
    `a column of its row group ${group} lies at bytes ${start} to ${start + bytes}, and its pages at ${MAGIC.length} to ${pagesEnd}`,
  );
}
