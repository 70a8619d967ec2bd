import { afterEach, beforeEach, expect, test } from 'vitest';
import { expectedRows, type LoadOptions, load, makeBase, savedText, stagedRuns, visibleRows } from './harness.ts';

/** Runs that are told not to commit: published once like any other, whatever crashes, and nothing saved. */

let options: LoadOptions;
let remove: () => Promise<void>;

beforeEach(async () => {
  const made = await makeBase();
  remove = made.remove;
  const times = { heartbeatMs: 40, takeOverAfterMs: 160 };
  options = { base: made.base, target: 'folder', writeMode: 'Append', highWatermark: 5, ...times };
});

afterEach(() => remove());

class Crash extends Error {}

function sortedRows(...rows: readonly (readonly string[])[]): string[] {
  return rows.flat().toSorted((left, right) => (left < right ? -1 : Number(left > right)));
}

test('a run without a commit leaves the saved offsets to the byte as they are', async () => {
  const free = { ...options, commit: false };
  expect(await load(free)).toMatchObject({ outcome: 'ok', rows: 10 });
  expect(await savedText(options)).toBe('[]\n');
  await load(options);
  const saved = await savedText(options);
  expect(await load({ ...free, highWatermark: 7 })).toMatchObject({ outcome: 'ok', rows: 4 });
  expect(await savedText(options)).toBe(saved);
  expect(sortedRows(await visibleRows(options))).toEqual(
    sortedRows(expectedRows(0, 5), expectedRows(0, 5), expectedRows(5, 7)),
  );
});

test('a crash at any step leaves its rows once or not at all, and the next run begins at what is saved', async () => {
  let isOver = false;
  for (let step = 0; !isOver; step++) {
    const base = `${options.base}/${step}`;
    const own = { ...options, base };
    await load({ ...own, highWatermark: 2 });
    const steps: string[] = [];
    const onStep = (name: string): void => {
      steps.push(name);
      if (steps.length > step) throw new Crash(name);
    };
    const crashed = load({ ...own, commit: false }, { onStep });
    isOver = await crashed.then(
      () => true,
      (error) => !(error instanceof Crash),
    );
    const last = await load(own);
    const what = `step ${step}, ${steps.at(-1)}`;
    expect(last, what).toMatchObject({ outcome: 'ok', rows: 6, warnings: [] });
    const isPublished = steps.includes('prepare.renamed') || isOver;
    expect(sortedRows(await visibleRows(own)), what).toEqual(
      sortedRows(expectedRows(0, 5), isPublished ? expectedRows(2, 5) : []),
    );
    expect(await savedText(own), what).toBe('- "0,5"\n- "1,5"\n');
    expect(await stagedRuns(own), what).toEqual([]);
  }
});
