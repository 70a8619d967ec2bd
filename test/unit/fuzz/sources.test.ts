import { gzipSync } from 'node:zlib';
import avro from 'avsc';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { afterAll, describe, expect, test } from 'vitest';
import type { FileFormat } from '../../../src/config/formats.ts';
import { readRows, temporaryFolder } from '../sources/filesHelper.ts';
import { HANG_MS, hostile, hostileJson, largestAllocation, outcomeOf, runs } from './hostile.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const MEMORY_BYTES = 8 * 1024 * 1024;

const SCHEMA = {
  type: 'record',
  name: 'row',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'name', type: ['null', 'string'] },
    { name: 'tags', type: { type: 'array', items: 'string' } },
    { name: 'nothings', type: { type: 'array', items: 'null' } },
    { name: 'more', type: { type: 'map', values: { type: 'array', items: 'int' } } },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'price', type: { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 } },
  ],
};
const VALUES = [1, 2, 3].map((id) => ({
  id,
  name: id === 2 ? null : `name ${id}`,
  tags: ['a', 'bc'],
  nothings: [null, null],
  more: { x: [1, -2, 3] },
  at: 1_700_000_000_000,
  price: Buffer.from([1, 2]),
}));

const long = (value: number): Buffer => avro.Type.forSchema('long').toBuffer(value);
const bytesOf = (bytes: Buffer): Buffer => Buffer.concat([long(bytes.length), bytes]);
const SYNC = Buffer.alloc(16, 0x5a);

/** Written here, so that every part of it can be wrong. */
function container(block: Buffer, count: number, schema: unknown = SCHEMA, codec = 'null'): Buffer {
  const text = typeof schema === 'string' ? schema : JSON.stringify(schema);
  const metadata = [bytesOf(Buffer.from('avro.schema')), bytesOf(Buffer.from(text))];
  metadata.push(bytesOf(Buffer.from('avro.codec')), bytesOf(Buffer.from(codec)));
  const head = [Buffer.from('Obj\u0001'), long(2), ...metadata, long(0), SYNC];
  return Buffer.concat([...head, long(count), bytesOf(block), SYNC]);
}

const block = Buffer.concat(VALUES.map((value) => avro.Type.forSchema(SCHEMA as never).toBuffer(value)));

/** No more than memory allows, or what it takes to read on. */
async function expectContained(
  format: FileFormat,
  bytes: Buffer,
  options: Record<string, string> = {},
): Promise<{ readonly value: unknown } | { readonly error: string }> {
  const file = folder.file(`any.${format}`, bytes);
  let outcome: Awaited<ReturnType<typeof outcomeOf>> = { error: '' };
  const largest = await largestAllocation(async () => {
    outcome = await outcomeOf(() => readRows(format, file, options, { memoryLimitBytes: MEMORY_BYTES }));
  });
  expect(largest).toBeLessThanOrEqual(4 * MEMORY_BYTES);
  if ('error' in outcome) expect(outcome.error).toMatch(/any\.\w+/);
  return outcome;
}

