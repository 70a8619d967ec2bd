import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RecordBatch, Table, tableFromArrays, tableFromIPC, type Vector } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isModuleName, moduleUrl } from '../../../../src/config/modules.ts';
import type { BatchTransform, ModuleSettings } from '../../../../src/transform/batchTransform.ts';
import { openModuleTransform, sampleModule } from '../../../../src/transform/module/moduleTransform.ts';
import { fileRowPlace, messagePlace } from '../../../../src/transform/places.ts';
import { temporaryFolder } from '../../../helpers/command.ts';
import { plainValues, sampleColumns } from '../columns.ts';

let folder: { path: string; remove: () => Promise<void> };
let modules = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
});

afterAll(() => folder.remove());

const place = messagePlace('orders', 3, (row) => 100 + row);

async function settingsOf(source: string, name = `module${modules++}.mjs`): Promise<ModuleSettings> {
  await writeFile(join(folder.path, name), source);
  return {
    kind: 'module',
    url: pathToFileURL(join(folder.path, name)).href,
    where: `--transform ./${name}`,
    config: 'orders',
    columns: null,
  };
}

async function open(source: string, batch: RecordBatch, name?: string): Promise<BatchTransform> {
  const settings = await sampleModule(await settingsOf(source, name), batch.schema, { batch, place });
  return openModuleTransform(structuredClone(settings));
}

function batchOf(columns: Record<string, unknown[]>): RecordBatch {
  return (tableFromArrays(columns) as Table).batches[0] as RecordBatch;
}

function rowsOf(batch: RecordBatch): unknown[] {
  return batch.toArray().map((row) => (row as { toJSON(): unknown }).toJSON());
}

const NUMBERS = batchOf({ a: [1, 2, 3], b: [10, 20, 30] });

test('rows that are passed through are not copied', async () => {
  const transform = await open('export default (table) => table;', NUMBERS);
  const result = await transform.apply(NUMBERS, place);
  expect(result.data.children.map(({ values }) => values)).toEqual(NUMBERS.data.children.map(({ values }) => values));
  expect(result.data.children[0]?.values).toBe(NUMBERS.data.children[0]?.values);
  expect(result.schema.fields.map(({ nullable }) => nullable)).toEqual([true, true]);
});

test('columns of every type come through, dictionaries as what they stand for', async () => {
  const columns = sampleColumns();
  const batch = new Table(columns).batches[0] as RecordBatch;
  const transform = await open('export default (table) => table;', batch);
  const result = await transform.apply(batch, place);
  for (const name of Object.keys(columns)) {
    expect([name, plainValues(result.getChild(name) as Vector)]).toEqual([name, plainValues(columns[name] as Vector)]);
  }
  const types = Object.entries(columns).map(([name, { type }]) => (name === 'dictionary' ? 'Utf8' : String(type)));
  expect(result.schema.fields.map(({ type }) => String(type))).toEqual(types);
});

