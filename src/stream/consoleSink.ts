/** Topics -> console: the first rows of each micro-batch as a table. Shown first and committed then: at least once. */
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
    this.#rows = new FirstRowsTransform(context.job.transform);
  }

  /** Where the group is, and nowhere else. */
  async resume(committed: readonly GroupOffset[]): Promise<readonly Position[]> {
    return committed.flatMap(({ topic, partition, offset }) => (offset === null ? [] : [{ topic, partition, offset }]));
  }

  async write({ number, ranges }: MicroBatch, signal: AbortSignal): Promise<BatchOutcome> {
    const { job, ui, cluster } = this.#context;
    const collector = new TableCollector(job.sink.numRows);
    for await (const { batch, place } of readFirstRows(cluster, ranges, job.source)) {
      signal.throwIfAborted();
      collector.add(await this.#rows.apply(batch, place));
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
      badRecords: 0,
      warnings: [],
      isGroupCommitted: false,
    };
  }

  async close(): Promise<void> {
    await this.#rows.close();
  }
}
