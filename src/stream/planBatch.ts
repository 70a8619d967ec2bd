/**
 * Positions + what one look at the cluster said + limits -> the ranges of a micro-batch. Pure: everything it knows is in
 * its arguments.
 */
import { OffloadError } from '../errors.ts';
import { limitRanges } from '../plan/limit.ts';
import { comparePlaces, offsetKey } from '../plan/places.ts';
import type { PartitionBounds } from '../plan/ranges.ts';
import type { OffsetRange } from '../tasks.ts';
import type { PartitionLag, Position } from './types.ts';

/** Everything by partition is keyed by `offsetKey`. */
export interface BatchInput {
  readonly group: string;
  /** Of the partitions that are ours. */
  readonly positions: readonly Position[];
  readonly bounds: ReadonlyMap<string, PartitionBounds>;
  /** Where a stream ends that takes what there was at its begin; null: it has no end. */
  readonly ends: ReadonlyMap<string, number> | null;
  readonly bytesPerOffset: ReadonlyMap<string, number>;
  /** Of all partitions together; null: no limit. */
  readonly maxOffsets: number | null;
  /** The same for bytes as fetched, by estimate. */
  readonly maxBytes: number | null;
  readonly failOnDataLoss: boolean;
}

export interface BatchPlan {
  /** In topic, then partition order; none is empty. None at all: there is nothing new. */
  readonly ranges: readonly OffsetRange[];
  /** Every partition that is ours, as it stood before the batch. */
  readonly lag: readonly PartitionLag[];
  /** More is there than `maxBytes` allows: the next micro-batch need not wait for its trigger. */
  readonly isCutBySize: boolean;
  /** Estimate of what waits, in bytes as fetched. */
  readonly waitingBytes: number;
  /** Positions behind the end of their log: it was truncated, or its topic made again. */
  readonly beyond: readonly (Position & { readonly end: number; readonly logStart: number })[];
  readonly warnings: readonly string[];
}

/**
 * Decides what each partition gives. A range begins at its position also where the log starts later: then what is gone
 * is skipped, and counted, by whoever reads it.
 *
 * @throws OffloadError OFFSET_LOST (exit 3) if a position lies below the log start while `failOnDataLoss` holds.
 */
export function planBatch(input: BatchInput): BatchPlan {
  const { bounds, ends, maxOffsets, maxBytes } = input;
  const lag: PartitionLag[] = [];
  const beyond: BatchPlan['beyond'][number][] = [];
  const warnings: string[] = [];
  const whole: OffsetRange[] = [];
  for (const { topic, partition, offset } of [...input.positions].sort(comparePlaces)) {
    const found = bounds.get(offsetKey({ topic, partition }));
    if (found === undefined) continue;
    const { readableEnd, logStartOffset, highWatermark } = found;
    lag.push({ topic, partition, position: offset, end: Math.max(offset, readableEnd) });
    if (offset > highWatermark) {
      beyond.push({ topic, partition, offset, end: highWatermark, logStart: logStartOffset });
      continue;
    }
    if (offset < logStartOffset) warnings.push(reportLoss(input, found, offset));
    const endOffset = Math.min(readableEnd, ends?.get(offsetKey({ topic, partition })) ?? readableEnd);
    if (offset < endOffset) whole.push({ topic, partition, startOffset: offset, endOffset });
  }
  const waitingBytes = whole.reduce((sum, range) => sum + bytesOf(range, input), 0);
  const limited = limitRanges(whole, maxOffsets);
  const bytes = limited.reduce((sum, range) => sum + bytesOf(range, input), 0);
  const isCutBySize = maxBytes !== null && bytes > maxBytes;
  const offsets = limited.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
  const ranges = isCutBySize ? limitRanges(limited, Math.max(1, Math.floor(offsets * (maxBytes / bytes)))) : limited;
  return {
    ranges: ranges.filter(({ startOffset, endOffset }) => startOffset < endOffset),
    lag,
    isCutBySize,
    waitingBytes,
    beyond,
    warnings,
  };
}

function bytesOf(range: OffsetRange, { bytesPerOffset }: BatchInput): number {
  return (range.endOffset - range.startOffset) * (bytesPerOffset.get(offsetKey(range)) ?? 1);
}

function reportLoss({ group, failOnDataLoss }: BatchInput, bounds: PartitionBounds, offset: number): string {
  const { topic, partition, logStartOffset } = bounds;
  const what = `group ${group} is at offset ${offset} of ${topic}/${partition}, and the log now starts at ${logStartOffset}, so ${logStartOffset - offset} offsets are gone`;
  if (!failOnDataLoss) return `${what}; failOnDataLoss is false: going on at ${logStartOffset}`;
  throw new OffloadError('OFFSET_LOST', `${what}; set failOnDataLoss to false to go on without them`, {
    context: { group, topic, partition, position: offset, logStartOffset },
  });
}
