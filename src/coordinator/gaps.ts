import type { RangePlan } from '../plan/ranges.ts';
import type { GapCounts } from '../tasks.ts';
import type { TaskResult } from './fetchTask.ts';

/** Accounts for every offset of the plan that gave no row; partitions without any are left out. */
export function countGaps(
  plan: RangePlan,
  results: readonly TaskResult[],
): (GapCounts & { topic: string; partition: number })[] {
  return plan.next.flatMap(({ topic, partition }) => {
    const range = plan.ranges.find((entry) => entry.partition === partition);
    const offsets = range ? range.endOffset - range.startOffset : 0;
    const own = results.filter((result) => result.range.partition === partition);
    const sum = (count: (result: TaskResult) => number): number =>
      own.reduce((total, result) => total + count(result), 0);
    const control = sum((result) => result.control);
    const aborted = sum((result) => result.aborted);
    const lostWhileReading = sum((result) => result.lost);
    const compacted = offsets - sum((result) => result.rows) - control - aborted - lostWhileReading;
    const lost = lostWhileReading + (plan.lost.get(partition) ?? 0);
    return control + aborted + compacted + lost > 0 ? [{ topic, partition, control, aborted, compacted, lost }] : [];
  });
}
