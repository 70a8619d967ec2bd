/** `--deep`: the offsets of all rows in the files against those that the runs recorded. */
import { toOffloadError } from '../errors.ts';
import { offsetKey } from '../plan/places.ts';
import { NO_GAPS, type OffsetRange } from '../tasks.ts';
import type { ChainedRun } from './chain.ts';
import { type CoveredRange, describe } from './coveredRanges.ts';
import type { LiveFile } from './files.ts';
import { groupBy } from './groupBy.ts';
import { OffsetCounts } from './offsetCounts.ts';
import { originsOf, readOrigins } from './readOrigins.ts';
import type { Finding } from './types.ts';

export interface ComparedRows {
  readonly findings: readonly Finding[];
  readonly remarks: readonly string[];
  readonly rows: number;
  /** Offsets that were met, by `offsetKey`. */
  readonly counts: ReadonlyMap<string, OffsetCounts>;
  /** Runs all of whose rows were read. */
  readonly runs: ReadonlySet<string>;
}

/**
 * @param runs Whose files count.
 * @param files Of them; those that are damaged left out: their runs are not compared.
 */
export async function compareRows(
  config: string,
  runs: readonly ChainedRun[],
  files: readonly LiveFile[],
  signal: AbortSignal,
): Promise<ComparedRows> {
  const { parts, skipped } = divide(runs, files);
  const remarks = skipped.size === 0 ? [] : [describeSkipped(skipped)];
  const findings: Finding[] = [];
  const counts = new Map<string, OffsetCounts>();
  let rows = 0;
  let lastKey = '';
  let last = new OffsetCounts();
  const onRow = (topic: string, partition: number, offset: number): void => {
    const key = `${topic}/${partition}`;
    if (key !== lastKey) {
      last = counts.get(key) ?? new OffsetCounts();
      counts.set(key, last);
      lastKey = key;
    }
    last.add(Math.max(0, offset));
    if (offset < 0) strangeRows += 1;
  };
  let strangeRows = 0;
  for (const { file, origins } of parts) {
    signal.throwIfAborted();
    strangeRows = 0;
    const { path, run } = file;
    try {
      const found = await readOrigins(path, origins, onRow, signal);
      rows += found;
      const isWhole = run.target.kind === 'folder' || run.content?.output.format === 'parquet';
      if (isWhole && found !== file.recorded.rows) {
        const message = `rows of ${path}: ${found} were found, run ${run.run} recorded ${file.recorded.rows}`;
        findings.push({ kind: 'wrong-rows', config, message, run: run.run, path });
      }
    } catch (error) {
      signal.throwIfAborted();
      const message = `${path} cannot be read: ${toOffloadError(error).message}`;
      findings.push({ kind: 'damaged-file', config, message, run: run.run, path });
    }
    if (strangeRows > 0) {
      const message = `${path} holds rows without an offset: ${strangeRows}`;
      findings.push({ kind: 'wrong-rows', config, message, run: run.run, path });
    }
  }
  const compared = runs.filter(({ manifest }) => !skipped.has(manifest.run));
  findings.push(...compareOffsets(config, writtenRanges(compared), counts));
  return { findings, remarks, rows, counts, runs: new Set(compared.map(({ manifest }) => manifest.run)) };
}

type Part = { readonly file: LiveFile; readonly origins: NonNullable<ReturnType<typeof originsOf>> };

/** Files whose rows tell what they are, and runs with any that do not. */
function divide(runs: readonly ChainedRun[], files: readonly LiveFile[]): { parts: Part[]; skipped: Set<string> } {
  const skipped = new Set<string>();
  const byPath = new Map(files.map((file) => [file.recorded.path, file]));
  const parts = new Map<string, Part>();
  // An exact file holds the rows of all its runs.
  for (const own of groupBy(runs, targetKey).values()) {
    const ranges = own.flatMap(({ manifest }) => manifest.ranges);
    const isExact = own[0]?.manifest.target.kind === 'file';
    const notTold = own.filter(({ manifest }) => {
      return manifest.files.some((recorded) => {
        const file = byPath.get(recorded.path);
        const origins = originsOf(manifest.content, isExact ? ranges : recorded.ranges);
        if (!file || !origins) return true;
        parts.set(recorded.path, { file, origins });
        return false;
      });
    });
    for (const { manifest } of notTold.length > 0 && isExact ? own : notTold) {
      skipped.add(manifest.run);
      for (const { path } of manifest.files) parts.delete(path);
    }
  }
  return { parts: [...parts.values()], skipped };
}

