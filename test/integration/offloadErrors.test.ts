import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { freePorts } from '../helpers/broker.ts';
import type { ProgramResult } from '../helpers/cache.ts';
import { runCommand } from '../helpers/command.ts';
import { findLogFile } from '../helpers/segments.ts';
import { randomName } from '../helpers/topics.ts';
import { type OffloadJob, query, Workspace } from '../helpers/workspace.ts';

/** What goes wrong is one clear line and the right exit status; nothing is published, saved or left behind. */

const bootstrapServers = inject('bootstrapServers');
const brokerDataFolder = inject('brokerDataFolder');
let work: Workspace;
let topic: string;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
  topic = await work.topics.create('plain', { partitions: 2 });
  await work.send(topic, 100, [0, 1]);
});

afterAll(async () => {
  await work.close();
});

function expectOneLine(result: ProgramResult, code: number): string {
  const lines = result.stderr.trimEnd().split('\n');
  expect(lines, result.stderr).toHaveLength(1);
  expect(result.code, result.stderr).toBe(code);
  expect(result.stdout).toBe('');
  return lines[0] ?? '';
}

/** A failed run of a fresh job published, saved and staged nothing. */
async function expectNothingLeft(job: OffloadJob): Promise<void> {
  expect(await job.dataFiles()).toEqual([]);
  expect(await job.staged()).toEqual([]);
  expect(await job.saved()).toEqual({});
}

describe('wrong usage ends with status 2', () => {
  test('an unknown config names those there are', async () => {
    const job = await work.job({ topic });
    const result = await runCommand(['--conf', job.confPath, '--config', 'oders', '--path', job.out], {
      cwd: job.folder,
    });
    const line = expectOneLine(result, 2);
    expect(line).toContain('oders');
    expect(line).toContain('orders');
    await expectNothingLeft(job);
  });

  test('an unknown topic is named, and not made', async () => {
    const missing = work.topics.reserve('missing');
    const job = await work.job({ topic: missing });
    expect(expectOneLine(await job.run(), 2)).toContain(missing);
    expect(expectOneLine(await job.run('--dry-run'), 2)).toContain(missing);
    expect(await work.topics.exists(missing)).toBe(false);
    await expectNothingLeft(job);
  });

  test('an unknown option is named', async () => {
    const job = await work.job({ topic });
    expect(expectOneLine(await job.run('--write-coalese', '1'), 2)).toContain('--write-coalese');
  });

  test('an unknown key of the configuration is named with its path', async () => {
    const job = await work.job({ topic, entry: { maxReed: 5 } });
    expect(expectOneLine(await job.run(), 2)).toContain('kafka.topics.orders.maxReed');
  });

  test.each([
    ['valu as STRING', 'valu'],
    ['value as STRNG)', 'STRNG'],
    ['cast(offset as HEADERS)', 'HEADERS'],
    ['cast(value as', 'cast(value as'],
  ])('the field "%s" is shown with the place where it goes wrong', async (field, shown) => {
    const job = await work.job({ topic, entry: { fields: ['value', field] } });
    const result = await job.run();
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('orders.fields[1]');
    expect(result.stderr).toContain(shown);
    await expectNothingLeft(job);
  });

  test('a file where a folder is needed, and a folder where a file is', async () => {
    const job = await work.job({ topic });
    await writeFile(join(job.folder, 'file'), 'kept');
    await mkdir(join(job.folder, 'folder'));
    expectOneLine(await job.run('--write-path', join(job.folder, 'file')), 2);
    expectOneLine(await job.run('--write-path', join(job.folder, 'file', 'below')), 2);
    expectOneLine(await job.run('--write-path', join(job.folder, 'folder'), '--write-coalesce', '1'), 2);
    expect(await readFile(join(job.folder, 'file'), 'utf8')).toBe('kept');
    expect(await readdir(join(job.folder, 'folder'))).toEqual([]);
    expect(await job.saved()).toEqual({});
  });
});

