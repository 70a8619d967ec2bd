import { appendFile, copyFile, mkdir, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Intent } from '../../../src/commit/types.ts';
import { type FileSystem, nodeFileSystem } from '../../../src/io.ts';
import { CONFIG, closeSession, folders, load, makeBase, openSession, TOPIC } from '../commit/harness.ts';
import {
  copyOf,
  dataFilesIn,
  kindsOf,
  look,
  lookWithSaved,
  manifestsIn,
  optionsIn,
  targetOf,
  threeRuns,
} from './folders.ts';

let base: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ base, remove } = await makeBase());
});

afterEach(() => remove());

const range = (partition: number, startOffset: number, endOffset: number) => ({
  topic: TOPIC,
  partition,
  startOffset,
  endOffset,
});

describe('is clean after', () => {
  test.each([
    { target: 'folder', writeMode: 'Append', files: 6, from: 0 },
    { target: 'folder', writeMode: 'Overwrite', files: 2, from: 4 },
    { target: 'file', writeMode: 'Append', files: 1, from: 0 },
    { target: 'file', writeMode: 'Overwrite', files: 1, from: 4 },
  ] as const)('three runs: $writeMode, $target', async ({ target, writeMode, files, from }) => {
    const options = await threeRuns(optionsIn(base, { target, writeMode }));
    for (const report of [await look(targetOf(options)), await lookWithSaved(options)]) {
      expect(report.findings).toEqual([]);
      expect(report.configs).toMatchObject([{ files, ranges: [range(0, from, 6), range(1, from, 6)] }]);
      expect(report.remarks).toEqual([]);
    }
  });

  test('a run that did not commit, which is counted apart', async () => {
    const options = await threeRuns(optionsIn(base));
    await load({ ...options, commit: false, highWatermark: 9 });
    await load({ ...options, highWatermark: 8 });
    const report = await lookWithSaved(options);
    expect(report).toMatchObject({ findings: [], remarks: [] });
    expect(report.configs).toMatchObject([
      { runs: 5, uncommittedRuns: 1, files: 10, ranges: [range(0, 0, 8), range(1, 0, 8)] },
    ]);
  });

  test('runs to two folders by turns: each holds a part, and neither has lost any', async () => {
    const one = optionsIn(join(base, 'one'));
    const other = optionsIn(join(base, 'other'));
    await load({ ...one, highWatermark: 2 });
    await mkdir(other.base);
    await symlink(folders(one.base).offsets, folders(other.base).offsets);
    await load({ ...other, highWatermark: 4 });
    await load({ ...one, highWatermark: 6 });
    await load({ ...other, highWatermark: 8 });
    const first = await look(folders(one.base).root);
    expect(first).toMatchObject({ findings: [], remarks: [] });
    expect(first.configs[0]?.ranges).toEqual([range(0, 0, 2), range(0, 4, 6), range(1, 0, 2), range(1, 4, 6)]);
    const second = await look(folders(other.base).root);
    expect(second.findings).toEqual([]);
    // Where the other folder is gone, what went there cannot be told from what is lost elsewhere; nothing here is.
    await rm(folders(other.base).root, { recursive: true });
    const alone = await look(folders(one.base).root);
    expect(alone.findings).toEqual([]);
    expect(alone.remarks.join()).toContain('offsets 2 to 3 of orders/0 went elsewhere');
  });
});

class Crash extends Error {}

describe.each([
  { target: 'folder', writeMode: 'Overwrite' },
  { target: 'file', writeMode: 'Append' },
] as const)('a run that crashed: $writeMode, $target', ({ target, writeMode }) => {
  test('is no damage at any step, before the next run and after it', async () => {
    let isOver = false;
    for (let step = 0; !isOver; step++) {
      const options = optionsIn(join(base, String(step)), { target, writeMode });
      await load(options);
      const steps: string[] = [];
      const onStep = (name: string): void => {
        steps.push(name);
        if (steps.length > step) throw new Crash(name);
      };
      isOver = await load({ ...options, highWatermark: 4 }, { onStep }).then(
        () => true,
        (error) => !(error instanceof Crash),
      );
      const what = `step ${step}, ${steps.at(-1)}`;
      expect((await look(targetOf(options))).findings, what).toEqual([]);
      expect((await lookWithSaved(options)).findings, what).toEqual([]);
      await load({ ...options, highWatermark: 6 });
      expect(await lookWithSaved(options), what).toMatchObject({ findings: [], remarks: [] });
    }
  });
});

