/**
 * Thrift's compact protocol: a tree of nodes from bytes, and the same bytes from the tree.
 *
 * @see https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */
import { OffloadError } from '../../errors.ts';
import {
  bool,
  integer,
  integerOf,
  type ThriftField,
  type ThriftList,
  type ThriftMap,
  type ThriftNode,
  type ThriftStruct,
  unsignedOf,
  WIRE,
} from './thrift.ts';

/** Deeper than any Parquet footer; keeps damaged bytes from exhausting the stack. */
const MAX_DEPTH = 64;

/**
 * Reads one struct from the start of `bytes`.
 *
 * @returns The struct, whose scalars are views of `bytes`, and the number of bytes it took.
 * @throws OffloadError FORMAT_UNSUPPORTED where the bytes are no compact Thrift.
 */
export function decodeStruct(bytes: Uint8Array): { readonly struct: ThriftStruct; readonly byteLength: number } {
  const reader = new Reader(bytes);
  const struct = reader.struct(0);
  return { struct, byteLength: reader.position };
}

/** Writes a struct; the inverse of `decodeStruct`, to the byte for what a canonical writer has written. */
export function encodeStruct(struct: ThriftStruct): Buffer {
  const writer = new Writer();
  writer.struct(struct);
  return writer.finish();
}

class Reader {
  readonly #bytes: Uint8Array;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  struct(depth: number): ThriftStruct {
    if (depth > MAX_DEPTH) throw this.#damaged(`more than ${MAX_DEPTH} levels deep`);
    const fields: ThriftField[] = [];
    let id = 0;
    for (;;) {
      const header = this.#byte();
      if (header === 0) return { type: WIRE.STRUCT, fields };
      const type = header & 0x0f;
      const delta = header >> 4;
      id = delta === 0 ? integerOf(this.#varint()) : id + delta;
      const value = type === WIRE.TRUE || type === WIRE.FALSE ? bool(type) : this.#value(type, depth);
      fields.push({ id, value });
    }
  }

  #value(type: number, depth: number): ThriftNode {
    switch (type) {
      case WIRE.TRUE:
      case WIRE.FALSE:
        return bool(this.#byte());
      case WIRE.I8:
        return { type, raw: this.#take(1) };
      case WIRE.I16:
      case WIRE.I32:
      case WIRE.I64:
        return { type, raw: this.#varint() };
      case WIRE.DOUBLE:
        return { type, raw: this.#take(8) };
      case WIRE.UUID:
        return { type, raw: this.#take(16) };
      case WIRE.BINARY:
        return { type, raw: this.#take(this.#size()) };
      case WIRE.LIST:
      case WIRE.SET:
        return this.#list(type, depth + 1);
      case WIRE.MAP:
        return this.#map(depth + 1);
      case WIRE.STRUCT:
        return this.struct(depth + 1);
      default:
        throw this.#damaged(`type ${type} does not exist`);
    }
  }

  #list(type: 9 | 10, depth: number): ThriftList {
    if (depth > MAX_DEPTH) throw this.#damaged(`more than ${MAX_DEPTH} levels deep`);
    const header = this.#byte();
    const elementType = header & 0x0f;
    const count = header >> 4 === 15 ? this.#size() : header >> 4;
    this.#checkCount(count);
    const items: ThriftNode[] = [];
    for (let index = 0; index < count; index++) items.push(this.#value(elementType, depth));
    return { type, elementType, items };
  }

  #map(depth: number): ThriftMap {
    if (depth > MAX_DEPTH) throw this.#damaged(`more than ${MAX_DEPTH} levels deep`);
    const count = this.#size();
    if (count === 0) return { type: WIRE.MAP, keyType: 0, valueType: 0, entries: [] };
    this.#checkCount(count);
    const types = this.#byte();
    const keyType = types >> 4;
    const valueType = types & 0x0f;
    const entries: (readonly [ThriftNode, ThriftNode])[] = [];
    for (let index = 0; index < count; index++) {
      const key = this.#value(keyType, depth);
      entries.push([key, this.#value(valueType, depth)]);
    }
    return { type: WIRE.MAP, keyType, valueType, entries };
  }

  #byte(): number {
    const byte = this.#bytes[this.position];
    if (byte === undefined) throw this.#damaged('the bytes end too early');
    this.position++;
    return byte;
  }

  #take(length: number): Uint8Array {
    const end = this.position + length;
    if (end > this.#bytes.length) throw this.#damaged(`${length} bytes announced, ${this.#left()} are left`);
    const taken = this.#bytes.subarray(this.position, end);
    this.position = end;
    return taken;
  }

  #varint(): Uint8Array {
    const start = this.position;
    while (this.#byte() >= 0x80) {
      if (this.position - start >= 10) throw this.#damaged('an integer of more than 10 bytes');
    }
    return this.#bytes.subarray(start, this.position);
  }

  #size(): number {
    return Number(unsignedOf(this.#varint()));
  }

  /** Every element takes a byte at least: a lying count must not become an allocation. */
  #checkCount(count: number): void {
    if (count > this.#left()) throw this.#damaged(`${count} elements announced, ${this.#left()} bytes are left`);
  }

  #left(): number {
    return this.#bytes.length - this.position;
  }

  #damaged(what: string): OffloadError {
    return new OffloadError('FORMAT_UNSUPPORTED', `cannot read Thrift data: ${what} (at byte ${this.position})`, {
      context: { position: this.position, bytes: this.#bytes.length },
    });
  }
}

class Writer {
  #buffer = Buffer.allocUnsafe(4096);
  #length = 0;

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  struct(struct: ThriftStruct): void {
    let previous = 0;
    for (const { id, value } of struct.fields) {
      const type = value.type === WIRE.TRUE ? (value.byte === WIRE.TRUE ? WIRE.TRUE : WIRE.FALSE) : value.type;
      const delta = id - previous;
      if (delta > 0 && delta <= 15) {
        this.#byte((delta << 4) | type);
      } else {
        this.#byte(type);
        this.#bytes(integer(WIRE.I16, id).raw);
      }
      previous = id;
      if (value.type !== WIRE.TRUE) this.#value(value);
    }
    this.#byte(0);
  }

  #value(node: ThriftNode): void {
    switch (node.type) {
      case WIRE.TRUE:
        this.#byte(node.byte);
        break;
      case WIRE.BINARY:
        this.#size(node.raw.length);
        this.#bytes(node.raw);
        break;
      case WIRE.LIST:
      case WIRE.SET:
        this.#byte((Math.min(node.items.length, 15) << 4) | node.elementType);
        if (node.items.length >= 15) this.#size(node.items.length);
        for (const item of node.items) this.#value(item);
        break;
      case WIRE.MAP:
        this.#size(node.entries.length);
        if (node.entries.length > 0) this.#byte((node.keyType << 4) | node.valueType);
        for (const [key, value] of node.entries) {
          this.#value(key);
          this.#value(value);
        }
        break;
      case WIRE.STRUCT:
        this.struct(node);
        break;
      default:
        this.#bytes(node.raw);
    }
  }

  #size(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#byte(rest);
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = byte;
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + more));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
