/**
 * Saved offsets + watermarks + limits -> the range of each partition. Pure: everything it knows is in its arguments, so
 * a plan can be printed, compared and tested with literals.
 */
import { OffloadError } from '../errors.ts';
import type { OffsetRange, PartitionOffset } from '../tasks.ts';
import { limitRanges } from './limit.ts';

/** What one look at the cluster said of a partition. */
export interface PartitionBounds {
  readonly partition: number;
  /** First offset in the log. */
  readonly logStartOffset: number;
  /** Offset after the last record there is. */
  readonly highWatermark: number;
  /** Offset after the last record that may be read: the last stable offset under `read_committed`. */
  readonly readableEnd: number;
}

export interface RangeInput {
  readonly config: string;
  readonly topic: string;
  /** Null where the broker has none. */
  readonly topicId: string | null;
  /** Ascending by partition. */
  readonly bounds: readonly PartitionBounds[];
  /** Saved next offsets. Empty: nothing at all is saved, and `starting` applies. */
  readonly saved: readonly PartitionOffset[];
  /** Topic ids at the last commit, by topic name. */
  readonly savedTopicIds: Readonly<Record<string, string>>;
  /** First offset by partition for a run without any saved offset; a partition not named begins at its log start. */
  readonly starting: ReadonlyMap<number, number>;
  /** Offset to stop before, by partition; a partition not named is read to its end. */
  readonly ending: ReadonlyMap<number, number>;
  readonly maxRead: number | null;
  readonly failOnDataLoss: boolean;
}

export interface RangePlan {
  /** What to read, in partition order; none is empty. */
  readonly ranges: readonly OffsetRange[];
  /** For every partition of the topic: the offset saved before (null: none) and the one to save. */
  readonly previous: readonly PartitionOffset[];
  readonly next: readonly PartitionOffset[];
  /** Offsets below the log start that a saved or starting offset asked for, by partition: only with `failOnDataLoss` off. */
  readonly lost: ReadonlyMap<number, number>;
  readonly warnings: readonly string[];
}

/**
 * Decides what each partition gives in this run.
 *
 * @throws OffloadError OFFSET_LOST (exit 3) if the topic was made again, if a saved offset lies above the end, or below
 *   the log start while `failOnDataLoss` holds; CONFIG_INVALID if a starting or ending offset lies outside the log.
 */
export function planRanges(input: RangeInput): RangePlan {
  checkSameTopic(input);
  const saved = new Map(input.saved.map(({ partition, offset }) => [partition, offset ?? 0]));
  const lost = new Map<number, number>();
  const warnings: string[] = [];
  const whole = input.bounds.map((bounds) => {
    const { partition } = bounds;
    const from = startOf(input, bounds, saved);
    const startOffset = Math.max(from, bounds.logStartOffset);
    if (from < bounds.logStartOffset) {
      reportLoss(input, bounds, from, warnings);
      lost.set(partition, bounds.logStartOffset - from);
    }
    const endOffset = Math.max(startOffset, endOf(input, bounds, warnings));
    return { topic: input.topic, partition, startOffset, endOffset };
  });
  const limited = limitRanges(whole, input.maxRead);
  return {
    ranges: limited.filter(({ startOffset, endOffset }) => startOffset < endOffset),
    previous: limited.map(({ topic, partition }) => ({ topic, partition, offset: saved.get(partition) ?? null })),
    next: limited.map(({ topic, partition, endOffset }) => ({ topic, partition, offset: endOffset })),
    lost,
    warnings,
  };
}

function checkSameTopic({ config, topic, topicId, savedTopicIds, saved, bounds }: RangeInput): void {
  const savedTopicId = savedTopicIds[topic] ?? null;
  const [before] = Object.keys(savedTopicIds);
  if (saved.length > 0 && savedTopicId === null && before !== undefined) {
    throw new OffloadError(
      'OFFSET_LOST',
      `cannot resume ${topic}: the saved offsets of ${config} are those of topic ${before}; give this topic an entry of its own, or ${resetHint(config)}`,
      { context: { topic, config, before } },
    );
  }
  if (topicId !== null && savedTopicId !== null && topicId !== savedTopicId) {
    throw new OffloadError(
      'OFFSET_LOST',
      `cannot resume ${topic}: it was made again (topic id ${savedTopicId} when ${config} was last offloaded, ${topicId} now), so the saved offsets mean nothing; ${resetHint(config)}`,
      { context: { topic, config, savedTopicId, topicId } },
    );
  }
  const present = new Set(bounds.map(({ partition }) => partition));
  const gone = saved.find(({ partition }) => !present.has(partition));
  if (gone) {
    throw new OffloadError(
      'OFFSET_LOST',
      `cannot resume ${topic}/${gone.partition} at offset ${gone.offset}: the topic has ${bounds.length} partitions now and not that one; ${resetHint(config)}`,
      { context: { topic, config, partition: gone.partition, savedOffset: gone.offset } },
    );
  }
}

function startOf(input: RangeInput, bounds: PartitionBounds, saved: ReadonlyMap<number, number>): number {
  const { config, topic } = input;
  const { partition, logStartOffset, highWatermark } = bounds;
  const resumed = saved.get(partition);
  if (resumed !== undefined && resumed > highWatermark) {
    throw new OffloadError(
      'OFFSET_LOST',
      `cannot resume ${topic}/${partition} at offset ${resumed}: the log ends at ${highWatermark}, so it was truncated or made again; ${resetHint(config)}`,
      { context: { topic, config, partition, savedOffset: resumed, highWatermark } },
    );
  }
  if (resumed !== undefined) return resumed;
  if (saved.size > 0) return logStartOffset; // a partition added since the last run
  const asked = input.starting.get(partition) ?? logStartOffset;
  if (asked > highWatermark) {
    throw new OffloadError(
      'CONFIG_INVALID',
      `startingOffsets asks for ${topic}/${partition} from offset ${asked}, but its log ends at ${highWatermark}; name an offset from ${logStartOffset} to ${highWatermark}`,
    );
  }
  return asked;
}

function endOf(input: RangeInput, bounds: PartitionBounds, warnings: string[]): number {
  const { topic } = input;
  const { partition, highWatermark, readableEnd } = bounds;
  const asked = input.ending.get(partition);
  if (asked === undefined) return readableEnd;
  if (asked > highWatermark) {
    throw new OffloadError(
      'CONFIG_INVALID',
      `endingOffsets asks for ${topic}/${partition} up to offset ${asked}, but its log ends at ${highWatermark}; name an offset up to ${highWatermark}`,
    );
  }
  if (asked > readableEnd) {
    warnings.push(
      `${topic}/${partition} is read up to ${readableEnd} instead of ${asked}: an open transaction holds back the rest`,
    );
  }
  return Math.min(asked, readableEnd);
}

function reportLoss(input: RangeInput, bounds: PartitionBounds, from: number, warnings: string[]): void {
  const { topic, config } = input;
  const { partition, logStartOffset } = bounds;
  const gone = logStartOffset - from;
  const what = `cannot resume ${topic}/${partition} at offset ${from}: the log now starts at ${logStartOffset}, so ${gone} offsets are gone`;
  if (input.failOnDataLoss) {
    throw new OffloadError('OFFSET_LOST', `${what}; set failOnDataLoss to false to go on without them`, {
      context: { topic, config, partition, savedOffset: from, logStartOffset },
    });
  }
  warnings.push(`${what}; failOnDataLoss is false: going on at ${logStartOffset}`);
}

function resetHint(config: string): string {
  return `run kafkaload offsets reset --config ${config} to begin anew`;
}
