import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { FileStreamJob } from '../../src/coordinator/jobs.ts';
import { built } from '../helpers/built.ts';
import { LoadJob } from '../helpers/loads.ts';
import { readTopic } from '../helpers/producers.ts';
import { RunningStream } from '../helpers/streams.ts';
import { randomName } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import { sorted, Workspace } from '../helpers/workspace.ts';

/** A folder that is watched, and a real broker: each file once. */

let workspace: Workspace;
const warnings: string[] = [];

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
});

afterAll(() => workspace.close());

async function makeFolder(): Promise<string> {
  const folder = join(workspace.path, randomName('watched'));
  await mkdir(folder);
  return folder;
}

/** As it is put there by somebody who takes care. */
async function put(folder: string, name: string, values: readonly string[]): Promise<void> {
  const path = join(folder, name);
  await writeFile(`${path}.tmp`, values.map((value) => `${JSON.stringify({ value })}\n`).join(''));
  await rename(`${path}.tmp`, path);
}

async function start(load: LoadJob, folder: string, trigger: readonly string[], format = 'json') {
  const stop = new AbortController();
  const { watchFiles } = await built<typeof import('../../src/stream/watchFiles.ts')>('stream/watchFiles');
  const args = ['--path', folder, '--format', format, '--stream', ...trigger];
  const job = (await load.fileJob(...args)) as FileStreamJob;
  const log = { debug() {}, info() {}, error() {}, warn: (line: string) => void warnings.push(line) };
  const progress = { start() {}, advance() {}, stop() {} };
  const nowhere = { write() {} };
  const report = watchFiles(job, { log, progress, stdout: nowhere, stderr: nowhere }, stop.signal);
  report.catch(() => {});
  return { report, stop: () => stop.abort(new Error('enough')) };
}

const QUICK = ['--streaming-trigger', 'ProcessingTime', '--streaming-trigger-option', '200 milliseconds'];

async function values(load: LoadJob): Promise<string[]> {
  return sorted((await readTopic(load.bootstrapServers, load.to)).map(({ value }) => String(value)));
}

test('files are loaded as they come, each once: hidden, temporary and touched ones are not, rewritten ones are', async () => {
  const folder = await makeFolder();
  const load = await LoadJob.make(workspace, { sink: { partitions: 1 } });
  const stream = await start(load, folder, QUICK);
  const has = (wanted: readonly string[]) => {
    return waitFor(`${wanted.length} rows`, async () => (await values(load)).length >= wanted.length);
  };
  await put(folder, 'a.json', ['a1', 'a2']);
  await put(folder, '.hidden.json', ['no']);
  await put(folder, '_SUCCESS', ['no']);
  await writeFile(join(folder, 'half.json.part'), '{"value": "no"}\n');
  await has(['a1', 'a2']);
  await mkdir(join(folder, 'day=2'));
  await put(join(folder, 'day=2'), 'b.json', ['b1']);
  await has(['a1', 'a2', 'b1']);
  await utimes(join(folder, 'a.json'), 1_000_000, 1_000_000);
  await put(folder, 'c.json', ['c1']);
  await put(join(folder, 'day=2'), 'b.json', ['b2', 'b3']);
  const wanted = ['a1', 'a2', 'b1', 'b2', 'b3', 'c1'];
  await has(wanted);
  // Two that run at once would load twice.
  const second = await start(load, folder, QUICK);
  await expect(second.report).rejects.toMatchObject({ code: 'RUN_ALIVE' });
  stream.stop();
  expect(await stream.report).toMatchObject({ rows: 6 });
  await put(folder, 'd.json', ['d1']);
  expect(await (await start(load, folder, [])).report).toMatchObject({ rows: 1 });
  expect(await values(load)).toEqual(sorted([...wanted, 'd1']));
  await rm(join(folder, 'half.json.part'));
  // What streams have loaded a batch leaves out, and the other way round.
  expect(await load.report('--path', folder, '--format', 'json')).toMatchObject({ rows: 0 });
  await put(folder, 'e.json', ['e1']);
  expect(await load.report('--path', folder, '--format', 'json')).toMatchObject({ rows: 1 });
  await put(folder, 'f.json', ['f1']);
  expect(await (await start(load, folder, [])).report).toMatchObject({ rows: 1 });
  expect(await values(load)).toEqual(sorted([...wanted, 'd1', 'e1', 'f1']));
  expect(warnings).toEqual([]);
});

test('a watched folder is looked at when a signal asks for it, and waited for while it is away; SIGTERM ends in order', async () => {
  const folder = await makeFolder();
  const load = await LoadJob.make(workspace, { sink: { partitions: 1 } });
  const hourly = ['--streaming-trigger', 'ProcessingTime', '--streaming-trigger-option', '1 hour'];
  const args = ['--path', folder, '--format', 'json', '--stream', ...hourly, '--report', 'json'];
  await put(folder, 'a.json', ['a']);
  const stream = new RunningStream(load.start(...args));
  await stream.says('micro-batch 1');
  const wanted = ['a'];
  for (const signal of ['SIGUSR1', 'SIGHUP'] as const) {
    wanted.push(signal);
    await put(folder, `${signal}.json`, [signal]);
    stream.run.child.kill(signal);
    await stream.says(`micro-batch ${wanted.length}`);
    expect(await values(load)).toEqual(sorted(wanted));
  }
  const away = `${folder}.away`;
  await rename(folder, away);
  stream.run.child.kill('SIGUSR1');
  await stream.says(/watched-\S+.*; looking again at each trigger/);
  await put(away, 'b.json', ['b']);
  await rename(away, folder);
  stream.run.child.kill('SIGUSR1');
  await stream.says('can be read again');
  await stream.says('micro-batch 4');
  expect(await stream.stop()).toMatchObject({ rows: 4 });
  expect(await values(load)).toEqual(sorted([...wanted, 'b']));
});

test('thousands of files are remembered: a start after the last loads what is new', async () => {
  const folder = await makeFolder();
  const load = await LoadJob.make(workspace, { sink: { partitions: 1 } });
  const names = Array.from({ length: 2_080 }, (_, index) => `f${index}`);
  const putAll = (some: readonly string[]) => {
    return Promise.all(some.map((name) => writeFile(join(folder, `${name}.txt`), `${name}\n`)));
  };
  await putAll(names.slice(0, 2_050));
  expect(await (await start(load, folder, [], 'text')).report).toMatchObject({ rows: 2_050 });
  await putAll(names.slice(2_050));
  expect(await (await start(load, folder, [], 'text')).report).toMatchObject({ rows: 30 });
  expect(await values(load)).toEqual(sorted(names));
});
