import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nodeFileSystem as fs, makeFolders } from '../../../src/io.ts';

it('makes a folder with the parents it lacks, and takes one that is there', async () => {
  const base = await mkdtemp(join(tmpdir(), 'kafkaload-io-'));
  try {
    await Promise.all([makeFolders(fs, join(base, 'a/b/c')), makeFolders(fs, join(base, 'a/b/c'))]);
    await makeFolders(fs, join(base, 'a/b/c'));
    expect(existsSync(join(base, 'a/b/c'))).toBe(true);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
});

it('fails where no folder can be made, rather than trying for ever', async () => {
  await expect(makeFolders(fs, '/proc/kafkaload/nowhere')).rejects.toMatchObject({ code: 'ENOENT' });
});
