import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Field, Schema, Utf8 } from 'apache-arrow';
import { expect, test } from 'vitest';
import type { TargetSettings } from '../../../src/config/job.ts';
import { stageFiles } from '../../../src/coordinator/staging.ts';
import { type FileSystem, nodeFileSystem } from '../../../src/io.ts';
import { SegmentWriter } from '../../../src/stage/segments.ts';
import { CONFIG, closeSession, folders, type LoadOptions, makeBase, openSession } from '../commit/harness.ts';

test('a run whose staging another is removing says that it was taken over, not that a file is missing', async () => {
  const { base, remove } = await makeBase();
  const settings = { heartbeatMs: 60_000, takeOverAfterMs: 60_000 };
  const options: LoadOptions = { base, target: 'folder', writeMode: 'Append', highWatermark: 5, ...settings };
  const session = await openSession(options);
  let goOn: () => void = () => undefined;
  const isAwake = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let other: ReturnType<typeof openSession> | null = null;
  // The files go first, then the folder: there it sleeps.
  const takeOver = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const removeAll: FileSystem['removeAll'] = async (path) => {
        for (const name of await nodeFileSystem.readdir(path)) await nodeFileSystem.unlink(join(path, name));
        resolve();
        await isAwake;
        await rmdir(path);
      };
      other = openSession(options, { takeOver: true, fs: { ...nodeFileSystem, removeAll } });
      other.catch(reject);
    });
  const path = folders(base).root;
  const target: TargetSettings = {
    ...{ kind: 'folder', path, mode: 'Append', coalesce: 1, partitionBy: [] },
    output: { format: 'text', compression: 'none', lineSep: '\n' },
  };
  try {
    const staged = stageFiles({
      ...{ target, config: CONFIG, session, fileCount: 1 },
      schema: new Schema([new Field('value', new Utf8())]),
      write: async ({ layout }) => {
        await takeOver();
        await new SegmentWriter(nodeFileSystem, layout).write(0, [Buffer.from('late\n')]);
        return [];
      },
    });
    await expect(staged).rejects.toMatchObject({
      code: 'FENCED',
      message: expect.stringContaining(`run ${session.run} was taken over by another`),
    });
    expect(await session.isTakenOver()).toBe(true);
  } finally {
    goOn();
    await closeSession(await other);
    await closeSession(session);
    await remove();
  }
});
