/**
 * Primitive types of the Kafka protocol, both encodings: the older with fixed lengths, and the flexible one (KIP-482)
 * with varint lengths and tagged fields. Of requests only record batches are large, and they are not copied; answers are
 * read once: plain and short before fast.
 *
 * @see https://kafka.apache.org/protocol#protocol_types
 */

/** 64-bit wire integers are offsets, times and sizes here: safe integers, or the answer is not to be trusted. */
function toSafeInteger(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`the 64-bit integer ${value} is out of range`);
  return number;
}

/** From here on a copy costs more than a further piece to send. */
const LEAST_PIECE_BYTES = 4 * 1024;

export class WireWriter {
  readonly #parts: Buffer[] = [];

  toBuffer(): Buffer {
    return Buffer.concat(this.#parts);
  }

  /** The same bytes as pieces in a row: what is large is not copied, and must not change until it was sent. */
  toPieces(): Buffer[] {
    const pieces: Buffer[] = [];
    let small: Buffer[] = [];
    for (const part of this.#parts) {
      if (part.length < LEAST_PIECE_BYTES) {
        small.push(part);
        continue;
      }
      if (small.length > 0) pieces.push(Buffer.concat(small));
      small = [];
      pieces.push(part);
    }
    return small.length > 0 ? [...pieces, Buffer.concat(small)] : pieces;
  }

  int8(value: number): this {
    return this.#fixed(1, (buffer) => buffer.writeInt8(value));
  }

  int16(value: number): this {
    return this.#fixed(2, (buffer) => buffer.writeInt16BE(value));
  }

  int32(value: number): this {
    return this.#fixed(4, (buffer) => buffer.writeInt32BE(value));
  }

  int64(value: number): this {
    return this.#fixed(8, (buffer) => buffer.writeBigInt64BE(BigInt(value)));
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  uvarint(value: number): this {
    const bytes: number[] = [];
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
    bytes.push(rest);
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  string(value: string, flexible = false): this {
    const bytes = Buffer.from(value, 'utf8');
    if (flexible) this.uvarint(bytes.length + 1);
    else this.int16(bytes.length);
    this.#parts.push(bytes);
    return this;
  }

  nullableString(value: string | null, flexible = false): this {
    if (value !== null) return this.string(value, flexible);
    return flexible ? this.uvarint(0) : this.int16(-1);
  }

  bytes(value: Buffer): this {
    this.int32(value.length);
    this.#parts.push(value);
    return this;
  }

  /** The all-zero UUID, which stands for none. */
  nilUuid(): this {
    this.#parts.push(Buffer.alloc(16));
    return this;
  }

  array<T>(items: readonly T[], write: (item: T) => void, flexible = false): this {
    if (flexible) this.uvarint(items.length + 1);
    else this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  noTaggedFields(): this {
    return this.uvarint(0);
  }

  #fixed(bytes: number, write: (buffer: Buffer) => void): this {
    const buffer = Buffer.alloc(bytes);
    write(buffer);
    this.#parts.push(buffer);
    return this;
  }
}

/** A length or count of -1 stands for null; below that is none that a broker writes. */
function notBelowNull(length: number): number {
  if (length < -1) throw new RangeError(`a length is ${length}`);
  return length;
}

/** Reads an answer front to back; reading beyond its end throws a RangeError. */
export class WireReader {
  readonly #buffer: Buffer;
  #position = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get remaining(): number {
    return this.#buffer.length - this.#position;
  }

  int8(): number {
    return this.#buffer.readInt8(this.#advance(1));
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#advance(4));
  }

  int64(): number {
    return toSafeInteger(this.#buffer.readBigInt64BE(this.#advance(8)));
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  uvarint(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 35; factor *= 0x80) {
      const byte = this.#buffer.readUInt8(this.#advance(1));
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a varint has more than five bytes');
  }

  nullableString(flexible = false): string | null {
    const length = notBelowNull(flexible ? this.uvarint() - 1 : this.int16());
    return length < 0 ? null : this.view(length).toString('utf8');
  }

  string(flexible = false): string {
    return this.nullableString(flexible) ?? '';
  }

  bytes(): Buffer {
    return this.view(Math.max(0, notBelowNull(this.int32())));
  }

  uuid(): string {
    const hex = this.view(16).toString('hex');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  /** A view of the next bytes, not a copy. */
  view(length: number): Buffer {
    const start = this.#advance(length);
    return this.#buffer.subarray(start, start + length);
  }

  array<T>(read: () => T, flexible = false): T[] {
    const count = notBelowNull(flexible ? this.uvarint() - 1 : this.int32());
    // Every item has a byte at least: a count that lies would loop for long and hold much.
    if (count > this.remaining) throw new RangeError(`an array claims ${count} items in ${this.remaining} bytes`);
    const items: T[] = [];
    for (let index = 0; index < count; index++) items.push(read());
    return items;
  }

  skipTaggedFields(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint();
      this.view(this.uvarint());
    }
  }

  #advance(length: number): number {
    if (length < 0 || length > this.remaining) {
      throw new RangeError(`${length} bytes are wanted at byte ${this.#position} of ${this.#buffer.length}`);
    }
    const start = this.#position;
    this.#position += length;
    return start;
  }
}
