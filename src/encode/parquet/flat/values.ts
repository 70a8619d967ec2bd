/** The values of a flat column, by type: where pages end, how their values are written, what their bounds are. */
import { type Data, type DataType, Type } from 'apache-arrow';
import { ENCODING, PHYSICAL_TYPE } from '../format.ts';
import { type Bounds, ByteBounds, exactBounds, NO_BOUNDS } from './bounds.ts';
import { deltaBytes, putDeltaInt32, putDeltaInt64 } from './delta.ts';
import { type Dictionary, GrowingDictionary, hasRepeats, indexesBytes, putIndexes } from './dictionary.ts';
import { type IntRange, isLess, isNarrow, rangeOfInt32, rangeOfInt64, wholeRange, wordsOf } from './intRange.ts';
import type { PageKernel } from './kernel.ts';
import { isPresent, putBits } from './levels.ts';
import { booleanBounds, DoubleBounds } from './numberBounds.ts';

/** Rows of a page, also where they take less than PAGE_BYTES. */
export const PAGE_ROWS = 65_536;

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

/** The values of a column chunk, which come in parts. */
export interface FlatValues {
  /** Reads through the next part once. Its pages are written before the next one, and nothing of it is looked at after that. */
  take(chunks: readonly Data[]): void;
  /** Where the page that begins with row `from` ends: one row at least. */
  endOfPage(data: Data, from: number): number;
  /** Most bytes that `put` touches. */
  pageBytes(data: Data, from: number, to: number): number;
  /** Writes the values that are not null; there is at least one. Pages are written in order. */
  put(page: Buffer, position: number, rows: PageRows): WrittenPage;
  /** What pages of this chunk refer to, once all are written; undefined: none does. */
  dictionary(): Dictionary | undefined;
  /** Of all values, once every page is written. */
  bounds(): Bounds;
}

/** Pages of the same values are written one after the other and nothing waits in between: they share this. */
const presentWords = new Int32Array(PAGE_ROWS * 2);
const NO_INDEXES = new Int32Array(0);

