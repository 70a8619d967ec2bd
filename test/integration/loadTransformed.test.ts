import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { LoadJob } from '../helpers/loads.ts';
import { type JavaMessage, readTopicWithJava } from '../helpers/producers.ts';
import { query, sorted, Workspace } from '../helpers/workspace.ts';

/** Rows that SQL or a module changes on their way into a topic, read back by the Java client. */

const ROWS = 600;
/** Small chunks: a run has many transactions. */
const SINK = { partitions: 3, chunkRecords: 50 };
const START = Date.UTC(2026, 0, 31);

/** Of every third row two records, of the others none: what SQL and the modules below make. */
const kept = Array.from({ length: ROWS }, (_, id) => id).filter((id) => id % 3 === 0);

/** From columns `id` and `name` of files, or JSON with both in the value of messages. */
const sqlOf = (id: string, name: string) => `SELECT 'k' || ${id} AS key,
  CASE WHEN ${id}::INT % 2 = 0 THEN ${name} || '!' END AS value, (${id}::INT % 2)::INT AS partition,
  make_timestamp_ms(${START} + ${id}::BIGINT)::TIMESTAMPTZ AS timestamp,
  [{key: 'id', value: encode(${id}::VARCHAR)}, {key: 'none', value: NULL::BLOB}] AS headers
  FROM messages WHERE ${id}::INT % 3 = 0`;

/** The same in JavaScript, given the code that finds `id` and `name` of a row. */
const moduleOf = (find: string) => `export default (table, { arrow }) => {
  const { Binary, Field, Int32, List, Struct, TimestampMillisecond, Utf8, vectorFromArray } = arrow;
  const rows = table.toArray().map((row) => ${find}).filter(({ id }) => id % 3 === 0);
  const header = new Struct([new Field('key', new Utf8(), false), new Field('value', new Binary(), true)]);
  const headers = rows.map(({ id }) => [{ key: 'id', value: new TextEncoder().encode(String(id)) }, { key: 'none', value: null }]);
  return new arrow.Table({
    key: vectorFromArray(rows.map(({ id }) => 'k' + id), new Utf8()),
    value: vectorFromArray(rows.map(({ id, name }) => (id % 2 === 0 ? name + '!' : null)), new Utf8()),
    partition: vectorFromArray(rows.map(({ id }) => id % 2), new Int32()),
    timestamp: vectorFromArray(rows.map(({ id }) => ${START} + id), new TimestampMillisecond('UTC')),
    headers: vectorFromArray(headers, new List(new Field('item', header, true))),
  });
};`;

const expected = kept.map((id) => ({
  key: `k${id}`,
  value: id % 2 === 0 ? `é "${id}"!` : null,
  partition: id % 2,
  timestamp: START + id,
  headers: [
    ['id', String(id)],
    ['none', null],
  ],
}));

let workspace: Workspace;
let from: string;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
  from = await workspace.topics.create('transformed-source');
  const rows = Array.from({ length: ROWS }, (_, id) => Buffer.from(JSON.stringify({ id, name: `é "${id}"` })));
  await workspace.sendBytes(from, rows);
});

afterAll(() => workspace.close());

async function recordsOf(job: LoadJob, topic = job.to) {
  const text = (bytes: Buffer | null) => bytes?.toString() ?? null;
  return (await readTopicWithJava(job.bootstrapServers, topic))
    .map(({ key, value, partition, timestamp, headers }: JavaMessage) => {
      const read = headers.map(([name, content]) => [name, text(content)]);
      return { key: text(key), value: text(value), partition, timestamp, headers: read };
    })
    .toSorted((a, b) => a.timestamp - b.timestamp);
}

/** A job with its transform: SQL as it is, the code of a module in a file. */
async function jobWith(code: string, source: 'topic' | 'files', sink = {}): Promise<{ job: LoadJob; args: string[] }> {
  const job = await LoadJob.make(workspace, { from, sink: { ...SINK, ...sink } });
  const isModule = code.startsWith('export');
  if (isModule) await writeFile(join(job.folder, 'rows.mjs'), code);
  const transform = ['--transform', isModule ? './rows.mjs' : code];
  if (source === 'topic') return { job, args: transform };
  const folder = join(job.folder, 'in');
  await mkdir(folder);
  for (const file of [0, 1]) {
    const rows = `SELECT i AS id, 'é "' || i || '"' AS name FROM range(${(file * ROWS) / 2}, ${((file + 1) * ROWS) / 2}) t(i)`;
    await query(`COPY (${rows}) TO '${folder}/part-${file}.parquet' (FORMAT parquet)`);
  }
  return { job, args: ['--path', folder, ...transform] };
}

