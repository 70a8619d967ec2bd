/** Growing memory of a column under construction, in Arrow's layout. */

const FIRST_BYTES = 4096;
/** Less is not worth keeping. */
const LEAST_SPARE_BYTES = 1024 ** 2;

/**
 * Memory of columns that were given back, the smallest first, for all readers of a thread: new memory for each batch
 * costs page faults, and collections that external memory brings on.
 */
const spares: ArrayBuffer[] = [];

/**
 * @param buffer What `take` gave lies in it, and nobody may look at it any more.
 * @param mostBytes Of all that is kept; the smallest goes first.
 */
export function giveBack(buffer: ArrayBuffer, mostBytes: number): void {
  const { byteLength } = buffer;
  if (byteLength < LEAST_SPARE_BYTES || byteLength > mostBytes || spares.includes(buffer)) return;
  spares.push(buffer);
  spares.sort((a, b) => a.byteLength - b.byteLength);
  while (spares.reduce((sum, spare) => sum + spare.byteLength, 0) > mostBytes) spares.shift();
}

/** @param wanted Bytes that will do for long. @param needed Bytes that must be. */
function allocate(wanted: number, needed: number): Buffer<ArrayBuffer> {
  if (wanted >= LEAST_SPARE_BYTES) {
    const fitting = spares.findIndex(({ byteLength }) => byteLength >= wanted);
    const index = fitting < 0 ? spares.findLastIndex(({ byteLength }) => byteLength >= needed) : fitting;
    const [spare] = index < 0 ? [] : spares.splice(index, 1);
    if (spare) return Buffer.from(spare);
  }
  return Buffer.allocUnsafeSlow(wanted);
}

/** Bytes appended one after another. */
export class ByteStore {
  bytes: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(0);
  length = 0;
  #expected = FIRST_BYTES;

  /** Makes room for `count` bytes more behind `length`. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = allocate(Math.max(withSome(needed), this.bytes.length * 2, this.#expected), needed);
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  append(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.length);
    this.length += source.length;
  }

  /** What was appended, as memory of its own; the store is empty afterwards. */
  take(): Buffer<ArrayBuffer> {
    const { bytes, length } = this;
    // Much of what grew by doubling was never touched, and is no memory yet; of a small one a copy costs next to nothing.
    const isWasteful = length < LEAST_SPARE_BYTES && bytes.length - length > length >>> 2;
    const taken = isWasteful ? copyOf(bytes, length) : bytes.subarray(0, length);
    this.#expected = Math.max(FIRST_BYTES, withSome(length));
    this.bytes = Buffer.allocUnsafeSlow(0);
    this.length = 0;
    return taken;
  }
}

/** The next batch is about as large: room for a little more spares growing, which copies it all. */
function withSome(bytes: number): number {
  return bytes + (bytes >>> 3);
}

function copyOf(bytes: Buffer, length: number): Buffer<ArrayBuffer> {
  const copy = Buffer.allocUnsafeSlow(length);
  bytes.copy(copy, 0, 0, length);
  return copy;
}

/** Which rows are not null, one bit each, the lowest first. */
export class ValidityStore {
  rows = 0;
  nullCount = 0;
  #bits = new Uint8Array(256);

  append(valid: boolean): void {
    this.#reserve(1);
    const at = this.rows;
    const bit = 1 << (at & 7);
    const byte = this.#bits[at >>> 3] as number;
    this.#bits[at >>> 3] = valid ? byte | bit : byte & ~bit;
    if (!valid) this.nullCount += 1;
    this.rows = at + 1;
  }

  /** @param bits Null stands for rows that are all valid. */
  appendBits(bits: Uint8Array | null, start: number, count: number): void {
    if (bits !== null) {
      for (let row = start; row < start + count; row++)
        this.append((((bits[row >>> 3] as number) >>> (row & 7)) & 1) === 1);
      return;
    }
    this.#reserve(count);
    let at = this.rows;
    const end = at + count;
    for (; at < end && (at & 7) !== 0; at++) this.#set(at);
    const whole = end & ~7;
    if (at < whole) {
      this.#bits.fill(0xff, at >>> 3, whole >>> 3);
      at = whole;
    }
    for (; at < end; at++) this.#set(at);
    this.rows = end;
  }

  /** The bitmap, or null where no row is null; the store is empty afterwards. */
  take(): { bits: Uint8Array<ArrayBuffer> | null; nullCount: number; rows: number } {
    const { nullCount, rows } = this;
    const bits = nullCount === 0 ? null : this.#bits.slice(0, (rows + 7) >>> 3);
    this.rows = 0;
    this.nullCount = 0;
    return { bits, nullCount, rows };
  }

  #set(at: number): void {
    this.#bits[at >>> 3] = (this.#bits[at >>> 3] as number) | (1 << (at & 7));
  }

  #reserve(count: number): void {
    const needed = (this.rows + count + 7) >>> 3;
    if (needed <= this.#bits.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bits.length * 2));
    grown.set(this.#bits);
    this.#bits = grown;
  }
}