test('a folder to which runs publish meanwhile is never damaged', async () => {
  const options = optionsIn(base, { writeMode: 'Overwrite' });
  await load(options);
  let isOver = false;
  const runs = (async () => {
    for (let run = 2; run <= 12; run++) await load({ ...options, highWatermark: 2 * run });
    isOver = true;
  })();
  let looks = 0;
  for (; !isOver; looks++) {
    expect((await look(targetOf(options))).findings).toEqual([]);
    expect((await lookWithSaved(options)).findings).toEqual([]);
  }
  await runs;
  expect(looks).toBeGreaterThan(0);
});

test('a run that ends after each look at the folder is no damage, and damage is found all the same', async () => {
  const options = await threeRuns(optionsIn(base));
  const { root } = folders(base);
  let run = 3;
  const busy: FileSystem = {
    ...nodeFileSystem,
    readdir: async (path) => {
      const names = await nodeFileSystem.readdir(path);
      // Its manifest is not among them, and its offsets are saved before anybody reads those.
      if (path.endsWith(join('manifests', CONFIG))) await load({ ...options, highWatermark: 2 * ++run });
      return names;
    },
  };
  const report = await lookWithSaved(options, root, busy);
  expect(report.findings).toEqual([]);
  expect(report.remarks.at(-1)).toContain('runs ended while it was read');
  const [first = ''] = await dataFilesIn(root);
  await unlink(first);
  expect(kindsOf(await lookWithSaved(options, root, busy))).toEqual(['missing-file']);
});

test('a path that no run has written to is refused', async () => {
  const options = await threeRuns(optionsIn(base));
  const { root, offsets } = folders(base);
  const [file = ''] = await dataFilesIn(root);
  await expect(look(offsets)).rejects.toMatchObject({ code: 'TARGET_UNSUITABLE' });
  await expect(look(join(base, 'nowhere'))).rejects.toThrow(/cannot verify .*nowhere: it is not there/);
  await expect(look(file)).rejects.toThrow(`it is one file of a folder; verify ${root}`);
  expect((await lookWithSaved(options)).findings).toEqual([]);
});

