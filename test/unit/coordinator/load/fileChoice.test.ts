import { describe, expect, test } from 'vitest';
import { chooseFiles } from '../../../../src/coordinator/load/fileChoice.ts';
import {
  type FileProgress,
  FileProgressFormat,
  parseFileProgress,
} from '../../../../src/coordinator/load/fileProgress.ts';
import { unitEnds } from '../../../../src/coordinator/load/fileUnits.ts';

const A = { path: '/in/a', bytes: 10, crc32c: 1 };
const B = { path: '/in/b', bytes: 20, crc32c: 2 };
const C = { path: '/in/c', bytes: 30, crc32c: 3 };

function left(state: FileProgress['state'], files = [A, B], position = { file: 1, row: 7 }): FileProgress {
  const listed = files.map((file) => ({ ...file, loadedBy: null }));
  return { state, run: 'R1', owner: null, files: listed, position, rows: 17, startedAtMs: 5, endedAtMs: null };
}

const all = new Set([A, B, C].map(({ path }) => path));

describe('files of a load', () => {
  test('are all that is asked for, the first time and with --reload', () => {
    const expected = {
      position: { file: 0, row: 0 },
      rows: 0,
      files: [A, B].map((file) => ({ ...file, loadedBy: null })),
    };
    expect(chooseFiles([A, B], all, null, false)).toMatchObject(expected);
    expect(chooseFiles([A, B], all, left('done'), true)).toMatchObject(expected);
    expect(chooseFiles([A, B], all, left('running'), true)).toMatchObject(expected);
  });

  test('are none where all were loaded, and else those that are new or changed', () => {
    expect(chooseFiles([A, B], all, left('done'), false)).toBeNull();
    expect(chooseFiles([A], all, left('done'), false)).toBeNull();
    const changed = { ...B, crc32c: 9 };
    const choice = chooseFiles([A, changed, C], all, left('done'), false);
    expect(choice?.files.map(({ loadedBy }) => loadedBy)).toEqual(['R1', null, null]);
    expect(choice?.remarks).toHaveLength(1);
  });

  test('of earlier loads are remembered, with the runs that loaded them', () => {
    const asked = new Set([C.path]);
    const second = chooseFiles([C], asked, left('done'), false);
    expect(second?.files.map(({ path, loadedBy }) => [path, loadedBy])).toEqual([
      [A.path, 'R1'],
      [B.path, 'R1'],
      [C.path, null],
    ]);
    const done: FileProgress = { ...left('done'), run: 'R2', files: second?.files ?? [] };
    expect(chooseFiles([A, B], all, done, false)).toBeNull();
    expect(chooseFiles([A, B], all, done, true)?.files.map(({ loadedBy }) => loadedBy)).toEqual(['R2', null, null]);
  });

  test('go on where a run stopped, with its own list, and then with what it did not know', () => {
    // The first file is loaded: whatever became of it does not matter.
    const choice = chooseFiles([B, C], all, left('running'), false);
    expect(choice).toMatchObject({ position: { file: 1, row: 7 }, rows: 17, startedAtMs: 5 });
    expect(choice?.files.map(({ path }) => path)).toEqual(['/in/a', '/in/b', '/in/c']);
  });

  test.each([
    ['changed', [A, { ...B, bytes: 21 }]],
    ['gone', [A]],
  ])('that a run had before it are named when %s', (_, found) => {
    expect(() => chooseFiles(found, all, left('running'), false)).toThrow(/\/in\/b has changed.*--reload/);
  });
});

describe('the record of a load', () => {
  test.each([2, 5_000])('is read as it was written, with %i files', (count) => {
    const files = Array.from({ length: count }, (_, i) => ({
      path: `/in/${i}`,
      bytes: i,
      crc32c: i * 7,
      loadedBy: null,
    }));
    const { files: _, ...rest } = left('running');
    const text = new FileProgressFormat(files).format(rest);
    expect(text.length).toBeLessThan(200_000);
    expect(parseFileProgress('key', text)).toEqual({ ...rest, files });
  });

  test('that is damaged is named', () => {
    for (const text of ['', '{}', '{"version":1,"state":"done","run":"R"}', 'null']) {
      expect(() => parseFileProgress('the/key', text)).toThrow('the/key');
    }
  });
});

test('units end behind whole row groups, from any row on', () => {
  expect(unitEnds([100, 100, 100, 50], 0, 100)).toEqual([100, 200, 300, 350]);
  expect(unitEnds([100, 100, 100, 50], 0, 150)).toEqual([200, 350]);
  expect(unitEnds([100, 100, 100, 50], 120, 100)).toEqual([300, 350]);
  expect(unitEnds([100], 100, 10)).toEqual([]);
  expect(unitEnds([], 0, 10)).toEqual([]);
});
