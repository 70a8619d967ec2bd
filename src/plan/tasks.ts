import type { OffsetRange } from '../tasks.ts';

/** A piece of one partition for one worker. */
export interface FetchTask {
  readonly id: number;
  readonly range: OffsetRange;
  /** Bytes as fetched after which a worker hands back the rest of the range: offsets say little on compacted topics. */
  readonly maxBytes: number;
  /** Index of the staged file its rows go to; null: whichever is smallest at the moment. */
  readonly file: number | null;
}

export interface TaskPlan {
  /** In partition, then offset order; they cover every range once. */
  readonly tasks: readonly FetchTask[];
  readonly fileCount: number;
  /** Estimate of the bytes to fetch (compressed), never exact: of all, and of each partition. */
  readonly estimatedBytes: number;
  readonly bytesByPartition: ReadonlyMap<number, number>;
}

/** Enough pieces that the last one does not run alone for long, and none so small that its round trips count. */
const TASKS_PER_WORKER = 8;
const TASKS_PER_FILE = 8;
const MIN_TASK_BYTES = 4 * 1024 ** 2;
const MAX_TASK_BYTES = 64 * 1024 ** 2;
/** Files of a folder, by fetched bytes: large enough for readers, small enough that a folder of one topic has several. */
const FILE_BYTES = 128 * 1024 ** 2;

/**
 * Cuts ranges into tasks of similar size and says which staged file each writes to.
 *
 * @param bytesPerOffset Estimate by partition, from log sizes or a sample; tasks are sized by it.
 * @param fileCount Number of files asked for; null: as many as FILE_BYTES suggests, adjacent tasks sharing one.
 */
export function cutTasks(
  ranges: readonly OffsetRange[],
  bytesPerOffset: ReadonlyMap<number, number>,
  workers: number,
  fileCount: number | null,
): TaskPlan {
  const rate = (range: OffsetRange): number => Math.max(0.001, bytesPerOffset.get(range.partition) ?? 1);
  const bytesOf = (range: OffsetRange): number => (range.endOffset - range.startOffset) * rate(range);
  const estimatedBytes = ranges.reduce((sum, range) => sum + bytesOf(range), 0);
  const bytesForWorkers = clamp(estimatedBytes / (workers * TASKS_PER_WORKER), MIN_TASK_BYTES, MAX_TASK_BYTES);
  // A row group goes to one file whole: several files come out about equal only if each gets a good many.
  const bytesForFiles = (fileCount ?? 1) > 1 ? estimatedBytes / ((fileCount ?? 1) * TASKS_PER_FILE) : bytesForWorkers;
  const taskBytes = Math.max(1, Math.min(bytesForWorkers, bytesForFiles));
  const tasks: FetchTask[] = [];
  let bytesBefore = 0;
  for (const range of ranges) {
    const pieces = Math.max(1, Math.round(bytesOf(range) / taskBytes));
    const offsets = range.endOffset - range.startOffset;
    for (let piece = 0; piece < pieces; piece++) {
      const startOffset = range.startOffset + Math.floor((offsets * piece) / pieces);
      const endOffset = range.startOffset + Math.floor((offsets * (piece + 1)) / pieces);
      if (startOffset === endOffset) continue;
      const task = { ...range, startOffset, endOffset };
      const file = fileCount === null ? Math.floor(bytesBefore / FILE_BYTES) : null;
      tasks.push({ id: tasks.length, range: task, maxBytes: MAX_TASK_BYTES, file });
      bytesBefore += bytesOf(task);
    }
  }
  return {
    tasks,
    fileCount: fileCount ?? (tasks.at(-1)?.file ?? -1) + 1,
    estimatedBytes,
    bytesByPartition: new Map(ranges.map((range) => [range.partition, bytesOf(range)])),
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
