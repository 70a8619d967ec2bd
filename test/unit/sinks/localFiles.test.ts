import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Intent } from '../../../src/commit/types.ts';
import { checksumFile, type FileSystem, nodeFileSystem } from '../../../src/io.ts';
import { classifyTarget, listOwnFiles, publishLocalFiles } from '../../../src/sinks/localFiles.ts';
import { encodeManifest } from '../../../src/sinks/manifest.ts';
import type { StagedFile } from '../../../src/tasks.ts';

const RUN = '20261122T173012Z-1a2b3c4d';
let root: string;
let staging: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'kafkaload-sink-'));
  staging = join(root, '_kafkaload', 'staging', 'c.o.orders', RUN);
  await mkdir(staging, { recursive: true });
});

afterEach(() => rm(root, { recursive: true, force: true }));

async function stagedFile(name: string, text: string): Promise<StagedFile> {
  const stagedPath = join(staging, name);
  await writeFile(stagedPath, text);
  const state = await checksumFile(nodeFileSystem, stagedPath);
  if (!state) throw new Error('not staged');
  return { stagedPath, targetPath: join(root, name), rows: 1, ...state, ranges: [] };
}

function intentOf(files: readonly StagedFile[], more: Partial<Intent> = {}): Intent {
  return {
    version: 1,
    config: 'orders',
    run: RUN,
    stagingPath: staging,
    target: { kind: 'folder', path: root },
    writeMode: 'Append',
    commit: true,
    previous: [],
    next: [],
    files,
    replaced: [],
    ranges: [],
    gaps: [],
    topicIds: {},
    root,
    previousRun: null,
    createdAtMs: 0,
    ...more,
  };
}

function publish(intent: Intent, fs: FileSystem = nodeFileSystem) {
  return publishLocalFiles(intent, { fs, writer: RUN, step: async () => undefined });
}

async function visible(): Promise<string[]> {
  return (await readdir(root)).filter((name) => !name.startsWith('_')).sort();
}

describe('a folder', () => {
  test('gets the files and a manifest, and may be published again at any time', async () => {
    const intent = intentOf([await stagedFile('part-0.txt', 'a\n'), await stagedFile('part-1.txt', 'b\n')]);
    const manifest = join(root, '_kafkaload', 'manifests', 'orders', `${RUN}.json`);
    for (let again = 0; again < 2; again++) {
      expect(await publish(intent)).toEqual({ ok: true });
      expect(await visible()).toEqual(['part-0.txt', 'part-1.txt']);
      expect(await readdir(staging)).toEqual([]);
      expect(await readFile(manifest)).toEqual(encodeManifest(intent));
    }
    await rm(staging, { recursive: true });
    expect(await publish(intent)).toEqual({ ok: true });
  });

  test('a staged file that is nowhere is not passed over', async () => {
    const intent = intentOf([await stagedFile('part-0.txt', 'a\n')]);
    await rm(join(staging, 'part-0.txt'));
    expect(await publish(intent)).toMatchObject({ ok: false, reason: 'gone' });
  });

  test('a target of other content is left alone; one of the same content counts as published', async () => {
    const intent = intentOf([await stagedFile('part-0.txt', 'a\n')]);
    await writeFile(join(root, 'part-0.txt'), 'other\n');
    expect(await publish(intent)).toMatchObject({ ok: false, reason: 'changed', path: join(root, 'part-0.txt') });
    await writeFile(join(root, 'part-0.txt'), 'a\n');
    expect(await publish(intent)).toEqual({ ok: true });
  });

  test('on a file system without hard links files are moved', async () => {
    for (const code of ['EPERM', 'ENOTSUP']) {
      const noLinks: FileSystem = {
        ...nodeFileSystem,
        link: () => Promise.reject(Object.assign(new Error(code), { code })),
      };
      const intent = intentOf([await stagedFile(`part-${code}.txt`, 'a\n')]);
      for (let again = 0; again < 2; again++) expect(await publish(intent, noLinks)).toEqual({ ok: true });
      expect((await stat(join(root, `part-${code}.txt`))).size).toBe(2);
    }
  });

  test('every link is made before the first unlink, with the folder synced in between', async () => {
    const calls: string[] = [];
    const recording: FileSystem = {
      ...nodeFileSystem,
      link: (from, to) => {
        calls.push('link');
        return nodeFileSystem.link(from, to);
      },
      unlink: (path) => {
        calls.push('unlink');
        return nodeFileSystem.unlink(path);
      },
      open: (path, flags) => {
        if (path === root) calls.push('sync');
        return nodeFileSystem.open(path, flags);
      },
    };
    await publish(intentOf([await stagedFile('part-0.txt', 'a\n'), await stagedFile('part-1.txt', 'b\n')]), recording);
    expect(calls.slice(0, 5)).toEqual(['link', 'link', 'sync', 'unlink', 'unlink']);
  });
});

