/**
 * Lists of structs of texts and bytes, as headers are: each field of the struct is a column chunk of its own.
 *
 * Repetition levels tell where a list begins (0), definition levels how much of a value there is: for each element
 * whether it is null, and for a list without elements that it is empty, or null.
 *
 * @see https://github.com/apache/parquet-format#nested-encoding
 */
import { type Data, DataType, type Field, type List, type Struct } from 'apache-arrow';
import { OffloadError } from '../../../errors.ts';
import { ENCODING, PHYSICAL_TYPE } from '../format.ts';
import type { PageSummary } from '../pageIndex.ts';
import { NO_BOUNDS } from './bounds.ts';
import { type ColumnWriter, type EncodedChunk, finishChunk } from './chunk.ts';
import { putHybrid } from './dictionary.ts';
import { isPresent } from './levels.ts';
import type { PageWriter } from './pages.ts';
import { type FlatValues, flatPhysicalType, flatValues, PAGE_ROWS } from './values.ts';

/** Name of the repeated group between a list and its elements, by the format's rules for lists. */
export const LIST_GROUP = 'list';

/** In front of the levels of a v1 data page. */
const LENGTH_BYTES = 4;

/** One page is made at a time, and nothing waits in between. A list takes as many levels as it has elements, or one. */
const repetitionLevels = new Int32Array(PAGE_ROWS * 2);
const definitionLevels = new Int32Array(PAGE_ROWS * 2);

/** The fields of the elements of a list type that this encoder takes; undefined for any other type. */
export function listFields(type: DataType): readonly Field[] | undefined {
  if (!DataType.isList(type)) return undefined;
  const element = (type as List<Struct>).children[0];
  if (!element || element.nullable || !DataType.isStruct(element.type)) return undefined;
  const fields: readonly Field[] = element.type.children;
  const areBytes = fields.every((field) => flatPhysicalType(field.type) === PHYSICAL_TYPE.BYTE_ARRAY);
  return areBytes && fields.length > 0 ? fields : undefined;
}

/** Whether a column of such lists can be written here: no list is longer than a page, and none that is null has elements. */
export function areShortLists(chunks: readonly Data[]): boolean {
  return chunks.every((data) => {
    const offsets: Int32Array = data.valueOffsets;
    const hasNulls = data.nullCount > 0;
    for (let row = 0; row < data.length; row++) {
      const elements = (offsets[row + 1] as number) - (offsets[row] as number);
      if (elements > PAGE_ROWS || (elements > 0 && hasNulls && !isPresent(data, row))) return false;
    }
    return true;
  });
}

/** Lists of a chunk, and what one field of their elements holds. */
interface LeafChunk {
  readonly lists: Data;
  /** The values of all elements of these lists, and of none else. */
  readonly leaf: Data;
  /** Offset of the first list. */
  readonly start: number;
}

/** One field of the elements, as it is written. */
interface Leaf {
  readonly field: Field;
  readonly values: FlatValues;
  readonly pages: PageWriter;
  readonly levels: { readonly emptyLevel: number; readonly valueLevel: number };
  /** Of the pages written so far. */
  count: number;
  nulls: number;
}

/** Writes a column of lists for which `listFields` holds, and of every part `areShortLists`: each field of the struct, in order. */
export class ListColumnWriter implements ColumnWriter {
  readonly #field: Field;
  readonly #element: Field<Struct>;
  readonly #leaves: readonly Leaf[];

