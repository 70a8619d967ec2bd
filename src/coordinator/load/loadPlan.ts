/** What a job that writes to a topic would do, in words, for `--dry-run`. */
import type { VisibleState } from '../../commit/session.ts';
import type { TopicSink } from '../../config/job.ts';
import { formatSize } from '../../config/sizes.ts';
import type { TopicInfo } from '../../kafka/cluster.ts';
import { offsetKey } from '../../plan/places.ts';
import type { RangePlan } from '../../plan/ranges.ts';
import { describePolicy } from '../badRecords/counts.ts';
import type { FileLoadJob, TopicToTopicJob } from '../jobs.ts';
import type { FileChoice } from './fileChoice.ts';
import type { FileProgress } from './fileProgress.ts';
import { rowGroupRows } from './fileUnits.ts';

const NOTHING_DONE = 'nothing was read, written, fenced or created';

export function describeCopy(plan: {
  readonly job: TopicToTopicJob;
  readonly plan: RangePlan;
  /** By `offsetKey`. */
  readonly bytesPerOffset: ReadonlyMap<string, number>;
  /** The target, if it is there. */
  readonly existing: TopicInfo | null;
  readonly saved: VisibleState;
}): string {
  const { job, existing, saved, bytesPerOffset } = plan;
  const { ranges, warnings } = plan.plan;
  const total = ranges.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
  const rows = ranges.map((range) => {
    const messages = range.endOffset - range.startOffset;
    const bytes = formatSize(messages * (bytesPerOffset.get(offsetKey(range)) ?? 0));
    return [range.topic, range.partition, range.startOffset, range.endOffset, messages, bytes].map(cell);
  });
  const alive = saved.aliveRun;
  return [
    `plan of ${job.config}: ${[...new Set(plan.plan.next.map(({ topic }) => topic))].join(', ')} to topic ${job.sink.topic}`,
    ...table(['topic', 'partition', 'from', 'to', 'messages, at most', 'bytes, about'], rows),
    `${cell(total)} messages at most, ${describeChunks(total, job.sink)}`,
    describeTarget(job.sink, existing),
    ...describePolicy(job.source.onBadRecord),
    ...warnings.map((warning) => `warning: ${warning}`),
    ...(alive ? [`a run of ${job.config} is under way on host ${alive.host}, pid ${alive.pid}`] : []),
    NOTHING_DONE,
  ].join('\n');
}

export async function describeLoad(plan: {
  readonly job: FileLoadJob;
  readonly choice: FileChoice | null;
  readonly existing: TopicInfo | null;
  readonly progress: FileProgress | null;
}): Promise<string> {
  const { job, choice, existing, progress } = plan;
  const { sink, source } = job;
  const begun = choice?.files.slice(choice.position.file) ?? [];
  const files = begun.filter(({ loadedBy }) => loadedBy === null);
  const rowGroups = source.input.format === 'parquet' ? files.map(({ path }) => rowGroupRows(path)) : [];
  const rows = (await Promise.all(rowGroups)).map((groups) => groups?.reduce((sum, count) => sum + count, 0) ?? null);
  const total = files.length === rows.length ? rows.reduce((sum: number | null, count) => add(sum, count), 0) : null;
  const lines = files.map(({ path, bytes }, place) => [path, formatSize(bytes), cell(rows[place] ?? 'not known')]);
  const owner = progress?.state === 'running' ? progress.owner : null;
  return [
    `plan of ${sink.config}: ${files.length} files (${source.input.format}) to topic ${sink.topic}`,
    ...table(['file', 'bytes', 'rows'], lines),
    total === null ? `chunks of about ${cell(sink.chunkRecords)} rows` : describeChunks(total, sink),
    describeTarget(sink, existing),
    ...(choice?.remarks ?? []),
    ...(owner ? [`run ${owner.run} on host ${owner.host}, pid ${owner.pid}, has not ended`] : []),
    NOTHING_DONE,
  ].join('\n');
}

function describeTarget({ topic, create, progress }: TopicSink, existing: TopicInfo | null): string {
  const state = existing
    ? `is there, with ${existing.partitions.length} partitions`
    : `would be made, with ${create.partitions} partitions and replication factor ${create.replicationFactor}`;
  return `topic ${topic} ${state}; progress is kept in ${progress.topic}`;
}

function describeChunks(rows: number, { chunkRecords }: TopicSink): string {
  return `in ${cell(Math.ceil(rows / chunkRecords))} transactions, about`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [header, ...rows].map(
    (row) => `  ${row.map((text, column) => text.padStart(widths[column] ?? 0)).join('   ')}`,
  );
}

function add(sum: number | null, count: number | null): number | null {
  return sum === null || count === null ? null : sum + count;
}

function cell(value: string | number): string {
  return typeof value === 'number' ? value.toLocaleString('en-US') : value;
}
