import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Binary, type RecordBatch, Table, Utf8, vectorFromArray } from 'apache-arrow';
import { pack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeserializerSettings } from '../../../../src/transform/batchTransform.ts';
import { openDeserializers } from '../../../../src/transform/module/deserializers.ts';
import { messagePlace } from '../../../../src/transform/places.ts';
import { isUnsettled, settleTransform } from '../../../../src/transform/settle.ts';
import { temporaryFolder } from '../../../helpers/command.ts';

let folder: { path: string; remove: () => Promise<void> };
let modules = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
  await symlink(join(process.cwd(), 'node_modules'), join(folder.path, 'node_modules'));
});

afterAll(() => folder.remove());

const place = messagePlace('orders', 1, (row) => 50 + 2 * row);

async function moduleOf(source: string): Promise<string> {
  const path = join(folder.path, `module${modules++}.mjs`);
  await writeFile(path, source);
  return pathToFileURL(path).href;
}

async function settingsOf(source: string, next: string | null = null): Promise<DeserializerSettings> {
  const where = 'kafka.customDeserializers.decode';
  return {
    kind: 'deserializers',
    config: 'orders',
    columns: [{ index: 1, column: 'value', url: await moduleOf(source), where, type: null }],
    next:
      next === null
        ? null
        : { kind: 'module', url: await moduleOf(next), where: '--transform ./x.mjs', config: 'orders', columns: null },
  };
}

function batchOf(values: readonly (Uint8Array | null)[]): RecordBatch {
  const key = vectorFromArray(
    values.map((_, i) => `k${i}`),
    new Utf8(),
  );
  return new Table({ key, value: vectorFromArray(values, new Binary()) }).batches[0] as RecordBatch;
}

/** JSON as bytes, one for each row. */
function jsonBatch(...values: readonly unknown[]): RecordBatch {
  return batchOf(values.map((value) => (value === undefined ? null : Buffer.from(JSON.stringify(value)))));
}

const JSON_MODULE = 'export default (bytes) => (bytes === null ? null : JSON.parse(Buffer.from(bytes)));';

async function open(settings: DeserializerSettings, batch: RecordBatch) {
  const settled = await settleTransform(settings, batch.schema, async () => [{ batch, place }]);
  expect(isUnsettled(settled)).toBe(false);
  return openDeserializers(structuredClone(settled), batch.schema);
}

async function results(source: string, ...values: readonly unknown[]): Promise<{ type: string; values: unknown[] }> {
  const batch = jsonBatch(...values);
  const opened = await open(await settingsOf(source), batch);
  const column = (await opened.apply(batch, place)).getChild('value');
  const plain = JSON.parse(
    JSON.stringify([...(column ?? [])], (_, value) => (typeof value === 'bigint' ? `${value}n` : value)),
  );
  return { type: String(opened.schema.fields[1]?.type), values: plain };
}

test('msgpack values become typed columns', async () => {
  const source = `import { unpack } from 'msgpackr';
    export default (bytes) => (bytes === null ? null : unpack(bytes));`;
  const rows = [
    {
      id: 1,
      name: 'é',
      price: 1.5,
      at: new Date(1_700_000_000_000),
      tags: ['a', 'b'],
      paid: true,
      raw: Buffer.from([0xff]),
    },
    { id: 2, name: null, price: 2, at: null, tags: [], paid: false, raw: null },
  ];
  const batch = batchOf([...rows.map((row) => pack(row)), null]);
  const opened = await open(await settingsOf(source), batch);
  expect(String(opened.schema.fields[1]?.type)).toBe(
    'Struct<{id:Int64, name:Utf8, price:Float64, at:Timestamp<MICROSECOND, UTC>, tags:List<Utf8>, paid:Bool, raw:Binary}>',
  );
  const column = (await opened.apply(batch, place)).getChild('value');
  expect(column?.get(2)).toBeNull();
  const [first, second] = [column?.get(0), column?.get(1)];
  expect([first.id, first.name, first.price, first.at, [...first.tags], first.paid, [...first.raw]]).toEqual([
    ...[1n, 'é', 1.5, 1_700_000_000_000, ['a', 'b'], true, [0xff]],
  ]);
  expect([second.id, second.name, second.price, second.at, [...second.tags], second.paid, second.raw]).toEqual([
    ...[2n, null, 2, null, [], false, null],
  ]);
});

