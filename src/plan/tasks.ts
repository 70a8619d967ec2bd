import type { Turn } from '../stage/turns.ts';
import type { OffsetRange } from '../tasks.ts';
import { offsetKey } from './places.ts';

/** A piece of one partition for one worker. */
export interface FetchTask {
  readonly range: OffsetRange;
  /** Bytes as fetched after which a worker hands back the rest of the range: offsets say little on compacted topics. */
  readonly maxBytes: number;
  /** Index of the staged file its rows go to; null: whichever is smallest at the moment. */
  readonly file: number | null;
  /** When it may write, where rows must lie in order; absent: at any time. */
  readonly turn?: Turn;
}

export interface TaskPlan {
  /** In the order of the ranges, then offset order; they cover every range once. */
  readonly tasks: readonly FetchTask[];
  readonly fileCount: number;
  /** Estimate of the bytes to fetch (compressed), never exact: of all, and of each partition by `offsetKey`. */
  readonly estimatedBytes: number;
  readonly bytesByPartition: ReadonlyMap<string, number>;
}

export interface TaskLimits {
  /** Smallest size of a task that there is more than one of; default 4 MiB. */
  readonly leastBytes?: number;
  /** Largest size of a task. */
  readonly mostBytes?: number;
  /** At least so many tasks, or one for each offset if there are fewer. */
  readonly minTasks?: number;
}

/** Enough pieces that the last one does not run alone for long, and none so small that its round trips count. */
const TASKS_PER_WORKER = 8;
const TASKS_PER_FILE = 8;
const MIN_TASK_BYTES = 4 * 1024 ** 2;
const MAX_TASK_BYTES = 64 * 1024 ** 2;
/** Where tasks write in turn, one is about what a worker can hold while it waits. */
export const TURN_TASK_BYTES = 8 * 1024 ** 2;
/** Where rows are divided into folders, a task gives each folder a piece: fewer tasks, larger pieces. */
export const DIVIDED_TASK_BYTES = 16 * 1024 ** 2;
/** Files of a folder, by fetched bytes: large enough for readers, small enough that a folder of one topic has several. */
export const FILE_BYTES = 128 * 1024 ** 2;

/**
 * Cuts ranges into tasks of similar size and says which staged file each writes to.
 *
 * @param bytesPerOffset Estimate by `offsetKey`, from log sizes or a sample; tasks are sized by it.
 * @param fileCount Number of files asked for; null: as many as FILE_BYTES suggests, adjacent tasks sharing one.
 */
export function cutTasks(
  ranges: readonly OffsetRange[],
  bytesPerOffset: ReadonlyMap<string, number>,
  workers: number,
  fileCount: number | null,
  { leastBytes = MIN_TASK_BYTES, mostBytes = MAX_TASK_BYTES, minTasks = 0 }: TaskLimits = {},
): TaskPlan {
  const rate = (range: OffsetRange): number => Math.max(0.001, bytesPerOffset.get(offsetKey(range)) ?? 1);
  const bytesOf = (range: OffsetRange): number => (range.endOffset - range.startOffset) * rate(range);
  const estimatedBytes = ranges.reduce((sum, range) => sum + bytesOf(range), 0);
  const bytesForWorkers = clamp(estimatedBytes / (workers * TASKS_PER_WORKER), leastBytes, mostBytes);
  // A row group goes to one file whole: several files come out about equal only if each gets a good many.
  const bytesForFiles = (fileCount ?? 1) > 1 ? estimatedBytes / ((fileCount ?? 1) * TASKS_PER_FILE) : bytesForWorkers;
  const sizes = ranges.map((range) => ({ offsets: range.endOffset - range.startOffset, bytes: bytesOf(range) }));
  const pieceCounts = countPieces(sizes, Math.max(1, Math.min(bytesForWorkers, bytesForFiles)), minTasks);
  const tasks: FetchTask[] = [];
  let bytesBefore = 0;
  for (const [index, range] of ranges.entries()) {
    const pieces = pieceCounts[index] ?? 1;
    const offsets = range.endOffset - range.startOffset;
    for (let piece = 0; piece < pieces; piece++) {
      const startOffset = range.startOffset + Math.floor((offsets * piece) / pieces);
      const endOffset = range.startOffset + Math.floor((offsets * (piece + 1)) / pieces);
      const task = { ...range, startOffset, endOffset };
      const file = fileCount === null ? Math.floor(bytesBefore / FILE_BYTES) : null;
      tasks.push({ range: task, maxBytes: mostBytes, file });
      bytesBefore += bytesOf(task);
    }
  }
  return {
    tasks,
    fileCount: fileCount ?? (tasks.at(-1)?.file ?? -1) + 1,
    estimatedBytes,
    bytesByPartition: new Map(ranges.map((range) => [offsetKey(range), bytesOf(range)])),
  };
}

/** Pieces of each range, none of which is empty; halves the size of a piece until there are enough. */
function countPieces(
  sizes: readonly { readonly offsets: number; readonly bytes: number }[],
  pieceBytes: number,
  least: number,
): number[] {
  const offsets = sizes.reduce((sum, size) => sum + size.offsets, 0);
  for (let bytes = pieceBytes; ; bytes /= 2) {
    const counts = sizes.map((size) => clamp(Math.round(size.bytes / bytes), 1, Math.max(1, size.offsets)));
    if (counts.reduce((sum, count) => sum + count, 0) >= Math.min(least, offsets)) return counts;
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
