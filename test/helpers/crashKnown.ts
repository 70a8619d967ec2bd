/** What follows from the steps that runs have passed: what a chain of crashes (crashChain.ts) must find, and may find. */
import { expect } from 'vitest';
import { BATCH, type Combination, PARTITIONS, type VisibleRows } from './crashLayouts.ts';

/** How many batches a target holds for certain, and at the most. */
export interface Known {
  /** Batches whose run has ended. */
  done: number;
  /** The next one is prepared. */
  isPrepared: boolean;
  /** It is published as a whole. */
  isPublished: boolean;
  /** Its manifest is written. */
  isListed: boolean;
  /** Its offsets are saved; in FILE mode the intent still stands then. */
  isSaved: boolean;
}

export function nothingKnown(): Known {
  return { done: 0, isPrepared: false, isPublished: false, isListed: false, isSaved: false };
}

/** Follows the steps of a run that has ended, somehow. */
export function followSteps(known: Known, steps: readonly string[]): void {
  for (const step of steps) {
    if (step === 'prepare.renamed' || step === 'prepare.after') known.isPrepared = true;
    if (step === 'publish.published') known.isPublished = true;
    if (step === 'publish.manifestWritten') known.isListed = true;
    if (step === 'commit.saved') known.isSaved = true;
    const isDone = step === 'commit.done' || step === 'commit.committed';
    if (!isDone && step !== 'discard.done') continue;
    known.done += Number(isDone);
    known.isPrepared = false;
    known.isPublished = false;
    known.isListed = false;
    known.isSaved = false;
  }
}

/** Compares what is visible with what must be. @param story For the message of a failure. */
export function checkRows(
  found: VisibleRows,
  { done, isPrepared, isPublished }: Known,
  { layout, writeMode }: Combination,
  story: string,
): void {
  const least = done + Number(isPublished);
  const most = done + Number(isPrepared);
  const { batches } = found;
  expect({ distinct: found.distinct, wrong: found.wrong }, story).toEqual({ distinct: found.rows, wrong: 0 });
  const whole = BATCH * PARTITIONS.length;
  const full = [...batches].filter(([, rows]) => rows === whole).map(([batch]) => batch);
  const allowed = range(writeMode === 'Append' ? 0 : Math.max(0, least - 1), most);
  expect(allowed, story).toEqual(expect.arrayContaining([...batches.keys()]));
  if (writeMode === 'Append') expect(full, story).toEqual(expect.arrayContaining(range(0, least)));
  // The new rows are all there before the first of the old ones goes.
  else if (least > 0) expect([...full, -1], story).toContainEqual(full.includes(done) ? done : least - 1);
  if (layout === 'exact file') expect(full, story).toEqual([...batches.keys()]);
  if (least === most) expect(full, story).toEqual(allowed);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
}