test.each([
  ['Int64', [1, 2, undefined], ['1n', '2n', null]],
  ['Float64', [1, 2.5], [1, 2.5]],
  ['Utf8', ['a', ''], ['a', '']],
  ['Bool', [true, false], [true, false]],
  ['Utf8', [null, undefined], [null, null]],
  ['Float64', [1e300, 5], [1e300, 5]],
  ['List<Int64>', [[1], [2, null], []], [['1n'], ['2n', null], []]],
  [
    'Struct<{a:Int64, b:Utf8}>',
    [{ a: 1 }, { b: 'x' }],
    [
      { a: '1n', b: null },
      { a: null, b: 'x' },
    ],
  ],
  ['Struct<{a:Struct<{b:Float64}>}>', [{ a: { b: 1 } }, { a: { b: 0.5 } }], [{ a: { b: 1 } }, { a: { b: 0.5 } }]],
])('%s of %j', async (type, values, expected) => {
  expect(await results(JSON_MODULE, ...values)).toEqual({ type, values: expected });
});

test('bigints and dates', async () => {
  expect(
    await results('export default (bytes) => BigInt(JSON.parse(Buffer.from(bytes)));', '9007199254740993', '-5'),
  ).toEqual({
    ...{ type: 'Int64', values: ['9007199254740993n', '-5n'] },
  });
  const dates = await results('export default (bytes) => new Date(Number(Buffer.from(bytes)));', 1_700_000_000_000);
  expect(dates).toEqual({ type: 'Timestamp<MICROSECOND, UTC>', values: [1_700_000_000_000] });
});

test('a module may declare the type', async () => {
  const source = `${JSON_MODULE}\nexport const type = 'STRUCT<id: BIGINT, price: DOUBLE, tags: ARRAY<STRING>>';`;
  const settings = await settingsOf(source);
  const settled = await settleTransform(settings, jsonBatch(1).schema, async () => []);
  const opened = await openDeserializers(settled, jsonBatch(1).schema);
  const column = (await opened.apply(jsonBatch({ id: 1, price: 2 }), place)).getChild('value');
  expect(String(opened.schema.fields[1]?.type)).toBe('Struct<{id:Int64, price:Float64, tags:List<Utf8>}>');
  expect(column?.get(0)?.toJSON()).toEqual({ id: 1n, price: 2, tags: null });
  const wrong = await settingsOf(`${JSON_MODULE}\nexport const type = 'NUMBER';`);
  await expect(settleTransform(wrong, jsonBatch(1).schema, async () => [])).rejects.toMatchObject({
    code: 'TRANSFORM_INVALID',
    message: expect.stringMatching(
      /^kafka\.customDeserializers\.decode: its export "type" names no type.*there is no type NUMBER/,
    ),
  });
});

test('the context names the message', async () => {
  const source = 'export default (bytes, context) => JSON.stringify(context);';
  const { values } = await results(source, 1, 2);
  const common = { config: 'orders', topic: 'orders', partition: 1, file: null, isSample: false, column: 'value' };
  expect(values.map((text) => JSON.parse(text as string))).toEqual([
    { ...common, offset: 50 },
    { ...common, offset: 52 },
  ]);
});

test('a module for --transform gets the typed columns', async () => {
  const next = `export default (table, { arrow }) => arrow.tableFromArrays({ sum: [table.toArray().reduce((sum, { value }) => sum + Number(value.n), 0)] });`;
  const batch = jsonBatch({ n: 1 }, { n: 2 });
  const opened = await open(await settingsOf(JSON_MODULE, next), batch);
  const result = await opened.apply(batch, place);
  expect(result.toArray().map((row) => row.toJSON())).toEqual([{ sum: 3 }]);
});

