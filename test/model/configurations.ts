/** What is explored: by `npm test` in seconds, by `npm run model` as long as it is given. */
import type { Exploration } from './explore.ts';
import type { Command, Correction, Rules } from './rules.ts';

export const TARGETS: readonly Pick<Rules, 'target' | 'writeMode'>[] = [
  { target: 'folder', writeMode: 'Append' },
  { target: 'folder', writeMode: 'Overwrite' },
  { target: 'file', writeMode: 'Append' },
];

export const MODES: readonly Rules['mode'][] = ['FILE', 'STREAM'];

export function rulesOf(mode: Rules['mode'], target: (typeof TARGETS)[number], changed: Partial<Rules> = {}): Rules {
  return { mode, ...target, without: null, maxHighWatermark: 2, atomicListing: true, ...changed };
}

export const PAIRS: readonly (readonly Command[])[] = [
  ['load', 'load'],
  ['load', 'discard'],
  ['discard', 'load'],
  ['load', 'set'],
  ['set', 'load'],
  ['load', 'freeLoad'],
  ['freeLoad', 'load'],
  ['load', 'takeOver'],
  ['gapLoad', 'load'],
  ['gapLoad', 'discard'],
  ['freeLoad', 'discard'],
  ['set', 'discard'],
  ['load', 'recover'],
  ['recover', 'discard'],
];

/** Pairs that meet a prepared run whose process is gone: what takes three runs otherwise, in far fewer states. */
export const AFTER_KILLED: readonly (readonly Command[])[] = [
  ['load', 'load'],
  ['load', 'recover'],
  ['load', 'discard'],
  ['discard', 'load'],
  ['discard', 'discard'],
  ['takeOver', 'discard'],
  ['load', 'set'],
  ['set', 'load'],
  ['freeLoad', 'load'],
];

/** Three runs: the one that sleeps, the one that takes over and sleeps, the one that finishes. */
export const TRIPLES: readonly (readonly Command[])[] = [
  ['load', 'load', 'load'],
  ['load', 'load', 'discard'],
  ['load', 'discard', 'load'],
  ['freeLoad', 'load', 'load'],
  ['load', 'takeOver', 'load'],
  ['load', 'set', 'load'],
  ['load', 'load', 'set'],
  ['load', 'discard', 'discard'],
  ['gapLoad', 'discard', 'load'],
];

/** Runs one after another, each of which loses power. */
export const POWER_LOSSES: readonly (readonly Command[])[] = [
  ['load', 'load', 'load'],
  ['load', 'discard', 'load'],
  ['load', 'set', 'load'],
  ['freeLoad', 'load', 'load'],
  ['gapLoad', 'discard', 'load'],
];

/** How the protocol breaks without a correction: what shows it. */
export type Mutant = { readonly correction: Correction } & (
  | { readonly kind: 'runs'; readonly exploration: Exploration }
  | { readonly kind: 'power'; readonly rules: Rules; readonly commands: readonly Command[] }
);

function withRuns(
  correction: Correction,
  mode: Rules['mode'],
  commands: readonly Command[],
  changed: Partial<Rules & Pick<Exploration, 'hands' | 'killed'>> = {},
): Mutant {
  const { hands = 0, killed = null, ...others } = changed;
  const rules = rulesOf(mode, { target: 'folder', writeMode: 'Append' }, { without: correction, ...others });
  return { correction, kind: 'runs', exploration: { rules, commands, order: 'rising', hands, killed } };
}

function withPower(correction: Correction, mode: Rules['mode']): Mutant {
  const rules = rulesOf(mode, { target: 'folder', writeMode: 'Append' }, { without: correction });
  return { correction, kind: 'power', rules, commands: ['load', 'load'] };
}

/** One at least for each correction. */
export const MUTANTS: readonly Mutant[] = [
  withRuns('runInNames', 'FILE', ['load', 'load', 'load']),
  withRuns('listAgain', 'FILE', ['load', 'gapLoad'], { killed: 'gapLoad' }),
  withRuns('listAgreed', 'FILE', ['load', 'load'], { atomicListing: false }),
  withRuns('settleAll', 'FILE', ['load', 'load']),
  withRuns('runsFirst', 'FILE', ['gapLoad', 'recover'], { killed: 'gapLoad' }),
  withRuns('nextFirst', 'FILE', ['gapLoad', 'gapLoad']),
  withRuns('ownNext', 'FILE', ['load', 'load'], { hands: 1 }),
  withRuns('mergeByHand', 'FILE', ['load', 'load'], { hands: 1 }),
  withRuns('doneRemoves', 'FILE', ['load', 'load']),
  withRuns('claimRecord', 'FILE', ['gapLoad', 'recover', 'recover'], { maxHighWatermark: 1 }),
  withRuns('setAside', 'FILE', ['load', 'discard']),
  withRuns('setAside', 'STREAM', ['load', 'discard']),
  withRuns('putBack', 'FILE', ['load', 'discard']),
  withRuns('putBack', 'STREAM', ['load', 'discard']),
  withRuns('oneVerdict', 'STREAM', ['discard', 'load'], { killed: 'load' }),
  withRuns('nextBeforeLook', 'FILE', ['gapLoad', 'discard']),
  withRuns('manifestGoes', 'FILE', ['gapLoad', 'discard']),
  withRuns('manifestLast', 'FILE', ['discard', 'recover'], { killed: 'gapLoad' }),
  withRuns('manifestLast', 'STREAM', ['discard', 'recover'], { killed: 'gapLoad' }),
  withRuns('lookAtSaved', 'FILE', ['gapLoad', 'discard']),
  withRuns('readAfterFencing', 'STREAM', ['load', 'load']),
  withRuns('recordFirst', 'STREAM', ['load', 'load']),
  withRuns('readAgain', 'STREAM', ['load', 'load']),
  withRuns('leaveRecord', 'STREAM', ['load', 'load']),
  withRuns('lookAtRecord', 'STREAM', ['load', 'load']),
  withRuns('lookAgain', 'STREAM', ['load', 'load']),
  withRuns('lookIfDone', 'STREAM', ['load', 'load']),
  withRuns('quietIfUnknown', 'STREAM', ['load', 'load']),
  withRuns('recordLast', 'STREAM', ['load', 'load']),
  withRuns('recordHeirs', 'STREAM', ['load', 'load']),
  withPower('syncPrepare', 'FILE'),
  withPower('syncCommit', 'FILE'),
  withPower('linksFirst', 'FILE'),
  withPower('linksFirst', 'STREAM'),
];
