import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeStruct, encodeStruct } from '../../../src/encode/parquet/compactThrift.ts';
import {
  bool,
  integer,
  numberField,
  struct,
  type ThriftNode,
  type ThriftStruct,
  WIRE,
  withFields,
} from '../../../src/encode/parquet/thrift.ts';

const scalarArbitraries: Record<number, fc.Arbitrary<ThriftNode>> = {
  [WIRE.TRUE]: fc.constantFrom(bool(1), bool(2)),
  [WIRE.I8]: fc.uint8Array({ minLength: 1, maxLength: 1 }).map((raw) => ({ type: WIRE.I8, raw })),
  [WIRE.I16]: fc.integer({ min: -32768, max: 32767 }).map((value) => integer(WIRE.I16, value)),
  [WIRE.I32]: fc.integer().map((value) => integer(WIRE.I32, value)),
  [WIRE.I64]: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((zigzag) => ({ type: WIRE.I64, raw: varint(zigzag) })),
  [WIRE.DOUBLE]: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((raw) => ({ type: WIRE.DOUBLE, raw })),
  [WIRE.UUID]: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((raw) => ({ type: WIRE.UUID, raw })),
  [WIRE.BINARY]: fc.uint8Array({ maxLength: 300 }).map((raw) => ({ type: WIRE.BINARY, raw })),
};

const { structs } = fc.letrec<{ node: ThriftNode; structs: ThriftStruct }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    ...Object.values(scalarArbitraries),
    fc
      .tuple(fc.constantFrom(WIRE.LIST, WIRE.SET), fc.constantFrom(...Object.keys(scalarArbitraries).map(Number)))
      .chain(([type, elementType]) =>
        fc
          .array(scalarArbitraries[elementType] as fc.Arbitrary<ThriftNode>, { maxLength: 40 })
          .map((items) => ({ type, elementType, items })),
      ),
    fc.array(tie('structs'), { maxLength: 20 }).map((items) => ({ type: WIRE.LIST, elementType: WIRE.STRUCT, items })),
    fc
      .array(fc.tuple(scalarArbitraries[WIRE.BINARY] as fc.Arbitrary<ThriftNode>, tie('structs')), {
        minLength: 1,
        maxLength: 5,
      })
      .map((entries) => ({ type: WIRE.MAP, keyType: WIRE.BINARY, valueType: WIRE.STRUCT, entries })),
    fc.constant<ThriftNode>({ type: WIRE.MAP, keyType: 0, valueType: 0, entries: [] }),
    tie('structs'),
  ) as fc.Arbitrary<ThriftNode>,
  structs: fc
    .uniqueArray(fc.tuple(fc.integer({ min: -32768, max: 32767 }), tie('node')), {
      selector: ([id]) => id,
      maxLength: 12,
    })
    .map((fields) => ({ type: WIRE.STRUCT, fields: fields.map(([id, value]) => ({ id, value })) })),
}));

test('reads back any struct it wrote, with the same nodes and the same bytes', () => {
  fc.assert(
    fc.property(structs, (written) => {
      const bytes = encodeStruct(written);
      const { struct: read, byteLength } = decodeStruct(Buffer.concat([bytes, Buffer.from([1, 2, 3])]));
      expect(byteLength).toBe(bytes.length);
      expect(encodeStruct(read)).toEqual(bytes);
      expect(plain(read)).toEqual(plain(written));
    }),
    { numRuns: 100 },
  );
});

test('gives rows or an error for damaged bytes, and never hangs', () => {
  const sample = fc.sample(structs, { numRuns: 10, seed: 5 }).map((one) => encodeStruct(one));
  for (const bytes of sample) {
    for (let at = 0; at < Math.min(bytes.length, 300); at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      expectStructOrError(damaged);
      expectStructOrError(bytes.subarray(0, at));
    }
  }
});

test('names the place where bytes end too early, a type that does not exist, a list longer than its bytes', () => {
  expect(() => decodeStruct(Buffer.from('15', 'hex'))).toThrow(
    'cannot read Thrift data: the bytes end too early (at byte 1)',
  );
  expect(() => decodeStruct(Buffer.from('1e00', 'hex'))).toThrow('type 14 does not exist');
  expect(() => decodeStruct(Buffer.from('19f5ffffff7f00', 'hex'))).toThrow(
    '268435455 elements announced, 1 bytes are left',
  );
  expect(() => decodeStruct(Buffer.alloc(100, 0x1c))).toThrow('more than 64 levels deep');
});

test('keeps 64-bit values that no number holds', () => {
  const bytes = encodeStruct(struct({ 1: { type: WIRE.I64, raw: varint(2n ** 64n - 1n) } }));
  const { struct: read } = decodeStruct(bytes);
  const changed = withFields(read, { 2: integer(WIRE.I64, -5) });
  expect(encodeStruct(withFields(changed, { 2: undefined }))).toEqual(bytes);
  expect(numberField(changed, 2)).toBe(-5);
});

test('writes and reads integers up to 2^53', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      expect(numberField(struct({ 1: integer(WIRE.I64, value) }), 1)).toBe(value);
    }),
  );
});

function expectStructOrError(bytes: Buffer): void {
  try {
    decodeStruct(bytes);
  } catch (error) {
    expect(error).toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
  }
}

function varint(value: bigint): Uint8Array {
  const raw: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) raw.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.from([...raw, Number(rest)]);
}

/** Buffers and plain arrays compare as text; the clone makes both the same type. */
function plain(node: ThriftNode): unknown {
  const text = (_: string, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
  return JSON.parse(JSON.stringify(structuredClone(node), text));
}