describe('refused', () => {
  const failing = async (source: string, sample: readonly unknown[], later: readonly unknown[]): Promise<unknown> => {
    const opened = await open(await settingsOf(source), jsonBatch(...sample));
    return opened.apply(jsonBatch(...later), place);
  };
  const ofRow =
    'kafka.customDeserializers.decode gave for the value of orders/1 at offset 52 what does not fit its column: ';

  test.each([
    ['another type', [1], [1, 'x'], `${ofRow}"x" is no BIGINT; `],
    ['a fraction', [1], [1, 1.5], `${ofRow}1.5 is no BIGINT; `],
    ['a key that is new', [{ a: 1 }], [{ a: 1 }, { b: 1 }], `${ofRow}it has a key b, where a are expected; `],
    [
      'a nested key',
      [{ a: [{ b: 1 }] }],
      [{ a: [] }, { a: [{ c: 1 }] }],
      `${ofRow}a: it has a key c, where b are expected; `,
    ],
    ['a value in an object', [{ a: 1 }], [{ a: 2 }, { a: 'x' }], `${ofRow}a: "x" is no BIGINT; `],
  ])('%s', async (_, sample, later, message) => {
    await expect(failing(JSON_MODULE, sample, later)).rejects.toMatchObject({
      code: 'TRANSFORM_FAILED',
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ['rows of several types', [1, 'x'], `${ofRow}"x" is no BIGINT, as earlier rows have; `],
    ['objects of nothing', [{}, {}], 'gave objects without keys for all of the first rows'],
  ])('%s', async (_, sample, message) => {
    await expect(failing(JSON_MODULE, sample, [])).rejects.toMatchObject({
      code: 'TRANSFORM_FAILED',
      message: expect.stringContaining(message),
    });
  });

  test('what it throws, with the message', async () => {
    const source = `export default (bytes) => { if (bytes.length > 1) throw new Error('too long'); return 1; };`;
    await expect(failing(source, [1], [1, 22])).rejects.toMatchObject({
      code: 'TRANSFORM_FAILED',
      message: 'kafka.customDeserializers.decode failed on the value of orders/1 at offset 52: too long',
    });
  });

  test('a promise', async () => {
    await expect(failing('export default async () => 1;', [1], [])).rejects.toMatchObject({
      message: expect.stringContaining('kafka.customDeserializers.decode gave for the value of orders/1 at offset 50'),
    });
  });
});

test('rows that a function fails on are told all at once, and teach no type', async () => {
  const settings = await settingsOf(JSON_MODULE);
  const batch = batchOf(['{', '{"id":1}', '[2]', '{"id":2}', 'x'].map((value) => Buffer.from(value)));
  const sample = async () => [{ batch, place }];
  await expect(settleTransform(settings, batch.schema, sample)).rejects.toMatchObject({ code: 'TRANSFORM_FAILED' });
  const settled = await settleTransform(settings, batch.schema, sample, true);
  const opened = await openDeserializers(settled, batch.schema);
  expect(String(opened.schema.fields[1]?.type)).toBe('Struct<{id:Int64}>');
  await expect(opened.apply(batch, place)).rejects.toMatchObject({ code: 'TRANSFORM_FAILED' });
  const bad = (await opened.findBadRows?.(batch, place)) ?? [];
  expect(bad.map(({ row }) => row)).toEqual([0, 2, 4]);
  expect(bad[1]?.error.message).toContain('gave for the value of orders/1 at offset 54 what does not fit its column');
  // What failed leaves nothing behind.
  const good = batchOf([Buffer.from('{"id":3}')]);
  expect((await opened.apply(good, place)).getChild('value')?.get(0)?.toJSON()).toEqual({ id: 3n });
  const none = async () => [{ batch: batchOf([Buffer.from('{')]), place }];
  await expect(settleTransform(settings, batch.schema, none, true)).rejects.toMatchObject({ code: 'TRANSFORM_FAILED' });
});

test('the module behind them is tried on the rows that are good', async () => {
  const next = `export default (table, { arrow }) => {
    const ids = table.toArray().map(({ value }) => Number(value.id));
    if (ids.includes(2)) throw new Error('no 2');
    return arrow.tableFromArrays({ n: Float64Array.from(ids) });
  };`;
  const settings = await settingsOf(JSON_MODULE, next);
  const batch = batchOf(['{', '{"id":1}', '{"id":2}', '{"id":3}'].map((value) => Buffer.from(value)));
  const settled = await settleTransform(settings, batch.schema, async () => [{ batch, place }], true);
  const opened = await openDeserializers(settled, batch.schema);
  expect(opened.schema.fields.map(({ name }) => name)).toEqual(['n']);
});
