/**
 * Thrift data as a tree of typed nodes, without any knowledge of a schema; `compactThrift.ts` reads and writes it.
 *
 * A footer that only changes its file offsets must keep everything else to the byte: statistics of BINARY columns are
 * no text, 64-bit values do not fit a number, and fields of later Parquet versions are unknown here. So scalars keep the
 * bytes they had on the wire, and nothing is dropped.
 */

/** Type codes of the compact protocol, as in field, list and map headers. */
export const WIRE = {
  TRUE: 1,
  FALSE: 2,
  I8: 3,
  I16: 4,
  I32: 5,
  I64: 6,
  DOUBLE: 7,
  BINARY: 8,
  LIST: 9,
  SET: 10,
  MAP: 11,
  STRUCT: 12,
  UUID: 13,
} as const;

type IntegerType = 3 | 4 | 5 | 6;

/** In a struct the value is part of the field's header; in a list or map it is a byte: 1, or 2 (0 in old writers). */
export interface ThriftBool {
  readonly type: 1;
  readonly byte: number;
}

export interface ThriftScalar {
  readonly type: IntegerType | 7 | 8 | 13;
  /** The bytes of the wire: a zigzag varint, 8 bytes of a double, or a binary's content without its length. */
  readonly raw: Uint8Array;
}

export interface ThriftList {
  readonly type: 9 | 10;
  readonly elementType: number;
  readonly items: readonly ThriftNode[];
}

export interface ThriftMap {
  readonly type: 11;
  readonly keyType: number;
  readonly valueType: number;
  readonly entries: readonly (readonly [ThriftNode, ThriftNode])[];
}

export interface ThriftField {
  readonly id: number;
  readonly value: ThriftNode;
}

export interface ThriftStruct {
  readonly type: 12;
  /** In the order of the wire. */
  readonly fields: readonly ThriftField[];
}

export type ThriftNode = ThriftBool | ThriftScalar | ThriftList | ThriftMap | ThriftStruct;

/** The bits of a varint, as they are. */
export function unsignedOf(raw: Uint8Array): bigint {
  let value = 0n;
  for (let index = raw.length - 1; index >= 0; index--) value = (value << 7n) | BigInt((raw[index] ?? 0) & 0x7f);
  return value;
}

/** The integer of a zigzag varint; exact below 2^53. */
export function integerOf(raw: Uint8Array): number {
  const zigzag = unsignedOf(raw);
  return Number((zigzag >> 1n) ^ -(zigzag & 1n));
}

/** A boolean; `byte` is its form in a list: 1 for true. */
export function bool(byte: number): ThriftBool {
  return { type: WIRE.TRUE, byte };
}

/** A signed integer of the given wire type, as a zigzag varint. `value` is a safe integer. */
export function integer(type: 4 | 5 | 6, value: number): ThriftScalar {
  let zigzag = value < 0 ? BigInt(value) * -2n - 1n : BigInt(value) * 2n;
  const raw: number[] = [];
  while (zigzag >= 0x80n) {
    raw.push(Number(zigzag & 0x7fn) | 0x80);
    zigzag >>= 7n;
  }
  raw.push(Number(zigzag));
  return { type, raw: Uint8Array.from(raw) };
}

export function binary(raw: Uint8Array): ThriftScalar {
  return { type: WIRE.BINARY, raw };
}

export function list(elementType: number, items: readonly ThriftNode[]): ThriftList {
  return { type: WIRE.LIST, elementType, items };
}

/** A struct from values by field id; fields that are undefined are absent. */
export function struct(values: Readonly<Record<number, ThriftNode | undefined>>): ThriftStruct {
  const fields: ThriftField[] = [];
  for (const [id, value] of Object.entries(values)) if (value !== undefined) fields.push({ id: Number(id), value });
  return { type: WIRE.STRUCT, fields };
}

export function fieldOf(parent: ThriftStruct, id: number): ThriftNode | undefined {
  return parent.fields.find((field) => field.id === id)?.value;
}

/** A copy of the struct with some fields replaced, added or (undefined) left out; the others stay as they are. */
export function withFields(
  parent: ThriftStruct,
  changes: Readonly<Record<number, ThriftNode | undefined>>,
): ThriftStruct {
  const fields = parent.fields.filter((field) => !(field.id in changes));
  fields.push(...struct(changes).fields);
  return { type: WIRE.STRUCT, fields: fields.sort((a, b) => a.id - b.id) };
}

/** The value of an integer field; undefined where it is absent or no integer. Exact below 2^53. */
export function numberField(parent: ThriftStruct, id: number): number | undefined {
  const node = fieldOf(parent, id);
  if (node === undefined || !(node.type === WIRE.I16 || node.type === WIRE.I32 || node.type === WIRE.I64)) {
    return undefined;
  }
  return integerOf(node.raw);
}

/** The structs of a list field; empty where it is absent or holds something else. */
export function structsField(parent: ThriftStruct, id: number): readonly ThriftStruct[] {
  const node = fieldOf(parent, id);
  if (node?.type !== WIRE.LIST) return [];
  return node.items.filter((item) => item.type === WIRE.STRUCT);
}

export function structField(parent: ThriftStruct, id: number): ThriftStruct | undefined {
  const node = fieldOf(parent, id);
  return node?.type === WIRE.STRUCT ? node : undefined;
}

export function binaryField(parent: ThriftStruct, id: number): Uint8Array | undefined {
  const node = fieldOf(parent, id);
  return node?.type === WIRE.BINARY ? node.raw : undefined;
}
