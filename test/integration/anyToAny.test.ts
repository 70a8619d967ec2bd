import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type JsonReport, offloadReport, runCommand, startCommand, writeConfig } from '../helpers/command.ts';
import { readTopic } from '../helpers/producers.ts';
import { randomName } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import { OFFSETS_MODES, type OffsetsMode, query, sorted, Workspace } from '../helpers/workspace.ts';

/** From any source to any sink, by the command as its users write it. */

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
});

afterAll(async () => {
  await work.close();
});

interface Place {
  readonly folder: string;
  readonly conf: string;
  readonly offsets: string;
  /** Runs the command; it must exit 0. */
  run(...args: string[]): Promise<JsonReport>;
}

/** A folder and a configuration with these topics, each an entry of its own name. */
async function placeFor(
  mode: OffsetsMode,
  topics: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Place> {
  const folder = join(work.path, randomName('place'));
  await mkdir(folder);
  const offsets = mode === 'FILE' ? join(folder, 'offsets') : work.topics.reserve('offsets');
  const entries = Object.entries(topics).map(([name, entry]) => [name, { topicName: name, ...entry }]);
  const conf = await writeConfig(folder, {
    bootstrapServers,
    mode,
    offsets,
    topics: Object.fromEntries(entries),
    more,
  });
  const run = (...args: string[]) => offloadReport(['--conf', conf, ...args], { cwd: folder });
  return { folder, conf, offsets, run };
}

/** Lines of JSON as the reference's own test has them. */
async function writeRows(path: string, count: number): Promise<{ key: string; value: string }[]> {
  const rows = Array.from({ length: count }, (_, i) => ({ key: `key-${i}`, value: `${crypto.randomUUID()} "é" ${i}` }));
  await writeFile(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return rows;
}

function lines(rows: readonly { readonly key: unknown; readonly value: unknown }[]): string[] {
  return sorted(rows.map(({ key, value }) => `${key} ${value}`));
}

async function committed(topic: string): Promise<string[]> {
  return lines(await readTopic(bootstrapServers, topic));
}

async function inFiles(read: string): Promise<string[]> {
  return lines((await query(`SELECT key, value FROM ${read}`)) as { key: string; value: string }[]);
}

describe.each(OFFSETS_MODES)('offsets in mode %s', (mode) => {
  test('5,000 rows of JSON to a topic, and from there to one JSON file, are equal', async () => {
    const topic = work.topics.reserve('json');
    const { folder, run } = await placeFor(mode, { [topic]: { partitions: 3, replicationFactor: 1 } });
    const rows = await writeRows(join(folder, 'rows.json'), 5_000);
    expect((await run('--path', 'rows.json', '--format', 'json', '--write-config', topic)).rows).toBe(5_000);
    const offload = ['--config', topic, '--write-path', 'all.json', '--write-format', 'json', '--write-coalesce', '1'];
    expect((await run(...offload)).rows).toBe(5_000);
    expect(await inFiles(`read_json('${folder}/all.json')`)).toEqual(lines(rows));
    // Nothing is new, and the file stays as it is.
    const before = await readFile(join(folder, 'all.json'), 'utf8');
    expect((await run(...offload)).rows).toBe(0);
    expect(await readFile(join(folder, 'all.json'), 'utf8')).toBe(before);
  });

  test('10,000 rows of Parquet to a topic: so many committed records, and not twice', async () => {
    const topic = await work.topics.create('load', { partitions: 4 });
    const { folder, run } = await placeFor(mode, { [topic]: {} });
    await query(`COPY (SELECT 'key-' || i AS key, 'value ' || i AS value FROM range(10000) t(i))
      TO '${folder}/rows.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048)`);
    const load = ['--path', 'rows.parquet', '--write-config', topic, '--write-format', 'kafka'];
    expect((await run(...load)).rows).toBe(10_000);
    const ends = await work.topics.endOffsets(topic);
    // One control record for each transaction and partition.
    expect(ends.reduce((sum, end) => sum + end, 0)).toBeGreaterThanOrEqual(10_000);
    const found = await committed(topic);
    expect(found).toEqual(await inFiles(`'${folder}/rows.parquet'`));
    const again = await runCommand(['--conf', join(folder, 'kafkaload.yaml'), ...load], { cwd: folder });
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).toMatch(/already loaded by .* at .*--reload/);
    expect(await committed(topic)).toEqual(found);
    expect((await run(...load, '--reload')).rows).toBe(10_000);
    expect(await committed(topic)).toEqual(sorted([...found, ...found]));
  });

  test('5,000 messages from topic to topic, and then only what is new', async () => {
    const source = await work.topics.create('from', { partitions: 3 });
    const target = work.topics.reserve('to');
    const { run } = await placeFor(mode, { [source]: {}, [target]: { partitions: 2, replicationFactor: 1 } });
    const values = await work.send(source, 5_000, [0, 1, 2]);
    const move = ['--config', source, '--write-config', target];
    expect((await run(...move)).rows).toBe(5_000);
    expect(await committed(target)).toEqual(sorted(values.map((value) => `null ${value}`)));
    expect((await run(...move)).rows).toBe(0);
    const added = await work.send(source, 100, [1]);
    expect((await run(...move)).rows).toBe(100);
    expect(await committed(target)).toEqual(sorted([...values, ...added].map((value) => `null ${value}`)));
  });

  test('a HOCON configuration that uses every key of the reference', async () => {
    const topic = await work.topics.create('logs', { partitions: 2 });
    const values = await work.send(topic, 1_000, [0, 1]);
    const folder = join(work.path, randomName('hocon'));
    await mkdir(folder);
    const offsets = mode === 'FILE' ? join(folder, 'offsets') : work.topics.reserve('offsets');
    await writeFile(join(folder, 'application.conf'), hoconConfiguration(mode, topic, offsets));
    const report = await offloadReport(['--config', 'logs', '--path', 'out'], { cwd: folder });
    expect(report.rows).toBe(1_000);
    const found = await query(`SELECT value, topic, "timestampType" AS type FROM '${folder}/out/*.parquet'`);
    expect(sorted(found.map(({ value }) => String(value)))).toEqual(sorted(values));
    expect(found[0]).toMatchObject({ topic, type: 0 });
  });
});

describe('files to files', () => {
  const columns = `i::INT AS id, 'näme ' || i AS name, (i * 1.5)::DOUBLE AS amount, i % 3 = 0 AS flag,
    CASE WHEN i % 5 = 0 THEN NULL ELSE i::BIGINT * 9007199254740993 END AS big, DATE '2024-02-28' + i::INT AS day`;

  test.each([
    ['parquet', 'all.parquet', `read_parquet('FOLDER/out.parquet')`, []],
    [
      'json',
      'all.parquet',
      `read_json('FOLDER/out.json', columns = {id: 'INT', name: 'VARCHAR', amount: 'DOUBLE', flag: 'BOOLEAN', big: 'HUGEINT', day: 'DATE'})`,
      [],
    ],
    ['csv', 'all.parquet', `read_csv('FOLDER/out.csv', header = true)`, ['--write-options', 'header=true']],
  ] as const)('Parquet to one %s file', async (format, source, read, more) => {
    const { folder, run } = await placeFor('FILE', {});
    await query(`COPY (SELECT ${columns} FROM range(1000) t(i)) TO '${folder}/${source}' (FORMAT parquet)`);
    const target = ['--write-path', `out.${format}`, '--write-format', format, '--write-coalesce', '1'];
    expect((await run('--path', source, ...target, ...more)).rows).toBe(1_000);
    const select = 'SELECT id::BIGINT AS id, name, amount, flag, big, day FROM';
    const found = await query(`${select} ${read.replace('FOLDER', folder)} ORDER BY id`);
    expect(found).toEqual(await query(`${select} '${folder}/${source}' ORDER BY id`));
  });

  test('JSON, Avro and msgpack and back again are equal', async () => {
    const { folder, run } = await placeFor('FILE', {});
    await query(`COPY (SELECT ${columns} FROM range(1000) t(i)) TO '${folder}/0.parquet' (FORMAT parquet)`);
    const step = (from: string, to: string) =>
      run(
        ...['--path', from, '--format', from.split('.')[1] ?? '', '--write-path', to],
        ...['--write-format', to.split('.')[1] ?? '', '--write-coalesce', '1'],
      );
    for (const [from, to] of [
      ['0.parquet', '1.avro'],
      ['1.avro', '2.msgpack'],
      ['2.msgpack', '3.parquet'],
    ] as const) {
      expect((await step(from, to)).rows).toBe(1_000);
    }
    const select = (file: string) =>
      query(`SELECT id::BIGINT AS id, name, amount, flag, big FROM '${folder}/${file}' ORDER BY id`);
    expect(await select('3.parquet')).toEqual(await select('0.parquet'));
  });

  test('several sources and globs, N files, Append and Overwrite', async () => {
    const { folder, run } = await placeFor('FILE', {});
    for (const file of [1, 2, 3]) {
      await query(`COPY (SELECT i + ${file}000 AS id FROM range(500) t(i)) TO '${folder}/in${file}.csv' (HEADER)`);
    }
    const move = ['--format', 'csv', '--options', 'header=true,inferSchema=true', '--write-path', 'out'];
    const ids = async () => (await query(`SELECT id FROM '${folder}/out/*.parquet'`)).length;
    expect((await run('--path', 'in1.csv,in[23].csv', ...move, '--write-coalesce', '2')).rows).toBe(1_500);
    expect(await ids()).toBe(1_500);
    await run('--path', 'in1.csv', ...move);
    expect(await ids()).toBe(2_000);
    await run('--path', 'in1.csv', ...move, '--write-mode', 'overwrite');
    expect(await ids()).toBe(500);
  });

  test('stopped by SIGTERM in the middle: exit status 143, nothing half, and the next run does all', async () => {
    const { folder, conf, run } = await placeFor('FILE', {});
    await query(`COPY (SELECT i AS id, repeat(md5(i::VARCHAR), 4) AS text FROM range(1000000) t(i))
      TO '${folder}/large.parquet' (FORMAT parquet)`);
    const args = ['--path', 'large.parquet', '--write-path', 'out', '--write-format', 'csv'];
    const { child, result } = startCommand(['--conf', conf, ...args], { cwd: folder });
    await waitFor('rows to be staged', async () => (await stagedBytes(join(folder, 'out'))) > 0);
    child.kill('SIGTERM');
    expect(await result).toMatchObject({ code: 143, stdout: '' });
    expect((await readdir(join(folder, 'out'))).filter((name) => !name.startsWith('_'))).toEqual([]);
    expect((await run(...args)).rows).toBe(1_000_000);
    expect(await query(`SELECT count(*)::INT AS n FROM '${folder}/out/*.csv'`)).toEqual([{ n: 1_000_000 }]);
  });
});

describe('console', () => {
  test('shows the first rows of a topic and saves no offsets', async () => {
    const topic = await work.topics.create('console');
    await work.send(topic, 50);
    const { folder, conf, run } = await placeFor('FILE', { [topic]: { fields: ['value as STRING', 'offset'] } });
    const args = ['--conf', conf, '--config', topic, '--write-format', 'console'];
    const shown = await runCommand([...args, '--write-options', 'numRows=3'], { cwd: folder });
    expect(shown.code, shown.stderr).toBe(0);
    expect(shown.stdout.match(/│ value /g)).toHaveLength(4);
    expect(shown.stdout).toContain('offsets were not saved');
    expect((await run('--config', topic, '--write-path', 'out')).rows).toBe(50);
  });

  test('shows the first rows of files', async () => {
    const { folder, conf } = await placeFor('FILE', {});
    await writeFile(join(folder, 'a.json'), '{"a":1,"b":{"c":[1,null]}}\n{"a":null,"b":null}\n');
    const args = ['--path', 'a.json', '--format', 'json', '--write-format', 'console'];
    const shown = await runCommand(['--conf', conf, ...args], { cwd: folder });
    expect(shown.code, shown.stderr).toBe(0);
    expect(shown.stdout).toContain('{"c":[1,null]}');
    expect(shown.stdout).toContain('NULL');
  });
});

describe('without an entry', () => {
  test('a topic named in --options, to files: all of it, each time', async () => {
    const topic = await work.topics.create('unnamed', { partitions: 2 });
    const values = await work.send(topic, 300, [0, 1]);
    const { folder, run } = await placeFor('FILE', {});
    const options = `subscribe=${topic},kafka.bootstrap.servers=${bootstrapServers}`;
    const move = ['--format', 'kafka', '--options', options, '--write-path', 'out', '--write-format', 'parquet'];
    expect((await run(...move)).rows).toBe(300);
    const found = await query(`SELECT value FROM '${folder}/out/*.parquet'`);
    expect(sorted(found.map(({ value }) => String(value)))).toEqual(sorted(values));
    expect((await run(...move)).rows).toBe(300);
  });

  test('connections: the brokers of one, the folder, format and mode of another', async () => {
    const topic = await work.topics.create('connected');
    await work.send(topic, 100);
    const connections = {
      lake: {
        type: 'FS',
        format: 'json',
        mode: 'Overwrite',
        options: { path: join(work.path, 'lake'), compression: 'gzip' },
      },
    };
    const folder = join(work.path, randomName('place'));
    await mkdir(folder);
    const tree = {
      kafka: {
        cometOffsetsMode: 'FILE',
        serverOptions: { 'bootstrap.servers': bootstrapServers },
        topics: {
          one: { topicName: topic, fields: ['value as STRING'] },
          comet_offsets: { topicName: join(folder, 'o') },
        },
      },
      connections,
    };
    const conf = await work.conf(tree);
    const args = ['--conf', conf, '--config', 'one', '--connectionRef', 'lake', '--write-path', 'day'];
    expect((await offloadReport(args, { cwd: folder })).rows).toBe(100);
    expect(await query(`SELECT count(*)::INT AS n FROM read_json('${work.path}/lake/day/*.json.gz')`)).toEqual([
      { n: 100 },
    ]);
  });
});

/** Of what a run has staged below a target so far. */
async function stagedBytes(target: string): Promise<number> {
  const entries = await readdir(target, { recursive: true, withFileTypes: true }).catch(() => []);
  const staged = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.staged'));
  const sizes = await Promise.all(staged.map((entry) => stat(join(entry.parentPath, entry.name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

function hoconConfiguration(mode: OffsetsMode, topic: string, offsets: string): string {
  return `
    brokers = "${bootstrapServers}"
    text = "org.apache.kafka.common.serialization.StringDeserializer"
    kafka {
      cometOffsetsMode = ${mode}
      customDeserializers { }
      serverOptions { "bootstrap.servers": \${brokers} }
      topics {
        logs {
          topicName: "${topic}"
          maxRead = 0
          fields = ["key as STRING", "value as STRING", "topic as STRING", "partition as INT", "offset as LONG",
            "timestamp as TIMESTAMP", "timestampType as INT"]
          writeFormat = "parquet"
          createOptions { "cleanup.policy": "compact" }
          accessOptions {
            "kafka.bootstrap.servers": \${brokers}
            "bootstrap.servers": \${brokers}
            "key.deserializer": \${text}, "value.deserializer": \${text}
            subscribe: "${topic}"
          }
        },
        comet_offsets {
          topicName: "${offsets}", maxRead = 0, partitions = 1, replication-factor = 1, writeFormat = "parquet"
          createOptions { "cleanup.policy": "compact" }
          accessOptions {
            "kafka.bootstrap.servers": \${brokers}
            "auto.offset.reset": "earliest", "auto.commit.enable": "false", "consumer.timeout.ms": "10"
            "bootstrap.servers": \${brokers}
            "key.deserializer": \${text}, "value.deserializer": \${text}
            subscribe: "${offsets}"
          }
        }
      }
    }
    connections.elasticsearch {
      type = "elasticsearch", format = "elasticsearch", mode = "Append", options { "es.nodes": "localhost" }
    }
  `;
}
