import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { countFaults } from '../helpers/faultCounts.ts';
import { type CommandFault, runWatched } from '../helpers/filesOfCommand.ts';
import { type OffloadJob, query, Workspace } from '../helpers/workspace.ts';

/**
 * File operations of the real command fail, in whatever thread they are made: the first of each kind (open, write, sync
 * ... of a staged file, of a spool, of the target ...). The run ends in one line that names path and cause, or does
 * without the operation; the next one finishes, and DuckDB finds each offset once.
 */
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
/** Layouts share most of their operations: what one leaves is tried in the next. */
const MOST_BY_LAYOUT = 16;
const CAUSES = /disk is full|no space left|permission denied|i\/o error/i;
const CODES = ['ENOSPC', 'EIO', 'EACCES'] as const;
const MESSAGES = 6_000;
/** All faults of one layout are a hundred processes, one after another. */
const TIMEOUT_MS = 1_800_000;
/** Of one run. */
const MOST = '20';

const LAYOUTS = [
  { layout: 'folder', writeMode: 'Append', mode: 'STREAM', more: [] },
  { layout: 'folder', writeMode: 'Overwrite', mode: 'FILE', more: [] },
  { layout: 'exact file', writeMode: 'Append', mode: 'FILE', more: ['--write-coalesce', '1'] },
  { layout: 'exact file', writeMode: 'Overwrite', mode: 'STREAM', more: ['--write-coalesce', '1'] },
  { layout: 'partitioned', writeMode: 'Append', mode: 'FILE', more: ['--write-partition-by', 'partition'] },
  { layout: 'N files', writeMode: 'Append', mode: 'STREAM', more: ['--write-coalesce', '2'] },
] as const;
type Layout = (typeof LAYOUTS)[number];

/** What was failed in another layout already. */
const tried = new Set<string>();
let work: Workspace;
let topic: string;

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
  topic = await work.topics.create('io-faults', { partitions: 2 });
  await work.send(topic, MESSAGES, [0, 1]);
});

afterAll(() => work.close());

function argsOf(job: OffloadJob, { layout, writeMode, more }: Layout): string[] {
  const path = layout === 'exact file' ? join(job.out, 'day.parquet') : job.out;
  const rest = ['--write-path', path, '--write-mode', writeMode, '--max-records', MOST, '--workers', '2'];
  return [...job.args([...rest, ...more]), '--report', 'json'];
}

type Saved = Readonly<Record<string, number>>;

/** Rows of each partition that can be seen: none twice, none left out between the first and the last. */
async function visible(job: OffloadJob, what: string): Promise<Record<string, { from: number; to: number }>> {
  const files = (await job.dataFiles()).map((file) => `'${join(job.out, file)}'`);
  if (files.length === 0) return {};
  const rows = await query(`
    SELECT partition, count(*)::INT AS rows, count(DISTINCT "offset")::INT AS offsets,
      min("offset")::INT AS first, max("offset")::INT AS last
    FROM read_parquet([${files.join()}], hive_partitioning = true) GROUP BY partition`);
  const found = rows.map((row): [string, { from: number; to: number }] => {
    const { partition, rows: count, offsets, first, last } = row as Record<string, number>;
    expect({ count, offsets }, `${what}, partition ${partition}`).toEqual({ count: offsets, offsets: count });
    expect(count, `${what}, partition ${partition}`).toBe(Number(last) - Number(first) + 1);
    return [String(partition), { from: Number(first), to: Number(last) + 1 }];
  });
  return Object.fromEntries(found);
}

/** Two runs on end: one with a fault, one without. Gives the rows compared. */
async function survive(job: OffloadJob, layout: Layout, fault: CommandFault): Promise<number> {
  const before: Saved = await job.saved();
  const run = await runWatched(argsOf(job, layout), { folder: job.folder, fault });
  const what = `${JSON.stringify(fault)}: ${run.code}\n${run.stderr}`;
  expect([0, 1], what).toContain(run.code);
  if (run.code === 1) {
    const line = run.stderr.trimEnd().split('\n').at(-1);
    expect(line, what).toMatch(/^kafkaload: (?!unexpected)/);
    expect(line, what).toContain(job.folder);
    expect(line, what).toMatch(CAUSES);
  }
  const between = await visible(job, what);
  const middle: Saved = await job.saved();
  if (layout.layout === 'exact file') expect(Object.keys(between), what).not.toEqual([]);
  const next = await runWatched(argsOf(job, layout), { folder: job.folder });
  expect(next.code, `${what}\n${next.stderr}`).toBe(0);
  const saved: Saved = await job.saved();
  const found = await visible(job, what);
  let rows = 0;
  for (const [partition, to] of Object.entries(saved)) {
    const range = found[partition] ?? { from: to, to };
    expect(range.to, what).toBe(to);
    const starts = layout.writeMode === 'Append' ? [0] : [before[partition], middle[partition]];
    // A run that finishes what the one before it had prepared replaces its rows as well.
    const isOverwritten = layout.writeMode === 'Overwrite' && range.from >= (before[partition] ?? 0);
    expect(isOverwritten || starts.includes(range.from), `${what}, from ${range.from}`).toBe(true);
    rows += range.to - range.from;
  }
  expect(await job.staged(), what).toEqual([]);
  return rows;
}

/** A sample, but for `npm run test:fault` with all faults. */
const CASES = LAYOUTS.map((layout, index) => ({ ...layout, index })).filter(
  ({ index }) => ALL || [2, 4, 5].includes(index),
);

describe.each(CASES)('the command, $layout $writeMode $mode', ({ index, ...layout }) => {
  test(
    'a file operation fails: one clear line, and the next run finishes',
    async () => {
      const job = await work.job({ topic, mode: layout.mode });
      // An exact file is appended to once it is there.
      if (layout.layout === 'exact file') {
        expect((await runWatched(argsOf(job, layout), { folder: job.folder })).code).toBe(0);
      }
      const { code, stderr, operations } = await runWatched(argsOf(job, layout), { folder: job.folder });
      expect(code, stderr).toBe(0);
      const all = [...new Set(operations.map(({ signature }) => signature))].filter(
        (signature) => !signature.includes('kafkaload.yaml'),
      );
      // Those of the state and the manifests are failed one by one in ioFaults.test.ts.
      const staging = all.filter((signature) => /\.staged|^(link|rename|unlink) .*staging/.test(signature));
      expect(staging.length).toBeGreaterThan(4);
      const untried = all.filter((signature) => !tried.has(signature)).slice(0, MOST_BY_LAYOUT);
      for (const signature of untried) tried.add(signature);
      const chosen = ALL ? untried : [0, 1].map((part) => staging[(index * 3 + part * 4) % staging.length] as string);
      let rows = 0;
      for (const [count, signature] of chosen.entries()) {
        const isWrite = signature.startsWith('write') && (count + index) % 2 === 1;
        const failing = isWrite ? 'short' : (CODES[(count + index) % CODES.length] ?? 'EIO');
        rows += await survive(job, layout, { signature, code: failing, lasting: (count + index) % 2 === 0 });
      }
      const mode = `${layout.writeMode} ${layout.mode}`;
      countFaults(
        { kind: 'file operation of the command fails', layout: layout.layout, mode },
        { faults: chosen.length, rows },
      );
    },
    TIMEOUT_MS,
  );
});
