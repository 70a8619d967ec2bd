/** What is explored of chains, and which of the corrections of the protocol is left out. */

export const CHAIN_CORRECTIONS = {
  lookAtNews: 'a lost number: the new entries are looked at before the next one is tried',
  lostExact: 'an exact file: a lost number is always overtaken',
  groupFirst: 'no entry before the group holds its start',
  resumeFirst: 'one that takes over commits to the group where the chain stands, before its first entry',
  chainBeforeGroup: 'the chain is read before the group is asked, and followed meanwhile',
  chainWins: 'a group offset that is the start of the last entry counts as its end',
  handWins: 'any other group offset is obeyed, and the entry says so',
  createFirst: 'files are published when their entry is made, not before',
  publishOnStart: 'a start publishes what entries name and is still staged',
  publishNews: 'entries that were read are published before the next micro-batch begins',
  deadFirst: 'who is dead is asked before the chain is read',
  overtakenFirst: 'what no entry names of a process that may live goes only when the chain has moved on from it',
  lookAfterCreation: 'after an entry is made, checkpoints are looked at, before it counts',
  checkpointFirst: 'entries are removed when the checkpoint is there',
  publishBeforeFold: 'what is folded was published',
  syncBeforePublish: 'an entry is synced before its files are published',
  syncBeforeGoing: 'entries that were read are synced before anybody goes on from them',
  syncBeforeNext: 'an entry of another is synced before the next number is tried',
  syncCheckpoint: 'a checkpoint is synced before what it covers is removed',
} as const;

export type ChainCorrection = keyof typeof CHAIN_CORRECTIONS;

export interface ChainRules {
  readonly target: 'folder' | 'file';
  readonly without: ChainCorrection | null;
  /** Messages in each of the two partitions. */
  readonly messages: readonly number[];
  /** Offsets of a partition that a process puts into one micro-batch, at most. */
  readonly most: readonly number[];
  /** A process in each place; the first owners of the partitions. */
  readonly processes: number;
  readonly owners: readonly number[];
  readonly rebalances: number;
  readonly wishes: number;
  readonly crashes: number;
  readonly losses: number;
  /** Entries that a checkpoint folds; 0: none. */
  readonly foldEntries: number;
}

export interface ChainActor {
  /** From 1. */
  readonly process: number;
  readonly rules: ChainRules;
  /** After everybody is dead. */
  readonly isJudge: boolean;
}

export function keeps({ rules }: ChainActor, correction: ChainCorrection): boolean {
  return rules.without !== correction;
}
