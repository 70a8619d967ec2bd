import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { makeRunId } from '../../../../src/commit/names.ts';
import { nodeFileSystem } from '../../../../src/io.ts';
import { LetterFiles } from '../../../../src/stream/table/duckdb/letterFiles.ts';

const folder = await mkdtemp(join(tmpdir(), 'kafkaload-letters-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const [first, second] = [makeRunId(1_700_000_000_000), makeRunId(1_700_000_000_000)];
const place = join(folder, 'rows.duckdb.dead-letters', 'abc');

async function stage(text: string) {
  await mkdir(join(folder, 'staging'), { recursive: true });
  const path = join(folder, 'staging', text);
  await writeFile(path, text);
  return { path, records: 1, bytes: text.length, crc32c: 0 };
}

it('keeps what was staged, also when that is tried again, until it waits no more', async () => {
  const files = new LetterFiles(nodeFileSystem, place);
  await files.removeUnless(() => false);
  const [one, two, three] = [await stage('one'), await stage('two'), await stage('three')];
  const name = await files.put(one, first, 0);
  expect(await files.put(one, first, 0)).toBe(name);
  await files.put(two, first, 1);
  const other = await files.put(three, second, 0);
  expect(await readdir(join(folder, 'staging'))).toEqual([]);
  expect((await files.get(name)).toString()).toBe('one');
  // As another process does, which knows what rows say.
  await new LetterFiles(nodeFileSystem, place).removeUnless((run) => run === second);
  expect(await readdir(place)).toEqual([other]);
  expect((await files.get(other)).toString()).toBe('three');
});

it('names a file that was taken away, and a staged one that is not there', async () => {
  const files = new LetterFiles(nodeFileSystem, place);
  await expect(files.get('gone-0')).rejects.toMatchObject({
    code: 'RECOVERY_BLOCKED',
    message: expect.stringContaining(`${join(place, 'gone-0')} is gone`),
  });
  const never = { path: join(folder, 'staging', 'never'), records: 1, bytes: 1, crc32c: 0 };
  await expect(files.put(never, first, 7)).rejects.toMatchObject({ code: 'IO_FAILED' });
});
