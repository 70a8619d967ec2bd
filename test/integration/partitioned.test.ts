import { readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { offloadReport, startCommand } from '../helpers/command.ts';
import { type OffloadJob, query, Workspace } from '../helpers/workspace.ts';

/** Folders named by values, read by DuckDB as Hive's. Messages come from a Parquet file that DuckDB writes. */

const DAYS = 400;
const FIELDS = ['value as STRING', 'partition as INT', 'offset as LONG', 'timestamp as TIMESTAMP'];
/** Beside the buffers that --max-memory bounds: Node, its threads, and their code. */
const NODE_MIB = 330;

let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
});

afterAll(() => work.close());

/** Fills a topic with the rows of a query, which gives `value` and `timestamp`. */
async function fill(rows: string, partitions = 4): Promise<string> {
  const topic = await work.topics.create('partitioned', { partitions });
  const file = join(work.path, `${topic}.parquet`);
  await query(`COPY (${rows}) TO '${file}' (FORMAT parquet)`);
  const job = await work.job({ topic });
  await offloadReport(['--conf', job.confPath, '--path', file, '--write-config', job.config], { cwd: job.folder });
  return topic;
}

async function jobOf(topic: string, fields: readonly string[] = FIELDS): Promise<OffloadJob> {
  return work.job({ topic, entry: { fields } });
}

/** Folders with how many files each has. */
function filesByFolder(job: OffloadJob, files: readonly { readonly path: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { path } of files) {
    const folder = relative(job.out, dirname(path));
    counts[folder] = (counts[folder] ?? 0) + 1;
  }
  return counts;
}

describe('a million messages of 400 days in no order', () => {
  let topic: string;

  beforeAll(async () => {
    topic = await fill(`
      SELECT i::VARCHAR || ' ' || md5(i::VARCHAR) AS value,
        TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_days(((i * 7919) % ${DAYS})::INT) + to_seconds(i % 86400) AS timestamp
      FROM range(1000000) t(i)`);
  });

  test('one file a day at most, each row in its folder, memory within the limit', async () => {
    const job = await jobOf(topic);
    const more = ['--write-partition-by', 'date(timestamp)', '--write-coalesce', '1', '--report', 'json'];
    const run = startCommand([...job.args(more), '--workers', '2', '--max-memory', '160MiB'], { cwd: job.folder });
    let peak = 0;
    const watch = setInterval(() => {
      void readFile(`/proc/${run.child.pid}/status`, 'utf8').then(
        (status) => {
          peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
        },
        () => {},
      );
    }, 100);
    const result = await run.result.finally(() => clearInterval(watch));
    expect(result.stderr).not.toContain('kafkaload:');
    expect(result.code).toBe(0);
    const report = JSON.parse(result.stdout);
    expect(report.rows).toBe(1_000_000);
    const folders = filesByFolder(job, report.files);
    expect(Object.keys(folders)).toHaveLength(DAYS);
    expect(new Set(Object.values(folders))).toEqual(new Set([1]));
    const [found] = await query(`
      SELECT count(*)::INT AS rows, count(DISTINCT value)::INT AS distinct_values,
        (count(*) FILTER (date <> CAST(timestamp AT TIME ZONE 'UTC' AS DATE)))::INT AS astray
      FROM read_parquet('${job.out}/date=*/*.parquet', hive_partitioning = true)`);
    expect(found).toEqual({ rows: 1_000_000, distinct_values: 1_000_000, astray: 0 });
    expect(await job.staged()).toEqual([]);
    expect(peak).toBeGreaterThan(50);
    expect(peak).toBeLessThan(160 + NODE_MIB);
  });
});