/** Undefined for a type that is not flat. */
export function flatValues(type: DataType, kernel: PageKernel): FlatValues | undefined {
  switch (flatPhysicalType(type)) {
    case PHYSICAL_TYPE.BYTE_ARRAY:
      return new ByteValues(type.typeId === Type.Utf8, kernel);
    case PHYSICAL_TYPE.INT32:
      return new IntValues(1);
    case PHYSICAL_TYPE.INT64:
      return new IntValues(2);
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

/** How the values of a part are written. */
type Way = 'undecided' | 'dictionary' | 'plain';

/** As they are, or by a dictionary until it is full: the first part with values decides. */
class ByteValues implements FlatValues {
  readonly #isText: boolean;
  readonly #kernel: PageKernel;
  /** Of the values that are written as they are. */
  readonly #bounds: ByteBounds;
  #way: Way = 'undecided';
  #dictionary: GrowingDictionary | undefined;
  /** Of the part, where its values stand in the dictionary; how many of them are written. */
  #indexes: Int32Array = NO_INDEXES;
  #next = 0;

  constructor(isText: boolean, kernel: PageKernel) {
    this.#isText = isText;
    this.#kernel = kernel;
    this.#bounds = new ByteBounds(isText);
  }

  take(chunks: readonly Data[]): void {
    this.#next = 0;
    const values = chunks.reduce((sum, chunk) => sum + chunk.length - chunk.nullCount, 0);
    if (values === 0 || this.#way === 'plain') return;
    if (this.#way === 'undecided' && !hasRepeats(chunks)) {
      this.#way = 'plain';
      return;
    }
    const dictionary = this.#dictionary ?? new GrowingDictionary(values, this.#isText);
    const indexes = dictionary.add(chunks);
    this.#way = indexes ? 'dictionary' : 'plain';
    this.#indexes = indexes ?? NO_INDEXES;
    // Pages that are written go on referring to one that is full.
    if (indexes) this.#dictionary = dictionary;
  }

  endOfPage(data: Data, from: number): number {
    const most = Math.min(data.length, from + PAGE_ROWS);
    if (this.#way === 'dictionary') return most;
    const offsets: Int32Array = data.valueOffsets;
    const limit = (offsets[from] as number) + PAGE_BYTES;
    let low = from + 1;
    let high = most;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((offsets[middle] as number) <= limit) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  pageBytes({ valueOffsets }: Data, from: number, to: number): number {
    if (this.#way === 'dictionary') return indexesBytes(to - from);
    return (to - from) * 4 + valueOffsets[to] - valueOffsets[from] + 4;
  }

  put(page: Buffer, position: number, rows: PageRows): WrittenPage {
    const { data, from, to, nulls } = rows;
    if (this.#way === 'dictionary' && this.#dictionary) return this.#putIndexes(page, position, rows, this.#dictionary);
    const { end, smallest, largest } = this.#kernel.putPlain(page, position, data, from, to, nulls);
    const bounds = new ByteBounds(this.#isText);
    for (const row of [smallest, largest]) {
      const start = data.valueOffsets[row] as number;
      bounds.add(data.values, Int32Array.of(start), Int32Array.of((data.valueOffsets[row + 1] as number) - start), 1);
    }
    this.#bounds.include(bounds);
    return { end, encoding: ENCODING.PLAIN, bounds: bounds.bounds() };
  }

  #putIndexes(
    page: Buffer,
    position: number,
    { from, to, nulls }: PageRows,
    dictionary: GrowingDictionary,
  ): WrittenPage {
    const first = this.#next;
    this.#next += to - from - nulls;
    return {
      end: putIndexes(page, position, this.#indexes, first, this.#next, dictionary.entries),
      encoding: ENCODING.RLE_DICTIONARY,
      bounds: dictionary.boundsOf(this.#indexes, first, this.#next),
    };
  }

  dictionary(): Dictionary | undefined {
    return this.#dictionary?.page;
  }

  bounds(): Bounds {
    if (this.#dictionary) this.#bounds.include(this.#dictionary.bounds());
    return this.#bounds.bounds();
  }
}

/**
 * Integers: their differences, or as they are where differences would not be exact as numbers. As long as all are equal
 * (partition, timestampType), a dictionary of one value and runs of 0.
 */
class IntValues implements FlatValues {
  /** Int32 words of a value. */
  readonly #words: 1 | 2;
  #way: 'undecided' | 'constant' | 'differences' | 'plain' = 'undecided';
  #constant: Int32Array | undefined;
  #whole: IntRange | undefined;
  /** Ranges of the pages of the part, in order. */
  #pages: readonly IntRange[] = [];
  #next = 0;

  constructor(words: 1 | 2) {
    this.#words = words;
  }

  take(chunks: readonly Data[]): void {
    this.#pages = chunks.flatMap((data) => rangesOfPages(data, this.#words));
    this.#next = 0;
    const range = wholeRange(this.#pages);
    if (range === undefined) return;
    this.#whole = wholeRange(this.#whole ? [this.#whole, range] : [range]);
    const isOne = this.#whole !== undefined && !isLess(this.#whole.min, this.#whole.max);
    if (this.#way === 'undecided' && isOne) this.#constant = range.min;
    if (isOne && this.#constant) this.#way = 'constant';
    else this.#way = this.#pages.every(isNarrow) ? 'differences' : 'plain';
  }

  endOfPage(data: Data, from: number): number {
    return Math.min(data.length, from + PAGE_ROWS);
  }

  pageBytes(_data: Data, from: number, to: number): number {
    return this.#way === 'constant' ? indexesBytes(to - from) : deltaBytes(to - from);
  }

  put(page: Buffer, position: number, rows: PageRows): WrittenPage {
    const count = rows.to - rows.from - rows.nulls;
    const range = this.#pages[this.#next++];
    const bounds = range ? exactBounds(range.min, range.max) : NO_BOUNDS;
    if (this.#way === 'constant') {
      return { end: putIndexes(page, position, null, 0, count, 1), encoding: ENCODING.RLE_DICTIONARY, bounds };
    }
    const values = presentValues(wordsOf(rows.data), rows, this.#words);
    if (this.#way === 'plain') return { end: putWords(page, position, values), encoding: ENCODING.PLAIN, bounds };
    const putDelta = this.#words === 1 ? putDeltaInt32 : putDeltaInt64;
    return { end: putDelta(page, position, values, count), encoding: ENCODING.DELTA_BINARY_PACKED, bounds };
  }

  dictionary(): Dictionary | undefined {
    if (!this.#constant) return undefined;
    const { buffer, byteOffset, byteLength } = this.#constant;
    return { bytes: new Uint8Array(buffer, byteOffset, byteLength), entries: 1 };
  }

  bounds(): Bounds {
    return this.#whole ? exactBounds(this.#whole.min, this.#whole.max) : NO_BOUNDS;
  }
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

class DoubleValues implements FlatValues {
  readonly #bounds = new DoubleBounds();

  take(): void {}

  dictionary(): undefined {}

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
  #values = 0;
  #trues = 0;

  take(): void {}

  dictionary(): undefined {}

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
