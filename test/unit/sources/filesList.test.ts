import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listSourceFiles } from '../../../src/sources/files/listFiles.ts';
import { temporaryFolder } from './filesHelper.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const names = async (paths: string[], filter: string | null = null) =>
  (await listSourceFiles(paths, folder.path, filter)).map(({ path }) => path.slice(folder.path.length + 1));

describe('listing the files of a source', () => {
  beforeAll(() => {
    for (const path of ['in/a=1', 'in/_kafkaload/staging', 'in/b', 'empty'])
      mkdirSync(join(folder.path, path), { recursive: true });
    for (const name of [
      'in/2.csv',
      'in/10.csv',
      'in/_SUCCESS',
      'in/.2.csv.crc',
      'in/a=1/x.json',
      'in/b/y.csv',
      'in/_kafkaload/staging/z.csv',
      'odd[1].csv',
    ]) {
      folder.file(name, 'ab');
    }
  });

  it('reads folders to any depth, without hidden names, in one order', async () => {
    expect(await names(['in'])).toEqual(['in/10.csv', 'in/2.csv', 'in/a=1/x.json', 'in/b/y.csv']);
  });

  it('gives size and time of change', async () => {
    const [file] = await listSourceFiles(['in/2.csv'], folder.path);
    expect(file).toEqual({ path: join(folder.path, 'in/2.csv'), bytes: 2, modifiedMs: expect.any(Number) });
  });

  it.each([
    [['in/*.csv'], ['in/10.csv', 'in/2.csv']],
    [
      ['in/{2,10}.csv', 'in/2.csv'],
      ['in/10.csv', 'in/2.csv'],
    ],
    [['in/[!1]*.csv'], ['in/2.csv']],
    [['*/b'], ['in/b/y.csv']],
    [['in/?.csv'], ['in/2.csv']],
    [['odd[1].csv'], ['odd[1].csv']],
    [[join(folder.path, 'in/b/y.csv')], ['in/b/y.csv']],
    [['in/_SUCCESS'], ['in/_SUCCESS']],
  ])('takes %j', async (paths, expected) => {
    expect(await names(paths)).toEqual(expected);
  });

  it('keeps to pathGlobFilter', async () => {
    expect(await names(['in'], '*.json')).toEqual(['in/a=1/x.json']);
  });

  it.each([
    [['nowhere'], /cannot read nowhere: there is no such file or folder/],
    [['in/*.parquet'], /cannot read in\/\*\.parquet: there is no such file or folder/],
    [['empty'], /cannot read empty: there are no files in it$/],
  ])('refuses %j', async (paths, message) => {
    await expect(listSourceFiles(paths, folder.path)).rejects.toMatchObject({
      code: 'SOURCE_UNSUITABLE',
      message: expect.stringMatching(message),
    });
  });
});