describe('values and formats', () => {
  /** The value, and the folder it has. */
  const COUNTRIES: readonly (readonly [string, string])[] = [
    ['NL', 'NL'],
    ['a/b', 'a%2Fb'],
    ['../up', '..%2Fup'],
    ['x=y%z', 'x%3Dy%25z'],
    ['é ü', 'é ü'],
    ["it''s", 'it%27s'],
  ];
  let topic: string;
  let fields: readonly string[];

  beforeAll(async () => {
    const list = COUNTRIES.map(([country]) => `'${country}'`).join(', ');
    topic = await fill(
      `SELECT [${list}][1 + i % ${COUNTRIES.length}] AS value, TIMESTAMPTZ '2023-12-31 22:00:00+00' + to_hours((i % 4)::INT) AS timestamp
       FROM range(6000) t(i)`,
      2,
    );
    fields = ['cast(value as STRING) as country', ...FIELDS.slice(1), 'cast(value as STRING) as again'];
  });

  const READERS: readonly (readonly [format: string, options: string, read: string])[] = [
    ['parquet', 'compression=zstd', 'read_parquet'],
    ['json', 'compression=gzip', 'read_json_auto'],
    ['csv', 'header=true', 'read_csv_auto'],
  ];

  test.each(READERS)('%s', async (format, options, read) => {
    const job = await jobOf(topic, fields);
    const by = ['--write-partition-by', 'country, year(timestamp) as y'];
    const report = await job.report(...by, '--write-format', format, '--write-options', options);
    const folders = COUNTRIES.flatMap(([, folder]) => [`country=${folder}/y=2023`, `country=${folder}/y=2024`]);
    expect(new Set(Object.keys(filesByFolder(job, report.files)))).toEqual(new Set(folders));
    const [found] = await query(`
      SELECT count(*)::INT AS rows, count(DISTINCT ("partition", "offset"))::INT AS places,
        (count(*) FILTER (country <> again OR y::INT <> year(timestamp::TIMESTAMPTZ AT TIME ZONE 'UTC')))::INT AS astray
      FROM ${read}('${job.out}/country=*/y=*/*', hive_partitioning = true)`);
    expect(found).toEqual({ rows: 6_000, places: 6_000, astray: 0 });
  });

  test('rows of a partition stand in offset order in formats that are read from front to back', async () => {
    const job = await jobOf(topic, fields);
    const { files } = await job.report('--write-partition-by', 'again', '--write-format', 'json');
    for (const { path } of files) {
      const last = new Map<number, number>();
      for (const line of (await readFile(path, 'utf8')).trimEnd().split('\n')) {
        const { partition, offset } = JSON.parse(line);
        expect(offset).toBeGreaterThan(last.get(partition) ?? -1);
        last.set(partition, offset);
      }
    }
  });

  test('avro and msgpack', async () => {
    for (const format of ['avro', 'msgpack']) {
      const job = await jobOf(topic, fields);
      const report = await job.report('--write-partition-by', 'country', '--write-format', format);
      const back = await offloadReport(
        ['--path', job.out, '--format', format, '--write-path', join(job.folder, 'back')],
        { cwd: job.folder },
      );
      expect([report.rows, back.rows, report.files.length]).toEqual([6_000, 6_000, COUNTRIES.length]);
      const [found] = await query(
        `SELECT count(DISTINCT ("partition", "offset"))::INT AS places FROM '${job.folder}/back/*.parquet'`,
      );
      expect(found).toEqual({ places: 6_000 });
    }
  });

  test('Append adds files, Overwrite replaces those of all folders, nothing new changes nothing', async () => {
    const job = await jobOf(topic, fields);
    const by = ['--write-partition-by', 'country'];
    await job.report(...by, '--max-records', '3000');
    const second = await job.report(...by, '--max-records', '2000');
    expect(await job.dataFiles()).toHaveLength(2 * COUNTRIES.length);
    const before = await job.snapshot();
    const third = await job.report(...by, '--write-mode', 'Overwrite');
    expect([second.rows, third.rows]).toEqual([2_000, 1_000]);
    expect(await job.snapshot()).not.toEqual(before);
    expect(await job.dataFiles()).toHaveLength(COUNTRIES.length);
    const [found] = await query(`SELECT count(*)::INT AS rows FROM '${job.out}/*/*.parquet'`);
    expect(found).toEqual({ rows: 1_000 });
    const after = await job.dataFiles();
    expect((await job.report(...by, '--write-mode', 'Overwrite')).rows).toBe(0);
    expect(await job.dataFiles()).toEqual(after);
  });

  test('from files to folders', async () => {
    const job = await jobOf(topic, fields);
    await job.report();
    const out = join(job.folder, 'divided');
    const args = ['--path', job.out, '--write-path', out, '--write-partition-by', 'country,hour(timestamp)'];
    expect((await offloadReport(args, { cwd: job.folder })).rows).toBe(6_000);
    const [found] = await query(`
      SELECT count(*)::INT AS rows, (count(*) FILTER (country <> again OR hour <> hour(timestamp AT TIME ZONE 'UTC')))::INT AS astray
      FROM read_parquet('${out}/*/*/*.parquet', hive_partitioning = true)`);
    expect(found).toEqual({ rows: 6_000, astray: 0 });
  });

  test('a dry run names the folders, and what cannot be divided by is refused before anything is read', async () => {
    const job = await jobOf(topic, fields);
    const plan = await job.run(
      '--dry-run',
      '--write-partition-by',
      'country,date(timestamp) as day',
      '--write-coalesce',
      '2',
    );
    expect(plan.stdout).toContain(
      `folders: ${job.out}/country=.../day=.../part-00000-RUN.parquet, at most 2 files in each`,
    );
    const unknown = await job.run('--write-partition-by', 'region');
    expect(unknown.stderr.trim()).toBe(
      'kafkaload: --write-partition-by region: there is no such column; columns: country, partition, offset, timestamp, again',
    );
    expect(unknown.code).toBe(2);
    expect(await job.files()).toEqual([]);
  });
});

test('a value too long for a folder is an error that names the message', async () => {
  const topic = await fill(
    `SELECT CASE WHEN i = 7 THEN repeat('x', 300) ELSE 'a' END AS value, now() AS timestamp FROM range(10) t(i)`,
    1,
  );
  const job = await jobOf(topic);
  const result = await job.run('--write-partition-by', 'value');
  expect(result.stderr).toMatch(
    new RegExp(
      `cannot make a folder for ${topic}/0 at offset 7: the name value=x+\\.\\.\\. has 306 bytes, and file systems take 255`,
    ),
  );
  expect(result.code).toBe(1);
  expect(await job.dataFiles()).toEqual([]);
});