function targetKey({ manifest: { target, run } }: ChainedRun): string {
  return target.kind === 'file' ? `file ${target.path}` : `run ${run}`;
}

function describeSkipped(skipped: ReadonlySet<string>): string {
  const [first] = skipped;
  const which = skipped.size === 1 ? `run ${first}` : `${skipped.size} runs, ${first} among them,`;
  return `the rows of ${which} were not compared: their files are damaged, or do not tell topic, partition and offset of each row`;
}

/** Also of runs that did not commit: their rows stand in the files as well. */
function writtenRanges(runs: readonly ChainedRun[]): Omit<CoveredRange, 'time'>[] {
  return runs.flatMap(({ manifest }) => {
    const gaps = new Map(manifest.gaps.map((gap) => [offsetKey(gap), gap]));
    return manifest.ranges.map((range) => ({
      ...range,
      run: manifest.run,
      gaps: gaps.get(offsetKey(range)) ?? NO_GAPS,
    }));
  });
}

/** Ranges that overlap are judged together: which row is of which run, nothing tells. */
function compareOffsets(
  config: string,
  ranges: readonly Omit<CoveredRange, 'time'>[],
  counts: ReadonlyMap<string, OffsetCounts>,
): Finding[] {
  const findings: Finding[] = [];
  const byPlace = groupBy(ranges, offsetKey);
  for (const key of new Set([...byPlace.keys(), ...counts.keys()])) {
    const met = counts.get(key) ?? new OffsetCounts();
    let inside = 0;
    for (const group of overlapping(byPlace.get(key) ?? [])) {
      const { range, expected, times } = group;
      const found = met.countAll(range.startOffset, range.endOffset);
      const above = countTimesAbove(met, times, range);
      inside += found;
      const what = describe(key, range.startOffset, range.endOffset);
      if (above > 0) {
        const first = met.firstAbove(times, range.startOffset, range.endOffset);
        const message = `rows too many of ${what}: ${above}, the first of them at offset ${first}`;
        findings.push({ kind: 'overlap', config, message, range });
      }
      const missing = expected - (found - above);
      if (missing > 0) {
        const message = `rows missing of ${what}: ${missing} (${found - above} are in the files, ${expected} were recorded)`;
        findings.push({ kind: 'hole', config, message, range });
      } else if (missing < 0) {
        const message = `rows of ${what}: ${found - above} are in the files, ${expected} were recorded`;
        findings.push({ kind: 'wrong-rows', config, message, range });
      }
    }
    const outside = met.countAll(0, Number.MAX_SAFE_INTEGER) - inside;
    if (outside > 0) {
      findings.push({
        kind: 'wrong-rows',
        config,
        message: `rows of ${key} with offsets that no run recorded: ${outside}`,
      });
    }
  }
  return findings;
}

function countTimesAbove(met: OffsetCounts, times: number, { startOffset, endOffset }: OffsetRange): number {
  let count = 0;
  for (let above = times; ; above++) {
    const more = met.countAbove(above, startOffset, endOffset);
    if (more === 0) return count;
    count += more;
  }
}

interface Group {
  readonly range: OffsetRange;
  /** Rows. */
  readonly expected: number;
  /** How often an offset of it was written, at most. */
  readonly times: number;
}

function* overlapping(ranges: readonly Omit<CoveredRange, 'time'>[]): Generator<Group> {
  const sorted = ranges.toSorted((a, b) => a.startOffset - b.startOffset);
  for (let index = 0; index < sorted.length; ) {
    const first = sorted[index] as (typeof sorted)[number];
    const { topic, partition, startOffset } = first;
    let endOffset = first.endOffset;
    const group: (typeof sorted)[number][] = [];
    for (
      let next = sorted[index];
      next && (group.length === 0 || next.startOffset < endOffset);
      next = sorted[++index]
    ) {
      group.push(next);
      endOffset = Math.max(endOffset, next.endOffset);
    }
    const times = Math.max(
      ...group.map(({ startOffset: start }) => {
        return group.filter((other) => other.startOffset <= start && start < other.endOffset).length;
      }),
    );
    const expected = group.reduce((sum, { gaps, ...range }) => {
      const { control, aborted, compacted, lost, bad } = gaps;
      return sum + range.endOffset - range.startOffset - control - aborted - compacted - lost - bad;
    }, 0);
    yield { range: { topic, partition, startOffset, endOffset }, expected, times: Math.max(1, times) };
  }
}
