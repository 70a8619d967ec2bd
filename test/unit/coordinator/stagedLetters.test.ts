import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { afterAll, expect, it } from 'vitest';
import { batchesOf, readLetters, stageLetters } from '../../../src/coordinator/badRecords/stagedLetters.ts';
import { nodeFileSystem as fs } from '../../../src/io.ts';

const folder = await mkdtemp(join(tmpdir(), 'kafkaload-staged-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const MIB = 1024 ** 2;
const batch = (partition: number, size: number) => {
  const bytes = new Uint8Array(new ArrayBuffer(size)).fill(partition);
  return { topic: 'dead', partition, rows: partition + 1, bytes, maxTimestampMs: -1 };
};

it('gives back what it staged, in files of some megabytes', async () => {
  const batches = [batch(0, 3 * MIB), batch(1, 5 * MIB), batch(2, 10 * MIB), batch(3, 10), batch(4, 20)];
  let names = 0;
  const staged = await stageLetters(fs, folder, () => `${names++}`, batches);
  expect(staged.map(({ records }) => records)).toEqual([3, 3, 9]);
  const read = await Promise.all(staged.map(async (file) => batchesOf(await readLetters(fs, file), 'dead')));
  const sums = (all: typeof batches) =>
    all.map(({ bytes, ...about }) => ({ ...about, crc: crc32c(Buffer.from(bytes)) }));
  expect(sums(read.flat())).toEqual(sums(batches));
  expect(await stageLetters(fs, folder, () => 'none', [])).toEqual([]);
});

it('takes no file for another', async () => {
  const [file] = await stageLetters(fs, folder, () => 'changed', [batch(1, 100)]);
  if (!file) throw new Error('nothing was staged');
  await writeFile(file.path, Buffer.alloc(file.bytes));
  await expect(readLetters(fs, file)).rejects.toMatchObject({ code: 'RECOVERY_BLOCKED' });
});
