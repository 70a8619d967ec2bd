import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { runCommand } from '../helpers/command.ts';
import { readTopic, sendMessages } from '../helpers/producers.ts';
import { toHex } from '../helpers/script.ts';
import { query, Workspace } from '../helpers/workspace.ts';

/** SQL on the way, by the compiled command, on a real broker; results are compared with what DuckDB makes of the same values. */

const ROWS = 3000;
const PARTITIONS = 3;
const FOUR = `SELECT value->>'id' AS id, value->>'name' AS name, CAST(value->>'amount' AS DOUBLE) AS amount,
  value->'$.tags[0]' AS tag FROM messages`;

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;
let topic: string;

const eventOf = (i: number) => ({
  id: i,
  name: i % 5 === 0 ? `é "${i}"` : `n${i}`,
  amount: i / 8,
  tags: i % 2 ? [`t${i}`] : [],
});

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
  topic = await work.topics.create('sql', { partitions: PARTITIONS });
  const values = Array.from({ length: ROWS }, (_, i) => JSON.stringify(eventOf(i)));
  await send(topic, values, PARTITIONS);
});

async function send(to: string, values: readonly string[], partitions: number): Promise<void> {
  const messages = values.map((value, i) => {
    const place = { partition: i % partitions, timestamp: 1_700_000_000_000 + i };
    return { ...place, key: toHex(`k${i}`), value: toHex(value), headers: [] };
  });
  await sendMessages({ bootstrapServers, topic: to, folder: work.path }, messages);
}

afterAll(() => work.close());

async function rowsIn(glob: string): Promise<Record<string, unknown>[]> {
  return query(`SELECT * FROM '${glob}' ORDER BY id::INT`);
}

const expected = Array.from({ length: ROWS }, (_, i) => {
  const { name, amount, tags } = eventOf(i);
  return { id: String(i), name, amount, tag: tags[0] === undefined ? null : `"${tags[0]}"` };
});

test('four fields of JSON reach a folder, one file and three files', async () => {
  const folder = await work.job({ topic });
  expect((await folder.report('--transform', FOUR)).rows).toBe(ROWS);
  expect(await rowsIn(`${folder.out}/*.parquet`)).toEqual(expected);

  const exact = await work.job({ topic });
  const file = join(exact.folder, 'all.parquet');
  await exact.report('--transform', FOUR, '--write-path', file, '--write-coalesce', '1');
  expect(await rowsIn(file)).toEqual(expected);

  const three = await work.job({ topic });
  await three.report('--transform', FOUR, '--write-coalesce', '3', '--write-format', 'json');
  expect(await rowsIn(`${three.out}/*.json`)).toEqual(
    expected.map((row) => expect.objectContaining({ name: row.name })),
  );
});

test('fields with expressions give the same as the statement, beside plain columns', async () => {
  const fields = [
    'offset as LONG',
    "value->>'id' as id",
    'key as STRING',
    "upper(value->>'name') as name",
    'partition',
  ];
  const job = await work.job({ topic, entry: { fields } });
  await job.report();
  const rows = await rowsIn(`${job.out}/*.parquet`);
  expect(Object.keys(rows[0] ?? {})).toEqual(['offset', 'id', 'key', 'name', 'partition']);
  expect(rows.map(({ id, key, name, partition }) => ({ id, key, name, partition }))).toEqual(
    expected.map(({ id, name }, i) => ({ id, key: `k${i}`, name: name.toUpperCase(), partition: i % PARTITIONS })),
  );
});

test('rows that WHERE leaves out are read, and not read again', async () => {
  const job = await work.job({ topic });
  const some = `${FOUR} WHERE value->>'name' LIKE 'é%'`;
  expect((await job.report('--transform', some)).rows).toBe(ROWS / 5);
  expect((await rowsIn(`${job.out}/*.parquet`)).map(({ id }) => id)).toEqual(
    expected.filter((_, i) => i % 5 === 0).map(({ id }) => id),
  );
  expect((await job.report('--transform', some)).rows).toBe(0);
  const none = await work.job({ topic });
  const report = await none.report('--transform', `${FOUR} WHERE false`);
  expect([report.rows, report.files]).toEqual([0, []]);
});