test('a module may filter, explode and give several batches', async () => {
  const source = `export default (table, { arrow }) => {
    const rows = table.toArray().map((row) => row.toJSON()).filter(({ a }) => a !== 2);
    const part = () => arrow.tableFromArrays({ a: rows.map(({ a }) => a), text: rows.map(({ b }) => 'b' + b) });
    return part().concat(part());
  };`;
  const transform = await open(source, NUMBERS);
  const rows = [
    { a: 1, text: 'b10' },
    { a: 3, text: 'b30' },
  ];
  expect(rowsOf(await transform.apply(NUMBERS, place))).toEqual([...rows, ...rows]);
  expect(transform.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual(['a Float64', 'text Utf8']);
  expect((await transform.apply(batchOf({ a: [2], b: [2] }), place)).numRows).toBe(0);
});

test('a module may bring another copy of apache-arrow', async () => {
  await mkdir(join(folder.path, 'node_modules'));
  await symlink(join(process.cwd(), 'node_modules/apache-arrow'), join(folder.path, 'node_modules/apache-arrow'));
  // CommonJS classes are others than those of the ES modules.
  const source = `const arrow = require('apache-arrow');
  module.exports = async (table, context) => {
    if (arrow.Table === context.arrow.Table) throw new Error('no other copy');
    const a = arrow.vectorFromArray([...table.getChild('a')].map((a) => [a, null]), new arrow.List(new arrow.Field('x', new arrow.Float64(), true)));
    return new arrow.Table({ a, t: arrow.vectorFromArray([new Date(0), null, new Date(5)], new arrow.TimestampMillisecond('UTC')), d: arrow.vectorFromArray(['x', 'y', 'x']) });
  };`;
  const transform = await open(source, NUMBERS, 'other.cjs');
  const result = await transform.apply(NUMBERS, place);
  expect(result).toBeInstanceOf(RecordBatch);
  expect(JSON.parse(JSON.stringify(rowsOf(result)))).toEqual([
    { a: [1, null], t: 0, d: 'x' },
    { a: [2, null], t: null, d: 'y' },
    { a: [3, null], t: 5, d: 'x' },
  ]);
});

test('a column of nulls alone goes with any type', async () => {
  const source = `export default (table, { arrow }) => {
    const a = table.getChild('a').get(0) === 1 ? [null, null] : ['x', null];
    return new arrow.Table({ a: arrow.vectorFromArray(a, a[0] ? new arrow.Utf8() : new arrow.Null()) });
  };`;
  const transform = await open(source, NUMBERS);
  expect(rowsOf(await transform.apply(NUMBERS, place))).toEqual([{ a: null }, { a: null }]);
  expect(rowsOf(await transform.apply(batchOf({ a: [2] }), place))).toEqual([{ a: 'x' }, { a: null }]);
});

test('the context says where the rows come from, and holds nothing else', async () => {
  const source = `export default (table, { arrow, ...context }) => {
    return arrow.tableFromArrays({ context: [JSON.stringify(context)] });
  };`;
  const settings = await settingsOf(source);
  const seen = async (sample: Parameters<typeof sampleModule>[2]): Promise<void> => {
    await sampleModule(settings, NUMBERS.schema, sample);
  };
  await seen(null);
  const transform = await openModuleTransform(await sampleModule(settings, NUMBERS.schema, { batch: NUMBERS, place }));
  const [row] = rowsOf(await transform.apply(NUMBERS, place)) as [{ context: string }];
  expect(JSON.parse(row.context)).toEqual({
    ...{ config: 'orders', topic: 'orders', partition: 3, file: null, isSample: false },
    ...{ startOffset: 100, startRow: null },
  });
  const [fileRow] = rowsOf(await transform.apply(NUMBERS, fileRowPlace('/in/a.json', 7))) as [{ context: string }];
  expect(JSON.parse(fileRow.context)).toEqual({
    ...{ config: 'orders', topic: null, partition: null, file: '/in/a.json', isSample: false },
    ...{ startOffset: null, startRow: 7 },
  });
});

test('without any row the module is asked what it makes of none', async () => {
  const settings = await settingsOf(`export default (table, { arrow }) => table.select(['b']);`);
  const { schema } = tableFromIPC((await sampleModule(settings, NUMBERS.schema, null)).columns);
  expect(schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual(['b Float64']);
});

describe('refused', () => {
  const sampled = async (source: string): Promise<unknown> =>
    sampleModule(await settingsOf(source), NUMBERS.schema, { batch: NUMBERS, place });
  const rows = '3 rows from orders/3 at offset 100 to orders/3 at offset 102';

  test('a module that is missing', async () => {
    const settings = { ...(await settingsOf('')), url: moduleUrl('no.mjs', folder.path), where: '--transform no.mjs' };
    await expect(sampleModule(settings, NUMBERS.schema, null)).rejects.toMatchObject({
      code: 'TRANSFORM_INVALID',
      message: `--transform no.mjs: there is no file ${folder.path}/no.mjs`,
    });
  });

  test.each([
    ['', 'it exports nothing'],
    ['export const transform = () => 1;', 'it exports transform'],
    ['export default 5;', 'its default export is a number'],
  ])('%j, which has no function to call', async (source, why) => {
    await expect(sampled(source)).rejects.toMatchObject({
      code: 'TRANSFORM_INVALID',
      message: expect.stringMatching(`mjs has no function as its default export; ${why}$`),
    });
  });

  test('one that cannot be loaded, with the line', async () => {
    await expect(sampled('export default (\n  1 +;\n')).rejects.toMatchObject({
      code: 'TRANSFORM_INVALID',
      message: expect.stringMatching(/: cannot load .*mjs: (line 2: )?/),
    });
  });

  test.each([
    ['undefined', 'undefined'],
    ['[1, 2]', 'an array of 2'],
    ['({ a: 1 })', 'an object of a'],
    ['context.arrow.vectorFromArray([1])', 'Vector'],
    ['new context.arrow.Table()', 'a table without columns'],
    ['table.assign(context.arrow.tableFromArrays({ A: [1, 2, 3] }))', 'two columns A'],
  ])('%s as a result', async (result, came) => {
    await expect(sampled(`export default (table, context) => ${result};`)).rejects.toMatchObject({
      code: 'TRANSFORM_FAILED',
      message: expect.stringMatching(`returned ${came} for ${rows}, where an Arrow table is expected$`),
    });
  });

  test('what it throws, with the rows', async () => {
    await expect(sampled(`export default async () => { throw new Error('no such thing'); };`)).rejects.toMatchObject({
      code: 'TRANSFORM_FAILED',
      message: expect.stringMatching(`^--transform ./module\\d+.mjs failed on ${rows}: no such thing$`),
    });
  });

  test('other columns than those of the first rows', async () => {
    const source = `export default (table, { arrow }) => arrow.tableFromArrays(table.numRows === 3 ? { a: [1], b: [2] } : { a: ['x'] });`;
    const transform = await open(source, NUMBERS);
    await expect(transform.apply(batchOf({ a: [1] }), place)).rejects.toMatchObject({
      code: 'TRANSFORM_FAILED',
      message: expect.stringMatching(
        /returned the columns \(a Utf8\) for the row orders\/3 at offset 100, where \(a Float64, b Float64\) are expected, as for the first rows/,
      ),
    });
  });
});

test.each([
  ['./x.mjs', true],
  ['x.js', true],
  ['/a b/x.CJS', true],
  ['file:///a/x', true],
  ['SELECT a FROM messages WHERE b = x.js', false],
  ['com.example.Deserializer', false],
])('%s names a module: %s', (text, expected) => {
  expect(isModuleName(text)).toBe(expected);
});
