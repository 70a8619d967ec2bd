import { inflateRawSync } from 'node:zlib';
import { decompress as zstdDecompress } from '@mongodb-js/zstd';
import { crc32 } from '@node-rs/crc32';
import avro from 'avsc';
import fc from 'fast-check';
import { Unpackr } from 'msgpackr';
import snappy from 'snappy';
import { describe, expect, test } from 'vitest';
import { fileOf } from './formatFiles.ts';
import { type ColumnKind, KINDS, momentText, type Rows, rowsOf, toTable } from './tables.ts';

const RUNS = { numRuns: 30 };
/** Digits of a second each timestamp has. */
const DIGITS: Readonly<Record<string, number>> = { ts_s: 0, ts_ms: 3, ts_us: 6, ts_ns: 9 };

describe('Avro', () => {
  const LONG = avro.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
    toBuffer: () => Buffer.alloc(0),
    fromJSON: BigInt,
    toJSON: String,
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: () => 0,
  });
  /** avsc knows none of these by itself. */
  const codecs = {
    null: (bytes: Buffer, done: (e: unknown, b?: Buffer) => void) => done(null, bytes),
    deflate: (bytes: Buffer, done: (e: unknown, b?: Buffer) => void) => done(null, inflateRawSync(bytes)),
    snappy: (bytes: Buffer, done: (e: unknown, b?: Buffer) => void) => {
      const inflated = snappy.uncompressSync(bytes.subarray(0, -4)) as Buffer;
      if (crc32(inflated) !== bytes.readUInt32BE(bytes.length - 4)) done(new Error('the checksum is wrong'));
      else done(null, inflated);
    },
    zstandard: (bytes: Buffer, done: (e: unknown, b?: Buffer) => void) => {
      zstdDecompress(bytes).then((inflated) => done(null, inflated), done);
    },
  };

  async function read(file: Buffer): Promise<{ rows: Record<string, unknown>[]; schema: Record<string, unknown> }> {
    const rows: Record<string, unknown>[] = [];
    let schema: Record<string, unknown> = {};
    const parseHook = (each: unknown): avro.Type =>
      avro.Type.forSchema(withoutLogicalTypes(each) as avro.Schema, { registry: { long: LONG }, wrapUnions: false });
    const decoder = new avro.streams.BlockDecoder({ codecs, parseHook } as never);
    await new Promise((resolve, reject) => {
      decoder.on('metadata', (_type: unknown, _codec: unknown, header: { meta: Record<string, Buffer> }) => {
        schema = JSON.parse(String(header.meta['avro.schema']));
      });
      decoder.on('data', (row: Record<string, unknown>) => rows.push({ ...row }));
      decoder.on('end', resolve).on('error', reject);
      decoder.end(file);
    });
    return { rows, schema };
  }

  /** A value as avsc gives it. */
  function expected({ name, show }: ColumnKind, value: unknown): unknown {
    if (value === null || name === 'none') return null;
    switch (name) {
      case 'u32':
        return BigInt(value as number);
      case 'u64':
      case 'dec':
        return value;
      case 'day64':
        return Number((value as bigint) / 86_400_000n);
      case 'clock':
        return (value as number) * 1000;
      case 'ts_s':
        return (value as bigint) * 1000n;
      case 'words':
      case 'large':
      case 'choice':
      case 'span':
      case 'interval':
      case 'counts':
        return show(value);
      default:
        return value;
    }
  }

  function found({ name }: ColumnKind, value: unknown): unknown {
    if (value === null) return null;
    if (name === 'u64' || name === 'dec') {
      const bytes = value as Buffer;
      return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex') || '0'}`));
    }
    if (name === 'headers') return (value as object[]).map((header) => ({ ...header }));
    if (name === 'counts') return { ...(value as object) };
    return value;
  }

  for (const compression of ['null', 'deflate', 'snappy', 'zstandard']) {
    test(`holds every type as avsc reads it, with the codec ${compression}`, async () => {
      await fc.assert(
        fc.asyncProperty(rowsOf(KINDS), async (rows) => {
          const { rows: read_ } = await read(await fileOf('avro', [toTable(KINDS, rows)], { compression }));
          expect(read_.map((row) => KINDS.map((kind) => found(kind, row[kind.name])))).toEqual(
            rows.map((row) => KINDS.map((kind, i) => expected(kind, row[i]))),
          );
        }),
        RUNS,
      );
    });
  }

  test('has the logical types and names that Spark gives', async () => {
    const kinds = KINDS.filter(({ name }) => ['dec', 'day', 'time', 'ts_us', 'ts_ns', 'headers'].includes(name));
    const table = toTable(kinds, [kinds.map(() => null)]);
    const { schema } = await read(await fileOf('avro', [table], { recordNamespace: 'shop' }));
    expect(schema).toMatchObject({ name: 'topLevelRecord', namespace: 'shop' });
    const text = JSON.stringify(schema.fields);
    for (const part of [
      '{"type":"bytes","logicalType":"decimal","precision":38,"scale":10}',
      '{"type":"int","logicalType":"date"}',
      '{"type":"long","logicalType":"time-micros"}',
      '{"type":"long","logicalType":"timestamp-micros"}',
      '{"type":"long","logicalType":"local-timestamp-nanos"}',
    ]) {
      expect(text).toContain(part);
    }
  });

  test('is appended to under the sync marker of the old file, by blocks of several writers', async () => {
    const kinds = KINDS.filter(({ name }) => ['i64', 'words'].includes(name));
    const rows = Array.from({ length: 20_000 }, (_, i) => [BigInt(i), `row ${i}`]);
    const first = await fileOf('avro', [toTable(kinds, rows.slice(0, 8000))]);
    const whole = await fileOf(
      'avro',
      [toTable(kinds, rows.slice(8000, 8001)), toTable(kinds, rows.slice(8001))],
      {},
      first,
    );
    expect((await read(whole)).rows.map(({ i64 }) => Number(i64))).toEqual(rows.map((_, i) => i));
  });

  test('refuses names that Avro does not have', async () => {
    const [flag] = KINDS as [ColumnKind];
    await expect(fileOf('avro', [toTable([{ ...flag, name: 'a-b' }], [[true]])])).rejects.toMatchObject({
      code: 'TARGET_UNSUITABLE',
      message: expect.stringContaining('cannot write the column a-b as avro'),
    });
  });
});