test('a mistake in the statement is told before Kafka is asked', async () => {
  const nowhere = await work.job({ topic, bootstrapServers: '127.0.0.1:1' });
  for (const [sql, words] of [
    ['SELECT nope FROM messages', 'there is no column nope (character 8); there are key, value, topic'],
    ['SELECT key,, FROM messages', 'syntax error at or near "," (character 12'],
    ['SELECT count(*) FROM messages', 'the aggregate function count is refused'],
    ['com.example.Upper', 'classes of the JVM cannot be run here'],
  ] as const) {
    const { code, stderr } = await nowhere.run('--transform', sql);
    expect([code, stderr]).toEqual([2, expect.stringContaining(words)]);
  }
});

test('a row that fails is named, and nothing is written or saved', async () => {
  const bad = await work.topics.create('bad', { partitions: 1 });
  const values = ['{"a":1}', '{"a":2}', '{"a":"x"}', '{"a":4}'];
  await send(bad, values, 1);
  const job = await work.job({ topic: bad });
  const { code, stderr } = await job.run('--transform', `SELECT CAST(value->>'a' AS INT) AS a FROM messages`);
  expect(code).toBe(1);
  expect(stderr).toContain(
    `cannot apply --transform to ${bad}/0 at offset 2: CAST(("value" ->> 'a') AS INTEGER) fails: Could not convert string 'x'`,
  );
  const fixed = await job.report('--transform', `SELECT TRY_CAST(value->>'a' AS INT) AS a FROM messages`);
  expect(fixed.rows).toBe(4);
});

test.each(['replace', 'null'])('values that are not UTF-8 are counted under %s', async (invalidUtf8) => {
  const bad = await work.topics.create('not-text');
  await work.sendBytes(bad, [Buffer.from('a'), Buffer.of(0xff), Buffer.of(0xfe)]);
  const job = await work.job({ topic: bad, entry: { invalidUtf8 } });
  const args = ['--transform', 'SELECT value::VARCHAR AS value FROM messages WHERE "offset" < 2', '--report', 'json'];
  const { stdout, stderr } = await job.run(...args);
  const warning = `1 value was not UTF-8; invalidUtf8 is ${invalidUtf8}`;
  expect([JSON.parse(stdout).warnings, stderr]).toEqual([[warning], expect.stringContaining(warning)]);
});

test('rows of files are transformed on their way into files and into a topic', async () => {
  const { folder } = await work.job({ topic });
  const source = join(folder, 'in.json');
  const lines = Array.from({ length: 50 }, (_, i) => JSON.stringify({ id: i, name: `é${i}` }));
  await writeFile(source, `${lines.join('\n')}\n`);
  const from = ['--path', source, '--format', 'json'];
  const sql = `SELECT name || '!' AS value, id::VARCHAR AS key FROM messages WHERE id % 2 = 0`;
  const out = join(folder, 'converted');
  const run = (...args: string[]) => runCommand([...from, ...args], { cwd: folder });
  expect(await run('--write-path', out, '--transform', sql)).toMatchObject({ code: 0 });
  expect(await query(`SELECT value, key FROM '${out}/*.parquet' ORDER BY key::INT LIMIT 2`)).toEqual([
    { value: 'é0!', key: '0' },
    { value: 'é2!', key: '2' },
  ]);
  expect((await run('--write-format', 'console', '--transform', sql)).stdout).toContain('é38!');

  const target = await work.topics.create('target', { partitions: 1 });
  const conf = await work.conf({
    kafka: {
      serverOptions: { 'bootstrap.servers': bootstrapServers },
      topics: {
        target: { topicName: target },
        comet_offsets: { topicName: work.topics.reserve('offsets') },
      },
      progressTopic: work.topics.reserve('progress'),
    },
  });
  const to = ['--conf', conf, '--write-config', 'target'];
  expect(await run(...to, '--transform', 'SELECT nope FROM messages')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('there is no column nope'),
  });
  expect(await run(...to, '--transform', sql)).toMatchObject({ code: 0 });
  const messages = await readTopic(bootstrapServers, target);
  expect(messages.map(({ key, value }) => `${key} ${value}`)).toEqual(
    Array.from({ length: 25 }, (_, i) => `${2 * i} é${2 * i}!`),
  );
});
