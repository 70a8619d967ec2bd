import { afterEach, describe, expect, test, vi } from 'vitest';
import type { TopicWrite } from '../../../src/kafka/client.ts';
import {
  afterFirstRun,
  afterPrepare,
  COMMIT_CASES,
  enter,
  judge,
  loadOn,
  QUICK_CLOCK,
} from '../../helpers/commitCases.ts';
import { interfereWith, type Misheard, readMemoryTopic } from '../../helpers/memoryTopic.ts';
import { CONFIG, closeSession, openSession, stagedRuns } from './harness.ts';

vi.mock('../../../src/kafka/client.ts', async (importOriginal) => {
  const { memoryClient } = await import('../../helpers/memoryTopic.ts');
  return { ...(await importOriginal<object>()), ...memoryClient };
});

/** A run of mode STREAM that does not hear what became of a transaction: src/commit/runProducer.ts looks, and fences. */
const CASES = COMMIT_CASES.filter(({ options }) => options.stream);
const INTENT = `_kafkaload.intent/${CONFIG}`;
const STEPS = {
  prepare: (writes: readonly TopicWrite[]) => writes.some(({ key, value }) => key === INTENT && value !== null),
  commit: (writes: readonly TopicWrite[]) => writes.some(({ key, value }) => key === INTENT && value === null),
};

const MISHEARD: readonly Misheard[] = [
  { outcome: 'unknown', isCarriedOut: true },
  { outcome: 'unknown', isCarriedOut: false },
  { outcome: 'fenced', isCarriedOut: false },
];

afterEach(() => interfereWith());

/** The next such transaction is misheard, and no other. */
function mishearOnce(step: keyof typeof STEPS, misheard: Misheard): () => boolean {
  let isDone = false;
  interfereWith((writes) => {
    if (isDone || !STEPS[step](writes)) return null;
    isDone = true;
    return misheard;
  });
  return () => isDone;
}

const last = { had: 4, what: 'misheard' };

describe.each(CASES)('$name', (commitCase) => {
  describe.each(['prepare', 'commit'] as const)('the answer to the %s', (step) => {
    test.each(MISHEARD)('is $outcome, carried out: $isCarriedOut; the run finishes', async (misheard) => {
      const disk = enter(commitCase, await afterFirstRun(commitCase));
      const isMisheard = mishearOnce(step, misheard);
      expect(await loadOn(disk, commitCase, 6)).toMatchObject({ outcome: 'ok' });
      expect(isMisheard()).toBe(true);
      expect(await stagedRuns(commitCase.options, disk)).toEqual([]);
      await judge(commitCase, disk, last);
    });

    test('is not heard, and nobody answers any more: nothing is touched, the next run finishes', async () => {
      const disk = enter(commitCase, await afterFirstRun(commitCase));
      mishearOnce(step, { outcome: 'unknown', isCarriedOut: true, isSilent: true });
      expect(await loadOn(disk, commitCase, 6)).toMatchObject({
        outcome: 'OUTCOME_UNKNOWN',
        message: expect.stringContaining(`it is not known whether run`),
      });
      expect(await stagedRuns(commitCase.options, disk)).toHaveLength(1);
      interfereWith();
      await judge(commitCase, disk, last);
    });

    test('is not heard, and another takes over: the run says so, and leaves it to that', async () => {
      const disk = enter(commitCase, await afterFirstRun(commitCase));
      let other: Promise<unknown> = Promise.resolve();
      interfereWith((writes) => {
        if (!STEPS[step](writes)) return null;
        interfereWith();
        other = loadOn(disk, commitCase, 6);
        return { outcome: 'unknown', isCarriedOut: true };
      });
      const result = await loadOn(disk, commitCase, 6);
      // Whoever fences last goes on.
      expect(['ok', 'FENCED', 'RUN_ALIVE']).toContain(result.outcome);
      await other;
      await judge(commitCase, disk, last);
    });
  });

  test.each(MISHEARD)('the answer to a recovery is $outcome, carried out: $isCarriedOut', async (misheard) => {
    const disk = enter(commitCase, await afterPrepare(commitCase));
    mishearOnce('commit', misheard);
    const result = await loadOn(disk, commitCase, 6);
    expect(result).toMatchObject({ outcome: 'ok', recovered: [expect.any(String)] });
    await judge(commitCase, disk, last);
  });

  test.each(MISHEARD)('the answer to a withdrawal is $outcome, carried out: $isCarriedOut', async (misheard) => {
    const disk = enter(commitCase, await afterPrepare(commitCase));
    mishearOnce('commit', misheard);
    const session = await openSession(commitCase.options, {
      ...{ command: { discard: true }, fs: disk, clock: QUICK_CLOCK, reader: readMemoryTopic },
    });
    expect(session.discarded).toHaveLength(1);
    await closeSession(session);
    await judge(commitCase, disk, last);
  });
});