describe('MessagePack', () => {
  const unpackr = new Unpackr({ int64AsType: 'bigint', useRecords: false, mapsAsObjects: true } as never);

  function expected({ name, show }: ColumnKind, value: unknown): unknown {
    if (value === null || name === 'none') return null;
    switch (name) {
      case 'ts_s':
      case 'ts_ms':
      case 'ts_us':
        // As dates, which have milliseconds.
        return momentText(((value as bigint) * 1000n) / 10n ** BigInt(DIGITS[name] as number), 3);
      case 'ts_ns': {
        const [text = '', fraction = ''] = momentText(value as bigint, 9)
          .replace(' ', 'T')
          .split('.');
        return `${text}.${fraction.padEnd(Math.max(3, Math.ceil(fraction.length / 3) * 3), '0')}`;
      }
      case 'dec':
      case 'day':
      case 'day64':
      case 'words':
      case 'large':
      case 'choice':
      case 'span':
      case 'interval':
      case 'counts':
        return show(value);
      case 'time':
      case 'clock': {
        const [text = '', fraction = ''] = String(show(value)).split('.');
        return fraction === '' ? text : `${text}.${fraction.padEnd(Math.ceil(fraction.length / 3) * 3, '0')}`;
      }
      default:
        return value;
    }
  }

  function found({ name }: ColumnKind, value: unknown): unknown {
    if (value instanceof Date) return momentText(BigInt(value.getTime()), 3);
    if (name === 'i64' || name === 'u64') return value === null ? null : BigInt(value as number | bigint);
    return value;
  }

  test('holds every type as msgpackr reads it', async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(KINDS), async (rows: Rows) => {
        const file = await fileOf('msgpack', [toTable(KINDS, rows)]);
        const read = unpackr.unpackMultiple(file) as Record<string, unknown>[];
        expect(read.map((row) => KINDS.map((kind) => found(kind, row[kind.name])))).toEqual(
          rows.map((row) => KINDS.map((kind, i) => expected(kind, row[i]))),
        );
      }),
      RUNS,
    );
  });

  test('keeps nanoseconds, and moments before 1970 and far away', async () => {
    const kinds = KINDS.filter(({ name }) => name === 'ts_us');
    const file = await fileOf('msgpack', [
      toTable(kinds, [[1_000_001n], [-1n], [20_000_000_000_000_000n], [5_000_000n]]),
    ]);
    const hex = (...parts: string[]) => `81a574735f7573${parts.join('')}`;
    expect(file.toString('hex')).toBe(
      [
        hex('d7ff', '00000fa0', '00000001'),
        hex('c70cff', '3b9ac618', 'ffffffffffffffff'),
        hex('c70cff', '00000000', '00000004a817c800'),
        hex('d6ff', '00000005'),
      ].join(''),
    );
  });
});

/** The schema as a reader sees it that knows no logical types. */
function withoutLogicalTypes(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutLogicalTypes);
  if (schema === null || typeof schema !== 'object') return schema;
  if ('logicalType' in schema) return (schema as unknown as { type: unknown }).type;
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withoutLogicalTypes(value)]));
}
