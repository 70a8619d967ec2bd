/** Ranges of offsets that runs covered: put together, compared with one another, and named in a message. */
import { comparePlaces, offsetKey } from '../plan/places.ts';
import type { GapCounts, OffsetRange } from '../tasks.ts';
import { groupBy } from './groupBy.ts';
import type { Finding } from './types.ts';

/** Offsets that one run put into files, or found to hold no row. */
export interface CoveredRange extends OffsetRange {
  readonly run: string;
  /** Ranges of different times overlap because somebody moved the saved offsets back in between. */
  readonly time: number;
  readonly gaps: GapCounts;
}

/** Finds runs of one time that cover the same offsets. */
export function findOverlaps(config: string, ranges: readonly CoveredRange[]): Finding[] {
  const findings: Finding[] = [];
  const byPlace = groupBy(ranges, (range) => `${offsetKey(range)} ${range.time}`);
  for (const own of byPlace.values()) {
    const sorted = own.toSorted((a, b) => a.startOffset - b.startOffset);
    let widest = sorted[0];
    for (const range of sorted.slice(1)) {
      if (widest && range.startOffset < widest.endOffset) {
        const endOffset = Math.min(widest.endOffset, range.endOffset);
        const what = describe(offsetKey(range), range.startOffset, endOffset);
        const message = `run ${widest.run} and run ${range.run} both wrote ${what}`;
        const { topic, partition, startOffset, run } = range;
        findings.push({ kind: 'overlap', config, message, run, range: { topic, partition, startOffset, endOffset } });
      }
      if (!widest || range.endOffset > widest.endOffset) widest = range;
    }
  }
  return findings;
}

/** In topic, partition and offset order; those that touch or overlap become one. */
export function mergeRanges(ranges: readonly OffsetRange[]): OffsetRange[] {
  const sorted = ranges.toSorted((a, b) => comparePlaces(a, b) || a.startOffset - b.startOffset);
  const merged: OffsetRange[] = [];
  for (const { topic, partition, startOffset, endOffset } of sorted) {
    const last = merged.at(-1);
    if (last && comparePlaces(last, { topic, partition }) === 0 && startOffset <= last.endOffset) {
      merged[merged.length - 1] = { ...last, endOffset: Math.max(last.endOffset, endOffset) };
    } else {
      merged.push({ topic, partition, startOffset, endOffset });
    }
  }
  return merged;
}

/** `offsets 12 to 39 of orders/0`; the last one is the one before `endOffset`. */
export function describe(key: string, startOffset: number, endOffset: number): string {
  const last = endOffset - 1;
  return last === startOffset ? `offset ${last} of ${key}` : `offsets ${startOffset} to ${last} of ${key}`;
}