describe('finds', () => {
  test('each damage to a folder of three runs', async () => {
    const options = await threeRuns(optionsIn(base));
    const { root } = folders(base);
    const [first = '', , third = ''] = await dataFilesIn(root);
    const names = (await manifestsIn(root)).map((path) => path.slice(root.length));
    const order = await runsInOrder(root);
    const manifestOf = (index: number): string => names.find((name) => name.includes(order[index] ?? '?')) ?? '';
    const of = (copy: string, path: string): string => join(copy, path.slice(root.length));

    const cases: [string, (copy: string) => Promise<void>, string[], RegExp][] = [
      ['nothing', async () => {}, [], /^/],
      [
        'a deleted file',
        (copy) => unlink(of(copy, first)),
        ['missing-file'],
        /part-.* is gone, of run .*, with its rows \(2, offsets \d to \d of orders\/\d\)/,
      ],
      [
        'a changed byte',
        async (copy) => {
          const bytes = await readFile(of(copy, first));
          bytes[0] = 0x39;
          await writeFile(of(copy, first), bytes);
        },
        ['damaged-file'],
        /was changed: its CRC-32C is [0-9a-f]{8}/,
      ],
      ['a longer file', (copy) => appendFile(of(copy, first), 'x'), ['damaged-file'], /has 9 bytes; .* with 8/],
      [
        'a doubled file',
        (copy) => copyFile(of(copy, third), join(copy, 'copy.txt')),
        ['doubled-file'],
        /copy\.txt has the same bytes as .*part-/,
      ],
      [
        'a file moved away to another name',
        (copy) => rename(of(copy, third), join(copy, 'moved.txt')),
        ['doubled-file', 'missing-file'],
        /is gone/,
      ],
      ['the last manifest', (copy) => unlink(join(copy, manifestOf(2))), ['unnamed-file'], /no manifest tells of it/],
      [
        'the manifest in the middle',
        (copy) => unlink(join(copy, manifestOf(1))),
        ['hole', 'missing-manifest', 'unnamed-file'],
        /no run has offsets 2 to 3 of orders\/0, between/,
      ],
      [
        'the first manifest',
        (copy) => unlink(join(copy, manifestOf(0))),
        ['missing-manifest', 'unnamed-file'],
        /which run .* followed, is missing/,
      ],
      [
        'a manifest that is cut off',
        async (copy) =>
          writeFile(join(copy, manifestOf(1)), (await readFile(join(copy, manifestOf(1)))).subarray(0, 99)),
        ['damaged-manifest', 'hole', 'unnamed-file'],
        /manifest .* is damaged/,
      ],
      [
        'a hole made by hand',
        async (copy) => {
          const path = join(copy, manifestOf(1));
          const text = await readFile(path, 'utf8');
          await writeFile(path, text.replaceAll('"endOffset": 4', '"endOffset": 3'));
        },
        ['damaged-manifest', 'hole'],
        /passed over offset 3 of orders\/0 without reading/,
      ],
      ['all manifests', (copy) => rm(join(copy, '_kafkaload'), { recursive: true }), ['unnamed-file'], /no manifest/],
    ];
    for (const [name, damage, kinds, message] of cases) {
      const copy = await copyOf(root, join(base, name));
      await damage(copy);
      const report = await look(copy);
      expect(kindsOf(report), name).toEqual(kinds);
      if (kinds.length > 0) expect(report.findings.map((finding) => finding.message).join('\n'), name).toMatch(message);
    }
    expect(options.highWatermark).toBe(6);
  });

  test('the last manifest missing, by the saved offsets, also where no file is left to tell of it', async () => {
    const options = await threeRuns(optionsIn(base));
    const { root } = folders(base);
    const last = (await runsInOrder(root)).at(-1) ?? '';
    await unlink(join(root, '_kafkaload', 'manifests', 'orders', `${last}.json`));
    for (const path of await dataFilesIn(root)) if (path.includes(last)) await unlink(path);
    expect((await look(root)).findings).toEqual([]);
    const report = await lookWithSaved(options);
    expect(kindsOf(report)).toEqual(['hole', 'missing-manifest']);
    expect(report.findings.map(({ range: lost }) => lost)).toContainEqual(range(1, 4, 6));
  });

  test('an exact file that was taken away, changed, or put back as it was', async () => {
    const options = optionsIn(base, { target: 'file' });
    const { file } = folders(base);
    await load({ ...options, highWatermark: 2 });
    const old = await readFile(file);
    await load({ ...options, highWatermark: 4 });
    await writeFile(file, old);
    expect(kindsOf(await look(file))).toEqual(['damaged-file']);
    // The next run appends to it: its own state is whole, and rows are gone nevertheless.
    await load({ ...options, highWatermark: 6 });
    const report = await look(file);
    expect(kindsOf(report)).toEqual(['damaged-file']);
    expect(report.findings[0]?.message).toMatch(/was changed between run .* and run/);
    await unlink(file);
    expect(kindsOf(await look(file))).toEqual(['damaged-file', 'missing-file']);
  });

  test('runs that wrote the same offsets because older saved offsets were put back', async () => {
    const options = optionsIn(base);
    await load({ ...options, highWatermark: 2 });
    const kept = await copyOf(folders(base).offsets, join(base, 'kept'));
    await load({ ...options, highWatermark: 4 });
    await rm(folders(base).offsets, { recursive: true });
    await copyOf(kept, folders(base).offsets);
    await load({ ...options, highWatermark: 5 });
    const report = await lookWithSaved(options);
    expect(kindsOf(report)).toEqual(['overlap']);
    expect(report.findings.map(({ range: twice }) => twice)).toEqual([range(0, 2, 4), range(1, 2, 4)]);
  });

  test('saved offsets that were removed: what was read again is there twice', async () => {
    const options = await threeRuns(optionsIn(base));
    await rm(folders(base).offsets, { recursive: true });
    await load({ ...options, highWatermark: 7 });
    const report = await look(folders(base).root);
    expect(kindsOf(report)).toEqual(['overlap']);
    expect(report.remarks.join('\n')).toContain('the saved offsets were removed');
  });
});

