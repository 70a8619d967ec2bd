/** Growing memory of a column under construction, in Arrow's layout. */

const FIRST_BYTES = 4096;

/** Bytes appended one after another. */
export class ByteStore {
  bytes: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(FIRST_BYTES);
  length = 0;

  /** Makes room for `count` bytes more behind `length`. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
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
    const { length } = this;
    // A batch rarely fills what grew by doubling; a quarter more is cheaper than a copy.
    const taken =
      this.bytes.length - length > length >>> 2 ? copyOf(this.bytes, length) : this.bytes.subarray(0, length);
    // The next batch is about as large; room for a little more spares growing, which copies it all.
    this.bytes = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, length + (length >>> 3)));
    this.length = 0;
    return taken;
  }
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
