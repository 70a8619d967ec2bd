import { describe, expect, test, vi } from 'vitest';
import {
  afterFirstRun,
  afterPrepare,
  COMMIT_CASES,
  type CommitCase,
  enter,
  judge,
  loadOn,
  type World,
} from '../helpers/commitCases.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { failFiles, type InjectedFault } from '../helpers/observedFiles.ts';

vi.mock('../../src/kafka/client.ts', async (importOriginal) => {
  const { memoryClient } = await import('../helpers/memoryTopic.ts');
  return { ...(await importOriginal<object>()), ...memoryClient };
});

/**
 * The n-th file operation of a run fails, for n = 1, 2, 3 ... until a run has fewer; once, or from then on. The run must
 * end in one line that names path and cause, or do without the operation; the next one finishes.
 */
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
const CODES = ['ENOSPC', 'EIO', 'EACCES'] as const;
const CAUSES = /disk is full|no space left|permission denied|i\/o error/i;

/** One run up to 6 with a fault in it, and those after. Gives the rows compared; null: the run had no n-th operation. */
async function survive(commitCase: CommitCase, before: World, fault: InjectedFault): Promise<number | null> {
  const disk = enter(commitCase, before);
  const { fs, fired } = failFiles(disk, fault);
  const result = await loadOn(fs, commitCase, 6).catch((error) => ({
    outcome: 'thrown',
    message: String(error.stack),
  }));
  const at = fired();
  if (!at) return null;
  const what = `${JSON.stringify(fault)} at ${JSON.stringify(at)}: ${result.outcome} ${result.message}`;
  if (result.outcome !== 'ok') {
    expect(['IO_FAILED', 'OUTCOME_UNKNOWN'], what).toContain(result.outcome);
    expect(result.message, what).toMatch(/^[^\n]*\/test\/[^\n]*$/);
    expect(result.message, what).toMatch(CAUSES);
  }
  return judge(commitCase, disk, { had: 4, what });
}

/** Every n: each with every error, where all are tried and it comes once; else with one after the other. */
async function failEach(commitCase: CommitCase, before: World, lasting: boolean): Promise<void> {
  const total = { faults: 0, rows: 0 };
  const fail = async (fault: InjectedFault): Promise<boolean> => {
    const rows = await survive(commitCase, before, fault);
    if (rows === null) return false;
    total.faults += 1;
    total.rows += rows;
    return true;
  };
  let n = 0;
  for (let hasMore = true; hasMore; ) {
    n += 1;
    for (const code of ALL && !lasting ? CODES : [CODES[n % CODES.length] ?? 'EIO'])
      hasMore = await fail({ n, code, lasting });
  }
  expect(n).toBeGreaterThan(30);
  let writes = 1;
  while (await fail({ n: writes, code: 'short', lasting })) writes += 1;
  expect(writes).toBeGreaterThan(1);
  const { layout, mode } = commitCase;
  const kind = lasting ? 'file operations fail from the n-th on' : 'n-th file operation fails';
  countFaults({ kind, layout, mode }, total);
}

const HOW = [
  { how: 'once', lasting: false },
  { how: 'from then on', lasting: true },
];

describe.each(COMMIT_CASES)('commit, $name', (commitCase) => {
  test.each(HOW)('the n-th file operation of a run fails $how', async ({ lasting }) => {
    await failEach(commitCase, await afterFirstRun(commitCase), lasting);
  });

  test.each(HOW)('the n-th file operation of a run that finishes another fails $how', async ({ lasting }) => {
    await failEach(commitCase, await afterPrepare(commitCase), lasting);
  });
});
