/** The values of a flat column, by type: where pages end, how their values are written, what their bounds are. */
import { type Data, type DataType, Type } from 'apache-arrow';
import { ENCODING, PHYSICAL_TYPE } from '../format.ts';
import { type Bounds, ByteBounds, exactBounds, NO_BOUNDS } from './bounds.ts';
import { deltaBytes, putDeltaInt32, putDeltaInt64 } from './delta.ts';
import { buildDictionary, type Dictionary, hasRepeats, indexesBytes, putIndexes } from './dictionary.ts';
import { type IntRange, isLess, isNarrow, rangeOfInt32, rangeOfInt64, wholeRange, wordsOf } from './intRange.ts';
import type { PageKernel } from './kernel.ts';
import { isPresent, putBits } from './levels.ts';
import { booleanBounds, DoubleBounds } from './numberBounds.ts';

/** Rows of a page, also where they take less than PAGE_BYTES. */
const PAGE_ROWS = 65_536;

/** Bytes of values in a page; a single longer value has a page of its own. */
const PAGE_BYTES = 1024 * 1024;

/** Rows of one page; from and to as in `slice`. */
export interface PageRows {
  readonly data: Data;
  readonly from: number;
  readonly to: number;
  readonly nulls: number;
}

interface WrittenPage {
  readonly end: number;
  readonly encoding: number;
  /** Of the values of the page. */
  readonly bounds: Bounds;
}

export interface FlatValues {
  readonly dictionary: Dictionary | undefined;
  /** Where the page that begins with row `from` ends: one row at least. */
  endOfPage(data: Data, from: number): number;
  /** Most bytes that `put` touches. */
  pageBytes(data: Data, from: number, to: number): number;
  /** Writes the values that are not null; there is at least one. Pages are written in order. */
  put(page: Buffer, position: number, rows: PageRows): WrittenPage;
  /** Of all values, once every page is written. */
  bounds(): Bounds;
}

/** Pages of the same values are written one after the other and nothing waits in between: they share this. */
const presentWords = new Int32Array(PAGE_ROWS * 2);

/** Reads through all rows once; undefined for a type that is not flat. */
export function flatValues(type: DataType, chunks: readonly Data[], kernel: PageKernel): FlatValues | undefined {
  switch (flatPhysicalType(type)) {
    case PHYSICAL_TYPE.BYTE_ARRAY: {
      const isText = type.typeId === Type.Utf8;
      const dictionary = hasRepeats(chunks) ? buildDictionary(chunks, isText) : undefined;
      return dictionary ? new IndexValues(dictionary) : new ByteValues(isText, kernel);
    }
    case PHYSICAL_TYPE.INT32:
      return intValues(chunks, 1);
    case PHYSICAL_TYPE.INT64:
      return intValues(chunks, 2);
    case PHYSICAL_TYPE.DOUBLE:
      return new DoubleValues();
    case PHYSICAL_TYPE.BOOLEAN:
      return new BooleanValues();
    default:
      return undefined;
  }
}

/** Physical type of the types this encoder takes. */
export function flatPhysicalType(type: DataType): number | undefined {
  switch (type.typeId) {
    case Type.Utf8:
    case Type.Binary:
      return PHYSICAL_TYPE.BYTE_ARRAY;
    case Type.Bool:
      return PHYSICAL_TYPE.BOOLEAN;
    default:
      return FIXED_TYPES.get(type.toString());
  }
}

/** By the name Arrow prints, which has the width and unit. */
const FIXED_TYPES: ReadonlyMap<string, number> = new Map([
  ['Int32', PHYSICAL_TYPE.INT32],
  ['Int64', PHYSICAL_TYPE.INT64],
  ['Float64', PHYSICAL_TYPE.DOUBLE],
  ['Date32<DAY>', PHYSICAL_TYPE.INT32],
  ['Timestamp<MILLISECOND>', PHYSICAL_TYPE.INT64],
  ['Timestamp<MILLISECOND, UTC>', PHYSICAL_TYPE.INT64],
]);

