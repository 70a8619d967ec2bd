/** Pages are made and compressed with Snappy in WebAssembly, in memory that serves page after page. */
import type { Data } from 'apache-arrow';
import { loadWasmModule, WasmInstance, type WasmModule } from '../../../wasmModule.ts';

interface Functions {
  putPlain(values: number, offsets: number, validity: number, firstBit: number, rows: number, page: number): number;
  compressSnappy(input: number, bytes: number, output: number, table: number): number;
}

const TABLE_AT = 1024;
const PAGE_AT = 64 * 1024;
/** Copies in the module touch up to 15 bytes behind what they copy. */
const SLACK_BYTES = 64;
/** A page that needed more leaves its memory behind: a memory cannot shrink. */
const MAX_KEPT_BYTES = 12 * 1024 ** 2;

let compiled: WasmModule | undefined;

export interface PlainPage {
  /** Where it ends in the page. */
  readonly end: number;
  /** Rows of the smallest and of the largest value; there is one at least. */
  readonly smallest: number;
  readonly largest: number;
}

/** Works on one page at a time. */
export class PageKernel {
  #instance: WasmInstance<Functions> | undefined;

  /** The buffer to make the next page in, of so many bytes; what it held before is lost. */
  page(bytes: number): Buffer {
    const needed = workAt(bytes) + workBytes(bytes);
    if (this.#instance && this.#instance.bytes.length > MAX_KEPT_BYTES && needed <= MAX_KEPT_BYTES) {
      this.#instance = undefined;
    }
    compiled ??= loadWasmModule(import.meta.url, './assembly/index.wasm');
    this.#instance ??= new WasmInstance<Functions>(compiled);
    this.#instance.reserve(needed);
    return Buffer.from(this.#instance.bytes.buffer, PAGE_AT, bytes);
  }

  /**
   * Writes the rows `[from, to)` of a byte array column that are not null as PLAIN values.
   *
   * @param page Of `page()`, with room for the values, their lengths and 4 bytes.
   */
  putPlain(page: Buffer, position: number, data: Data, from: number, to: number, nulls: number): PlainPage {
    const { bytes, words, functions } = this.#of(page);
    const rows = to - from;
    const offsets: Int32Array = data.valueOffsets;
    const first = offsets[from] as number;
    const last = offsets[to] as number;
    if (rows === 1) {
      // It may be long: what needs no work is not copied twice.
      page.writeUInt32LE(last - first, position);
      page.set(data.values.subarray(first, last), position + 4);
      return { end: position + 4 + last - first, smallest: from, largest: from };
    }
    const offsetsAt = workAt(page.length);
    const validityAt = offsetsAt + (rows + 1) * 4;
    const firstBit = data.offset + from;
    const validityBytes = nulls > 0 ? ((firstBit & 7) + rows + 7) >>> 3 : 0;
    const valuesAt = validityAt + validityBytes;
    words.set(offsets.subarray(from, to + 1), offsetsAt >>> 2);
    if (nulls > 0) bytes.set(data.nullBitmap.subarray(firstBit >>> 3, (firstBit >>> 3) + validityBytes), validityAt);
    bytes.set(data.values.subarray(first, last), valuesAt);
    const end = functions.putPlain(
      valuesAt,
      offsetsAt,
      nulls > 0 ? validityAt : 0,
      firstBit & 7,
      rows,
      PAGE_AT + position,
    );
    return { end: end - PAGE_AT, smallest: from + (words[0] as number), largest: from + (words[1] as number) };
  }

  /** Compresses what `page()` gave or a part of it; the result is valid until the next call of any method. */
  compressSnappy(page: Buffer): Uint8Array {
    const { bytes, functions } = this.#of(page);
    const output = workAt(page.byteOffset - PAGE_AT + page.length);
    const end = functions.compressSnappy(page.byteOffset, page.length, output, TABLE_AT);
    return bytes.subarray(output, end);
  }

  #of(page: Buffer): WasmInstance<Functions> {
    if (!this.#instance || page.buffer !== this.#instance.bytes.buffer) {
      throw new TypeError('the page is not in the memory of its kernel');
    }
    return this.#instance;
  }
}

/** Where what is not the page begins: its values before it is made, what it compresses to after. */
function workAt(pageBytes: number): number {
  return Math.ceil((PAGE_AT + pageBytes + SLACK_BYTES) / 4) * 4;
}

/** Enough for what Snappy makes of a page at most, and for values, which take four bytes a row and a bit more than their page. */
function workBytes(pageBytes: number): number {
  return 64 + pageBytes + Math.ceil(pageBytes / 6) + SLACK_BYTES;
}
