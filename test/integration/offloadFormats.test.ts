import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ORACLE_FIELDS, Oracle, type OracleFormat } from '../helpers/oracle.ts';
import { fillTopic, produce } from '../helpers/producers.ts';
import { MIXED_PARTITIONS, writeMixedScript } from '../helpers/workload.ts';
import { type OffloadJob, sorted, Workspace } from '../helpers/workspace.ts';

/** Every format, as folder, as several files and as one: compared row by row with what was produced. */

const FIRST = 12_000;
const SECOND = 4_000;

interface Variant {
  readonly format: OracleFormat;
  readonly options: string;
  readonly extension: string;
}

const VARIANTS: readonly Variant[] = [
  { format: 'json', options: 'compression=gzip,ignoreNullFields=false', extension: '.json.gz' },
  { format: 'json', options: 'compression=zstd', extension: '.json.zst' },
  { format: 'csv', options: `escape='"'`, extension: '.csv' },
  { format: 'csv', options: `escape='"',compression=gzip,quoteAll=true`, extension: '.csv.gz' },
  { format: 'avro', options: 'compression=snappy', extension: '.avro' },
  { format: 'msgpack', options: 'compression=gzip', extension: '.msgpack.gz' },
];

/** One that is read line by line, and one that has a header and blocks. */
const IN_SEVERAL_FILES: readonly OracleFormat[] = ['csv', 'avro'];

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;
let oracle: Oracle;
let topic: string;
let first: string;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
  oracle = await Oracle.open();
  topic = await work.topics.create('formats', { partitions: MIXED_PARTITIONS });
  const numbers = await writeMixedScript(script('first'), { firstNumber: 0, committed: FIRST, seed: 11 });
  await writeMixedScript(script('second'), { firstNumber: numbers, committed: SECOND, seed: 12 });
  for (const name of ['first', 'second']) await oracle.addScript(script(name));
  first = await send('first');
});

afterAll(async () => {
  oracle.close();
  await work.close();
});

function script(name: string): string {
  return join(work.path, `${name}.script`);
}

async function send(name: string): Promise<string> {
  const path = join(work.path, `${name}.records`);
  await produce('librdkafka', { bootstrapServers, topic, codec: 'lz4', scriptPath: script(name), recordPath: path });
  return path;
}

interface Targets extends Variant {
  readonly folder: OffloadJob;
  readonly exact: OffloadJob;
  readonly file: string;
}

async function targetsOf(variant: Variant): Promise<Targets> {
  const folder = await work.job({ topic, entry: { fields: ORACLE_FIELDS } });
  const exact = await work.job({ topic, entry: { fields: ORACLE_FIELDS } });
  // Exactly the path: its extension means nothing.
  return { ...variant, folder, exact, file: join(exact.folder, 'all.rows') };
}

function writing({ format, options }: Variant): string[] {
  return ['--write-format', format, '--write-options', options];
}

async function expectRows(files: readonly string[], { format, extension }: Variant, rows: number): Promise<void> {
  const difference = await oracle.compare(await readableNames(files, extension), format);
  expect(difference).toEqual({ produced: rows, found: rows, missing: 0, unexpected: 0, examples: [] });
}

/** DuckDB goes by the end of a name. */
async function readableNames(files: readonly string[], extension: string): Promise<string[]> {
  return Promise.all(
    files.map(async (file) => {
      if (file.endsWith(extension)) return file;
      await writeFile(`${file}${extension}`, await readFile(file));
      return `${file}${extension}`;
    }),
  );
}

async function pathsOf(job: OffloadJob, extension: string): Promise<string[]> {
  const names = (await job.files()).filter((name) => !name.startsWith('_'));
  for (const name of names) expect(name).toMatch(/^part-\d{5}-[^.]+(\.\w+)+$/);
  expect(names.map((name) => name.slice(name.indexOf('.')))).toEqual(names.map(() => extension));
  return names.map((name) => join(job.out, name));
}