class ByteValues implements FlatValues {
  readonly dictionary = undefined;
  readonly #isText: boolean;
  readonly #kernel: PageKernel;
  readonly #bounds: ByteBounds;

  constructor(isText: boolean, kernel: PageKernel) {
    this.#isText = isText;
    this.#kernel = kernel;
    this.#bounds = new ByteBounds(isText);
  }

  endOfPage(data: Data, from: number): number {
    const offsets: Int32Array = data.valueOffsets;
    const limit = (offsets[from] as number) + PAGE_BYTES;
    let low = from + 1;
    let high = Math.min(data.length, from + PAGE_ROWS);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((offsets[middle] as number) <= limit) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  pageBytes({ valueOffsets }: Data, from: number, to: number): number {
    return (to - from) * 4 + valueOffsets[to] - valueOffsets[from] + 4;
  }

  put(page: Buffer, position: number, { data, from, to, nulls }: PageRows): WrittenPage {
    const { end, smallest, largest } = this.#kernel.putPlain(page, position, data, from, to, nulls);
    const bounds = new ByteBounds(this.#isText);
    for (const row of [smallest, largest]) {
      const start = data.valueOffsets[row] as number;
      bounds.add(data.values, Int32Array.of(start), Int32Array.of((data.valueOffsets[row + 1] as number) - start), 1);
    }
    this.#bounds.include(bounds);
    return { end, encoding: ENCODING.PLAIN, bounds: bounds.bounds() };
  }

  bounds(): Bounds {
    return this.#bounds.bounds();
  }
}

/** Values that stand in a dictionary. */
class IndexValues implements FlatValues {
  readonly dictionary: Dictionary;
  #next = 0;

  constructor(dictionary: Dictionary) {
    this.dictionary = dictionary;
  }

  endOfPage(data: Data, from: number): number {
    return Math.min(data.length, from + PAGE_ROWS);
  }

  pageBytes(_data: Data, from: number, to: number): number {
    return indexesBytes(to - from);
  }

  put(page: Buffer, position: number, { from, to, nulls }: PageRows): WrittenPage {
    const first = this.#next;
    this.#next += to - from - nulls;
    const { indexes, entries } = this.dictionary;
    return {
      end: putIndexes(page, position, indexes, first, this.#next, entries),
      encoding: ENCODING.RLE_DICTIONARY,
      bounds: this.dictionary.boundsOf(first, this.#next),
    };
  }

  bounds(): Bounds {
    return this.dictionary.bounds;
  }
}

/** @param words Int32 words of a value: 1 or 2. */
function intValues(chunks: readonly Data[], words: 1 | 2): FlatValues {
  const pages = chunks.flatMap((data) => rangesOfPages(data, words));
  const range = wholeRange(pages);
  if (range === undefined) return new IntValues(words, [], NO_BOUNDS);
  const bounds = exactBounds(range.min, range.max);
  const bytes = bounds.min?.bytes;
  // A column of one value (partition, timestampType) is its dictionary and runs of 0.
  if (!isLess(range.min, range.max) && bytes) {
    return new IndexValues({ bytes, entries: 1, indexes: null, bounds, boundsOf: () => bounds });
  }
  return new IntValues(words, pages, bounds);
}

/** The ranges of all pages that have values: a page ends after PAGE_ROWS, or with its chunk. */
function rangesOfPages(data: Data, words: 1 | 2): IntRange[] {
  const ranges: IntRange[] = [];
  for (let from = 0; from < data.length; from += PAGE_ROWS) {
    const to = Math.min(data.length, from + PAGE_ROWS);
    const range = words === 1 ? rangeOfInt32(data, from, to) : rangeOfInt64(data, from, to);
    if (range) ranges.push(range);
  }
  return ranges;
}

/** Integers: their differences, or as they are where differences would not be exact as numbers. */
class IntValues implements FlatValues {
  readonly dictionary = undefined;
  readonly #words: 1 | 2;
  readonly #pages: readonly IntRange[];
  readonly #bounds: Bounds;
  readonly #isNarrow: boolean;
  #next = 0;

  /** @param pages Ranges of the pages that will be put, in order. */
  constructor(words: 1 | 2, pages: readonly IntRange[], bounds: Bounds) {
    this.#words = words;
    this.#pages = pages;
    this.#bounds = bounds;
    this.#isNarrow = pages.every(isNarrow);
  }

  endOfPage(data: Data, from: number): number {
    return Math.min(data.length, from + PAGE_ROWS);
  }

  pageBytes(_data: Data, from: number, to: number): number {
    return deltaBytes(to - from);
  }

  put(page: Buffer, position: number, rows: PageRows): WrittenPage {
    const count = rows.to - rows.from - rows.nulls;
    const range = this.#pages[this.#next++];
    const bounds = range ? exactBounds(range.min, range.max) : NO_BOUNDS;
    const values = presentValues(wordsOf(rows.data), rows, this.#words);
    if (!this.#isNarrow) return { end: putWords(page, position, values), encoding: ENCODING.PLAIN, bounds };
    const putDelta = this.#words === 1 ? putDeltaInt32 : putDeltaInt64;
    return { end: putDelta(page, position, values, count), encoding: ENCODING.DELTA_BINARY_PACKED, bounds };
  }

  bounds(): Bounds {
    return this.#bounds;
  }
}

class DoubleValues implements FlatValues {
  readonly dictionary = undefined;
  readonly #bounds = new DoubleBounds();

  endOfPage(data: Data, from: number): number {
    return Math.min(data.length, from + PAGE_ROWS);
  }

  pageBytes(_data: Data, from: number, to: number): number {
    return (to - from) * 8;
  }

  put(page: Buffer, position: number, rows: PageRows): WrittenPage {
    const { data, from, to, nulls } = rows;
    const bounds = new DoubleBounds();
    bounds.add(data, from, to, nulls);
    this.#bounds.include(bounds);
    const end = putWords(page, position, presentValues(wordsOf(data), rows, 2));
    return { end, encoding: ENCODING.PLAIN, bounds: bounds.bounds() };
  }

  bounds(): Bounds {
    return this.#bounds.bounds();
  }
}

class BooleanValues implements FlatValues {
  readonly dictionary = undefined;
  #values = 0;
  #trues = 0;

  endOfPage(data: Data, from: number): number {
    return Math.min(data.length, from + PAGE_ROWS);
  }

  pageBytes(_data: Data, from: number, to: number): number {
    return Math.ceil((to - from) / 8);
  }

  put(page: Buffer, position: number, { data, from, to, nulls }: PageRows): WrittenPage {
    const bits: Uint8Array = data.values;
    const count = to - from - nulls;
    const end = position + Math.ceil(count / 8);
    page.fill(0, position, end);
    let trues = 0;
    if (nulls === 0) putBits(page, position, bits, data.offset + from, count);
    for (let row = from, next = 0; row < to; row++) {
      if (nulls > 0 && !isPresent(data, row)) continue;
      const bit = data.offset + row;
      const value = ((bits[bit >>> 3] as number) >>> (bit & 7)) & 1;
      trues += value;
      const at = position + (next >>> 3);
      if (nulls > 0) page[at] = (page[at] as number) | (value << (next & 7));
      next++;
    }
    this.#values += count;
    this.#trues += trues;
    return { end, encoding: ENCODING.PLAIN, bounds: booleanBounds(count, trues) };
  }

  bounds(): Bounds {
    return booleanBounds(this.#values, this.#trues);
  }
}

/** The values that are not null, as words: a view of the column, or of an array that the next call overwrites. */
function presentValues(values: Int32Array, { data, from, to, nulls }: PageRows, words: 1 | 2): Int32Array {
  if (nulls === 0) return values.subarray(from * words, to * words);
  let next = 0;
  for (let row = from; row < to; row++) {
    if (!isPresent(data, row)) continue;
    for (let word = row * words; word < (row + 1) * words; word++) presentWords[next++] = values[word] as number;
  }
  return presentWords.subarray(0, next);
}

function putWords(page: Buffer, position: number, words: Int32Array): number {
  page.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), position);
  return position + words.byteLength;
}
