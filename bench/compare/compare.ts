/** `bench -- compare BASE [NEW]`: rows/s of a run beside those of a stored one. */
import type { Input, Results } from '../core/results.ts';

export interface ComparedLine {
  readonly series: string;
  readonly contender: string;
  readonly isOurs: boolean;
  /** Rows/s. */
  readonly base: number;
  /** Null: not in the new results, or made of another input. */
  readonly next: number | null;
  readonly verdict: 'ok' | 'slower' | 'not in the new results' | 'of another input' | 'not ours';
}

/** Below this share of the stored rows/s a result of ours has become slower. */
export const LEAST_RATIO = 0.9;

/** @returns A line for each stored result, in their order. Results of others tell how fast the machine was, and never fail. */
export function compareResults(base: Results, next: Results): ComparedLine[] {
  return base.series.flatMap((series) => {
    const other = next.series.find(({ name }) => name === series.name);
    return series.results.map((result): ComparedLine => {
      const { contender, isOurs, rowsPerSecond } = result;
      const line = { series: series.name, contender, isOurs, base: rowsPerSecond };
      const found = other?.results.find((one) => one.contender === contender);
      if (!other || !found) return { ...line, next: null, verdict: 'not in the new results' };
      if (!isSameInput(result.input ?? series.input, found.input ?? other.input)) {
        return { ...line, next: null, verdict: 'of another input' };
      }
      const isSlower = found.rowsPerSecond < LEAST_RATIO * rowsPerSecond;
      return { ...line, next: found.rowsPerSecond, verdict: isOurs ? (isSlower ? 'slower' : 'ok') : 'not ours' };
    });
  });
}

/** Bytes may differ a little: keys of a sweep's first rows are taken for those of all. */
function isSameInput(a: Input, b: Input): boolean {
  const bytesRatio = a.messageBytes / b.messageBytes;
  const isSameSize = bytesRatio > 0.99 && bytesRatio < 1.01;
  return a.rows === b.rows && isSameSize && a.partitions === b.partitions && a.codec === b.codec;
}