test('what was produced is in the files of each format once: a folder, three files, one file, Append, Overwrite', async () => {
  const targets = await Promise.all(VARIANTS.map(targetsOf));
  await oracle.expect([first]);
  for (const target of targets) {
    const { folder, exact, extension, file } = target;
    expect((await folder.report(...writing(target))).rows).toBe(FIRST);
    await expectRows(await pathsOf(folder, extension), target, FIRST);

    if (IN_SEVERAL_FILES.includes(target.format)) {
      const three = await work.job({ topic, entry: { fields: ORACLE_FIELDS } });
      await three.report(...writing(target), '--write-coalesce', '3');
      await expectRows(await pathsOf(three, extension), target, FIRST);
    }

    await exact.report(...writing(target), '--write-coalesce', '1', '--write-path', file);
    await expectRows([file], target, FIRST);
  }
  const second = await send('second');
  for (const target of targets) {
    const { folder, exact, extension, file } = target;
    await oracle.expect([first, second]);
    await folder.report(...writing(target));
    await expectRows(await pathsOf(folder, extension), target, FIRST + SECOND);
    await exact.report(...writing(target), '--write-coalesce', '1', '--write-path', file);
    await expectRows([file], target, FIRST + SECOND);
  }
  const third = await work.send(topic, 300, [0, 1]);
  for (const { folder, exact, format, options, file } of targets) {
    const write = ['--write-format', format, '--write-options', options, '--write-mode', 'Overwrite'];
    expect((await folder.report(...write)).rows).toBe(third.length);
    expect((await exact.report(...write, '--write-coalesce', '1', '--write-path', file)).rows).toBe(third.length);
    expect((await folder.files()).filter((name) => name.startsWith('part-'))).toHaveLength(1);
  }
}, 600_000);

describe('rows in one file', () => {
  test('lie in offset order within each partition, whoever wrote them', async () => {
    const large = await work.topics.create('ordered', { partitions: 2 });
    await fillTopic(bootstrapServers, large, { count: 400_000, bytes: 200 });
    const job = await work.job({ topic: large, entry: { fields: ['value', 'partition as INT', 'offset as LONG'] } });
    const file = join(job.folder, 'all.json.gz');
    const write = ['--write-format', 'json', '--write-options', 'compression=gzip', '--workers', '2'];
    const report = await job.report(...write, '--write-coalesce', '1', '--write-path', file);
    expect(report.rows).toBe(400_000);
    for (const worker of report.workers) expect(worker.rows).toBeGreaterThan(0);
    const next = new Map<number, number>();
    for (const line of gunzipSync(await readFile(file))
      .toString()
      .trimEnd()
      .split('\n')) {
      const { partition, offset } = JSON.parse(line) as { partition: number; offset: number };
      if (offset !== (next.get(partition) ?? 0))
        throw new Error(`${partition}/${offset} stands after ${next.get(partition)}`);
      next.set(partition, offset + 1);
    }
    expect(sorted([...next].map(([partition, offset]) => `${partition}:${offset}`))).toEqual(
      Object.entries(await job.saved()).map(([partition, offset]) => `${partition}:${offset}`),
    );
  });

  test('are refused where the file there is of other columns or another kind', async () => {
    const small = await work.topics.create('refused');
    await work.send(small, 10);
    const job = await work.job({ topic: small, entry: { fields: ['value as STRING', 'offset as LONG'] } });
    const file = join(job.folder, 'old');
    const refused = async (content: string, ...args: string[]): Promise<string> => {
      await writeFile(file, content);
      const result = await job.run('--write-coalesce', '1', '--write-path', file, ...args);
      expect(result.code).toBe(2);
      expect(await readFile(file, 'utf8')).toBe(content);
      expect(await job.saved()).toEqual({});
      return result.stderr;
    };
    const csv = ['--write-format', 'csv', '--write-options', 'header=true'];
    expect(await refused('a,b\n1,2\n', ...csv)).toContain('its header line is a,b, and the new rows have value,offset');
    expect(await refused('{}\n', '--write-format', 'avro')).toContain('it is no Avro file');
    expect(await refused('x\n', '--write-format', 'json', '--write-options', 'compression=gzip')).toContain(
      'its compression is none, and new rows would have gzip',
    );
    expect(await refused('x\n', '--write-format', 'text')).toContain(
      'cannot write the columns value Utf8, offset Int64',
    );
  });

  test('as text are the values themselves', async () => {
    const small = await work.topics.create('text');
    const values = await work.send(small, 50);
    const job = await work.job({ topic: small, entry: { fields: ['value as STRING'] } });
    const file = join(job.folder, 'values.txt');
    await job.report('--write-format', 'text', '--write-coalesce', '1', '--write-path', file);
    expect(await readFile(file, 'utf8')).toBe(values.map((value) => `${value}\n`).join(''));
  });
});
