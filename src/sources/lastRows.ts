/**
 * The last messages of a range. What stands at its end may be markers of transactions, records that were aborted, or
 * offsets that compaction has emptied, so it is searched backwards, in windows that grow, until there are enough.
 */
import type { TopicSource } from '../config/job.ts';
import { MessageColumns } from '../decode/columns.ts';
import type { Cluster } from '../kafka/cluster.ts';
import type { OffsetRange } from '../tasks.ts';
import type { BadRow, PlacedRows } from '../transform/badRows.ts';
import { toRows } from '../transform/toRows.ts';
import { type ReadSettings, readRecordSets } from './recordSets.ts';

const FETCH_BYTES = 1024 ** 2;
const GROWTH = 4;
/** Of keys and of values, before they grow: a topic may have hundreds of partitions. */
const FIRST_BYTES = 16 * 1024;
/** In offsets. Behind a gap lie more messages than are wanted: no window reads too many of them. */
const MOST_SPAN = 1_000_000;

/** The part of a range that holds its last messages, and how many they are. */
export interface RangeTail extends OffsetRange {
  readonly messages: number;
}

/**
 * Finds the last messages of a range.
 *
 * @param count At least 1.
 * @returns A range that begins with the first of them; null where there is none. It holds fewer than `count` only if the
 *   whole range does.
 * @throws OffloadError as `KafkaRangeReader.next`.
 */
export async function findLastMessages(
  cluster: Cluster,
  range: OffsetRange,
  settings: ReadSettings,
  count: number,
): Promise<RangeTail | null> {
  let found: number[] = [];
  let { endOffset } = range;
  for (
    let span = count;
    found.length < count && endOffset > range.startOffset;
    span = Math.min(MOST_SPAN, span * GROWTH)
  ) {
    const startOffset = Math.max(range.startOffset, endOffset - span);
    const window = { ...range, startOffset, endOffset };
    found = [...(await lastOffsets(cluster, window, settings, count - found.length)), ...found];
    endOffset = startOffset;
  }
  const [startOffset] = found;
  return startOffset === undefined ? null : { ...range, startOffset, messages: found.length };
}

/** Offsets of the last messages of a window, at most `count`. */
async function lastOffsets(
  cluster: Cluster,
  window: OffsetRange,
  settings: ReadSettings,
  count: number,
): Promise<number[]> {
  const columns = new MessageColumns([]);
  let offsets: number[] = [];
  for await (const set of readRecordSets(cluster, window, settings, FETCH_BYTES)) {
    for (columns.clear(); await set.next(columns); columns.clear()) {
      const first = Math.max(0, columns.rows - count);
      for (let row = first; row < columns.rows; row++) offsets.push(columns.offsetAt(row));
      offsets = offsets.slice(-count);
    }
  }
  return offsets;
}

/**
 * The messages that were found, together.
 *
 * @param onInvalidUtf8 Told how many values were replaced or made null since they were not UTF-8.
 * @returns One batch with memory of its own; more only where one cannot hold them, none where there is no message. And
 *   the bad records that were left out.
 * @throws OffloadError as `KafkaRangeReader.next`; INVALID_UTF8, FIELD_INVALID
 */
export async function* readRows(
  cluster: Cluster,
  tail: RangeTail,
  source: TopicSource,
  onInvalidUtf8: (values: number) => void,
): AsyncGenerator<PlacedRows & { readonly bad: readonly BadRow[] }> {
  const { fields, invalidUtf8, onBadRecord } = source;
  const { topic, partition } = tail;
  const names = fields.map(({ column }) => column);
  const rowsOf = (columns: MessageColumns): ReturnType<typeof toRows> =>
    toRows(columns, fields, { topic, partition, invalidUtf8, onInvalidUtf8 }, onBadRecord.kind !== 'fail');
  const size = { rows: tail.messages, bytes: FIRST_BYTES };
  let columns = new MessageColumns(names, size);
  for await (const set of readRecordSets(cluster, tail, source, FETCH_BYTES)) {
    for (let next = await set.peek(); next !== null; next = await set.peek()) {
      if (!columns.hasRoomFor(next.bytes, next.rows)) {
        yield rowsOf(columns);
        columns = new MessageColumns(names, size);
      }
      await set.next(columns);
    }
  }
  if (columns.rows > 0) yield rowsOf(columns);
}