describe('key, value, partition, timestamp and headers of a result make the record', () => {
  test.each([
    ['SQL on rows of files', 'files', sqlOf('id', 'name')],
    ['a module on rows of files', 'files', moduleOf('({ id: Number(row.id), name: row.name })')],
    ['SQL from topic to topic', 'topic', sqlOf("(value->>'id')", "(value->>'name')")],
    ['a module from topic to topic', 'topic', moduleOf('JSON.parse(new TextDecoder().decode(row.value))')],
  ] as const)('%s', async (_, source, code) => {
    const { job, args } = await jobWith(code, source);
    const report = await job.report(...args);
    expect(report.rows).toBe(kept.length);
    expect(report.load.transactions).toBeGreaterThan(1);
    expect(await recordsOf(job)).toEqual(expected);
    expect((await job.report(...args)).load.transactions).toBe(0);
  });
});

test('a result without value is written as JSON, and its column topic says where each row goes', async () => {
  const other = await workspace.topics.create('transformed-other');
  const { job, args } = await jobWith(
    `SELECT id, [name] AS names, 1.50::DECIMAL(9,2) AS price FROM messages WHERE id < 2`,
    'files',
  );
  await job.report(...args);
  expect(await job.values()).toEqual([0, 1].map((id) => `{"id":${id},"names":["é \\"${id}\\""],"price":1.50}`));
  const apart = await jobWith(
    `SELECT value, CASE WHEN value->>'id' = '7' THEN '${other}' END AS topic FROM messages`,
    'topic',
  );
  await apart.job.report(...apart.args);
  expect((await recordsOf(apart.job, other)).map(({ value }) => value)).toEqual(['{"id":7,"name":"é \\"7\\""}']);
  expect(await apart.job.values()).toHaveLength(ROWS - 1);
});

test('values that are not UTF-8 are counted', async () => {
  const bad = await workspace.topics.create('transformed-bytes');
  await workspace.sendBytes(bad, [Buffer.from('a'), Buffer.of(0xff)]);
  const job = await LoadJob.make(workspace, { from: bad, source: { invalidUtf8: 'replace' }, sink: SINK });
  const { stderr } = await job.run('--transform', 'SELECT value::VARCHAR AS value FROM messages');
  expect(stderr).toContain('1 value was not UTF-8; invalidUtf8 is replace');
  expect(await job.values()).toEqual(['a', '\ufffd']);
});

test('rows that would go back to the topic they were read from are refused; its name may be read', async () => {
  const back = await jobWith('SELECT value, topic FROM messages', 'topic');
  expect(await back.job.run(...back.args)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`cannot write to topic ${from}, which a row names: this job reads it`),
  });
  expect(await workspace.topics.endOffsets(from)).toEqual([ROWS]);
  const named = await jobWith(`SELECT topic AS value FROM messages WHERE "offset" < 2`, 'topic');
  await named.job.report(...named.args);
  expect(await named.job.values()).toEqual([from, from]);
});

test('several rows of one are in one transaction, and none may be all of them', async () => {
  const many = await jobWith(
    `SELECT unnest([value->>'id' || 'a', value->>'id' || 'b', value->>'id' || 'c']) AS value FROM messages`,
    'topic',
  );
  expect((await many.job.report(...many.args)).rows).toBe(3 * ROWS);
  const ids = Array.from({ length: ROWS }, (_, id) => id);
  expect(await many.job.values()).toEqual(sorted(ids.flatMap((id) => [`${id}a`, `${id}b`, `${id}c`])));
  const none = await jobWith('SELECT value FROM messages WHERE false', 'topic');
  expect(await none.job.report(...none.args)).toMatchObject({ rows: 0, offsets: { 0: { to: ROWS } } });
  expect(await none.job.report(...none.args)).toMatchObject({ offsets: { 0: { from: ROWS, to: ROWS } } });
});
