/**
 * Texts of a DuckDB vector. A row is 16 bytes: the length, then up to 12 bytes of text, or 4 bytes of it and the address
 * of the whole (`duckdb_string_t`).
 *
 * Asking for the bytes behind one address costs 1.5 µs, more than everything else together. Texts of a chunk mostly lie
 * close to each other, in the page or buffer they were read from, so one request covers a run of them with the bytes
 * between. Gaps are less than a page of memory: a page that lies between two that hold texts there cannot be.
 */
import type { ByteStore } from '../byteStore.ts';
import { vectorApi } from './vectorApi.ts';

const INLINE_BYTES = 12;
const MAX_GAP_BYTES = 1024;
const SHORT_BYTES = 48;

/**
 * Appends rows to `store`, nothing for a null, whose 16 bytes may be anything.
 *
 * @param ends Gets the end of each row in `store`.
 * @param data The vector, from its row 0.
 */
export function appendStrings(
  store: ByteStore,
  ends: Int32Array,
  data: Uint8Array,
  validity: Uint8Array | null,
  start: number,
  count: number,
): void {
  const words = new Uint32Array(data.buffer, data.byteOffset, (start + count) * 4);
  const bytes = reserveAll(store, words, validity, start, count);
  if (bytes === 0) {
    ends.fill(store.length, 0, count);
    return;
  }
  const runs = new Runs(data, words);
  const order = runs.find(validity, start, count);
  const target = store.bytes;
  let end = store.length;
  for (let row = start; row < start + count; row++) {
    if (isValid(validity, row)) {
      const length = words[row * 4] as number;
      if (length <= INLINE_BYTES) {
        const from = row * 16 + 4;
        for (let i = 0; i < length; i++) target[end + i] = data[from + i] as number;
      } else {
        const run = order(row);
        const from = addressAt(words, row) - run.address;
        if (length < SHORT_BYTES) for (let i = 0; i < length; i++) target[end + i] = run.bytes[from + i] as number;
        else run.bytes.copy(target, end, from, from + length);
      }
      end += length;
    }
    ends[row - start] = end;
  }
  store.length = end;
}

interface Run {
  readonly address: number;
  readonly bytes: Buffer;
}

/** Addresses are below 2^48 on every machine Node runs on, and so exact as numbers. */
function addressAt(words: Uint32Array, row: number): number {
  return (words[row * 4 + 2] as number) + (words[row * 4 + 3] as number) * 2 ** 32;
}

class Runs {
  readonly #data: Uint8Array;
  readonly #words: Uint32Array;

  constructor(data: Uint8Array, words: Uint32Array) {
    this.#data = data;
    this.#words = words;
  }

  /** A function that gives the run of each row that is asked for, in the order of rows. */
  find(validity: Uint8Array | null, start: number, count: number): (row: number) => Run {
    const rows: number[] = [];
    let ascending = true;
    let last = 0;
    for (let row = start; row < start + count; row++) {
      if ((this.#words[row * 4] as number) <= INLINE_BYTES || !isValid(validity, row)) continue;
      const address = addressAt(this.#words, row);
      ascending &&= address >= last;
      last = address;
      rows.push(row);
    }
    if (!ascending) rows.sort((left, right) => addressAt(this.#words, left) - addressAt(this.#words, right));
    const runOf = new Map<number, Run>();
    const runs: Run[] = [];
    const lastRows: number[] = [];
    for (let i = 0; i < rows.length; ) {
      const first = rows[i] as number;
      const address = addressAt(this.#words, first);
      let end = address;
      const members = i;
      for (; i < rows.length; i++) {
        const row = rows[i] as number;
        const from = addressAt(this.#words, row);
        if (from > end + MAX_GAP_BYTES) break;
        end = Math.max(end, from + (this.#words[row * 4] as number));
      }
      const { buffer, byteOffset, length } = vectorApi().bytesAt(
        this.#data.buffer,
        this.#data.byteOffset + first * 16 + 8,
        end - address,
      );
      const run = { address, bytes: Buffer.from(buffer, byteOffset, length) };
      if (ascending) {
        runs.push(run);
        lastRows.push(rows[i - 1] as number);
      } else {
        for (let member = members; member < i; member++) runOf.set(rows[member] as number, run);
      }
    }
    if (!ascending) return (row) => runOf.get(row) as Run;
    let current = 0;
    return (row) => {
      while (row > (lastRows[current] as number)) current += 1;
      return runs[current] as Run;
    };
  }
}

function reserveAll(
  store: ByteStore,
  words: Uint32Array,
  validity: Uint8Array | null,
  start: number,
  count: number,
): number {
  let bytes = 0;
  for (let row = start; row < start + count; row++) if (isValid(validity, row)) bytes += words[row * 4] as number;
  store.reserve(bytes);
  return bytes;
}

function isValid(validity: Uint8Array | null, row: number): boolean {
  return validity === null || (((validity[row >>> 3] as number) >>> (row & 7)) & 1) === 1;
}
