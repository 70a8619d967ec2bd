/**
 * All that lasts longer than a process: what stands in the folders and in the offsets topic. A world is never changed;
 * an operation gives a new one. Beside it stands the ideal: what a person would see if every run had happened in the
 * one instant at which it prepared.
 *
 * Two partitions, 0 and 1; runs are small numbers. A data file is `RUN/PARTITION:START-END`, the content of an exact
 * file is the data files it was made from, joined by `+`.
 */

/** Next offsets of partition 0 and of partition 1. */
export type Offsets = readonly [number, number];

export type StateKind = 'run' | 'intent' | 'next' | 'done' | 'fenced' | 'temp';

/** A name beside the saved offsets of FILE mode: `.CONFIG.KIND.NUMBER.RUN`. */
export interface Name {
  readonly kind: StateKind;
  readonly number: number;
  readonly run: number;
}

export interface StateFile extends Name {
  /** The run that its first line names; 0 for a `next`. */
  readonly owner: number;
  /** The intent of its second line, see `intentOf`; -1: none. */
  readonly intent: number;
  /** Of a `next`: what `CONFIG` becomes. */
  readonly offsets: Offsets | null;
  /** Of a `next`: how often offsets had been set by hand when it was made. */
  readonly hands: number;
}

export interface Intent {
  readonly run: number;
  readonly previous: Offsets;
  readonly next: Offsets;
  /** How often offsets had been set by hand when `previous` was read. */
  readonly hands: number;
  readonly files: readonly string[];
  readonly replaced: readonly string[];
  readonly previousRun: number;
  /** Exact file: what stood there, and what will. */
  readonly old: string | null;
  readonly content: string | null;
  /** Saved offsets changed by a person: no staging, no files, no manifest. */
  readonly change: boolean;
}

export interface Folder {
  readonly run: number;
  /** Put aside under `RUN.withdrawn`. */
  readonly aside: boolean;
  readonly items: readonly string[];
}

export interface RunRecord {
  readonly run: number;
  /** Runs whose staging is to be removed; one whose ranges were given back has a minus. */
  readonly takenOver: readonly number[];
}

export interface Ideal {
  /** Partition 0 may have more than one right answer once a person has set it while a run was at work. */
  readonly saved0: readonly number[];
  readonly saved1: number;
  readonly visible: readonly string[];
  readonly exact: string | null;
  /** Runs with a manifest, in the order in which they prepared. */
  readonly runs: readonly number[];
}

export interface World {
  readonly files: readonly StateFile[];
  readonly saved: Offsets;
  /** How often saved offsets were set by hand. */
  readonly hands: number;
  readonly staging: readonly Folder[];
  readonly target: readonly string[];
  readonly exact: string | null;
  /** `RUN<PREVIOUS` */
  readonly manifests: readonly string[];
  readonly highWatermark: number;
  /** STREAM: the one producer that is not fenced. */
  readonly producer: number;
  readonly intent: number;
  readonly record: RunRecord | null;
  readonly lastManifest: number;
  readonly ideal: Ideal;
}

/** What must never be: thrown by an operation, or found when everything has crashed and one more run has ended. */
export class Violation extends Error {}

export const EMPTY_WORLD: World = {
  files: [],
  saved: [0, 0],
  hands: 0,
  staging: [],
  target: [],
  exact: null,
  manifests: [],
  highWatermark: 1,
  producer: 0,
  intent: -1,
  record: null,
  lastManifest: 0,
  ideal: { saved0: [0], saved1: 0, visible: [], exact: null, runs: [] },
};

/** A text that two worlds share only if they are equal. */
export function worldKey(world: World): string {
  const { files, staging, record, ideal } = world;
  return [
    files.map((f) => `${f.kind}.${f.number}.${f.run}.${f.owner}.${f.intent}.${f.offsets ?? ''}.${f.hands}`).join(' '),
    `${world.saved}.${world.hands}.${world.highWatermark}.${world.producer}.${world.intent}.${world.lastManifest}`,
    staging.map(({ run, aside, items }) => `${run}${aside ? '~' : ''}[${items}]`).join(' '),
    `${world.target}`,
    `${world.exact}`,
    `${world.manifests}`,
    record ? `${record.run}[${record.takenOver}]` : '',
    `${ideal.saved0}/${ideal.saved1}/${ideal.runs}/${ideal.exact}/${ideal.visible}`,
  ].join('|');
}

const intents: Intent[] = [];
const intentNumbers = new Map<string, number>();

/** Intents are kept once, and worlds hold their numbers: an intent is larger than all the rest of a world. */
export function numberOfIntent(intent: Intent): number {
  const key = JSON.stringify(intent);
  const known = intentNumbers.get(key);
  if (known !== undefined) return known;
  intentNumbers.set(key, intents.length);
  return intents.push(intent) - 1;
}

export function intentOf(number: number): Intent {
  const intent = intents[number];
  if (!intent) throw new RangeError(`no intent ${number}`);
  return intent;
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

export function compareNames(a: Name, b: Name): number {
  return a.number - b.number || a.run - b.run;
}

export function isSameName(a: Name, b: Name): boolean {
  return a.kind === b.kind && compareNames(a, b) === 0;
}

/** What is saved once an intent is committed: an offset that is neither previous nor next was set by hand, and stays. */
export function mergeOffsets(saved: Offsets, { previous, next }: Intent): Offsets {
  const merge = (partition: 0 | 1): number =>
    saved[partition] === previous[partition] ? next[partition] : saved[partition];
  return [merge(0), merge(1)];
}
