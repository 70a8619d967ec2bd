import { readFileSync, truncateSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import avro from 'avsc';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import snappy from 'snappy';
import { afterAll, describe, expect, it } from 'vitest';
import { readRows, schemaOf, temporaryFolder } from './filesHelper.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

function crc(bytes: Buffer): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let i = 0; i < 8; i++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return (value ^ 0xffffffff) >>> 0;
}

/** 64-bit integers are given as bigint, so that all of them can be written. */
const long = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: () => 0,
});

const CODECS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  null: (bytes) => bytes,
  deflate: (bytes) => deflateRawSync(bytes),
  snappy: (bytes) => {
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc(bytes));
    return Buffer.concat([snappy.compressSync(bytes), checksum]);
  },
};

/** An object container file whose blocks hold 60 rows. The encoder of `avsc` would leave out what it knows as logical types. */
function writeAvro(name: string, schema: object, rows: readonly unknown[], codec: string): string {
  const type = avro.Type.forSchema(schema as never, {
    typeHook: ((inner: unknown) =>
      inner === 'long' || (inner as { type?: unknown }).type === 'long' ? long : undefined) as never,
  });
  const header = avro.Type.forSchema({ type: 'map', values: 'bytes' });
  const size = avro.Type.forSchema('long');
  const metadata = { 'avro.schema': Buffer.from(JSON.stringify(schema)), 'avro.codec': Buffer.from(codec) };
  const sync = Buffer.from('0123456789abcdef');
  const parts = [Buffer.from('Obj\x01'), header.toBuffer(metadata), sync];
  for (let start = 0; start < rows.length; start += 60) {
    const block = rows.slice(start, start + 60);
    const bytes = CODECS[codec]?.(Buffer.concat(block.map((row) => type.toBuffer(row)))) ?? Buffer.alloc(0);
    parts.push(size.toBuffer(block.length), size.toBuffer(bytes.length), bytes, sync);
  }
  return folder.file(name, Buffer.concat(parts));
}

const SCHEMA = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'n', type: ['null', 'int'] },
    { name: 't', type: ['string', 'null'] },
    { name: 'b', type: 'bytes' },
    { name: 'f', type: 'float' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'day', type: { type: 'int', logicalType: 'date' } },
    { name: 'price', type: { type: 'bytes', logicalType: 'decimal', precision: 10, scale: 2 } },
    { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['A', 'B'] } },
    { name: 'tags', type: { type: 'array', items: 'string' } },
    { name: 'm', type: { type: 'map', values: 'long' } },
    { name: 'sub', type: ['null', { type: 'record', name: 'Sub', fields: [{ name: 'kind', type: 'Kind' }] }] },
  ],
};
const avroRow = (i: number) => ({
  id: i === 0 ? -(2n ** 63n) : BigInt(i) * 2n ** 53n + 1n,
  n: i % 3 === 0 ? null : -i,
  t: i % 4 === 0 ? null : `ä𝄞 ${i}`,
  b: Buffer.from([i % 256, 0]),
  f: i / 2,
  at: BigInt(1_700_000_000_000 + i),
  day: i,
  price: Buffer.from([0xff, 256 - 1 - (i % 100)]),
  kind: i % 2 === 0 ? 'A' : 'B',
  tags: Array.from({ length: i % 3 }, (_, k) => `t${k}`),
  m: { k: BigInt(i) },
  sub: i % 5 === 0 ? null : { kind: 'B' },
});
const read = (i: number) => {
  const { at, day, price, ...rest } = avroRow(i);
  void price;
  return {
    ...rest,
    b: new Uint8Array(rest.b),
    at: Number(at),
    day: day * 86_400_000,
    price: expect.anything(),
  };
};

describe('Avro files', () => {
  it.each(['null', 'deflate', 'snappy'])('are read with the codec %s', async (codec) => {
    const file = writeAvro(
      `${codec}.avro`,
      SCHEMA,
      Array.from({ length: 500 }, (_, i) => avroRow(i)),
      codec,
    );
    const { rows } = await readRows('avro', file);
    expect(rows).toEqual(Array.from({ length: 500 }, (_, i) => read(i)));
    for (const startRow of [1, 250, 499, 500]) {
      const part = await readRows('avro', file, {}, { startRow, batchRows: 60 });
      expect(part.rows).toEqual(rows.slice(startRow));
    }
  });

  it('have the types of their schema', async () => {
    const file = writeAvro('types.avro', SCHEMA, [avroRow(1)], 'null');
    expect(await schemaOf('avro', [file])).toMatchInlineSnapshot(
      `"id: Int64, n: Int32, t: Utf8, b: Binary, f: Float32, at: Timestamp<MICROSECOND, UTC>, day: Date32<DAY>, price: Decimal[10e+2], kind: Utf8, tags: List<Utf8>, m: Map<{key:Utf8, value:Int64}>, sub: Struct<{kind:Utf8}>"`,
    );
  });

  it('that are cut, not Avro, or hold a union are refused by name', async () => {
    const file = writeAvro(
      'cut.avro',
      SCHEMA,
      Array.from({ length: 500 }, (_, i) => avroRow(i)),
      'null',
    );
    truncateSync(file, readFileSync(file).length - 30);
    await expect(readRows('avro', file)).rejects.toThrow(/cut\.avro: it ends at byte \d+, in the middle of a block/);
    await expect(readRows('avro', folder.file('no.avro', 'hello'))).rejects.toThrow(
      /no\.avro: it is no Avro object container file/,
    );
    const union = writeAvro(
      'union.avro',
      { type: 'record', name: 'U', fields: [{ name: 'u', type: ['int', 'string'] }] },
      [{ u: 1 }],
      'null',
    );
    await expect(readRows('avro', union)).rejects.toThrow(/column u of .*union\.avro: it is a union of 2 types/);
  });

  it('without bytes give no rows', async () => {
    expect((await readRows('avro', folder.file('empty.avro', ''))).rows).toEqual([]);
  });
});

