import { afterEach, expect, it, vi } from 'vitest';
import { type FileSystem, nodeFileSystem } from '../../../src/io.ts';
import { startFlushing } from '../../../src/stage/flush.ts';
import { createLayout, startAt } from '../../../src/stage/segments.ts';

afterEach(() => {
  vi.useRealTimers();
});

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

it('is over with the sync that was under way when it was stopped', async () => {
  vi.useFakeTimers();
  let fail = (_error: Error): void => {};
  const opening = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  const opened = vi.fn(() => opening);
  const layout = createLayout(['/a', '/b'], 4);
  const flusher = startFlushing({ ...nodeFileSystem, open: opened }, layout, 500);
  startAt(layout, 0, 100);
  startAt(layout, 1, 100);
  await vi.advanceTimersByTimeAsync(500);
  const stopped = flusher.stop();
  fail(new Error('the disk is gone'));
  // No time passes here: were it to pause once more, this would never end.
  await stopped;
  expect(opened).toHaveBeenCalledTimes(1);
});
