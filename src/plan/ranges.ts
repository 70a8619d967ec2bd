/**
 * Saved offsets + watermarks + limits -> the range of each partition. Pure: everything it knows is in its arguments, so
 * a plan can be printed, compared and tested with literals.
 */
import { OffloadError } from '../errors.ts';
import type { OffsetRange, PartitionOffset } from '../tasks.ts';
import { limitRanges } from './limit.ts';
import { offsetKey } from './places.ts';
import { checkSameTopics, resetHint } from './sameTopics.ts';

/** What one look at the cluster said of a partition. */
export interface PartitionBounds {
  readonly topic: string;
  readonly partition: number;
  /** First offset in the log. */
  readonly logStartOffset: number;
  /** Offset after the last record there is. */
  readonly highWatermark: number;
  /** Offset after the last record that may be read: the last stable offset under `read_committed`. */
  readonly readableEnd: number;
}

/** A topic as the cluster has it. */
export interface PlannedTopic {
  readonly topic: string;
  /** Null where the broker has none. */
  readonly topicId: string | null;
  /** All there are, whether they are read or not. */
  readonly partitions: readonly number[];
}

/** Everything by partition is keyed by `offsetKey`. */
export interface RangeInput {
  readonly config: string;
  readonly topics: readonly PlannedTopic[];
  /** The topic whose saved offsets name no topic; null: all name theirs. */
  readonly plainTopic: string | null;
  /** Of the partitions to read, in topic, then partition order. */
  readonly bounds: readonly PartitionBounds[];
  /** Saved next offsets of these topics. None here and of no other topic: then `starting` applies. */
  readonly saved: readonly PartitionOffset[];
  /** Topics that have saved offsets and are not read now. */
  readonly otherTopics: readonly string[];
  /** Topic ids at the last commit, by topic name. */
  readonly savedTopicIds: Readonly<Record<string, string>>;
  /** First offset for a run without any saved offset; a partition not named begins at its log start. */
  readonly starting: ReadonlyMap<string, number>;
  /** `starting` was asked for on the command line: it holds for this run also when something is saved. */
  readonly startIsAsked: boolean;
  /** Offsets are saved after the run. Without, a range may begin anywhere. */
  readonly commit: boolean;
  /** Offset to stop before; a partition not named is read to its end. */
  readonly ending: ReadonlyMap<string, number>;
  /** Of all partitions together. */
  readonly maxRead: number | null;
  readonly failOnDataLoss: boolean;
}

export interface RangePlan {
  /** What to read, in topic, then partition order; none is empty. */
  readonly ranges: readonly OffsetRange[];
  /** For every partition that is read from: the offset saved before (null: none) and the one after what is read. */
  readonly previous: readonly PartitionOffset[];
  readonly next: readonly PartitionOffset[];
  /** Offsets below the log start that a saved or starting offset asked for: only with `failOnDataLoss` off. */
  readonly lost: ReadonlyMap<string, number>;
  readonly warnings: readonly string[];
}

/**
 * Decides what each partition gives in this run. No offset of `next` is below the saved one if the run commits.
 *
 * @throws OffloadError OFFSET_LOST (exit 3) if a topic was made again, if a saved offset lies above the end, or below
 *   the log start while `failOnDataLoss` holds; CONFIG_INVALID if a starting or ending offset lies outside the log; USAGE
 *   if a start was asked for that is not where a run that commits goes on.
 */
export function planRanges(input: RangeInput): RangePlan {
  checkSameTopics(input);
  const saved = new Map(input.saved.map((entry) => [offsetKey(entry), entry.offset ?? 0]));
  const lost = new Map<string, number>();
  const warnings: string[] = [];
  const whole = input.bounds.map((bounds) => {
    const { topic, partition, logStartOffset } = bounds;
    const from = startOf(input, bounds, saved.get(offsetKey(bounds)));
    const startOffset = Math.max(from, logStartOffset);
    if (from < logStartOffset) {
      reportLoss(input, bounds, from, warnings);
      lost.set(offsetKey(bounds), logStartOffset - from);
    }
    const endOffset = Math.max(startOffset, endOf(input, bounds, warnings));
    return { topic, partition, startOffset, endOffset };
  });
  const limited = limitRanges(whole, input.maxRead);
  return {
    ranges: limited.filter(({ startOffset, endOffset }) => startOffset < endOffset),
    previous: limited.map(({ topic, partition }) => {
      return { topic, partition, offset: saved.get(offsetKey({ topic, partition })) ?? null };
    }),
    next: limited.map(({ topic, partition, endOffset }) => ({ topic, partition, offset: endOffset })),
    lost,
    warnings,
  };
}

