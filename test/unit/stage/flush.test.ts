import { expect, it } from 'vitest';
import { type FileSystem, nodeFileSystem } from '../../../src/io.ts';
import { startFlushing } from '../../../src/stage/flush.ts';
import { createLayout, startAt } from '../../../src/stage/segments.ts';

it('syncs files that have grown, again and again, and leaves failures to the last sync', async () => {
  const opened: string[] = [];
  const fs: FileSystem = {
    ...nodeFileSystem,
    open: (path) => {
      opened.push(path);
      return Promise.reject(new Error('the disk is gone'));
    },
  };
  const layout = createLayout(['/a', '/b'], 4);
  const flusher = startFlushing(fs, layout, 5);
  const grow = async (bytes: number): Promise<void> => {
    startAt(layout, 1, bytes);
    const before = opened.length;
    while (opened.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await grow(100);
  await grow(200);
  await flusher.stop();
  expect(opened).toEqual(['/b', '/b']);
});