describe('an exact file', () => {
  const exact = (file: StagedFile, old: { bytes: number; crc32c: number } | null): Intent =>
    intentOf([file], { target: { kind: 'file', path: file.targetPath, old } });

  test('is replaced only while it is what the new one was made from', async () => {
    const intent = exact(await stagedFile('day.txt', 'new\n'), null);
    await writeFile(join(root, 'day.txt'), 'stranger\n');
    expect(await publish(intent)).toMatchObject({ ok: false, reason: 'changed' });
    expect(await readFile(join(root, 'day.txt'), 'utf8')).toBe('stranger\n');
    await rm(join(root, 'day.txt'));
    for (let again = 0; again < 2; again++) expect(await publish(intent)).toEqual({ ok: true });
    expect(await readFile(join(root, 'day.txt'), 'utf8')).toBe('new\n');
  });

  test('that is to be what it is already takes the staged file once', async () => {
    await writeFile(join(root, 'day.txt'), 'same\n');
    const file = await stagedFile('day.txt', 'same\n');
    const intent = exact(file, { bytes: file.bytes, crc32c: file.crc32c });
    for (let again = 0; again < 2; again++) expect(await publish(intent)).toEqual({ ok: true });
    expect(await readdir(staging)).toEqual([]);
  });

  test('is left as it is when there is no new row', async () => {
    expect(await publish(intentOf([], { target: { kind: 'file', path: join(root, 'day.txt'), old: null } }))).toEqual({
      ok: true,
    });
    expect(await visible()).toEqual([]);
  });
});

describe('what is in a target folder', () => {
  test('is told apart by the manifests: own, of other configs, foreign', async () => {
    const own = intentOf([await stagedFile('part-0.txt', 'a\n')]);
    await publish(own);
    const other = { ...intentOf([await stagedFile('part-1.txt', 'b\n')]), config: 'clicks' };
    await publish(other);
    await writeFile(join(root, '_SUCCESS'), '');
    expect(await listOwnFiles(nodeFileSystem, root, 'orders')).toEqual([join(root, 'part-0.txt')]);
    await mkdir(join(root, 'sub'));
    await writeFile(join(root, 'sub', 'notes.txt'), '');
    expect(await classifyTarget(nodeFileSystem, root, 'orders')).toEqual({
      own: [join(root, 'part-0.txt')],
      others: [join(root, 'part-1.txt')],
      foreign: [join(root, 'sub', 'notes.txt')],
    });
    await expect(listOwnFiles(nodeFileSystem, root, 'orders')).rejects.toMatchObject({
      code: 'TARGET_UNSUITABLE',
      message: expect.stringContaining(join(root, 'sub', 'notes.txt')),
    });
  });

  test('a folder that is not there is empty', async () => {
    expect(await listOwnFiles(nodeFileSystem, join(root, 'nowhere'), 'orders')).toEqual([]);
  });

  test('a manifest that cannot be read is named', async () => {
    const path = join(root, '_kafkaload', 'manifests', 'orders');
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'x.json'), '{');
    await expect(listOwnFiles(nodeFileSystem, root, 'orders')).rejects.toThrow(/x\.json is not a manifest/);
  });
});
