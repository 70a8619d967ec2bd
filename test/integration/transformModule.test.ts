import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type OffloadJob, query, Workspace } from '../helpers/workspace.ts';

/** Modules of the user, run by the real command on a real broker. */

const ROWS = 3_000;
const FIELDS = ['value as STRING', 'partition as INT', 'offset as LONG', 'timestamp as TIMESTAMP'];
const FOUR_FIELDS = `export default (table, { arrow }) => {
  const rows = [...table.getChild('value')].map((text) => JSON.parse(text));
  return new arrow.Table({
    id: arrow.vectorFromArray(rows.map(({ id }) => BigInt(id)), new arrow.Int64()),
    name: arrow.vectorFromArray(rows.map(({ name }) => name), new arrow.Utf8()),
    price: arrow.vectorFromArray(rows.map(({ price }) => price), new arrow.Float64()),
    paid: arrow.vectorFromArray(rows.map(({ paid }) => paid), new arrow.Bool()),
  });
};`;
const SQL = `SELECT (decode(value)::JSON->>'id')::BIGINT AS id, decode(value)::JSON->>'name' AS name,
  (decode(value)::JSON->>'price')::DOUBLE AS price, (decode(value)::JSON->>'paid')::BOOLEAN AS paid FROM messages`;

const orders = Array.from({ length: ROWS }, (_, id) => {
  return { id, name: id % 7 === 0 ? null : `é "${id}"`, price: id / 4, paid: id % 3 === 0 };
});

let work: Workspace;
let json: string;
let packed: string;

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
  json = await work.topics.create('module-json');
  await work.sendBytes(
    json,
    orders.map((order) => Buffer.from(JSON.stringify(order))),
  );
  packed = await work.topics.create('module-msgpack');
  await work.sendBytes(
    packed,
    orders.map((order) => pack({ ...order, tags: [order.name, 'x'], at: new Date(order.id * 1000) })),
  );
});

afterAll(() => work.close());

async function jobWith(
  topic: string,
  module: string,
  entry: Readonly<Record<string, unknown>> = {},
): Promise<OffloadJob> {
  const job = await work.job({ topic, entry: { fields: FIELDS, ...entry } });
  await writeFile(join(job.folder, 'rows.mjs'), module);
  return job;
}

function expectRows(files: string): Promise<void> {
  return query(`SELECT id::INT AS id, name, price, paid::BOOLEAN AS paid FROM '${files}' ORDER BY id`).then((rows) => {
    expect(rows).toEqual(orders);
  });
}

describe('four fields of JSON, by a module and by SQL', () => {
  test.each([
    ['folder', '', [], '/*.parquet'],
    ['exactly one file', '.parquet', ['--write-coalesce', '1'], ''],
    ['three files', '', ['--write-coalesce', '3'], '/*.parquet'],
    ['folders by values', '', ['--write-partition-by', 'paid'], '/*/*.parquet'],
  ] as const)('%s', async (_, extension, layout, files) => {
    const job = await jobWith(json, FOUR_FIELDS);
    const [module, sql] = ['module', 'sql'].map((way) => join(job.folder, `${way}${extension}`)) as [string, string];
    const write = (transform: string, target: string, ...more: string[]) =>
      job.report('--transform', transform, ...layout, '--write-path', target, ...more);
    expect((await write('./rows.mjs', module)).rows).toBe(ROWS);
    await expectRows(`${module}${files}`);
    await write(SQL, sql, '--no-commit', '--starting-offsets', 'earliest');
    const [differences] = await query(`
      SELECT count(*)::INT AS count FROM (
        (FROM '${module}${files}' EXCEPT ALL FROM '${sql}${files}') UNION ALL
        (FROM '${sql}${files}' EXCEPT ALL FROM '${module}${files}'))`);
    expect(differences).toEqual({ count: 0 });
    const types = (target: string) => query(`DESCRIBE FROM '${target}${files}'`);
    expect(await types(module)).toEqual(await types(sql));
  });

  test('exactly one file, appended to', async () => {
    const job = await jobWith(json, FOUR_FIELDS);
    const file = join(job.folder, 'all.parquet');
    const args = ['--transform', './rows.mjs', '--write-coalesce', '1', '--write-path', file];
    await job.report(...args, '--max-records', '1000');
    await job.report(...args);
    await expectRows(file);
  });
});

