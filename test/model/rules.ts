/** What is explored: a mode, a target, and which of the corrections of the protocol is left out. */

/** Each stands for a step, or an order of steps, without which the protocol breaks (README.md says how). */
export const CORRECTIONS = {
  runInNames: 'the run is part of each name beside the saved offsets',
  listAgain: 'list again after creating run.E; a later run there: end',
  listAgreed: 'a listing counts when four in a row agree (without: two)',
  settleAll: 'open ends, and the saved offsets are read, when no older run or intent is left',
  runsFirst: 'every older run is fenced before an intent is touched',
  nextFirst: 'next.E is written before prepare, never again',
  ownNext: 'an intent is taken over by renaming it, with a next of the own number',
  mergeByHand: 'the next of a recovery is merged with what was set by hand',
  doneRemoves: 'staging is removed only by the run whose rename to done succeeded',
  claimRecord: 'a record that is not yet under its name is taken before the staging it names is removed',
  setAside: 'staging is put aside before anybody looks whether the run can be given back',
  putBack: 'staging that was put aside is put back where the run is published or saved',
  oneVerdict: 'a run whose staging is aside is given back by whoever finds it, unless it is published or saved',
  nextBeforeLook: 'the next of an intent is removed before anybody looks whether it is committed',
  manifestGoes: 'the manifest of a run that is given back goes',
  manifestLast: 'that manifest goes after the intent, not before',
  lookAtSaved: 'a run whose offsets are saved already is not given back',
  readAfterFencing: 'the state is read after fencing the others',
  recordFirst: 'the own run record is written before anything of earlier runs is touched',
  readAgain: 'the state is read again before a run record of unknown outcome is written again',
  leaveRecord: 'a run that finds the record of another after fencing anew leaves it there',
  lookAtRecord: 'a producer is renewed only while the run record is its own',
  lookAgain: 'the record is looked at again once the others are fenced',
  lookIfDone: 'after a write of unknown outcome, and once the others are fenced, it is looked whether it is there',
  quietIfUnknown: 'fenced or unknown at commit: nothing is touched',
  recordLast: 'the tombstone of the run record follows the removal of staging',
  recordHeirs: 'the run record names the staging of the runs taken over',
  syncPrepare: 'fsync between prepare and publish',
  syncCommit: 'fsync after the commit and after done',
  linksFirst: 'all links, fsync, only then the unlinks',
} as const;

export type Correction = keyof typeof CORRECTIONS;

/**
 * `load`: reads what is new into files, and commits. `freeLoad`: the same with `--no-commit`. `takeOver`: a load that
 * does not watch. `gapLoad`: a load that finds no rows in its range, only control records. `set`: another saved offset for partition 0, by the command. `recover` and `discard`: finishes a
 * prepared run, or gives its ranges back.
 */
export type Command = 'load' | 'freeLoad' | 'gapLoad' | 'takeOver' | 'set' | 'recover' | 'discard';

export interface Rules {
  readonly mode: 'FILE' | 'STREAM';
  readonly target: 'folder' | 'file';
  readonly writeMode: 'Append' | 'Overwrite';
  readonly without: Correction | null;
  /** Messages come until both partitions have so many. */
  readonly maxHighWatermark: number;
  /** False: a listing misses a name that is renamed meanwhile. */
  readonly atomicListing: boolean;
}

/** One run: its number is also its place in the order of run ids. */
export interface Actor {
  readonly run: number;
  readonly command: Command;
  readonly rules: Rules;
  /** The last run of all: it always finds one more message. */
  readonly isJudge: boolean;
}

export function keeps({ rules }: Actor, correction: Correction): boolean {
  return rules.without !== correction;
}

/** Such a command moves no rows and has no staging folder. */
export function hasStaging({ command }: Actor): boolean {
  return command !== 'set' && command !== 'recover' && command !== 'discard';
}
