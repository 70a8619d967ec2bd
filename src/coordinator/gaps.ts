import { offsetKey } from '../plan/places.ts';
import type { RangePlan } from '../plan/ranges.ts';
import type { GapCounts } from '../tasks.ts';
import { countBad } from './badRecords/counts.ts';
import type { TaskResult } from './fetchTypes.ts';

/** What reading a range, or a part of one, came to. */
type RangeResult = Pick<TaskResult, 'range' | 'rows' | 'control' | 'aborted' | 'lost' | 'bad'>;

/**
 * Accounts for every offset of the plan that gave no row; partitions without any are left out. Rows, `control`, `aborted`,
 * `compacted` and `lost` add up to the range, the `bad` ones being among the rows that were read; `deleted` is what lies between the offset that was due and its start.
 */
export function countGaps(
  plan: RangePlan,
  results: readonly RangeResult[],
): (GapCounts & { topic: string; partition: number })[] {
  const ranges = new Map(plan.ranges.map((range) => [offsetKey(range), range]));
  const resultsByKey = new Map<string, RangeResult[]>();
  for (const result of results) {
    const key = offsetKey(result.range);
    resultsByKey.set(key, [...(resultsByKey.get(key) ?? []), result]);
  }
  return plan.next.flatMap(({ topic, partition }) => {
    const key = offsetKey({ topic, partition });
    const range = ranges.get(key);
    const offsets = range ? range.endOffset - range.startOffset : 0;
    const own = resultsByKey.get(key) ?? [];
    const sum = (count: (result: RangeResult) => number): number =>
      own.reduce((total, result) => total + count(result), 0);
    const control = sum((result) => result.control);
    const aborted = sum((result) => result.aborted);
    const lost = sum((result) => result.lost);
    const bad = sum((result) => countBad(result.bad));
    const compacted = offsets - sum((result) => result.rows) - control - aborted - lost;
    const deleted = plan.lost.get(key) ?? 0;
    const counts = { control, aborted, compacted, deleted, lost, bad };
    return Object.values(counts).some((count) => count > 0) ? [{ topic, partition, ...counts }] : [];
  });
}