test('rows that a module leaves out or adds are what is written, and all offsets are saved', async () => {
  const source = `export default (table, { arrow }) => {
    const rows = table.toArray().filter(({ offset }) => Number(offset) % 2 === 0);
    return new arrow.Table({ text: arrow.vectorFromArray(rows.flatMap(({ offset }) => ['a' + offset, 'b' + offset]), new arrow.Utf8()) });
  };`;
  const job = await jobWith(json, source);
  expect((await job.report('--transform', './rows.mjs', '--write-format', 'csv')).rows).toBe(ROWS);
  expect(await job.saved()).toEqual({ 0: ROWS });
  const [found] = await query(
    `SELECT count(DISTINCT column0)::INT AS texts FROM read_csv('${job.out}/*.csv', header = false)`,
  );
  expect(found).toEqual({ texts: ROWS });
});

test('a module that imports the apache-arrow of the same installation can put columns of both together', async () => {
  const job = await jobWith(
    json,
    `import { Bool, Table, vectorFromArray } from 'apache-arrow';
    export default (table, { arrow }) => {
      if (arrow.Table !== Table || table.constructor !== Table) throw new Error('another copy');
      const paid = [...table.getChild('value')].map((text) => JSON.parse(text).paid);
      return new Table({ value: table.getChild('value'), offset: table.getChild('offset'), paid: vectorFromArray(paid, new Bool()) });
    };`,
  );
  await mkdir(join(job.folder, 'node_modules'));
  await symlink(join(process.cwd(), 'node_modules/apache-arrow'), join(job.folder, 'node_modules/apache-arrow'));
  const target = join(job.folder, 'out');
  expect((await job.report('--transform', './rows.mjs', '--write-path', target)).rows).toBe(ROWS);
  const rows = await query(`SELECT value, "offset"::INT AS o, paid FROM '${target}/*.parquet' ORDER BY o`);
  expect(rows).toEqual(orders.map((order) => ({ value: JSON.stringify(order), o: order.id, paid: order.paid })));
});

describe('customDeserializers', () => {
  const DECODE = `import { unpack } from 'msgpackr';
    export default (bytes) => (bytes === null ? null : unpack(bytes));`;

  async function decodeJob(fields: readonly string[], module = DECODE): Promise<OffloadJob> {
    const job = await work.job({ topic: packed, entry: { fields } });
    await writeFile(join(job.folder, 'decode.mjs'), module);
    await mkdir(join(job.folder, 'node_modules'));
    await symlink(join(process.cwd(), 'node_modules/msgpackr'), join(job.folder, 'node_modules/msgpackr'));
    const conf = await readFile(job.confPath, 'utf8');
    await writeFile(
      job.confPath,
      conf.replace('kafka:\n', 'kafka:\n  customDeserializers: { deserialize: ./decode.mjs }\n'),
    );
    return job;
  }

  test('msgpack values are typed columns', async () => {
    const job = await decodeJob(['deserialize(value) as value', 'offset']);
    expect((await job.report()).rows).toBe(ROWS);
    const rows = await query(`
      SELECT value.id::INT AS id, value.name, value.price, value.paid FROM '${job.out}/*.parquet' ORDER BY "offset"`);
    expect(rows).toEqual(orders);
    const [types] = await query(
      `SELECT typeof(value) AS type, value.at::VARCHAR AS at FROM '${job.out}/*.parquet' WHERE "offset" = 5`,
    );
    expect(types?.type).toBe(
      'STRUCT(id BIGINT, "name" VARCHAR, price DOUBLE, paid BOOLEAN, tags VARCHAR[], "at" TIMESTAMP WITH TIME ZONE)',
    );
  });

  test('a value that does not fit ends the run and names the message', async () => {
    const source = 'export default (bytes, { offset }) => (offset === 2999 ? "last" : offset);';
    const job = await decodeJob(['deserialize(value) as n'], source);
    const result = await job.run();
    expect(result.stderr).toContain(
      `kafka.customDeserializers.deserialize gave for the value of ${packed}/0 at offset 2999 what does not fit its column: "last" is no BIGINT`,
    );
    expect(result.code).toBe(1);
    expect(await job.files()).toEqual([]);
    expect(await job.saved()).toEqual({});
  });
});

describe('refused', () => {
  test.each([
    [
      'export const rows = 1;',
      2,
      /--transform \.\/rows\.mjs: .*rows\.mjs has no function as its default export; it exports rows/,
    ],
    [
      'export default () => { throw new Error("no"); };',
      1,
      /--transform \.\/rows\.mjs failed on \d+ rows from .*\/0 at offset 0 to .*: no/,
    ],
    [
      'export default () => 5;',
      1,
      /--transform \.\/rows\.mjs returned a number for \d+ rows from .* where an Arrow table is expected/,
    ],
  ])('%s', async (source, code, message) => {
    const job = await jobWith(json, source);
    const result = await job.run('--transform', './rows.mjs');
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(code);
    expect(await job.dataFiles()).toEqual([]);
  });
});