  /** @param pagesOf For each field that is written: has no page yet. */
  constructor(field: Field, pagesOf: () => PageWriter) {
    this.#field = field;
    this.#element = field.type.children[0] as Field<Struct>;
    const emptyLevel = field.nullable ? 1 : 0;
    this.#leaves = this.#element.type.children.map((leaf) => {
      const pages = pagesOf();
      const values = flatValues(leaf.type, pages.kernel);
      if (!values) {
        throw new OffloadError('INTERNAL', `cannot encode column ${field.name}: ${field.type} is no list of bytes`);
      }
      const levels = { emptyLevel, valueLevel: emptyLevel + (leaf.nullable ? 2 : 1) };
      return { field: leaf, values, pages, levels, count: 0, nulls: 0 };
    });
  }

  async add(chunks: readonly Data[]): Promise<void> {
    const filled = chunks.filter((chunk) => chunk.length > 0);
    checkNulls(this.#field, filled);
    for (const [index, leaf] of this.#leaves.entries()) {
      const parts = filled.map((lists): LeafChunk => {
        const start: number = lists.valueOffsets[0];
        const all = lists.children[0]?.children[index] as Data;
        return { lists, leaf: all.slice(start, lists.valueOffsets[lists.length] - start), start };
      });
      checkNulls(
        leaf.field,
        parts.map((part) => part.leaf),
      );
      await addToLeaf(leaf, parts);
    }
  }

  async finish(position: number): Promise<readonly EncodedChunk[]> {
    const chunks: EncodedChunk[] = [];
    let start = position;
    for (const { field, values, pages, count, nulls } of this.#leaves) {
      const path = [this.#field.name, LIST_GROUP, this.#element.name, field.name];
      const column = { path, physicalType: PHYSICAL_TYPE.BYTE_ARRAY, values: count, nulls };
      const chunk = await finishChunk(column, values, pages, start);
      chunks.push(chunk);
      start += chunk.bytes;
    }
    return chunks;
  }
}

async function addToLeaf(leaf: Leaf, parts: readonly LeafChunk[]): Promise<void> {
  const { values, levels, pages } = leaf;
  values.take(parts.map((part) => part.leaf).filter(({ length }) => length > 0));
  for (const part of parts) {
    for (let from = 0; from < part.lists.length; ) {
      const to = endOfPage(values, part, from);
      const { page, encoding, summary } = makePage(values, levels, part, from, to, pages);
      await pages.writeDataPage(page, encoding, summary);
      leaf.count += summary.values;
      leaf.nulls += summary.nulls;
      from = to;
    }
  }
}

/** The last row whose elements all fit into the page that begins with row `from`. */
function endOfPage(values: FlatValues, { lists, leaf, start }: LeafChunk, from: number): number {
  const offsets: Int32Array = lists.valueOffsets;
  const first = (offsets[from] as number) - start;
  const end = start + (first < leaf.length ? values.endOfPage(leaf, first) : first);
  const last = Math.min(lists.length, from + PAGE_ROWS);
  let to = from + 1;
  while (to < last && (offsets[to + 1] as number) <= end) to++;
  return to;
}

function makePage(
  values: FlatValues,
  levels: { readonly emptyLevel: number; readonly valueLevel: number },
  { lists, leaf, start }: LeafChunk,
  from: number,
  to: number,
  pages: PageWriter,
): { page: Buffer; encoding: number; summary: PageSummary } {
  const first: number = lists.valueOffsets[from] - start;
  const last: number = lists.valueOffsets[to] - start;
  const { entries, present } = collectLevels(levels, lists, leaf, start, from, to);
  const scratch = pages.scratch(2 * hybridBytes(entries) + values.pageBytes(leaf, first, last));
  let end = putLevelRuns(scratch, 0, repetitionLevels, entries, 1);
  end = putLevelRuns(scratch, end, definitionLevels, entries, 32 - Math.clz32(levels.valueLevel));
  const summary = { rows: to - from, values: entries, nulls: entries - present };
  if (present === 0) {
    return { page: scratch.subarray(0, end), encoding: ENCODING.PLAIN, summary: { ...summary, bounds: NO_BOUNDS } };
  }
  const nulls = last - first - present;
  const { end: pageEnd, encoding, bounds } = values.put(scratch, end, { data: leaf, from: first, to: last, nulls });
  return { page: scratch.subarray(0, pageEnd), encoding, summary: { ...summary, bounds } };
}

/** Fills in the levels of the rows `[from, to)`; says how many there are, and how many stand for a value. */
function collectLevels(
  { emptyLevel, valueLevel }: { readonly emptyLevel: number; readonly valueLevel: number },
  lists: Data,
  leaf: Data,
  start: number,
  from: number,
  to: number,
): { readonly entries: number; readonly present: number } {
  const offsets: Int32Array = lists.valueOffsets;
  const hasNulls = leaf.nullCount > 0;
  let entries = 0;
  let present = 0;
  for (let row = from; row < to; row++) {
    const begin = (offsets[row] as number) - start;
    const end = (offsets[row + 1] as number) - start;
    if (begin === end) {
      repetitionLevels[entries] = 0;
      definitionLevels[entries++] = lists.nullCount > 0 && !isPresent(lists, row) ? 0 : emptyLevel;
      continue;
    }
    for (let index = begin; index < end; index++) {
      const isValue = !hasNulls || isPresent(leaf, index);
      repetitionLevels[entries] = index === begin ? 0 : 1;
      definitionLevels[entries++] = isValue ? valueLevel : valueLevel - 1;
      if (isValue) present++;
    }
  }
  return { entries, present };
}

/** Most bytes of levels of up to 2 bits. */
function hybridBytes(entries: number): number {
  return LENGTH_BYTES + 32 + entries;
}

function putLevelRuns(page: Buffer, position: number, levels: Int32Array, entries: number, width: number): number {
  const end = putHybrid(page, position + LENGTH_BYTES, levels, 0, entries, width);
  page.writeUInt32LE(end - position - LENGTH_BYTES, position);
  return end;
}

function checkNulls({ name, nullable }: Field, chunks: readonly Data[]): void {
  const nulls = chunks.reduce((sum, chunk) => sum + chunk.nullCount, 0);
  if (nulls === 0 || nullable) return;
  throw new OffloadError(
    'INTERNAL',
    `cannot encode column ${name}: ${nulls} values are null, and its schema allows none`,
  );
}
