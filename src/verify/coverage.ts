/**
 * Which offsets the runs of a config account for. Pure: manifests in, findings out.
 *
 * Runs are walked in the order in which they followed one another. Where one follows the last and begins elsewhere than
 * that one ended, a person moved the saved offsets; where the run before is not known, it is a hole.
 */
import { offsetKey } from '../plan/places.ts';
import type { Manifest, SavedMove } from '../sinks/manifest.ts';
import { type GapCounts, NO_GAPS, type OffsetRange } from '../tasks.ts';
import type { ChainedRun, Link } from './chain.ts';
import { type CoveredRange, describe, findOverlaps } from './coveredRanges.ts';
import type { Finding } from './types.ts';

export interface Coverage {
  readonly findings: readonly Finding[];
  readonly remarks: readonly string[];
  /** Runs whose files count, in order. */
  readonly runs: readonly ChainedRun[];
  /** Of runs that committed and whose files are here. */
  readonly ranges: readonly CoveredRange[];
  /** Where the walk ended, by `offsetKey`: what should be saved. */
  readonly ends: ReadonlyMap<string, SavedMove>;
}

/**
 * @param runs As `chainRuns` gives them.
 * @param damaged Runs whose manifests are there and cannot be read.
 * @param file The one file that is looked at, relative to the root; null: all of the folder.
 */
export function walkRuns(
  config: string,
  runs: readonly ChainedRun[],
  damaged: ReadonlySet<string>,
  file: string | null,
): Coverage {
  const first = firstThatCounts(runs, file);
  const walk = new Walk(config, damaged);
  for (const [index, run] of runs.entries()) walk.step(run, index >= first, countsHere(run, file));
  const overlaps = findOverlaps(config, walk.ranges);
  return {
    findings: [...walk.findings, ...overlaps],
    remarks: walk.remarks,
    runs: runs.slice(first).filter((run) => countsHere(run, file)),
    ranges: walk.ranges,
    ends: walk.ends,
  };
}

function countsHere({ isHere, manifest }: ChainedRun, file: string | null): boolean {
  return isHere && (file === null || (manifest.target.kind === 'file' && manifest.target.path === file));
}

/** The last run that replaced everything there was: coverage begins with it. */
function firstThatCounts(runs: readonly ChainedRun[], file: string | null): number {
  const here = runs.filter((run) => countsHere(run, file));
  const isAlone = new Set(here.map(({ manifest }) => manifest.target.path)).size === 1;
  return Math.max(
    0,
    runs.findLastIndex((run) => {
      const { writeMode, files, target } = run.manifest;
      const replacedAll = writeMode === 'Overwrite' && files.length > 0 && (target.kind === 'folder' || isAlone);
      return replacedAll && countsHere(run, file);
    }),
  );
}

interface Position extends SavedMove {
  readonly run: string;
}

class Walk {
  readonly findings: Finding[] = [];
  readonly remarks: string[] = [];
  readonly ranges: CoveredRange[] = [];
  readonly ends = new Map<string, Position>();
  readonly #config: string;
  readonly #damaged: ReadonlySet<string>;
  readonly #topicIds = new Map<string, string>();
  /** By `offsetKey`: how often the saved offset was moved back. */
  readonly #times = new Map<string, number>();
  #runs = 0;

  constructor(config: string, damaged: ReadonlySet<string>) {
    this.#config = config;
    this.#damaged = damaged;
  }

