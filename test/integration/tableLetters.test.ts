/** Streams into tables whose bad records go to a topic: read by the Java client, by psql, and by a DuckDB of our own. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { runCommand } from '../helpers/command.ts';
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts';
import { readTopicWithJava, sendMessages } from '../helpers/producers.ts';
import { toHex } from '../helpers/script.ts';
import { type Group, TableStream } from '../helpers/tableStream.ts';
import { query, Workspace } from '../helpers/workspace.ts';

const MESSAGES = 180;
/** Of two partitions: ids alternate between them. */
const NO_JSON = new Set([4, 61, 62, 178]);
const NO_TEXT = new Set([7, 100]);
const isBad = (id: number) => NO_JSON.has(id) || NO_TEXT.has(id);
const ids = Array.from({ length: MESSAGES }, (_, id) => id);
const HEADERS = [
  ['a', toHex('1')],
  ['none', null],
  ['a', 'ff00'],
] as const;
const DECODE = 'export default (bytes) => Number(JSON.parse(Buffer.from(bytes).toString()).n);';
const OUTBOX = '_kafkaload_dead_letters';

let work: Workspace;
let server: PostgresServer;
let topic: string;

const keyOf = (id: number) => Buffer.concat([Buffer.from(`key ${id}`), Buffer.from(NO_TEXT.has(id) ? [0xff] : [])]);
const bytesOf = (id: number) => Buffer.from(NO_JSON.has(id) ? `{"n":${id}` : JSON.stringify({ n: id }));

beforeAll(async () => {
  [work, server] = await Promise.all([Workspace.open(inject('bootstrapServers')), startPostgres()]);
  topic = await work.topics.create('letters-of', { partitions: 2 });
  const messages = ids.map((id) => ({
    ...{ partition: id % 2, timestamp: 1_700_000_000_000 + id, headers: HEADERS as never },
    ...{ key: keyOf(id).toString('hex'), value: bytesOf(id).toString('hex') },
  }));
  await sendMessages({ bootstrapServers: work.bootstrapServers, topic, folder: work.path }, messages);
});

afterAll(async () => {
  await work.close();
  await server.stop();
});

/** All letters of the topic: each as its record was, and why it is there. */
async function expectLetters(letters: string, config: string): Promise<void> {
  const found = await readTopicWithJava(work.bootstrapServers, letters);
  const placed = found.map(({ key, value, timestamp, headers }) => {
    const hex = headers.map(([name, bytes]) => [name, bytes?.toString('hex') ?? null]);
    const text = headers.slice(HEADERS.length).map(([name, bytes]) => [name.split('.').at(-1), bytes?.toString()]);
    return { key, value, timestamp, own: hex.slice(0, HEADERS.length), about: Object.fromEntries(text) };
  });
  expect(placed.toSorted((a, b) => a.timestamp - b.timestamp)).toEqual(
    ids.filter(isBad).map((id) => {
      const [partition, offset, timestamp] = [id % 2, Math.floor(id / 2), 1_700_000_000_000 + id];
      const code = NO_TEXT.has(id) ? 'INVALID_UTF8' : 'TRANSFORM_FAILED';
      const message = expect.stringContaining(`${topic}/${partition} at offset ${offset}`);
      const place = { partition: String(partition), offset: String(offset), timestamp: String(timestamp) };
      return {
        ...{ key: keyOf(id), value: bytesOf(id), timestamp, own: HEADERS },
        about: { topic, config, ...place, code, message },
      };
    }),
  );
}

/** How a stream is told of a database, and how that is read. */
interface Database {
  readonly name: string;
  readonly args: (table: string) => readonly string[];
  readonly query: (folder: string, table: string, sql: string) => Promise<Record<string, unknown>[]>;
}

const DATABASES: readonly Database[] = [
  {
    name: 'PostgreSQL',
    args: () => ['--connectionRef', 'pg'],
    query: (_, __, sql) => server.rows(sql),
  },
  {
    name: 'DuckDB',
    args: (table) => ['--write-options', `database=${table}.duckdb`],
    query: (folder, table, sql) => query(`ATTACH '${join(folder, table)}.duckdb' AS d (READ_ONLY); USE d; ${sql}`),
  },
];

