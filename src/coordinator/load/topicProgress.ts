/**
 * How far a run from topic to topic is: one record for each source partition, in the transaction of what it speaks of.
 *
 *     { "next": 1200, "base": 1000, "since": "RUN", "topicId": "UUID", "run": "RUN" }
 *
 * `next` is the next source offset; `base` the saved offset that the run began from, null for none; `since` the last run
 * of the config that ended, as its saved state names it. Saved offsets are raised when all is written, and name the run;
 * then the records get tombstones. So a record tells for itself whether it still counts:
 *
 * - A run died before it raised the saved offsets: `base` and `since` are what is saved. The next run goes on at `next`.
 * - It died after that, before the tombstones: `since` is not the last run any more. What is saved counts, whatever a
 *   person made of it since.
 * - A person set another offset after a run died: `base` is not what is saved. What is saved counts.
 * - The topic was made again: another `topicId`. Nothing of it was read yet.
 */
import { inOneLine, isCount, isCountOrNull, isObject, parseJson } from '../../commit/shapes.ts';
import type { SavedState } from '../../commit/types.ts';
import { OffloadError } from '../../errors.ts';
import { offsetKey } from '../../plan/places.ts';
import type { PartitionOffset } from '../../tasks.ts';
import type { TopicToTopicJob } from '../jobs.ts';
import { type ProgressRecord, progressKey } from './progressTopic.ts';

export interface PartitionProgress {
  readonly next: number;
  readonly base: number | null;
  readonly since: string | null;
  /** Of the source topic; null where the broker has none. */
  readonly topicId: string | null;
  readonly run: string;
}

export interface ProgressOwner {
  /** Config that is read. */
  readonly config: string;
  /** Config, or topic, that is written to. */
  readonly target: string;
}

export function ownerOf({ config, sink }: TopicToTopicJob): ProgressOwner {
  return { config, target: sink.config };
}

export function partitionKey(
  { config, target }: ProgressOwner,
  place: Pick<PartitionOffset, 'topic' | 'partition'>,
): string {
  return progressKey(config, target, place.topic, place.partition);
}

export function isOwnKey({ config, target }: ProgressOwner): (key: string) => boolean {
  const prefix = `${progressKey(config, target)}/`;
  return (key) => key.startsWith(prefix);
}

export function formatPartitionProgress({ next, base, since, topicId, run }: PartitionProgress): string {
  return JSON.stringify({ next, base, since, topicId, run });
}

/**
 * Where source partitions go on that a run left on its way, by `offsetKey`.
 *
 * @param saved What is saved on the side of the source.
 * @param topicIds Of the source topics, as they are now.
 * @throws OffloadError SAVED_OFFSETS_INVALID for a record that cannot be read.
 */
export function resumedOffsets(
  owner: ProgressOwner,
  saved: SavedState,
  topicIds: Readonly<Record<string, string>>,
  records: ReadonlyMap<string, ProgressRecord>,
): Map<string, PartitionOffset & { readonly offset: number }> {
  const savedOffsets = new Map(saved.offsets.map((entry) => [offsetKey(entry), entry.offset]));
  const resumed = new Map<string, PartitionOffset & { readonly offset: number }>();
  for (const [key, { value }] of records) {
    const { next, base, since, topicId } = parse(key, value);
    const [topic = '', partition = ''] = key.slice(progressKey(owner.config, owner.target).length + 1).split('/');
    const place = { topic, partition: Number(partition) };
    const now = savedOffsets.get(offsetKey(place)) ?? null;
    const isOtherTopic = topicId !== null && topicId !== (topicIds[topic] ?? topicId);
    if (base !== now || since !== (saved.previousRun?.run ?? null) || isOtherTopic) continue;
    resumed.set(offsetKey(place), { ...place, offset: next });
  }
  return resumed;
}

function parse(key: string, text: string): PartitionProgress {
  const value = parseJson(text);
  if (isObject(value)) {
    const { next, base, since, topicId, run } = value;
    const isTexts = typeof run === 'string' && [since, topicId].every((id) => id === null || typeof id === 'string');
    if (isTexts && isCount(next) && isCountOrNull(base)) return value as unknown as PartitionProgress;
  }
  throw new OffloadError(
    'SAVED_OFFSETS_INVALID',
    `the record ${key} of the progress topic is "${inOneLine(text)}", which is no progress; correct it, or write a tombstone`,
    { context: { key } },
  );
}
