import { readFileSync } from 'node:fs';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pack } from 'msgpackr';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type ProgramResult, runProgram } from '../helpers/cache.ts';
import { query, Workspace } from '../helpers/workspace.ts';

/**
 * RECIPES.md as a reader follows it: its files are written, its commands run by a shell, and what they leave is read by
 * DuckDB. Only the names of topics and the broker are replaced, and `npx kafkaload` is the command under test.
 */

const COMMAND = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));
const page = readFileSync(new URL('../../RECIPES.md', import.meta.url), 'utf8');
const [head = '', ...sections] = page.split(/^## /m);
const recipes = new Map(sections.map((text) => [text.slice(0, text.indexOf('\n')), text]));

const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 0, 30);
const orders = Array.from({ length: 30 }, (_, id) => ({
  id,
  customer: { name: `Zoë ${id}`, email: `zoe${id}@example.com` },
  items: id % 5 === 0 ? [] : [{ sku: 'A-1', price: id + 0.5 }],
  paid: id % 3 === 0,
}));
const done: string[] = [];
let work: Workspace;
/** The name on the broker, by the one of the page. */
const topics = new Map<string, string>();

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
  const send = async (name: string, encode: (order: (typeof orders)[number]) => Buffer): Promise<void> => {
    const topic = await work.topics.create(`recipes-${name}`);
    topics.set(name, topic);
    await work.sendBytes(topic, orders.map(encode), (index) => START + index * (DAY_MS / 10));
  };
  await send('orders', (order) => Buffer.from(JSON.stringify(order)));
  await send('orders-packed', pack);
  const command = join(work.path, 'npx');
  await writeFile(command, `#!/bin/sh\nshift\nexec '${process.execPath}' '${COMMAND}' "$@"\n`);
  await chmod(command, 0o755);
});

afterAll(() => work.close());

/** The code blocks of a text in some language, each behind the last file name in backticks that stands before it. */
function blocksOf(text: string, language: string): { name: string; code: string }[] {
  const found = text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'));
  return [...found].map(({ index, 1: code = '' }) => {
    const names = [...text.slice(0, index).matchAll(/`([\w.-]+\.(?:mjs|yml))`/g)];
    return { name: names.at(-1)?.[1] ?? '', code };
  });
}

/** Carries out a recipe in a folder of its own. Every command must exit 0. */
async function follow(title: string): Promise<{ folder: string; results: ProgramResult[] }> {
  done.push(title);
  const text = recipes.get(title) ?? '';
  const folder = join(work.path, title.toLowerCase().replaceAll(' ', '-'));
  await mkdir(join(folder, 'node_modules'), { recursive: true });
  await symlink(join(process.cwd(), 'node_modules/msgpackr'), join(folder, 'node_modules/msgpackr'));
  for (const { name, code } of [...blocksOf(head, 'yaml'), ...blocksOf(text, 'js')]) {
    const replaced = code
      .replace('localhost:9092', work.bootstrapServers)
      .replace(/topicName: (orders(?:-packed)?)$/gm, (_, topic: string) => `topicName: ${topics.get(topic)}`);
    await writeFile(join(folder, name), replaced);
  }
  const results: ProgramResult[] = [];
  // A command ends where the next one begins; SQL goes over several lines.
  const commands = blocksOf(text, 'sh').flatMap(({ code }) => code.split(/\n(?=npx )/));
  expect(commands).not.toEqual([]);
  for (const line of commands) {
    const env = { ...process.env, PATH: `${work.path}:${process.env.PATH}` };
    const result = await runProgram('bash', ['-c', line], { cwd: folder, env });
    expect([result.code, result.stderr]).toEqual([0, expect.not.stringContaining('kafkaload:')]);
    results.push(result);
  }
  return { folder, results };
}

const hashOf = (rows: Record<string, unknown>[]) => rows.map(({ email }) => email);

test('sample first', async () => {
  const { folder, results } = await follow('Sample first');
  expect(results.map(({ stdout }) => stdout.match(/\d+ rows of the last \d+ messages/)?.[0])).toEqual([
    '20 rows of the last 20 messages',
    '5 rows of the last 5 messages',
  ]);
  expect(results[1]?.stdout).toContain('│ Zoë 29 │');
  expect(
    await query(`SELECT file FROM glob('${folder}/**') WHERE file LIKE '%.parquet' OR file LIKE '%offsets%'`),
  ).toEqual([]);
});

test('flatten JSON', async () => {
  const { folder } = await follow('Flatten JSON');
  const rows = await query(`SELECT * REPLACE (id::INT AS id, epoch_ms(timestamp)::DOUBLE AS timestamp)
    FROM '${folder}/out/*.parquet' ORDER BY id`);
  expect(rows).toEqual(
    orders.map(({ id, customer, items, paid }) => {
      const timestamp = START + id * (DAY_MS / 10);
      return { id, name: customer.name, email: customer.email, first_price: items[0]?.price ?? null, paid, timestamp };
    }),
  );
});

test('filter', async () => {
  const { folder } = await follow('Filter');
  const rows = await query(`SELECT value, "offset"::INT AS "offset"
    FROM read_json('${folder}/out/*.json', columns = {value: 'VARCHAR', "offset": 'BIGINT'}) ORDER BY "offset"`);
  const paid = orders.filter((order) => order.paid);
  expect(rows).toEqual(paid.map((order) => ({ value: JSON.stringify(order), offset: order.id })));
});

test('mask a column', async () => {
  const { folder } = await follow('Mask a column');
  const expected = await query(
    `SELECT i AS id, sha256('zoe' || i || '@example.com') AS email FROM range(30) t(i) ORDER BY i`,
  );
  const rowsOf = (name: string) => query(`SELECT id, email FROM '${folder}/${name}/*.parquet' ORDER BY id`);
  expect(hashOf(await rowsOf('hashed'))).toEqual(hashOf(expected));
  const masked = await rowsOf('masked');
  expect(masked.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
  expect(new Set(hashOf(masked)).size).toBe(30);
  expect(masked.filter(({ email }) => !/^[0-9a-f]{64}$/.test(String(email)))).toEqual([]);
  expect(hashOf(masked)).not.toEqual(hashOf(expected));
});

test('split by day', async () => {
  const { folder } = await follow('Split by day');
  const rows = await query(`SELECT day::VARCHAR AS day, count(*)::INT AS rows, count(DISTINCT filename)::INT AS files,
      min(id)::INT AS first
    FROM read_parquet('${folder}/out/*/*.parquet', hive_partitioning = true, filename = true) GROUP BY day ORDER BY day`);
  expect(rows).toEqual([
    { day: '2026-01-30', rows: 10, files: 1, first: 0 },
    { day: '2026-01-31', rows: 10, files: 1, first: 10 },
    { day: '2026-02-01', rows: 10, files: 1, first: 20 },
  ]);
});

test('decode msgpack', async () => {
  const { folder } = await follow('Decode msgpack');
  const rows = await query(`SELECT message.id::INT AS id, message.customer, message.items, message.paid
    FROM '${folder}/out/*.parquet' ORDER BY "offset"`);
  expect(rows).toEqual(orders);
});

test('no recipe of the page is left out', () => {
  expect(done).toEqual([...recipes.keys()]);
});