describe('msgpack files', () => {
  const packr = new Packr({ useRecords: false, variableMapSize: true, useBigIntExtension: true } as never);
  const value = (i: number) => ({
    id: i,
    big: 2n ** 62n + BigInt(i),
    t: i % 3 === 0 ? null : `ä𝄞 ${i}`,
    b: Buffer.from([i % 256, 0]),
    f: i + 0.5,
    l: [i, null],
    s: { x: `x${i}` },
    ok: i % 2 === 0,
  });
  const back = (i: number) => ({ ...value(i), id: BigInt(i), b: new Uint8Array(value(i).b), l: [BigInt(i), null] });
  const values = Array.from({ length: 3000 }, (_, i) => value(i));

  it.each([
    ['one behind the other', Buffer.concat(values.map((one) => Buffer.from(packr.pack(one))))],
    ['as one array', Buffer.from(packr.pack(values))],
  ])('are read %s', async (name, bytes) => {
    const file = folder.file(`${name}.msgpack`, bytes);
    const { rows } = await readRows('msgpack', file);
    expect(rows).toEqual(values.map((_, i) => back(i)));
    const part = await readRows('msgpack', file, {}, { startRow: 1234 });
    expect(part.rows).toEqual(rows.slice(1234));
    expect(part.batches[0]?.firstRow).toBe(1234);
  });

  it('name the row and column of a value of another type', async () => {
    const many = [...Array.from({ length: 2000 }, (_, i) => ({ a: i })), { a: 'x' }, { a: 1 }, 7];
    const file = folder.file('bad.msgpack', Buffer.concat(many.map((one) => Buffer.from(packr.pack(one)))));
    await expect(readRows('msgpack', file)).rejects.toMatchObject({
      code: 'ROW_INVALID',
      message: expect.stringMatching(/bad\.msgpack at row 2001, column a: "x" is no BIGINT; mode=/),
    });
    expect((await readRows('msgpack', file, { mode: 'PERMISSIVE' })).rows.slice(-3)).toEqual([
      { a: null },
      { a: 1n },
      { a: null },
    ]);
    const dropped = await readRows('msgpack', file, { mode: 'DROPMALFORMED' });
    expect([dropped.rows.length, dropped.dropped]).toEqual([2001, 2]);
  });

  it('name a field that comes late, since it would be lost', async () => {
    const many = [...Array.from({ length: 2000 }, (_, i) => ({ a: i })), { a: 1, late: 2 }];
    const file = folder.file('late.msgpack', Buffer.concat(many.map((one) => Buffer.from(packr.pack(one)))));
    await expect(readRows('msgpack', file)).rejects.toThrow(/at row 2001: it has a field late/);
    expect((await readRows('msgpack', file, { schema: 'a INT, late INT' })).rows.at(-1)).toEqual({ a: 1, late: 2 });
  });

  it('that end in the middle of a row are refused', async () => {
    const bytes = Buffer.from(packr.pack({ a: 'a text' }));
    const file = folder.file('cut.msgpack', Buffer.concat([bytes, bytes.subarray(0, 5)]));
    await expect(readRows('msgpack', file)).rejects.toThrow(/cut\.msgpack: it ends in the middle of row 2/);
  });
});

describe('text files', () => {
  it('give a row for each line, empty ones too', async () => {
    const file = folder.file('lines.txt', '\ufeffa,"b"\r\n\nä𝄞\nlast');
    expect((await readRows('text', file)).rows.map(({ value }) => value)).toEqual(['a,"b"', '', 'ä𝄞', 'last']);
  });

  it('follow lineSep, wholetext and encoding', async () => {
    const file = folder.file('options.txt', 'a;b\n;c');
    expect((await readRows('text', file, { lineSep: ';' })).rows).toEqual([
      { value: 'a' },
      { value: 'b\n' },
      { value: 'c' },
    ]);
    expect((await readRows('text', file, { wholetext: 'true' })).rows).toEqual([{ value: 'a;b\n;c' }]);
    const latin = folder.file('latin.txt', Buffer.from('x\nä\n', 'latin1'));
    expect((await readRows('text', latin, { charset: 'latin-1' })).rows).toEqual([{ value: 'x' }, { value: 'ä' }]);
    await expect(readRows('text', latin)).rejects.toThrow(
      /latin\.txt at line 2: its bytes are not UTF-8; set encoding/,
    );
  });

  it('give the same lines from any row on, in pieces of any size', async () => {
    const unit = fc.constantFrom('a', '\r', 'ä', '𝄞', ' ');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit }), { maxLength: 30 }), fc.nat(30), async (texts, startRow) => {
        const lines = texts.map((text) => text.replace(/\r+$/, ''));
        const file = folder.file('random.txt', lines.map((line) => `${line}\n`).join(''));
        const { rows } = await readRows('text', file, {}, { startRow, batchRows: 4 });
        expect(rows.map(({ value }) => value)).toEqual(lines.slice(startRow));
      }),
    );
  });
});