/** Where a partition begins: at its saved offset, unless another start was asked for. */
function startOf(input: RangeInput, bounds: PartitionBounds, saved: number | undefined): number {
  const { logStartOffset } = bounds;
  const isFirst = input.saved.length === 0 && input.otherTopics.length === 0;
  if (isFirst) return checkStart(input, bounds, input.starting.get(offsetKey(bounds)) ?? logStartOffset);
  const asked = input.startIsAsked ? input.starting.get(offsetKey(bounds)) : undefined;
  if (asked !== undefined && !input.commit) return checkStart(input, bounds, asked);
  // One that was added since the last run begins at its log start.
  const next = saved ?? logStartOffset;
  if (asked !== undefined && asked !== next) throw startRefused(input, bounds, asked, saved);
  if (saved !== undefined) checkResumable(input, bounds, saved);
  return next;
}

function checkStart({ startIsAsked }: RangeInput, bounds: PartitionBounds, asked: number): number {
  const { topic, partition, logStartOffset, highWatermark } = bounds;
  if (asked <= highWatermark) return asked;
  throw new OffloadError(
    'CONFIG_INVALID',
    `${startIsAsked ? '--starting-offsets' : 'startingOffsets'} asks for ${topic}/${partition} from offset ${asked}, but its log ends at ${highWatermark}; name an offset from ${logStartOffset} to ${highWatermark}`,
  );
}

function checkResumable({ config }: RangeInput, bounds: PartitionBounds, saved: number): void {
  const { topic, partition, highWatermark } = bounds;
  if (saved <= highWatermark) return;
  throw new OffloadError(
    'OFFSET_LOST',
    `cannot resume ${topic}/${partition} at offset ${saved}: the log ends at ${highWatermark}, so it was truncated or made again; ${resetHint(config)}`,
    { context: { topic, config, partition, savedOffset: saved, highWatermark } },
  );
}

function startRefused(
  { config }: RangeInput,
  { topic, partition, logStartOffset }: PartitionBounds,
  asked: number,
  saved: number | undefined,
): OffloadError {
  const place = `${topic}/${partition}`;
  const next =
    saved === undefined ? `nothing is saved for it, so it begins at ${logStartOffset}` : `offset ${saved} is saved`;
  return new OffloadError(
    'USAGE',
    `--starting-offsets asks for ${place} from offset ${asked}, but in config ${config} ${next}; add --no-commit to read ` +
      `another range and leave what is saved, or move it first: kafkaload offsets set --config ${config}`,
    { context: { config, topic, partition, startingOffset: asked, savedOffset: saved ?? null } },
  );
}

function endOf(input: RangeInput, bounds: PartitionBounds, warnings: string[]): number {
  const { topic, partition, highWatermark, readableEnd } = bounds;
  const asked = input.ending.get(offsetKey(bounds));
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
  const { config } = input;
  const { topic, partition, logStartOffset } = bounds;
  const gone = logStartOffset - from;
  const what = `cannot resume ${topic}/${partition} at offset ${from}: the log now starts at ${logStartOffset}, so ${gone} offsets are gone`;
  if (input.failOnDataLoss) {
    throw new OffloadError('OFFSET_LOST', `${what}; set failOnDataLoss to false to go on without them`, {
      context: { topic, config, partition, savedOffset: from, logStartOffset },
    });
  }
  warnings.push(`${what}; failOnDataLoss is false: going on at ${logStartOffset}`);
}
