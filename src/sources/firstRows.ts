/** Reads messages in the calling thread, a few at a time: for looking at them, not for moving them. */
import type { TopicSource } from '../config/job.ts';
import { MessageColumns } from '../decode/columns.ts';
import type { Cluster } from '../kafka/cluster.ts';
import type { OffsetRange } from '../tasks.ts';
import type { BadRow, PlacedRows } from '../transform/badRows.ts';
import { toRows } from '../transform/toRows.ts';
import { readRecordSets } from './recordSets.ts';

const FETCH_BYTES = 256 * 1024;

/**
 * The rows of ranges, one range after the other, in batches as they come: whoever has enough stops asking.
 *
 * @returns Batches that are valid until the next one is asked for, and the bad records that were left out of them.
 */
export async function* readFirstRows(
  cluster: Cluster,
  ranges: readonly OffsetRange[],
  source: TopicSource,
): AsyncGenerator<PlacedRows & { readonly bad: readonly BadRow[] }> {
  const { fields, invalidUtf8, onBadRecord } = source;
  const columns = new MessageColumns(fields.map(({ column }) => column));
  for (const range of ranges) {
    const { topic, partition } = range;
    for await (const set of readRecordSets(cluster, range, source, FETCH_BYTES)) {
      while ((await set.peek()) !== null) {
        columns.clear();
        await set.next(columns);
        if (columns.rows === 0) continue;
        yield toRows(columns, fields, { topic, partition, invalidUtf8 }, onBadRecord.kind !== 'fail');
      }
    }
  }
}
