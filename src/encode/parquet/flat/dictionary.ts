/** Dictionaries of byte arrays that repeat, and the indexes that stand for the values. */
import type { Data } from 'apache-arrow';
import { type Bounds, ByteBounds } from './bounds.ts';
import { isPresent } from './levels.ts';
import { UsedEntries } from './usedEntries.ts';
import { putVarint } from './varint.ts';

/** Beyond either a dictionary no longer pays, and readers hold it in memory. */
const MAX_ENTRIES = 32_768;
const MAX_BYTES = 1024 * 1024;

/** Rows looked at to see whether values repeat, and bytes of each at either end. */
const SAMPLED_ROWS = 256;
const SAMPLED_BYTES = 64;
/** 2^32 by the golden ratio: its multiples are spread evenly. */
const SCATTER = 0x9e3779b1;

/** Values in a bit-packed group, and the repeats from which on a run is shorter. */
const GROUP_VALUES = 8;

/** What the dictionary page of a column chunk holds. */
export interface Dictionary {
  /** The values, PLAIN. */
  readonly bytes: Uint8Array;
  readonly entries: number;
}

/** Whether a dictionary pays: at most half of a sample of the values that are not null is distinct. */
export function hasRepeats(chunks: readonly Data[]): boolean {
  const rows = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const seen = new Set<string>();
  let sampled = 0;
  for (const data of chunks) {
    const { length, nullCount, valueOffsets, values } = data;
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const share = Math.min(length, Math.ceil((length / rows) * SAMPLED_ROWS));
    for (let index = 0; index < share; index++) {
      // Steps of one length would see nothing of what alternates with them.
      const row = share === length ? index : (Math.imul(index, SCATTER) >>> 0) % length;
      if (nullCount > 0 && !isPresent(data, row)) continue;
      const start: number = valueOffsets[row];
      const end: number = valueOffsets[row + 1];
      const head = bytes.toString('latin1', start, Math.min(end, start + SAMPLED_BYTES));
      const tail = bytes.toString('latin1', Math.max(start + SAMPLED_BYTES, end - SAMPLED_BYTES), end);
      seen.add(`${end - start} ${head}${tail}`);
      sampled++;
    }
  }
  return sampled > 0 && seen.size * 2 <= sampled;
}

/** Whether all rows are equal: all are of one length, and the bytes are the same one row further on. */
function isConstant(data: Data): boolean {
  const offsets: Int32Array = data.valueOffsets;
  const first = offsets[0] as number;
  const length = (offsets[1] as number) - first;
  for (let row = 1; row < data.length; row++) {
    if ((offsets[row + 1] as number) - (offsets[row] as number) !== length) return false;
  }
  const last = offsets[data.length] as number;
  const values: Uint8Array = data.values;
  return Buffer.compare(values.subarray(first, last - length), values.subarray(first + length, last)) === 0;
}

/** The dictionary of a column chunk, which grows with its rows. */
export class GrowingDictionary {
  readonly #isText: boolean;
  /** Index and 1 of the entry whose hash leads here; 0: none. Twice the entries, so that chains stay short. */
  #slots: Uint16Array;
  #hashes: Int32Array;
  /** Where each entry, its length left out, lies in `#bytes`. */
  #starts: Int32Array;
  #lengths: Int32Array;
  #bytes = Buffer.allocUnsafe(4096);
  #used = 0;
  #entries = 0;
  #usedEntries: UsedEntries | undefined;

  /** @param rows Small row groups come by the thousand: they do not pay for tables of the largest size. */
  constructor(rows: number, isText: boolean) {
    this.#isText = isText;
    const entries = Math.min(MAX_ENTRIES, 2 ** Math.ceil(Math.log2(Math.max(1, rows))));
    this.#slots = new Uint16Array(entries * 2);
    this.#hashes = new Int32Array(entries);
    this.#starts = new Int32Array(entries);
    this.#lengths = new Int32Array(entries);
  }

  /**
   * Adds rows.
   *
   * @returns The index of each that is not null, in order; undefined where the dictionary grows too large, which it is from
   *   then on.
   */
  add(chunks: readonly Data[]): Int32Array | undefined {
    const indexes = new Int32Array(chunks.reduce((sum, chunk) => sum + chunk.length - chunk.nullCount, 0));
    this.#usedEntries = undefined;
    let count = 0;
    for (const data of chunks) {
      const offsets: Int32Array = data.valueOffsets;
      const values: Uint8Array = data.values;
      const hasNulls = data.nullCount > 0;
      if (!hasNulls && data.length > 0 && isConstant(data)) {
        const index = this.#indexOf(values, offsets[0] as number, (offsets[1] as number) - (offsets[0] as number));
        if (index < 0) return undefined;
        indexes.fill(index, count, count + data.length);
        count += data.length;
        continue;
      }
      for (let row = 0; row < data.length; row++) {
        if (hasNulls && !isPresent(data, row)) continue;
        const start = offsets[row] as number;
        const index = this.#indexOf(values, start, (offsets[row + 1] as number) - start);
        if (index < 0) return undefined;
        indexes[count++] = index;
      }
    }
    return indexes;
  }

  get entries(): number {
    return this.#entries;
  }

