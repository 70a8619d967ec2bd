import { open, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parquetMetadata } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { fillTopic } from '../helpers/producers.ts';
import { type OffloadJob, query, sorted, Workspace } from '../helpers/workspace.ts';

/** Where rows go: folders, exact files, a number of files, in every write mode; and how the work is shared. */

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
});

afterAll(async () => {
  await work.close();
});

function exact(file: string): string[] {
  return ['--write-coalesce', '1', '--write-path', file];
}

/** Rows of the file that stands at a path now, by its footer; throws when there is none, or half of one. */
async function rowsOf(path: string): Promise<number> {
  const handle = await open(path);
  try {
    const bytes = await handle.readFile();
    const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    return Number(parquetMetadata(whole as ArrayBuffer).num_rows);
  } finally {
    await handle.close();
  }
}

describe('an exact file', () => {
  test('is that one file; three Append runs hold all rows once, in order of partition and offset', async () => {
    const topic = await work.topics.create('appended', { partitions: 3 });
    const job = await work.job({ topic });
    const file = join(job.folder, 'out', 'day.parquet');
    const all: string[] = [];
    for (const count of [900, 30, 600]) {
      all.push(...(await work.send(topic, count, [0, 1, 2])));
      const report = await job.report(...exact(file));
      expect(report.rows).toBe(count);
      expect(report.files.map(({ path, rows }) => ({ path, rows }))).toEqual([
        { path: file, rows: expect.any(Number) },
      ]);
      expect(await job.values(file)).toEqual(sorted(all));
      expect((await readdir(dirname(file))).filter((name) => name !== '_kafkaload')).toEqual(['day.parquet']);
    }
    // Within each run partitions one after another, and offsets ascending within each.
    const rows = await query(`SELECT partition, "offset" FROM read_parquet('${file}', file_row_number = true)
      ORDER BY file_row_number`);
    const expected = [900, 30, 600].flatMap((count, run) => {
      const before = [0, 300, 310][run] ?? 0;
      return [0, 1, 2].flatMap((partition) =>
        Array.from({ length: count / 3 }, (_, index) => ({ partition, offset: String(before + index) })),
      );
    });
    expect(rows).toEqual(expected);
    const rowsBefore = await rowsOf(file);
    expect((await job.report(...exact(file))).rows).toBe(0);
    expect(await rowsOf(file)).toBe(rowsBefore);
  });

  test('is never absent or half: a reader that opens it 1,000 times sees the old or the new rows', async () => {
    const topic = await work.topics.create('replaced', { partitions: 2 });
    const job = await work.job({ topic });
    const file = join(job.folder, 'out', 'day.parquet');
    await work.send(topic, 20_000, [0, 1]);
    await job.report(...exact(file));
    await work.send(topic, 5_000, [0, 1]);
    const run = job.start(...exact(file));
    const seen = new Map<number, number>();
    let reads = 0;
    while (reads < 1_000 || run.child.exitCode === null) {
      const rows = await rowsOf(file);
      seen.set(rows, (seen.get(rows) ?? 0) + 1);
      reads += 1;
    }
    expect((await run.result).code).toBe(0);
    expect([...seen.keys()]).toEqual([20_000, 25_000]);
    expect(await rowsOf(file)).toBe(25_000);
  });

  test('Overwrite leaves the new rows alone, and leaves the file when there are none', async () => {
    const topic = await work.topics.create('overwritten');
    const job = await work.job({ topic });
    const file = join(job.folder, 'day.parquet');
    await work.send(topic, 300);
    await job.report(...exact(file));
    const second = await work.send(topic, 200);
    await job.report(...exact(file), '--write-mode', 'overwrite');
    expect(await job.values(file)).toEqual(sorted(second));
    await job.report(...exact(file), '--write-mode', 'Overwrite');
    expect(await job.values(file)).toEqual(sorted(second));
  });

  test('ErrorIfExists refuses an existing file and Ignore passes it over; neither reads or saves', async () => {
    const topic = await work.topics.create('guarded');
    const values = await work.send(topic, 100);
    const job = await work.job({ topic });
    const file = join(job.folder, 'day.parquet');
    await expectGuarded(job, values, exact(file), () => job.values(file));
  });

  test('rows of other columns are not appended', async () => {
    const topic = await work.topics.create('columns');
    await work.send(topic, 10);
    const job = await work.job({ topic });
    const other = await work.job({ topic, entry: { fields: ['key', 'value'] } });
    const file = join(job.folder, 'day.parquet');
    await job.report(...exact(file));
    const result = await other.run(...exact(file));
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(file);
    expect(await rowsOf(file)).toBe(10);
    expect(await other.saved()).toEqual({});
  });
});

