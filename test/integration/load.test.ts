import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { LoadJob } from '../helpers/loads.ts';
import { readTopic, readTopicWithJava } from '../helpers/producers.ts';
import { query, sorted, Workspace } from '../helpers/workspace.ts';

/** Files into a topic, by the real command on a real broker. */
let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
});

afterAll(() => workspace.close());

/** `count` rows of Parquet: key, value. Returns the values, sorted. */
async function writeParquet(path: string, count: number, from = 0, rowGroupRows = 2_048): Promise<string[]> {
  const rows = `SELECT 'key ' || (i % 100) AS key, 'value ' || i AS value FROM range(${from}, ${from + count}) t(i)`;
  await query(`COPY (${rows}) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE ${rowGroupRows})`);
  return sorted(Array.from({ length: count }, (_, i) => `value ${from + i}`));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

describe('files to a topic', () => {
  test('10,000 rows are 10,000 committed records, in transactions of chunkRecords', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 1, chunkRecords: 2_048 } });
    const path = join(job.folder, 'rows.parquet');
    const values = await writeParquet(path, 10_000);
    const report = await job.report('--path', path);
    expect(report).toMatchObject({ rows: 10_000, load: { target: job.to, transactions: 5, alreadyLoaded: null } });
    expect(await job.values()).toEqual(values);
    // A marker behind each transaction.
    expect(await job.topics.endOffsets(job.to)).toEqual([10_005]);
    // Rows of one partition are in the order of the file.
    const order = (await readTopic(job.bootstrapServers, job.to)).map(({ value }) =>
      Number(value?.toString().slice(6)),
    );
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });

  test('the same files again write nothing; --reload writes them again; changed and new ones are loaded alone', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 2 } });
    const folder = join(job.folder, 'files');
    await mkdir(folder);
    const first = await writeParquet(join(folder, 'a.parquet'), 1_000);
    const { run } = await job.report('--path', folder);
    const ends = await job.topics.endOffsets(job.to);
    const again = await job.run('--path', folder);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining(`already loaded by ${run} at 20`) });
    expect(again.stdout).toContain('--reload loads them again');
    expect(await job.topics.endOffsets(job.to)).toEqual(ends);

    const second = await writeParquet(join(folder, 'b.parquet'), 500, 1_000);
    expect(await job.report('--path', folder)).toMatchObject({ rows: 500 });
    expect(await job.values()).toEqual(sorted([...first, ...second]));
    expect(await job.report('--path', folder)).toMatchObject({ rows: 0, load: { alreadyLoaded: {} } });

    const changed = await writeParquet(join(folder, 'a.parquet'), 200, 5_000);
    expect(await job.report('--path', folder)).toMatchObject({ rows: 200 });
    expect(await job.report('--path', folder, '--reload')).toMatchObject({ rows: 700 });
    expect(await job.values()).toEqual(sorted([...first, ...second, ...changed, ...second, ...changed]));
  });

  test('key, partition, timestamp and headers of a row are those of its record', async () => {
    const job = await LoadJob.make(workspace, {
      sink: { partitions: 3, headers: { origin: 'nightly' } },
    });
    const path = join(job.folder, 'rows.parquet');
    await query(`COPY (SELECT 'k' || i AS key, CASE i WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'v' || i END AS value,
      (i % 3)::INT AS partition, make_timestamp_ms(1700000000000 + i) AS timestamp,
      [{'key': 'a', 'value': 'x'::BLOB}, {'key': 'a', 'value': NULL}] AS headers
      FROM range(30) t(i)) TO '${path}' (FORMAT parquet)`);
    await job.report('--path', path);
    const found = await readTopicWithJava(job.bootstrapServers, job.to);
    const text = (bytes: Buffer | null): string | null => (bytes === null ? null : bytes.toString());
    const rows = found.map(({ partition, key, value, timestamp, headers }) => {
      return {
        partition,
        timestamp,
        key: text(key),
        value: text(value),
        headers: headers.map(([k, v]) => [k, text(v)]),
      };
    });
    const headers = [
      ['a', 'x'],
      ['a', null],
      ['origin', 'nightly'],
    ];
    const expected = Array.from({ length: 30 }, (_, i) => {
      const value = i === 0 ? null : i === 1 ? '' : `v${i}`;
      return { partition: i % 3, timestamp: 1_700_000_000_000 + i, key: `k${i}`, value, headers };
    });
    expect(rows.sort((a, b) => a.timestamp - b.timestamp)).toEqual(expected);
  });

  test('rows without a value are written whole, as JSON', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 1 } });
    const path = join(job.folder, 'rows.json');
    await writeFile(path, '{"id":1,"name":"Zoë","tags":["a"]}\n{"id":2,"name":null}\n');
    await job.report('--path', path, '--format', 'json');
    const found = await readTopic(job.bootstrapServers, job.to);
    expect(found.map(({ value }) => JSON.parse(value?.toString() ?? ''))).toEqual([
      { id: 1, name: 'Zoë', tags: ['a'] },
      { id: 2 },
    ]);
  });

  test('5,000 rows of JSON go to a topic and from there to one file of JSON', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 3, fields: ['value as STRING'] } });
    const path = join(job.folder, 'rows.json');
    const lines = Array.from({ length: 5_000 }, (_, i) => JSON.stringify({ value: `line ${i} "ü"` }));
    await writeFile(path, `${lines.join('\n')}\n`);
    expect(await job.report('--path', path, '--format', 'json')).toMatchObject({ rows: 5_000 });
    expect(await job.values()).toEqual(sorted(lines.map((line) => JSON.parse(line).value)));
  });

  test('a bad row ends the load, names file and line, and leaves what was committed to the next run', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 1 } });
    const path = join(job.folder, 'rows.json');
    await writeFile(path, '{"value":"a"}\nnot json\n');
    const failed = await job.run('--path', path, '--format', 'json');
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/rows\.json at line \d/),
    });
    await writeFile(path, '{"value":"a"}\n{"value":"b"}\n');
    // Nothing was committed: the file was not begun, but it is another one now.
    const changed = await job.run('--path', path, '--format', 'json');
    expect(changed).toMatchObject({ code: 2, stderr: expect.stringContaining('--reload') });
    await job.report('--path', path, '--format', 'json', '--reload');
    expect(await job.values()).toEqual(['a', 'b']);
  });

  test('a partition that the topic does not have is an error naming the row', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 1 } });
    const path = join(job.folder, 'rows.parquet');
    await query(`COPY (SELECT 'v' AS value, 7 AS partition) TO '${path}' (FORMAT parquet)`);
    const failed = await job.run('--path', path);
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining(`row 1 of ${path}`) });
    expect(await job.values()).toEqual([]);
  });

  test('a dry run says what would be loaded, and creates nothing', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 4, chunkRecords: 300 } });
    const path = join(job.folder, 'rows.parquet');
    await writeParquet(path, 1_000);
    const plan = await job.run('--path', path, '--dry-run');
    expect(plan.code).toBe(0);
    expect(plan.stdout).toContain('1,000');
    expect(plan.stdout).toContain('in 4 transactions');
    expect(plan.stdout).toContain(`topic ${job.to} would be made, with 4 partitions`);
    expect(await job.topics.exists(job.to)).toBe(false);
    expect(await job.topics.exists(job.progressTopic)).toBe(false);
  });

  test('a load that lives is left alone, and named', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 1, chunkRecords: 100 } });
    const path = join(job.folder, 'rows.parquet');
    const values = await writeParquet(path, 60_000, 0, 2_048);
    const first = job.start('--path', path);
    let seen = 0;
    while (seen === 0 && first.child.exitCode === null) {
      if (await job.topics.exists(job.to)) seen = sum(await job.topics.endOffsets(job.to));
    }
    const second = await job.run('--path', path);
    expect(first.child.exitCode, first.output().stderr).toBeNull();
    expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining(`(pid ${first.child.pid})`) });
    expect((await first.result).code).toBe(0);
    expect(await job.values()).toEqual(values);
  });

  test('SIGTERM ends a load within seconds, and the next one goes on', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 2, chunkRecords: 100 } });
    const path = join(job.folder, 'rows.parquet');
    const values = await writeParquet(path, 60_000, 0, 2_048);
    const first = job.start('--path', path);
    let seen = 0;
    while (seen === 0 && first.child.exitCode === null) {
      if (await job.topics.exists(job.to)) seen = sum(await job.topics.endOffsets(job.to));
    }
    first.child.kill('SIGTERM');
    expect(await first.result).toMatchObject({ code: 143, stderr: expect.stringContaining('SIGTERM') });
    const next = await job.run('--path', path);
    expect(next.stderr).toContain('going on at row');
    expect(await job.values()).toEqual(values);
  });

  test('a file that changed under a load half done is named', async () => {
    const job = await LoadJob.make(workspace, { sink: { partitions: 2, chunkRecords: 100 } });
    const path = join(job.folder, 'rows.parquet');
    await writeParquet(path, 60_000, 0, 2_048);
    const first = job.start('--path', path);
    let seen = 0;
    while (seen === 0 && first.child.exitCode === null) {
      if (await job.topics.exists(job.to)) seen = sum(await job.topics.endOffsets(job.to));
    }
    first.child.kill('SIGKILL');
    await first.result;
    const values = await writeParquet(path, 10, 100_000);
    const changed = await job.run('--path', path);
    expect(changed).toMatchObject({ code: 2, stderr: expect.stringContaining(`${path} has changed`) });
    await rm(path);
    const other = join(job.folder, 'other.parquet');
    await writeParquet(other, 10, 100_000);
    expect(await job.run('--path', other)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('not there any more'),
    });
    await job.report('--path', other, '--reload');
    expect((await job.values()).filter((value) => values.includes(value))).toEqual(values);
  });
});