describe('what fails while running ends with status 1', () => {
  test('a broker that is down: which address, and how long it was tried', async () => {
    const [port] = await freePorts(1);
    const job = await work.job({
      topic,
      bootstrapServers: `127.0.0.1:${port}`,
      entry: { accessOptions: { 'default.api.timeout.ms': 2_000, 'socket.timeout.ms': 1_000 } },
    });
    const started = Date.now();
    const line = expectOneLine(await job.run(), 1);
    expect(Date.now() - started).toBeLessThan(20_000);
    expect(line).toContain(`127.0.0.1:${port}`);
    expect(line).toMatch(/\b\d+(\.\d+)? ?(s|ms|seconds)\b/);
    await expectNothingLeft(job);
  });

  test('an offsets entry that is not a number is shown, and stays as it is', async () => {
    const job = await work.job({ topic });
    await mkdir(job.offsets, { recursive: true });
    const path = join(job.offsets, 'orders');
    await writeFile(path, '- "0,10"\n- "1,ten"\n');
    const line = expectOneLine(await job.run(), 1);
    expect(line).toContain(path);
    expect(line).toContain('1,ten');
    expect(await readFile(path, 'utf8')).toBe('- "0,10"\n- "1,ten"\n');
    expect(await job.dataFiles()).toEqual([]);
  });

  // The log can be damaged only where its files are ours.
  test.skipIf(brokerDataFolder === '')('a damaged record batch is named by topic, partition and offset', async () => {
    const damaged = await work.topics.create('damaged');
    await work.send(damaged, 50);
    const job = await work.job({ topic: damaged });
    const path = await findLogFile(brokerDataFolder, damaged, 0);
    const log = await readFile(path);
    log[log.length - 3] = (log[log.length - 3] ?? 0) ^ 0x40;
    await writeFile(path, log);
    const line = expectOneLine(await job.run(), 1);
    expect(line).toContain(`${damaged}/0`);
    expect(line).toMatch(/offset 0\b/);
    await expectNothingLeft(job);
  });
});

describe('bytes that are not UTF-8 where STRING is asked', () => {
  const values = ['good', 'größe', 'bad', 'last'].map((text) => Buffer.from(text));
  values[2] = Buffer.from([0x61, 0xff, 0x62]);
  let binary: string;

  beforeAll(async () => {
    binary = await work.topics.create('binary');
    await work.sendBytes(binary, values);
  });

  test('fail: topic, partition, offset and the way out are named, and nothing is written', async () => {
    const job = await work.job({ topic: binary });
    const line = expectOneLine(await job.run(), 1);
    expect(line).toContain(`${binary}/0`);
    expect(line).toMatch(/offset 2\b/);
    expect(line).toContain('invalidUtf8');
    await expectNothingLeft(job);
  });

  test.each([
    ['replace', 'a\ufffdb'],
    ['null', null],
  ])('%s: the value becomes %j and the others stay', async (invalidUtf8, expected) => {
    const job = await work.job({ topic: binary, entry: { invalidUtf8 } });
    expect((await job.report()).rows).toBe(4);
    const rows = await query(`SELECT value FROM read_parquet('${job.out}/*.parquet') ORDER BY "offset"`);
    expect(rows.map((row) => row.value)).toEqual(['good', 'größe', expected, 'last']);
  });

  test('as BINARY they are as they were sent', async () => {
    const job = await work.job({ topic: binary, entry: { fields: ['value', 'offset as LONG'] } });
    await job.report();
    const rows = await query(`SELECT hex(value) AS value FROM read_parquet('${job.out}/*.parquet') ORDER BY "offset"`);
    expect(rows.map((row) => row.value)).toEqual(values.map((value) => value.toString('hex').toUpperCase()));
  });
});

test('after each of these failures the same config still offloads everything', async () => {
  const name = randomName('after');
  const job = await work.job({ topic, offsets: join(work.path, name), entry: { fields: ['valu'] } });
  expect((await job.run()).code).toBe(2);
  const mended = await work.job({ topic, offsets: join(work.path, name) });
  expect((await mended.report()).rows).toBe(100);
});