describe('a folder', () => {
  test('Append adds files, Overwrite replaces those of this config and leaves those of another', async () => {
    const topic = await work.topics.create('folder', { partitions: 2 });
    const job = await work.job({ topic });
    const other = await work.job({ topic, config: 'others' });
    const first = await work.send(topic, 100, [0, 1]);
    await job.report();
    const second = await work.send(topic, 60, [0, 1]);
    await job.report();
    expect(await job.values()).toEqual(sorted([...first, ...second]));

    await other.report('--write-path', job.out);
    const third = await work.send(topic, 40, [0, 1]);
    await job.report('--write-mode', 'OVERWRITE');
    expect(await job.values()).toEqual(sorted([...first, ...second, ...third]));
    const files = await job.dataFiles();
    await job.report('--write-mode', 'OVERWRITE');
    expect(await job.dataFiles()).toEqual(files);
  });

  test('Overwrite refuses a folder that holds a file of somebody else', async () => {
    const topic = await work.topics.create('foreign');
    const values = await work.send(topic, 100);
    const job = await work.job({ topic });
    await job.report();
    await writeFile(join(job.out, 'part-of-somebody.parquet'), 'not ours');
    await work.send(topic, 50);
    const result = await job.run('--write-mode', 'Overwrite');
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('part-of-somebody.parquet');
    expect(await job.saved()).toEqual({ 0: values.length });
    expect(await job.staged()).toEqual([]);
    expect(await job.dataFiles()).toHaveLength(2);
  });

  test('ErrorIfExists refuses a folder with files and Ignore passes it over; neither reads or saves', async () => {
    const topic = await work.topics.create('guardedFolder');
    const values = await work.send(topic, 100);
    const job = await work.job({ topic });
    await expectGuarded(job, values, [], () => job.values());
  });

  test('--write-coalesce 3 writes three files of about equal size, rows in offset order within each', async () => {
    const topic = await work.topics.create('three', { partitions: 5 });
    await fillTopic(bootstrapServers, topic, { count: 150_000, bytes: 100 });
    const job = await work.job({ topic });
    const report = await job.report('--write-coalesce', '3');
    expect(report.rows).toBe(150_000);
    expect(report.files).toHaveLength(3);
    const sizes = report.files.map((file) => file.bytes);
    expect(Math.max(...sizes) / Math.min(...sizes)).toBeLessThan(1.5);
    expect(report.dataSeconds).toBeGreaterThan(0);
    expect(report.dataSeconds).toBeLessThan(report.seconds);
    expect(await job.report('--write-coalesce', '3')).not.toHaveProperty('dataSeconds');
    await expectEveryOffsetOnce(job, 150_000);
  });
});

test('one partition of 2 M messages keeps two workers busy', async () => {
  const topic = await work.topics.create('hot');
  await fillTopic(bootstrapServers, topic, { count: 2_000_000, bytes: 100 });
  const job = await work.job({ topic, entry: { fields: ['value', 'partition as INT', 'offset as LONG'] } });
  const report = await job.report('--workers', '2');
  expect(report.rows).toBe(2_000_000);
  expect(report.workers).toHaveLength(2);
  expect(report.workers.reduce((sum, worker) => sum + worker.rows, 0)).toBe(2_000_000);
  for (const worker of report.workers) expect(worker.rows / report.rows).toBeGreaterThanOrEqual(0.35);
  await expectEveryOffsetOnce(job, 2_000_000);
});

/** An empty target is written by either mode; one that exists is left as it is, and so are the saved offsets. */
async function expectGuarded(
  job: OffloadJob,
  values: readonly string[],
  target: readonly string[],
  found: () => Promise<string[]>,
): Promise<void> {
  expect((await job.report(...target, '--write-mode', 'errorifexists')).rows).toBe(values.length);
  const before = await job.snapshot();
  const refused = await job.run(...target, '--write-mode', 'ErrorIfExists');
  expect(refused.code).toBe(1);
  expect(refused.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(refused.stderr).toContain('ErrorIfExists');
  const ignored = await job.report(...target, '--write-mode', 'ignore');
  expect(ignored).toMatchObject({ rows: 0, files: [] });
  expect(await job.snapshot()).toEqual(before);
  expect(await found()).toEqual(sorted(values));
}

/** @param total Messages of the whole topic: every offset from 0 to the end of each partition is there once. */
async function expectEveryOffsetOnce(job: OffloadJob, total: number): Promise<void> {
  const files = join(job.out, '*.parquet');
  const [sum] =
    await query(`SELECT count(*)::INTEGER AS rows, count(DISTINCT (partition, "offset"))::INTEGER AS positions
    FROM read_parquet('${files}')`);
  expect(sum).toEqual({ rows: total, positions: total });
  const saved = await job.saved();
  const ends = await query(`SELECT partition, max("offset")::INTEGER + 1 AS next FROM read_parquet('${files}')
    GROUP BY partition ORDER BY partition`);
  expect(Object.fromEntries(ends.map((row) => [String(row.partition), row.next]))).toEqual(saved);
  const unordered = await query(`SELECT * FROM (
      SELECT "offset", lag("offset") OVER (PARTITION BY filename, partition ORDER BY file_row_number) AS before
      FROM read_parquet('${files}', filename = true, file_row_number = true))
    WHERE before >= "offset" LIMIT 1`);
  expect(unordered).toEqual([]);
}
