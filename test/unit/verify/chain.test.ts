import { expect, test } from 'vitest';
import type { Manifest } from '../../../src/sinks/manifest.ts';
import { chainRuns, type FindElsewhere } from '../../../src/verify/chain.ts';
import type { FoundManifest } from '../../../src/verify/readFolder.ts';

/** Order of runs by what each names, whatever their names: ids of one second say nothing. */

function run(name: string, before: string | null, root: string | null = '.', seen = 7): FoundManifest {
  const previousRun = before === null ? null : { run: before, manifestCrc32c: seen, root };
  return { manifest: { run: name, previousRun } as Manifest, crc32c: 7 };
}

const nothingElsewhere: FindElsewhere = async ({ root }) => (root === '.' ? 'here' : null);

async function chain(runs: readonly FoundManifest[], findElsewhere = nothingElsewhere): Promise<string[]> {
  const chained = await chainRuns(runs, findElsewhere);
  return chained.map(({ manifest, isHere, link }) => {
    const changed = link.kind === 'linked' && link.wasChanged ? ' changed' : '';
    return `${manifest.run}${isHere ? '' : ' elsewhere'}: ${link.kind}${changed}`;
  });
}

test('runs follow one another, whatever order their names have', async () => {
  const runs = [run('b', null), run('a', 'c'), run('c', 'b')];
  expect(await chain(runs)).toEqual(['b: first', 'c: linked', 'a: linked']);
});

test('a missing manifest, a changed one, and two runs that followed the same one', async () => {
  expect(await chain([run('a', null), run('c', 'b')])).toEqual(['a: first', 'c: missing']);
  expect(await chain([run('a', null), run('b', 'a', '.', 8)])).toEqual(['a: first', 'b: linked changed']);
  expect(await chain([run('a', null), run('b', 'a'), run('c', 'a')])).toEqual(['a: first', 'c: linked', 'b: fork']);
});

test.each([
  ['b', 'a'],
  ['a', 'b'],
])('a run elsewhere between two of this folder is followed, named %s and %s', async (first, last) => {
  const between: FindElsewhere = async (previous, isNeeded) =>
    isNeeded && previous.run === 'x' ? run('x', first, '../here') : null;
  const runs = [run(first, null), run(last, 'x', '../there')].toSorted((p, q) =>
    p.manifest.run < q.manifest.run ? -1 : 1,
  );
  expect(await chain(runs, between)).toEqual([`${first}: first`, 'x elsewhere: linked', `${last}: linked`]);
});

test('runs elsewhere before the first of this folder are not asked for', async () => {
  const asked: boolean[] = [];
  const find: FindElsewhere = async (_, isNeeded) => {
    asked.push(isNeeded);
    return null;
  };
  expect(await chain([run('a', 'x', '../there'), run('b', 'a')], find)).toEqual(['a: elsewhere', 'b: linked']);
  expect(asked).toEqual([false]);
});

test('a ring that somebody made ends', async () => {
  expect(await chain([run('a', 'b'), run('b', 'a')])).toEqual(['a: fork', 'b: linked']);
  expect(await chain([run('a', 'a')])).toEqual(['a: fork']);
});
