import { describe, expect, test, vi } from 'vitest';
import {
  afterFirstRun,
  afterPrepare,
  COMMIT_CASES,
  type CommitCase,
  emptyWorld,
  enter,
  judge,
  loadOn,
  type World,
  worldNow,
} from '../helpers/commitCases.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { chooseRemains } from '../helpers/memoryDisk.ts';
import { observeFiles } from '../helpers/observedFiles.ts';
import { seededRandom } from '../helpers/workload.ts';

vi.mock('../../src/kafka/client.ts', async (importOriginal) => {
  const { memoryClient } = await import('../helpers/memoryTopic.ts');
  return { ...(await importOriginal<object>()), ...memoryClient };
});

/**
 * The power goes at every step of a run, and the disk comes back without what was not synced: bytes of files, names in
 * folders, in any combination (memoryDisk.ts). The next run must make good: every offset below the saved one once.
 */
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
/** States of the disk that are tried after each step; all of them where there are no more. */
const STATES = ALL ? 8 : 3;
const SEED = Number(process.env.KAFKALOAD_SEED ?? 1);

interface Moment {
  readonly world: World;
  readonly name: string;
}

/** The world after each change of the disk or the offsets topic in a run up to 6. @param skips Syncs that do nothing. */
async function record(
  commitCase: CommitCase,
  before: World,
  skips: (path: string) => boolean = () => false,
): Promise<Moment[]> {
  const disk = enter(commitCase, before);
  const moments: Moment[] = [];
  let last: World & { readonly version: number } = { ...before, version: -1 };
  const keep = (name: string): void => {
    const { version } = disk;
    const world = worldNow(commitCase, disk);
    if (version !== last.version || world.topic !== last.topic) moments.push({ world, name });
    last = { ...world, version };
  };
  const fs = observeFiles(disk, {
    before: (operation) => (operation.call === 'fsync' && skips(operation.path) ? 'skip' : undefined),
    after: ({ call, path, to }) => keep(`${call} ${path} ${to ?? ''}`),
  });
  // The offsets topic changes between two file operations.
  const result = await loadOn(fs, commitCase, 6, keep);
  expect(result).toMatchObject({ outcome: 'ok' });
  return moments;
}

/** Takes the power away at each moment and judges what the disk may then be. */
async function loseEach(
  commitCase: CommitCase,
  had: number,
  moments: readonly Moment[],
  states = STATES,
): Promise<{ faults: number; rows: number }> {
  const random = seededRandom(SEED);
  const total = { faults: 0, rows: 0 };
  for (const { world, name } of moments) {
    for (const [index, remains] of chooseRemains(world.disk, states, random).entries()) {
      const disk = enter(commitCase, { ...world, disk: world.disk.afterPowerLoss(remains) });
      const { changes, files } = world.disk.unsynced;
      const kept = Array.from({ length: changes }, (_, change) => (remains.keeps(change) ? 1 : 0)).join('');
      const left = Array.from({ length: files }, (_, file) => remains.leftOf(file)).join();
      const what = `power lost after ${name}; state ${index} (names kept ${kept}, files ${left}), seed ${SEED}`;
      total.rows += await judge(commitCase, disk, { had, what });
      total.faults += 1;
    }
  }
  return total;
}

const SITUATIONS = [
  { situation: 'the first run', had: 0, prepare: async () => emptyWorld() },
  { situation: 'a later run', had: 4, prepare: afterFirstRun },
  { situation: 'a run that finishes another', had: 4, prepare: afterPrepare },
];

describe.each(COMMIT_CASES)('$name', (commitCase) => {
  test.each(SITUATIONS)('the power goes at each step of $situation', async ({ had, prepare }) => {
    const moments = await record(commitCase, await prepare(commitCase));
    const total = await loseEach(commitCase, had, moments);
    const { layout, mode } = commitCase;
    countFaults({ kind: 'power lost, what was not synced gone', layout, mode }, total);
  });
});

const STAGING = '/_kafkaload/staging/';

/** A disk, or a program, that does not sync here: at least one moment of one run must then lose or repeat rows. */
const MUTANTS: readonly {
  readonly place: string;
  readonly skips: (path: string) => boolean;
  readonly isOfFirstRun?: true;
}[] = [
  { place: 'staged files', skips: (path) => path.includes(STAGING) && path.endsWith('.txt') },
  { place: 'intent.json', skips: (path) => path.endsWith('/intent.json') },
  { place: 'the staging folder, before prepare', skips: (path) => /\/staging\/[^/]+\/[^/.]+$/.test(path) },
  { place: 'the folder of staging folders', skips: (path) => /\/staging\/[^/]+$/.test(path) },
  { place: 'the target folder, after links', skips: (path) => /\/target(\/p=\d)?$/.test(path) },
  {
    place: 'new folders',
    skips: (path) => /\/(test|target|_kafkaload|staging|manifests)$/.test(path),
    isOfFirstRun: true,
  },
  { place: 'files of the state', skips: (path) => path.includes('/offsets/') },
  { place: 'the folder of the state', skips: (path) => path.endsWith('/offsets') },
  { place: 'the manifest', skips: (path) => /\/manifest\.[^/]+$/.test(path) },
  { place: 'the folder of manifests', skips: (path) => path.endsWith('/manifests/orders') },
  { place: 'every file', skips: (path) => /\.(txt|json)$/.test(path) || path.includes('/offsets/') },
  { place: 'every folder', skips: (path) => !/\.(txt|json)$/.test(path) && !path.includes('/offsets/') },
];

describe('without a sync the test turns red', () => {
  const cases = COMMIT_CASES.filter(({ name }) => !name.includes('Overwrite'));

  test.each(MUTANTS)('$place', async ({ skips, isOfFirstRun }) => {
    const had = isOfFirstRun ? 0 : 4;
    for (const commitCase of cases) {
      const before = isOfFirstRun ? emptyWorld() : await afterFirstRun(commitCase);
      const moments = await record(commitCase, before, skips);
      const red = await loseEach(commitCase, had, moments, 8).catch((error: Error) => error);
      if (red instanceof Error) return;
    }
    throw new Error('rows survived');
  });
});
