/**
 * How far a group is that reads from one cluster and writes to another. The group's offsets lie on the source cluster and
 * cannot be part of a transaction on the target: so each transaction has a record for each of its source partitions, in
 * the progress topic of the target, and the group's offsets follow it.
 *
 *     _kafkaload.progress/+group/CLUSTER/GROUP/TOPIC/PARTITION    { "start": 1000, "next": 1200, "topicId": "UUID" }
 *
 * `start` is what the group had committed when the transaction was made, null for nothing. What the group has committed
 * now tells what to do:
 *
 * - `start`: the process died before the group's commit. Reading goes on at `next`.
 * - `next`: all was done.
 * - Anything else was set by a person since. It counts.
 * - The topic was made again, so that its id is another: what the group has counts.
 *
 * No name of a config begins with `+`: the key is none of another job (coordinator/load/progressTopic.ts).
 */
import { inOneLine, isCount, isCountOrNull, isObject, parseJson } from '../commit/shapes.ts';
import { progressKey } from '../coordinator/load/progressTopic.ts';
import { OffloadError } from '../errors.ts';
import type { GroupOffset, TopicPartition } from './types.ts';

export interface GroupProgress {
  readonly start: number | null;
  readonly next: number;
  /** Of the source topic; null where the broker has none. */
  readonly topicId: string | null;
}

/** @param clusterId Of the source. */
export function groupProgressKey(clusterId: string, groupId: string, { topic, partition }: TopicPartition): string {
  return progressKey('+group', clusterId, encodeURIComponent(groupId), topic, partition);
}

export function formatGroupProgress({ start, next, topicId }: GroupProgress): string {
  return JSON.stringify({ start, next, topicId });
}

/** @throws OffloadError SAVED_OFFSETS_INVALID naming the key. */
export function parseGroupProgress(key: string, text: string): GroupProgress {
  const value = parseJson(text);
  if (isObject(value)) {
    const { start, next, topicId } = value;
    if (isCountOrNull(start) && isCount(next) && (topicId === null || typeof topicId === 'string')) {
      return { start, next, topicId };
    }
  }
  throw new OffloadError(
    'SAVED_OFFSETS_INVALID',
    `the record ${key} of the progress topic is "${inOneLine(text)}", which is no progress of a group; correct it, or write a tombstone`,
    { context: { key } },
  );
}

/**
 * Where reading goes on.
 *
 * @param topicId Of the topic as it is now.
 * @returns Null where nothing is known; `warning` where a person has set the group's offset.
 */
export function resumeGroup(
  committed: GroupOffset,
  progress: GroupProgress | null,
  topicId: string | null,
): { readonly offset: number | null; readonly warning: string | null } {
  const { offset } = committed;
  const isOtherTopic =
    progress !== null && progress.topicId !== null && progress.topicId !== (topicId ?? progress.topicId);
  if (progress === null || isOtherTopic) return { offset, warning: null };
  if (offset === progress.start || offset === progress.next) return { offset: progress.next, warning: null };
  const { topic, partition } = committed;
  const start = progress.start === null ? 'nothing' : progress.start;
  return {
    offset,
    warning:
      `the group's offset of ${topic}/${partition} is ${offset ?? 'gone'}, and the last transaction went from ${start} to ` +
      `${progress.next}: it was set by hand, and reading goes on where it says`,
  };
}