  /** The dictionary so far: a view, which the next `add` may overwrite. */
  get page(): Dictionary {
    return { bytes: this.#bytes.subarray(0, this.#used), entries: this.#entries };
  }

  /** Of all entries. */
  bounds(): ByteBounds {
    const bounds = new ByteBounds(this.#isText);
    bounds.add(this.#bytes, this.#starts, this.#lengths, this.#entries);
    return bounds;
  }

  /** Bounds of the values that the indexes `[from, to)` stand for. */
  boundsOf(indexes: Int32Array, from: number, to: number): Bounds {
    const [bytes, starts, lengths, entries] = [this.#bytes, this.#starts, this.#lengths, this.#entries];
    this.#usedEntries ??= new UsedEntries({ bytes, starts, lengths, entries }, this.#isText);
    return this.#usedEntries.boundsOf(indexes, from, to);
  }

  /** The index of a value, which is added if it is new; -1 when there is no room. */
  #indexOf(values: Uint8Array, start: number, length: number): number {
    const hash = hashOf(values, start, length);
    let slot = hash & (this.#slots.length - 1);
    for (;;) {
      const index = (this.#slots[slot] as number) - 1;
      if (index < 0) break;
      if (this.#hashes[index] === hash && this.#equals(index, values, start, length)) return index;
      slot = (slot + 1) & (this.#slots.length - 1);
    }
    if (this.#entries === MAX_ENTRIES || this.#used + 4 + length > MAX_BYTES) return -1;
    if (this.#entries === this.#hashes.length) {
      this.#growTables();
      slot = this.#freeSlot(hash);
    }
    this.#add(values, start, length);
    const index = this.#entries++;
    this.#hashes[index] = hash;
    this.#slots[slot] = index + 1;
    return index;
  }

  #growTables(): void {
    const entries = this.#entries * 2;
    this.#hashes = grown(this.#hashes, entries);
    this.#starts = grown(this.#starts, entries);
    this.#lengths = grown(this.#lengths, entries);
    this.#slots = new Uint16Array(entries * 2);
    for (let index = 0; index < this.#entries; index++) {
      this.#slots[this.#freeSlot(this.#hashes[index] as number)] = index + 1;
    }
  }

  #freeSlot(hash: number): number {
    let slot = hash & (this.#slots.length - 1);
    while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
    return slot;
  }

  #equals(index: number, values: Uint8Array, start: number, length: number): boolean {
    if (this.#lengths[index] !== length) return false;
    const bytes = this.#bytes;
    const entry = this.#starts[index] as number;
    for (let at = 0; at < length; at++) if (bytes[entry + at] !== values[start + at]) return false;
    return true;
  }

  #add(values: Uint8Array, start: number, length: number): void {
    const needed = this.#used + 4 + length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#used));
      this.#bytes = larger;
    }
    this.#bytes.writeUInt32LE(length, this.#used);
    this.#bytes.set(values.subarray(start, start + length), this.#used + 4);
    this.#starts[this.#entries] = this.#used + 4;
    this.#lengths[this.#entries] = length;
    this.#used = needed;
  }
}

function grown(from: Int32Array, length: number): Int32Array {
  const larger = new Int32Array(length);
  larger.set(from);
  return larger;
}

/** FNV-1a, its bits mixed once more for the sake of the lowest. */
function hashOf(values: Uint8Array, start: number, length: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < start + length; at++) hash = Math.imul(hash ^ (values[at] as number), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** Most bytes that `putIndexes` takes. */
export function indexesBytes(count: number): number {
  return 16 + count * 4;
}

/**
 * Writes the indexes `[from, to)` as RLE_DICTIONARY: their bit width, then runs of one value and bit-packed groups of 8.
 *
 * @param indexes Null: all are 0.
 */
export function putIndexes(
  page: Uint8Array,
  position: number,
  indexes: Int32Array | null,
  from: number,
  to: number,
  entries: number,
): number {
  // Not 0 bits for a single entry: some readers take none.
  const width = Math.max(1, 32 - Math.clz32(entries - 1));
  page[position] = width;
  const end = position + 1;
  if (indexes === null) return from === to ? end : putRun(page, end, to - from, 0, width);
  return putHybrid(page, end, indexes, from, to, width);
}

/** Writes the numbers `[from, to)` as runs of one value and bit-packed groups of 8. */
export function putHybrid(
  page: Uint8Array,
  position: number,
  numbers: Int32Array,
  from: number,
  to: number,
  width: number,
): number {
  let end = position;
  let row = from;
  while (row < to) {
    const run = runLength(numbers, row, to, to);
    if (run >= GROUP_VALUES) {
      end = putRun(page, end, run, numbers[row] as number, width);
      row += run;
      continue;
    }
    const first = row;
    do row += GROUP_VALUES;
    while (row < to && runLength(numbers, row, to, row + GROUP_VALUES) < GROUP_VALUES);
    end = putGroups(page, end, numbers, first, Math.min(row, to), width);
  }
  return end;
}

/** How many indexes from `row` on are equal, counted up to `limit`. */
function runLength(indexes: Int32Array, row: number, to: number, limit: number): number {
  const value = indexes[row];
  const last = Math.min(to, limit);
  let next = row + 1;
  while (next < last && indexes[next] === value) next++;
  return next - row;
}

function putRun(page: Uint8Array, position: number, count: number, value: number, width: number): number {
  let end = putVarint(page, position, count * 2);
  for (let shift = 0; shift < width; shift += 8) page[end++] = value >>> shift;
  return end;
}

/** @param to May end inside a group only where the page ends; the group is filled up with zeros. */
function putGroups(
  page: Uint8Array,
  position: number,
  indexes: Int32Array,
  from: number,
  to: number,
  width: number,
): number {
  const groups = Math.ceil((to - from) / GROUP_VALUES);
  let end = putVarint(page, position, groups * 2 + 1);
  let bits = 0;
  let filled = 0;
  for (let row = from; row < from + groups * GROUP_VALUES; row++) {
    bits |= (row < to ? (indexes[row] as number) : 0) << filled;
    filled += width;
    while (filled >= 8) {
      page[end++] = bits;
      bits >>>= 8;
      filled -= 8;
    }
  }
  return end;
}
