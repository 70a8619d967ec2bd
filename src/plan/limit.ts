import type { OffsetRange } from '../tasks.ts';

/**
 * Shortens ranges so that they hold at most `maxMessages` offsets together, and so at most as many messages.
 *
 * Every partition gives in proportion to what it has, as Spark's `maxOffsetsPerTrigger` does, so that none starves; what
 * rounding leaves goes to the first ones. A limit below the number of partitions takes one offset each from the first.
 *
 * @param maxMessages Null: no limit.
 * @returns The same partitions in the same order; ranges may become empty.
 */
export function limitRanges(ranges: readonly OffsetRange[], maxMessages: number | null): OffsetRange[] {
  const sizes = ranges.map(({ startOffset, endOffset }) => endOffset - startOffset);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (maxMessages === null || total <= maxMessages) return [...ranges];
  const shares = sizes.map((size) => Math.floor(maxMessages * (size / total)));
  let left = maxMessages - shares.reduce((sum, share) => sum + share, 0);
  return ranges.map((range, index) => {
    const size = sizes[index] ?? 0;
    let share = shares[index] ?? 0;
    if (left > 0 && share < size) {
      share += 1;
      left -= 1;
    }
    return { ...range, endOffset: range.startOffset + share };
  });
}
