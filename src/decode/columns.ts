import type { SourceColumn } from '../config/fields.ts';
import { OffloadError } from '../errors.ts';

/** The offsets of Arrow's Utf8, Binary and List are Int32: no arena may grow beyond what they can address. */
const MAX_INT32 = 0x7fffffff;
const INITIAL_ROWS = 8192;
const INITIAL_BYTES = 256 * 1024;
/** Room that is made before the first row: rows of this size fill their columns and the arena at once. */
const EXPECTED_ROW_BYTES = 64;
const MOST_ROOM_BYTES = 256 * 1024 * 1024;
/** Growth copies the arena; 1.5 keeps what is held during the copy below three times the content. */
const GROWTH = 1.5;
/** What a huge batch made an arena grow to beyond this, and beyond twice its first size, is given back. */
const MOST_KEPT_BYTES = 32 * 1024 * 1024;

/**
 * Byte strings in Arrow's layout of Utf8 and Binary: row i is `data[offsets[i]] .. data[offsets[i + 1]]`.
 *
 * The fields are public because the decoder's loop works on them directly; it alone writes them.
 */
export class BinaryColumn {
  offsets: Int32Array<ArrayBuffer>;
  data: Buffer<ArrayBuffer>;
  /** One bit a row, least significant first, 1 = not null. Bits beyond the last row are 1, so only nulls cost a write. */
  validity: Uint8Array<ArrayBuffer>;
  nullCount = 0;
  rows = 0;
  readonly #firstBytes: number;

  constructor(rows: number, bytes: number) {
    this.#firstBytes = bytes;
    this.offsets = new Int32Array(rows + 1);
    this.data = Buffer.allocUnsafeSlow(bytes);
    this.validity = new Uint8Array((rows + 7) >>> 3).fill(0xff);
  }

  /** Bytes of all rows. */
  get bytes(): number {
    return this.offsets[this.rows] as number;
  }

  get allocatedBytes(): number {
    return this.offsets.byteLength + this.data.byteLength + this.validity.byteLength;
  }

