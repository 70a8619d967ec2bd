import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type FileSystem, nodeFileSystem } from '../../../src/io.ts';
import { createLayout, SegmentWriter } from '../../../src/stage/segments.ts';

it('names the file where closing tells that a write failed, and closes the others', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kafkaload-segments-'));
  const paths = ['a', 'b'].map((name) => join(folder, name));
  for (const path of paths) writeFileSync(path, '');
  const closed: string[] = [];
  const fs: FileSystem = {
    ...nodeFileSystem,
    open: async (path, flags) => {
      const file = await nodeFileSystem.open(path, flags);
      const close = async (): Promise<void> => {
        closed.push(path);
        await file.close();
        if (path === paths[0]) throw Object.assign(new Error('EDQUOT: quota exceeded, close'), { code: 'EDQUOT' });
      };
      return new Proxy(file, {
        get: (target, name) => (name === 'close' ? close : Reflect.get(target, name)?.bind(target)),
      });
    },
  };
  const writer = new SegmentWriter(fs, createLayout(paths, 0));
  for (const file of [0, 1]) await writer.write(file, [Buffer.from('rows')]);
  await expect(writer.close()).rejects.toMatchObject({
    code: 'IO_FAILED',
    message: expect.stringContaining(paths[0] ?? ''),
  });
  expect(new Set(closed)).toEqual(new Set(paths));
});
