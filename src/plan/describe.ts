import type { FileSink, Job, TopicSource } from '../config/job.ts';
import { formatSize } from '../config/sizes.ts';
import { extensionOf } from '../encode/extensions.ts';
import { offsetKey } from './places.ts';
import type { RangePlan } from './ranges.ts';
import type { TaskPlan } from './tasks.ts';

export interface DescribedPlan {
  readonly job: Job & { readonly source: TopicSource; readonly sink: FileSink };
  readonly ranges: RangePlan;
  readonly tasks: TaskPlan;
  /** What else the reader should know: a live run, a run to be finished first. */
  readonly remarks: readonly string[];
}

/** A plan in words, for `--dry-run`: what would be read from each partition, how, and where it would go. */
export function describePlan({ job, ranges, tasks, remarks }: DescribedPlan): string {
  const { target } = job.sink;
  const topics = [...new Set(ranges.next.map((next) => next.topic))];
  const isSeveral = topics.length > 1;
  const header = [...(isSeveral ? ['topic'] : []), 'partition', 'from', 'to', 'messages, at most', 'bytes, about'];
  const rangeOf = new Map(ranges.ranges.map((range) => [offsetKey(range), range]));
  const total = ranges.ranges.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
  const rows = ranges.next.map((next, index) => {
    const read = rangeOf.get(offsetKey(next));
    const messages = read ? read.endOffset - read.startOffset : 0;
    const from = read?.startOffset ?? ranges.previous[index]?.offset ?? next.offset;
    const bytes = tasks.bytesByPartition.get(offsetKey(next)) ?? 0;
    const place = [...(isSeveral ? [next.topic] : []), String(next.partition)];
    return [...place, number(from ?? 0), number(next.offset ?? 0), number(messages), formatSize(bytes)];
  });
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('   ')}`;
  return [
    `plan of ${job.config}: topic${isSeveral ? 's' : ''} ${topics.join(', ')} to ${target.path} (${target.output.format}, ${target.mode})`,
    line(header),
    ...rows.map(line),
    `${number(total)} messages at most, about ${formatSize(tasks.estimatedBytes)} to fetch, in ${count(tasks.tasks.length, 'task')} on ${count(job.workers, 'worker')}`,
    describeFiles(job, tasks, total),
    ...ranges.warnings.map((warning) => `warning: ${warning}`),
    ...remarks,
    ...(job.source.commit ? [] : ['the run would leave the saved offsets as they are']),
    'nothing was read, written or committed',
  ].join('\n');
}

function describeFiles({ sink }: DescribedPlan['job'], tasks: TaskPlan, messages: number): string {
  const { target } = sink;
  if (messages === 0) return 'no file would be written';
  if (target.kind === 'file') return `file: ${target.path}`;
  if (target.partitionBy.length > 0) {
    const folders = target.partitionBy.map(({ name, column, of }) => `${name ?? of ?? column}=...`).join('/');
    const most = target.coalesce === null ? '' : `, at most ${count(target.coalesce, 'file')} in each`;
    return `folders: ${target.path}/${folders}/part-00000-RUN${extensionOf(target.output)}${most}`;
  }
  const files = count(tasks.fileCount, 'file');
  return `${files}: ${target.path}/part-00000-RUN${extensionOf(target.output)}${tasks.fileCount > 1 ? ' and so on' : ''}`;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}

function count(value: number, noun: string): string {
  return `${number(value)} ${noun}${value === 1 ? '' : 's'}`;
}
