import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { TableStaging } from '../../../../src/stream/table/staging.ts';

async function makeRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'kafkaload-staging-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return root;
}

it('is a folder for each micro-batch that nobody else looks into, and leaves nothing', async () => {
  const root = await makeRoot();
  const staging = new TableStaging(join(root, 'made'));
  const [one, two] = [await staging.begin(), await staging.begin()];
  expect(one.stagingPath).not.toBe(two.stagingPath);
  expect((await stat(one.stagingPath)).mode & 0o777).toBe(0o700);
  await staging.remove(one);
  expect(await readdir(join(one.stagingPath, '..'))).toEqual([two.run, 'owner.json']);
  await staging.close();
  expect(await readdir(join(root, 'made'))).toEqual([]);
});

it('makes its folder again where that was tidied up', async () => {
  const root = await makeRoot();
  const staging = new TableStaging(root);
  await staging.begin();
  for (const each of await readdir(root)) await rm(join(root, each), { recursive: true });
  const { stagingPath } = await staging.begin();
  expect((await stat(stagingPath)).isDirectory()).toBe(true);
  await staging.close();
});

it('removes what processes have left that are dead, and nothing else', async () => {
  const root = await makeRoot();
  const ended = new TableStaging(root);
  await ended.begin();
  const [left = ''] = await readdir(root);
  // The same folder, of a process that cannot be there.
  const owner = JSON.parse(await readFile(join(root, left, 'owner.json'), 'utf8'));
  await writeFile(join(root, left, 'owner.json'), JSON.stringify({ ...owner, processStart: '1' }));
  await mkdir(join(root, 'kafkaload-of-somebody'));
  await mkdir(join(root, 'kafkaload-20261130T000000Z-0123abcd'));
  const staging = new TableStaging(root);
  await staging.begin();
  const names = await readdir(root);
  expect(names).not.toContain(left);
  expect(names).toEqual(expect.arrayContaining(['kafkaload-of-somebody', 'kafkaload-20261130T000000Z-0123abcd']));
  await staging.close();
});
