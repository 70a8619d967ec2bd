import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { killAndRestart } from '../helpers/killedLoads.ts';
import { LoadJob } from '../helpers/loads.ts';
import { query, Workspace } from '../helpers/workspace.ts';

/**
 * Loads whose transform makes none, one or two rows of each, killed and started again: progress counts rows of the
 * source, transactions those that are written, and the two must go together. KAFKALOAD_FAULTS=all kills more often, and
 * runs SQL and a module on either source.
 */
const isAll = process.env.KAFKALOAD_FAULTS === 'all';
const KILLS = isAll ? 5 : 3;
const ROWS = isAll ? 60_000 : 30_000;
/** Long stretches of which no row is left, longer than a transaction. */
const STRETCH = 2_000;
const SINK = { partitions: 2, chunkRecords: 500 };

const countOf = (id: number): number => (Math.floor(id / STRETCH) % 3 === 1 ? 0 : id % 3);
const expected = Array.from({ length: ROWS }, (_, id) => id).flatMap((id) =>
  Array.from({ length: countOf(id) }, (_, copy) => `${id} ${copy}`),
);
const SQL = `SELECT unnest(list_transform(range(CASE WHEN value::INT // ${STRETCH} % 3 = 1 THEN 0 ELSE value::INT % 3 END),
  copy -> value::VARCHAR || ' ' || copy)) AS value FROM messages`;
const MODULE = `export default (table, { arrow }) => {
  const text = (value) => (typeof value === 'string' ? value : new TextDecoder().decode(value));
  const ids = [...table.getChild('value')].map((value) => Number(text(value)));
  const countOf = (id) => (Math.floor(id / ${STRETCH}) % 3 === 1 ? 0 : id % 3);
  const values = ids.flatMap((id) => Array.from({ length: countOf(id) }, (_, copy) => id + ' ' + copy));
  return new arrow.Table({ value: arrow.vectorFromArray(values, new arrow.Utf8()) });
};`;

let workspace: Workspace;
let from: string;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
  from = await workspace.topics.create('transform-crash');
  await workspace.sendBytes(
    from,
    Array.from({ length: ROWS }, (_, id) => Buffer.from(String(id))),
  );
});

afterAll(() => workspace.close());

const CASES: readonly (readonly ['files' | 'topic', 'SQL' | 'a module'])[] = isAll
  ? [
      ['files', 'SQL'],
      ['files', 'a module'],
      ['topic', 'SQL'],
      ['topic', 'a module'],
    ]
  : [
      ['files', 'a module'],
      ['topic', 'SQL'],
    ];

test.each(CASES)('from %s through %s, each row is written once', async (source, by) => {
  const job = await LoadJob.make(workspace, { from, sink: SINK });
  await writeFile(join(job.folder, 'rows.mjs'), MODULE);
  const args = ['--transform', by === 'SQL' ? SQL : './rows.mjs'];
  if (source === 'files') {
    const folder = join(job.folder, 'in');
    await mkdir(folder);
    for (const file of [0, 1, 2]) {
      const range = `range(${(file * ROWS) / 3}, ${((file + 1) * ROWS) / 3})`;
      await query(
        `COPY (SELECT i::VARCHAR AS value FROM ${range} t(i)) TO '${folder}/part-${file}.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048)`,
      );
    }
    args.push('--path', folder);
  }
  await killAndRestart(job, args, expected, { kills: KILLS, kind: `${by} on its way into a topic, killed at random` });
  expect(await job.report(...args)).toMatchObject({ rows: 0, load: { transactions: 0 } });
});