describe('an Avro file', () => {
  test(
    'of any bytes gives rows, or one error that names it',
    async () => {
      const valid = container(block, VALUES.length);
      expect(await expectContained('avro', valid)).toMatchObject({ value: { rows: { length: 3 } } });
      await fc.assert(
        fc.asyncProperty(hostile(valid), async (bytes) => void (await expectContained('avro', bytes))),
        runs(100),
      );
    },
    HANG_MS,
  );

  test(
    'with any block in it does the same, however the block lies about itself',
    async () => {
      await fc.assert(
        fc.asyncProperty(hostile(block), fc.constantFrom(0, 1, 3, -1, 1e6, 2 ** 40), async (bytes, count) => {
          await expectContained('avro', container(bytes, count));
        }),
        runs(150),
      );
    },
    HANG_MS,
  );

  test(
    'with any schema does the same',
    async () => {
      await fc.assert(
        fc.asyncProperty(hostileJson(SCHEMA), async (schema) => {
          await expectContained('avro', container(block, VALUES.length, schema));
        }),
        runs(150),
      );
    },
    HANG_MS,
  );

  const rowOf = (type: unknown) => ({ type: 'record', name: 'row', fields: [{ name: 'a', type }] });
  test.each<[string, Buffer, string]>([
    ['fewer rows than its block holds', container(block, 2), 'bytes are left in a block after its 2 rows'],
    ['more rows than its block holds', container(block, 4), 'its block ends in the middle of row 4'],
    ['fewer than no rows', container(block, -3), 'a block claims -3 rows'],
    ['rows without end that take no byte', container(Buffer.alloc(0), 2 ** 45, rowOf('null')), 'claims 35184372088832'],
    [
      'a list of nulls without end',
      container(Buffer.concat([long(2 ** 31), long(0)]), 1, rowOf({ type: 'array', items: 'null' })),
      'a list claims 2147483648 items',
    ],
    [
      'a text whose length leads back into its list, again and again',
      container(Buffer.concat([long(1), long(-2), long(0)]), 1, rowOf({ type: 'array', items: 'string' })),
      'an item of a list does not end in its block',
    ],
    [
      'a schema of ten thousand lists inside each other',
      container(block, 1, `${'{"type":"array","items":'.repeat(10_000)}"int"${'}'.repeat(10_000)}`),
      'more than 100 types inside each other',
    ],
    [
      'a block of snappy that claims to inflate to 4 GiB',
      container(Buffer.from('ffffffff0f0000000000', 'hex'), 1, SCHEMA, 'snappy'),
      'does not inflate as snappy (to 4294967295 bytes',
    ],
    [
      'a block of zstd that claims to inflate to 1 TiB',
      container(Buffer.from('28b52ffde00000000000010000010000', 'hex'), 1, SCHEMA, 'zstandard'),
      'does not inflate as zstandard (to 1099511627776 bytes',
    ],
  ])('with %s is refused', async (_name, bytes, why) => {
    expect(await expectContained('avro', bytes)).toEqual({ error: expect.stringContaining(why) });
  });
});

describe('a msgpack file', () => {
  const packr = new Packr({ useRecords: false });
  const rows = VALUES.map((value) => ({ ...value, when: new Date(0), big: 2n ** 60n }));
  const valid = Buffer.concat(rows.map((row) => packr.pack(row)));

  test(
    'of any bytes gives rows, or one error that names it',
    async () => {
      const options = { mode: 'DROPMALFORMED' };
      await fc.assert(
        fc.asyncProperty(hostile(valid, packr.pack(rows)), fc.boolean(), async (bytes, isStrict) => {
          await expectContained('msgpack', bytes, isStrict ? {} : options);
        }),
        runs(250),
      );
    },
    HANG_MS,
  );

  test.each<[string, Buffer]>([
    [
      'lists inside each other, a hundred thousand deep',
      Buffer.concat([Buffer.from('81a161', 'hex'), Buffer.alloc(100_000, 0x91)]),
    ],
    ['a list of four thousand million', Buffer.from('81a161ddffffffff', 'hex')],
    ['a map of four thousand million', Buffer.from('dfffffffff', 'hex')],
    ['a text of four thousand million bytes', Buffer.from('81a161dbffffffff', 'hex')],
    ['a time that is none', Buffer.from('81a161c70cffffffffff7fffffffffffffff', 'hex')],
  ])('with %s is refused', async (_name, bytes) => {
    expect(await expectContained('msgpack', bytes)).toHaveProperty('error');
  });
});

describe('a CSV file', () => {
  const valid = Buffer.from('id,name,at\n1,"a ""b""\n c",2020-01-01\n2,,\r\n3,"x\\"y",2020-01-02T00:00:00Z\n');
  test(
    'of any bytes gives rows, or one error that names it',
    async () => {
      const choices = [
        {},
        { header: 'true', inferSchema: 'true' },
        { multiLine: 'true', header: 'true' },
        { encoding: 'UTF-16LE' },
      ];
      await fc.assert(
        fc.asyncProperty(hostile(valid), fc.constantFrom(...choices), async (bytes, options) => {
          await expectContained('csv', bytes, options as Record<string, string>);
        }),
        runs(150),
      );
    },
    HANG_MS,
  );

  test(
    'of any bytes that are said to be gzip does the same',
    async () => {
      await fc.assert(
        fc.asyncProperty(hostile(gzipSync(valid)), async (bytes) => {
          await expectContained('csv', bytes, { compression: 'gzip' });
        }),
        runs(80),
      );
    },
    HANG_MS,
  );
});
