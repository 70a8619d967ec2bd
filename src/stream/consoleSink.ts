/** Topics -> console: the first rows of each micro-batch as a table. Shown first and committed then: at least once. */
import { addBadRows, describeBadRecords, NO_BAD_RECORDS } from '../coordinator/badRecords/counts.ts';
import type { ShowJob, StreamJob } from '../coordinator/jobs.ts';
import { FirstRowsTransform } from '../coordinator/settleJob.ts';
import { formatTable, TableCollector } from '../sinks/console.ts';
import { readFirstRows } from '../sources/firstRows.ts';
import type { SinkContext } from './openSink.ts';
import type { BatchOutcome, GroupOffset, MicroBatch, Position, StreamSink } from './types.ts';

type ConsoleContext = SinkContext & { readonly job: StreamJob & ShowJob };

export class ConsoleStreamSink implements StreamSink {
  readonly #context: ConsoleContext;
  readonly #rows: FirstRowsTransform;

  constructor(context: ConsoleContext) {
    this.#context = context;
    this.#rows = new FirstRowsTransform(context.job.transform, context.job.source.onBadRecord.kind !== 'fail');
  }

  /** Where the group is, and nowhere else. */
  async resume(committed: readonly GroupOffset[]): Promise<readonly Position[]> {
    return committed.flatMap(({ topic, partition, offset }) => (offset === null ? [] : [{ topic, partition, offset }]));
  }

  async write({ number, ranges }: MicroBatch, signal: AbortSignal): Promise<BatchOutcome> {
    const { job, ui, cluster } = this.#context;
    const collector = new TableCollector(job.sink.numRows);
    let bad = NO_BAD_RECORDS;
    for await (const { bad: unread, ...rows } of readFirstRows(cluster, ranges, job.source)) {
      signal.throwIfAborted();
      const applied = await this.#rows.apply(rows);
      if (applied.batch) collector.add(applied.batch);
      bad = addBadRows(addBadRows(bad, unread), applied.bad);
      if (collector.missing === 0) break;
    }
    const { table } = collector;
    const offsets = ranges.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
    const drawing = await formatTable(table, job.sink.truncate);
    ui.stdout.write(`micro-batch ${number}: the first ${table.rows.length} rows of ${offsets} offsets\n${drawing}\n`);
    return {
      kind: 'written',
      rows: table.rows.length,
      bytes: 0,
      files: [],
      name: null,
      bytesRead: 0,
      ...describeBadRecords([bad], job.source.onBadRecord, false),
      isGroupCommitted: false,
    };
  }

  async close(): Promise<void> {
    await this.#rows.close();
  }
}
