/**
 * `kafkaload sample`: the last messages of a topic, with `fields` and `--transform` as a run would apply them. Reads and
 * nothing else: saved offsets and runs of the config are neither looked at nor waited for.
 */
import type { RecordBatch, Schema } from 'apache-arrow';
import type { SavedState } from '../commit/types.ts';
import type { SampleJob } from '../config/sampleJob.ts';
import { Cluster } from '../kafka/cluster.ts';
import { comparePlaces } from '../plan/places.ts';
import type { RangeTail } from '../sources/lastRows.ts';
import type { OffsetRange } from '../tasks.ts';
import type { BadRow } from '../transform/badRows.ts';
import { arrowSchema } from '../transform/schema.ts';
import { isUnsettled, type Sample, settleTransform } from '../transform/settle.ts';
import { addBadRows, NO_BAD_RECORDS, reportBadRecords } from './badRecords/counts.ts';
import { warnOfInvalidUtf8 } from './invalidValues.ts';
import type { Log } from './log.ts';
import { lookUpRanges } from './lookup.ts';
import { RowTransform, resultSchema, transformPlan } from './rowTransform.ts';
import { collectRows, describeColumns, type SampleReport } from './sampleReport.ts';
import { checkModules } from './settleJob.ts';
import { findTopics } from './topics.ts';

/** Told of values that were replaced or made null since they were not UTF-8. */
type CountValues = (values: number) => void;
/** Told of records that are left out. */
type CountBad = (bad: readonly BadRow[]) => void;

const NOTHING_SAVED: SavedState = { offsets: [], others: [], topicIds: {}, previousRun: null };

/**
 * @returns The rows in topic, partition, then offset order, and their columns.
 * @throws OffloadError as a run of the config would for what it reads, and for its fields and its transform.
 */
export async function sample(job: SampleJob, log: Log, signal: AbortSignal): Promise<SampleReport> {
  for (const warning of job.warnings) log.warn(warning);
  await checkModules(job.transform);
  const input = arrowSchema(job.source.fields);
  // Mistakes in a statement are told before a broker is asked for anything.
  if (!isUnsettled(job.transform)) await resultSchema(job.transform, input);
  const cluster = new Cluster(job.source.kafka.connection, signal);
  try {
    const selected = await findTopics(cluster, job.source.selection, job.offsets);
    const { plan } = await lookUpRanges(cluster, selected, job, NOTHING_SAVED);
    for (const warning of plan.warnings) log.warn(warning);
    const tails = await findTails(cluster, plan.ranges, job);
    const counts = { invalidUtf8: 0 };
    const onInvalidUtf8: CountValues = (values) => {
      counts.invalidUtf8 += values;
    };
    let bad = NO_BAD_RECORDS;
    const onBad: CountBad = (rows) => {
      bad = addBadRows(bad, rows);
    };
    const samples = await readTails(cluster, tails, job, onInvalidUtf8, onBad);
    signal.throwIfAborted();
    const { schema, batches } = await transformRows(job, input, samples, onInvalidUtf8, onBad);
    const rows = await collectRows(batches, job);
    // A look writes no dead letters.
    reportBadRecords([bad], job.source.onBadRecord, { log }, false);
    warnOfInvalidUtf8([counts], job.source, { log });
    return {
      config: job.config,
      topics: selected.topics.map(({ topic }) => topic),
      messages: tails.reduce((sum, { messages }) => sum + messages, 0),
      partitions: tails.length,
      schema: describeColumns(schema),
      ...rows,
    };
  } finally {
    cluster.close();
  }
}

/**
 * Divides the limit evenly. What short partitions do not use goes to longer ones; where there are more partitions than
 * messages to show, the longest give one each.
 */
async function findTails(
  cluster: Cluster,
  ranges: readonly OffsetRange[],
  { source, limit }: SampleJob,
): Promise<RangeTail[]> {
  const { findLastMessages } = await import('../sources/lastRows.ts');
  const span = ({ startOffset, endOffset }: OffsetRange): number => endOffset - startOffset;
  const direction = ranges.length > limit ? -1 : 1;
  const ordered = ranges.toSorted((a, b) => direction * (span(a) - span(b)) || comparePlaces(a, b));
  const tails: RangeTail[] = [];
  let wanted = limit;
  for (const [index, range] of ordered.entries()) {
    if (wanted === 0) break;
    const share = Math.ceil(wanted / (ordered.length - index));
    const tail = await findLastMessages(cluster, range, source, share);
    if (tail === null) continue;
    tails.push(tail);
    wanted -= tail.messages;
  }
  return tails.toSorted(comparePlaces);
}

async function readTails(
  cluster: Cluster,
  tails: readonly RangeTail[],
  { source }: SampleJob,
  onInvalidUtf8: CountValues,
  onBad: CountBad,
): Promise<Sample[]> {
  const { readRows } = await import('../sources/lastRows.ts');
  const samples: Sample[] = [];
  for (const tail of tails) {
    for await (const { bad, ...rows } of readRows(cluster, tail, source, onInvalidUtf8)) {
      onBad(bad);
      if (rows.batch.numRows > 0) samples.push(rows);
    }
  }
  return samples;
}

/** Columns that user code gives are learnt from these rows, as a run learns them from the first ones that it reads. */
async function transformRows(
  job: SampleJob,
  input: Schema,
  samples: readonly Sample[],
  onInvalidUtf8: CountValues,
  onBad: CountBad,
): Promise<{ schema: Schema; batches: AsyncIterable<RecordBatch> }> {
  const leavesOutBad = job.source.onBadRecord.kind !== 'fail';
  const settled = await settleTransform(job.transform, input, async () => samples, leavesOutBad);
  const rows = new RowTransform(transformPlan(settled));
  async function* apply(): AsyncGenerator<RecordBatch> {
    try {
      for (const sample of samples) {
        const { batch, bad } = await rows.applyToGood(sample, leavesOutBad, onInvalidUtf8);
        onBad(bad);
        if (batch) yield batch;
      }
    } finally {
      await rows.close();
    }
  }
  return { schema: await resultSchema(settled, input), batches: apply() };
}