test.each(DATABASES)('$name has the rows, and a topic the records of which there are none, once', async (database) => {
  const letters = work.topics.reserve('letters');
  const job = await work.job({
    ...{ topic, progressTopic: work.topics.reserve('progress'), customDeserializers: { decode: './decode.mjs' } },
    entry: {
      ...{ fields: ['decode(value) as n', 'key as STRING'], onBadRecord: `dlq:${letters}`, partitions: 2 },
      accessOptions: { 'group.id': work.topics.reserve('group'), maxOffsetsPerTrigger: 100 },
    },
    connections: { pg: { type: 'POSTGRESQL', options: server.options } },
  });
  await writeFile(join(job.folder, 'decode.mjs'), DECODE);
  const table = 'good';
  const ask = (sql: string) => database.query(job.folder, table, sql);
  const args = ['--conf', job.confPath, '--config', job.config, '--stream', '--streaming-to-table', table];
  for (const [index, expected] of [ids.filter(isBad).length, 0].entries()) {
    const { code, stdout, stderr } = await runCommand([...args, ...database.args(table), '--report', 'json'], {
      cwd: job.folder,
    });
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout).stream.badRecords, `run ${index}`).toBe(expected);
    expect(stderr.includes(`bad record written to topic ${letters}`)).toBe(expected > 0);
    await expectLetters(letters, job.config);
    const rows = await ask(`SELECT CAST(n AS INTEGER) AS n, key FROM ${table} ORDER BY 1`);
    const good = ids.filter((id) => !isBad(id));
    expect(rows).toEqual(good.map((id) => ({ n: id, key: `key ${id}` })));
    expect(await ask(`SELECT run FROM ${OUTBOX}`)).toEqual([]);
  }
});

test.each(DATABASES)('$name gets no table of letters where they go nowhere', async (database) => {
  const entry = {
    ...{ fields: ['key as STRING'], onBadRecord: 'skip' },
    accessOptions: { 'group.id': work.topics.reserve('group') },
  };
  const connections = { pg: { type: 'POSTGRESQL', options: server.options } };
  const job = await work.job({ topic, entry, connections });
  const args = ['--conf', job.confPath, '--config', job.config, '--stream', '--streaming-to-table', 'apart.skipped'];
  const { code, stderr } = await runCommand([...args, ...database.args('skipped')], { cwd: job.folder });
  expect(code, stderr).toBe(0);
  const sql = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'apart' ORDER BY 1";
  const tables = await database.query(job.folder, 'skipped', sql);
  expect(tables.map(({ name }) => name)).toEqual(['_kafkaload_offsets', 'skipped']);
});

test('letters that a process left in PostgreSQL are written once, however many find them', async () => {
  const letters = work.topics.reserve('letters');
  const group: Group = new Map();
  const open = async (onBadRecord: string) => {
    // Its configuration lies there.
    const folder = await mkdtemp(join(work.path, 'stream-'));
    const fields = ["CAST(json_extract(CAST(value AS VARCHAR), '$.n') AS INT) as n", 'key as STRING'];
    const { bootstrapServers } = work;
    const options = { streamingToTable: 'found.rows', connectionRef: 'pg' };
    const place = { folder, bootstrapServers, topic, group, server: server.options };
    return TableStream.open({ ...place, fields, options, more: { onBadRecord } }, [0, 1]);
  };
  const stream = await open(`dlq:${letters}`);
  // The database is gone before the letters are read from it.
  const lose = (message: unknown): void => {
    if ((message as { name: string }).name === 'deadLetters.progressRead') server.endSessions();
  };
  subscribe('kafkaload:step', lose);
  await expect(stream.write({ 0: MESSAGES / 2, 1: MESSAGES / 2 })).rejects.toThrow('read dead letters');
  unsubscribe('kafkaload:step', lose);
  await stream.close();
  const outbox = `SELECT sum(records)::int AS records FROM found.${OUTBOX}`;
  expect(await server.rows(outbox)).toEqual([{ records: ids.filter(isBad).length }]);
  const policies = [`dlq:${letters}`, `dlq:${letters}`, 'skip'];
  const found = await Promise.allSettled(policies.map(open));
  for (const one of found) if (one.status === 'fulfilled') await one.value.close();
  // Whoever was fenced again and again would look again, as the loop of a stream does.
  const failed = found.flatMap((one) => (one.status === 'rejected' ? [String(one.reason.code)] : []));
  expect(failed.filter((code) => code !== 'FENCED')).toEqual([]);
  await expectLetters(letters, 'orders');
  expect(await server.rows(outbox)).toEqual([{ records: null }]);
});