describe('tells as the work of a person', () => {
  async function moveTo(options: ReturnType<typeof optionsIn>, offset: number | null): Promise<void> {
    const session = await openSession(options, { command: { discard: false } });
    const offsets = offset === null ? [] : [0, 1].map((partition) => ({ topic: TOPIC, partition, offset }));
    await session.replaceSaved(offsets, offset === null ? {} : session.saved.topicIds);
    await closeSession(session);
  }

  test.each([
    { to: 1, said: /was set to 1 by hand .*, so that offset 1 of orders\/0 may be there twice/ },
    { to: 5, said: /was set to 5 by hand .*, so that the files lack offsets 2 to 4 of orders\/0/ },
    {
      to: null,
      said: /was forgotten, and read again from 0 by hand .*, so that offsets 0 to 1 of orders\/0 may be there twice/,
    },
  ])('saved offsets set to $to between two runs', async ({ to, said }) => {
    const options = optionsIn(base);
    await load({ ...options, highWatermark: 2 });
    await moveTo(options, to);
    const before = await lookWithSaved(options);
    expect(before.findings).toEqual([]);
    await load({ ...options, highWatermark: 7 });
    const report = await lookWithSaved(options);
    expect(report.findings).toEqual([]);
    expect(report.remarks.join('\n')).toMatch(said);
  });

  test('a run that was withdrawn: its manifest does not stay behind', async () => {
    const options = optionsIn(base);
    await load(options);
    const onStep = (name: string): void => {
      if (name === 'publish.manifestWritten') throw new Crash(name);
    };
    // A run without files: nothing of it is visible, so it can be withdrawn although it is published.
    const session = await openSession(options, { onStep });
    const next = [0, 1].map((partition) => ({ topic: TOPIC, partition, offset: 9 }));
    const previous = next.map((entry) => ({ ...entry, offset: 2 }));
    const { run, stagingPath, saved } = session;
    const { root } = folders(base);
    const intent: Intent = {
      version: 1,
      ...{ config: 'orders', run, stagingPath, root, previousRun: saved.previousRun, createdAtMs: 0 },
      target: { kind: 'folder', path: root },
      writeMode: 'Append',
      ...{ commit: true, previous, next, files: [] },
      ...{ replaced: [], gaps: [], topicIds: {}, ranges: [range(0, 2, 9), range(1, 2, 9)] },
    };
    await expect(session.finish(intent)).rejects.toThrow(Crash);
    await closeSession(session);
    expect(await manifestsIn(root)).toHaveLength(2);
    await closeSession(await openSession(options, { command: { discard: true } }));
    expect(await manifestsIn(root)).toHaveLength(1);
    await load({ ...options, highWatermark: 5 });
    expect(await lookWithSaved(options)).toMatchObject({ findings: [], remarks: [] });
  });
});

/** Ids of runs, as each names the one before it: those that began in one second have no order by name. */
async function runsInOrder(root: string): Promise<string[]> {
  const manifests = await Promise.all(
    (await manifestsIn(root)).map(async (path) => {
      return JSON.parse(await readFile(path, 'utf8')) as { run: string; previousRun: { run: string } | null };
    }),
  );
  const order: string[] = [];
  for (let next = manifests.find(({ previousRun }) => previousRun === null); next; ) {
    const { run } = next;
    order.push(run);
    next = manifests.find(({ previousRun }) => previousRun?.run === run);
  }
  return order;
}