  /**
   * @param counts False for runs before the last that replaced all: what they did is history.
   * @param isHere Whether its files are among those that are looked at.
   */
  step(run: ChainedRun, counts: boolean, isHere: boolean): void {
    const { manifest, link } = run;
    const isFirst = this.#runs++ === 0;
    if (counts) this.#tellLink(manifest, link, isFirst);
    if (!manifest.committed) return;
    this.#forgetTopicsMadeAgain(manifest);
    const gapsOf = new Map(manifest.gaps.map((gap) => [offsetKey(gap), gap]));
    const rangeOf = new Map(manifest.ranges.map((range) => [offsetKey(range), range]));
    for (const move of manifest.offsets) {
      const key = offsetKey(move);
      const gaps = gapsOf.get(key) ?? NO_GAPS;
      const range = rangeOf.get(key) ?? { ...placeOf(move), startOffset: move.next, endOffset: move.next };
      const before = this.ends.get(key);
      if (before && counts) this.#compare(before, move, range.startOffset, run);
      this.ends.set(key, { ...move, run: manifest.run });
      if (!counts) continue;
      this.#checkInside(manifest, move, range, gaps);
      if (gaps.deleted + gaps.lost > 0) {
        const count = gaps.deleted + gaps.lost;
        this.remarks.push(
          `offsets of ${key} that were deleted before run ${manifest.run} could read them, as it reported: ${count}`,
        );
      }
      if (!isHere || range.startOffset === range.endOffset) continue;
      this.ranges.push({ ...range, run: manifest.run, time: this.#times.get(key) ?? 0, gaps });
    }
  }

  #tellLink({ run }: Manifest, link: Link, isFirst: boolean): void {
    switch (link.kind) {
      case 'missing':
        if (this.#damaged.has(link.run)) return;
        this.#find(
          'missing-manifest',
          `the manifest of run ${link.run}, which run ${run} followed, is missing: its files and offsets cannot be checked`,
          { run: link.run },
        );
        return;
      case 'fork':
        this.remarks.push(`run ${run} followed run ${link.run}, as another did: older saved offsets were put back`);
        return;
      case 'first':
        if (!isFirst) this.remarks.push(`run ${run} knew of none before it: the saved offsets were removed`);
        return;
      case 'elsewhere':
        this.remarks.push(
          link.root === null
            ? `run ${run} followed run ${link.run}, whose rows went to a topic`
            : `run ${run} followed run ${link.run}, which wrote to the folder ${link.root}; that is not looked at`,
        );
        return;
      case 'linked':
      case 'gap':
        return;
    }
  }

  /** What lies between the end of one run and the beginning of the next. */
  #compare(before: Position, move: SavedMove, begin: number, { manifest, link, byHand }: Omit<ChainedRun, 'isHere'>) {
    const key = offsetKey(move);
    const due = move.previous ?? begin;
    if (due === before.next && move.previous !== null) return;
    const between = `between run ${before.run} and run ${manifest.run}`;
    const isByHand = byHand?.some((setting) => offsetKey(setting) === key && setting.group === due) ?? true;
    if (link.kind === 'elsewhere') {
      if (due > before.next) this.remarks.push(`${describe(key, before.next, due)} went elsewhere ${between}`);
    } else if (link.kind === 'linked' && isByHand) {
      const what = move.previous === null ? `forgotten, and read again from ${begin}` : `set to ${move.previous}`;
      this.remarks.push(
        `${byHand ? "the group's" : 'the saved'} offset of ${key}, ${before.next}, was ${what} by hand ${between}${effect(key, before, due)}`,
      );
      if (due < before.next) this.#times.set(key, (this.#times.get(key) ?? 0) + 1);
      return;
    } else if (due > before.next) {
      const range = { ...placeOf(move), startOffset: before.next, endOffset: due };
      this.#find('hole', `no run has ${describe(key, before.next, due)}, ${between}`, { range });
    }
  }

  /** A run must account for all offsets that it moved the saved one over. */
  #checkInside({ run }: Manifest, move: SavedMove, { startOffset, endOffset }: OffsetRange, { deleted }: GapCounts) {
    const key = offsetKey(move);
    const due = move.previous ?? startOffset;
    for (const [from, to] of [
      [due, startOffset - deleted],
      [endOffset, move.next],
    ] as const) {
      if (from >= to) continue;
      const range = { ...placeOf(move), startOffset: from, endOffset: to };
      this.#find('hole', `run ${run} passed over ${describe(key, from, to)} without reading`, { run, range });
    }
  }

  /** Offsets of a topic that was deleted and made again are others. */
  #forgetTopicsMadeAgain({ topicIds, run }: Manifest): void {
    for (const [topic, id] of Object.entries(topicIds)) {
      const before = this.#topicIds.get(topic);
      this.#topicIds.set(topic, id);
      if (before === undefined || before === id) continue;
      this.remarks.push(`the topic ${topic} was deleted and made again before run ${run}: its offsets begin anew`);
      for (const [key, end] of this.ends) {
        if (end.topic !== topic) continue;
        this.ends.delete(key);
        this.#times.set(key, (this.#times.get(key) ?? 0) + 1);
      }
    }
  }

  #find(kind: Finding['kind'], message: string, more: Pick<Finding, 'run' | 'range'>): void {
    this.findings.push({ kind, config: this.#config, message, ...more });
  }
}

function effect(key: string, before: SavedMove, due: number): string {
  if (due === before.next) return '';
  return due > before.next
    ? `, so that the files lack ${describe(key, before.next, due)}`
    : `, so that ${describe(key, due, before.next)} may be there twice`;
}

function placeOf({ topic, partition }: SavedMove): { topic: string; partition: number } {
  return { topic, partition };
}