  clear(): void {
    this.rows = 0;
    this.nullCount = 0;
    this.validity.fill(0xff);
    if (this.data.length > Math.max(MOST_KEPT_BYTES, 2 * this.#firstBytes)) {
      this.data = Buffer.allocUnsafeSlow(this.#firstBytes);
    }
  }

  /** Makes room for rows up to `rows` in all. */
  reserveRows(rows: number): void {
    if (rows < this.offsets.length) return;
    const capacity = grownCapacity(this.offsets.length - 1, rows);
    this.offsets = grownInt32(this.offsets, capacity + 1);
    const validity = new Uint8Array((capacity + 7) >>> 3).fill(0xff);
    validity.set(this.validity);
    this.validity = validity;
  }

  /** Makes room for `bytes` in all; keeps the first `usedBytes`. Returns the arena, which may be a new one. */
  reserveBytes(usedBytes: number, bytes: number): Buffer<ArrayBuffer> {
    if (bytes > this.data.length) {
      const data = Buffer.allocUnsafeSlow(grownCapacity(this.data.length, bytes));
      this.data.copy(data, 0, 0, usedBytes);
      this.data = data;
    }
    return this.data;
  }

  /**
   * Adds rows, for which there must be room.
   *
   * @param data Their bytes, one behind the other.
   * @param ends Where each ends, counted from the first byte of the column.
   * @param nulls A byte a row, 1 = null; null: none is.
   */
  append(data: Uint8Array, ends: Int32Array, nulls: Uint8Array | null, nullCount: number): void {
    const used = this.bytes;
    if (data.length > 0) this.reserveBytes(used, used + data.length).set(data, used);
    this.offsets.set(ends, this.rows + 1);
    if (nulls !== null) {
      for (let row = 0; row < nulls.length; row++) if (nulls[row] === 1) this.setNull(this.rows + row);
      this.nullCount += nullCount;
    }
    this.rows += ends.length;
  }

  /** Marks `row` as null in the bitmap; the caller counts it. */
  setNull(row: number): void {
    this.validity[row >>> 3] = (this.validity[row >>> 3] as number) & ~(1 << (row & 7));
  }

  isNull(row: number): boolean {
    return ((this.validity[row >>> 3] as number) & (1 << (row & 7))) === 0;
  }
}

/** The headers of all rows: the headers of row i are entries `offsets[i] .. offsets[i + 1]` of `keys` and `values`. */
export class HeaderColumn {
  offsets: Int32Array<ArrayBuffer>;
  readonly keys: BinaryColumn;
  readonly values: BinaryColumn;

  constructor(rows: number, bytes: number) {
    this.offsets = new Int32Array(rows + 1);
    this.keys = new BinaryColumn(rows, bytes);
    this.values = new BinaryColumn(rows, bytes);
  }

  get bytes(): number {
    return this.keys.bytes + this.values.bytes;
  }

  get allocatedBytes(): number {
    return this.offsets.byteLength + this.keys.allocatedBytes + this.values.allocatedBytes;
  }

  clear(): void {
    this.keys.clear();
    this.values.clear();
  }

  reserveRows(rows: number): void {
    if (rows >= this.offsets.length) {
      this.offsets = grownInt32(this.offsets, grownCapacity(this.offsets.length - 1, rows) + 1);
    }
  }
}

/**
 * Messages of one topic partition as columns in Arrow's own buffer layouts, filled without an object a message and
 * used again after `clear()`. One row group at a time is held.
 *
 * After an error from the decoder the rows up to `rows` are whole, but nothing more may be decoded before `clear()`.
 */
export class MessageColumns {
  rows = 0;
  /** Null where the column was not asked for. */
  readonly key: BinaryColumn | null;
  readonly value: BinaryColumn | null;
  readonly headers: HeaderColumn | null;
  /** Two words a row, low then high: the little-endian Int64 that `BigInt64Array` sees in the same buffer. */
  offsetWords: Int32Array<ArrayBuffer>;
  /** Milliseconds since the epoch, -1 where the message has none; same layout. Null: not asked for. */
  timestampWords: Int32Array<ArrayBuffer> | null;
  /** 0: set by the producer, 1: set by the broker at append. Null: not asked for. */
  timestampTypes: Int32Array<ArrayBuffer> | null;
  #constants = new Int32Array(0);

  /**
   * @param wanted Columns to fill; others are skipped over. Offsets are always kept: messages about a row name them.
   * @param initial Rows, and bytes of values, to make room for at once; both grow as needed. Of what is never touched the
   *   system gives no memory, while growing copies and leaves the old arena to the garbage collector: what is known to
   *   come should have its room from the start.
   */
  constructor(wanted: Iterable<SourceColumn>, initial: { readonly rows?: number; readonly bytes?: number } = {}) {
    const columns = new Set(wanted);
    const rows = initial.rows ?? INITIAL_ROWS;
    const bytes = initial.bytes ?? INITIAL_BYTES;
    this.key = columns.has('key') ? new BinaryColumn(rows, Math.ceil(bytes / 8)) : null;
    this.value = columns.has('value') ? new BinaryColumn(rows, bytes) : null;
    this.headers = columns.has('headers') ? new HeaderColumn(rows, Math.ceil(bytes / 8)) : null;
    this.offsetWords = new Int32Array(2 * rows);
    this.timestampWords = columns.has('timestamp') ? new Int32Array(2 * rows) : null;
    this.timestampTypes = columns.has('timestampType') ? new Int32Array(rows) : null;
  }

  /** Bytes of the keys, values and headers held. */
  get rawBytes(): number {
    return (this.key?.bytes ?? 0) + (this.value?.bytes ?? 0) + (this.headers?.bytes ?? 0);
  }

  /** Bytes of all buffers, used or not; pages never touched are counted although the system has not given them yet. */
  get allocatedBytes(): number {
    return (
      (this.key?.allocatedBytes ?? 0) +
      (this.value?.allocatedBytes ?? 0) +
      (this.headers?.allocatedBytes ?? 0) +
      this.offsetWords.byteLength +
      (this.timestampWords?.byteLength ?? 0) +
      (this.timestampTypes?.byteLength ?? 0)
    );
  }

  /** A column of one value for all rows: the same memory again and again, which is no garbage that way. */
  constantInt32(value: number): Int32Array<ArrayBuffer> {
    if (this.#constants.length < this.rows)
      this.#constants = new Int32Array(grownCapacity(this.#constants.length, this.rows));
    return this.#constants.subarray(0, this.rows).fill(value);
  }

  /** Offset of a row, for messages about it; not for loops over all rows. */
  offsetAt(row: number): number {
    return wordsToNumber(this.offsetWords, row);
  }

  /**
   * Whether a batch of these sizes can be added without an Int32 offset running over. If not, cut the row group first.
   *
   * @param bytes Size of the inflated records section: no column can take more from it.
   */
  hasRoomFor(bytes: number, rows: number): boolean {
    const fullest = Math.max(
      this.key?.bytes ?? 0,
      this.value?.bytes ?? 0,
      this.headers?.keys.bytes ?? 0,
      this.headers?.values.bytes ?? 0,
      // A header takes two bytes at least, so bytes bound the number of headers too.
      this.headers?.keys.rows ?? 0,
    );
    return fullest + bytes <= MAX_INT32 && this.rows + rows <= MAX_INT32 >>> 3;
  }

  /** Forgets the rows and keeps the buffers: whatever was made from them without a copy is no longer valid. */
  clear(): void {
    this.rows = 0;
    this.key?.clear();
    this.value?.clear();
    this.headers?.clear();
  }

  /** Makes room for `count` more rows in the columns of fixed width and in the offsets of the others. */
  reserveRows(count: number): void {
    const rows = this.rows + count;
    this.key?.reserveRows(rows);
    this.value?.reserveRows(rows);
    this.headers?.reserveRows(rows);
    if (2 * rows > this.offsetWords.length) {
      const capacity = grownCapacity(this.offsetWords.length >>> 1, rows);
      this.offsetWords = grownInt32(this.offsetWords, 2 * capacity);
      if (this.timestampWords !== null) this.timestampWords = grownInt32(this.timestampWords, 2 * capacity);
      if (this.timestampTypes !== null) this.timestampTypes = grownInt32(this.timestampTypes, capacity);
    }
  }
}

/** What to make room for at once where so much is decoded before `clear()`. */
export function roomFor(limits: { readonly rows: number; readonly bytes: number }): { rows: number; bytes: number } {
  const bytes = Math.min(limits.bytes, MOST_ROOM_BYTES);
  return { rows: Math.ceil(Math.min(limits.rows, bytes / EXPECTED_ROW_BYTES)), bytes };
}

/** The Int64 at `row` of interleaved words, as a number; exact up to 2^53. */
export function wordsToNumber(words: Int32Array, row: number): number {
  return (words[2 * row + 1] as number) * 0x1_0000_0000 + ((words[2 * row] as number) >>> 0);
}

function grownInt32(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(length);
  grown.set(from);
  return grown;
}

function grownCapacity(capacity: number, needed: number): number {
  if (needed > MAX_INT32) {
    throw new OffloadError(
      'INTERNAL',
      `cannot hold ${needed} bytes or rows in one column: cut the row group before it passes ${MAX_INT32}`,
      {
        context: { needed, limit: MAX_INT32 },
      },
    );
  }
  return Math.min(MAX_INT32, Math.max(needed, Math.ceil(capacity * GROWTH)));
}
