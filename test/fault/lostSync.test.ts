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
import { type FileOperation, observeFiles } from '../helpers/observedFiles.ts';
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
const STATES = ALL ? 32 : 4;
const SEED = Number(process.env.KAFKALOAD_SEED ?? 1);

const CHANGING = ['open', 'write', 'ftruncate', 'fsync', 'mkdir', 'link', 'rename', 'unlink', 'rmdir', 'rm'];

interface Moment {
  readonly world: World;
  readonly name: string;
}

/** The world after each file operation and each step of a run up to 6. @param skips Syncs that do nothing. */
async function record(
  commitCase: CommitCase,
  before: World,
  skips: (operation: FileOperation) => boolean = () => false,
): Promise<Moment[]> {
  const disk = enter(commitCase, before);
  const moments: Moment[] = [];
  const keep = (name: string): void => void moments.push({ world: worldNow(commitCase, disk), name });
  const fs = observeFiles(disk, {
    before: (operation) => (operation.call === 'fsync' && skips(operation) ? 'skip' : undefined),
    after: ({ call, path, to }) => {
      if (CHANGING.includes(call)) keep(`${moments.length}: ${call} ${path} ${to ?? ''}`);
    },
  });
  // Kafka changes between two file operations.
  const result = await loadOn(fs, commitCase, 6, (step) => keep(`${moments.length}: ${step}`));
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
