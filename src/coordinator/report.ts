import { formatSize } from '../config/sizes.ts';
import { groupByPlace, offsetKey } from '../plan/places.ts';
import type { RetryCounts } from '../retryCounts.ts';
import type { GapCounts } from '../tasks.ts';
import { describeTopics } from './describeTopics.ts';
import { describeLoad } from './load/loadReport.ts';

/** What one run did. Offsets are next offsets to read: `to` is what is saved now, or where a run ended that saves none. */
export interface OffloadReport {
  readonly config: string;
  /** The one topic the config can read; null where it can be several: then everything is by topic. */
  readonly topic: string | null;
  /** Topics that were read. */
  readonly topics: readonly string[];
  /** False: `--no-commit`. The saved offsets are as they were. */
  readonly committed: boolean;
  /** Id of the run; null when none was opened (a dry run, `Ignore` with an existing target). */
  readonly run: string | null;
  readonly rows: number;
  /** Bytes of the published files. */
  readonly bytes: number;
  readonly seconds: number;
  /** Of these, from the first fetch to the last commit. Only runs from a topic to files have it, and read something. */
  readonly dataSeconds?: number;
  readonly files: readonly ReportedFile[];
  /**
   * One entry for each partition of the plan; `from` is null where nothing was saved before. Without a commit: one for
   * each partition that was read, and what was read of it.
   */
  readonly offsets: readonly ReportedOffset[];
  readonly workers: readonly { readonly worker: number; readonly rows: number }[];
  /** Offsets that gave no row, by partition; partitions without any may be left out. */
  readonly gaps?: readonly (GapCounts & { readonly topic: string; readonly partition: number })[];
  /** Records that were left out; absent where one ends the run (`onBadRecord`), or none was there. */
  readonly badRecords?: ReportedBadRecords;
  readonly warnings: readonly string[];
  /** Requests to Kafka that were repeated, since a broker was not there, late or not the leader any more. */
  readonly retries: number;
  /** The same by the code of the error before, codes without any left out. */
  readonly retryCauses: RetryCounts;
  /** Runs of the past that this one finished while opening. */
  readonly recovered: readonly { readonly run: string; readonly files: readonly string[] }[];
  /** Which encoders wrote the columns: `flat` (our own), `parquet-wasm`. Absent where no row was written. */
  readonly encoders?: readonly string[];
  /** A dry run: the plan as text, and nothing else happened. */
  readonly plan?: string;
  /** A run that writes to a topic; `bytes` are those of record batches then. Others leave it out. */
  readonly load?: ReportedLoad;
  /** A stream, from its start to its end. `files` are its last ones. Others leave it out. */
  readonly stream?: ReportedStream;
  /** Files that were read, for a run from files to files. Others leave it out. */
  readonly sourceFiles?: readonly string[];
  /** The first rows, for a run to the console: every cell as text, and all of it drawn. Others leave it out. */
  readonly table?: {
    readonly columns: readonly string[];
    readonly rows: readonly (readonly string[])[];
    readonly drawing: string;
  };
}

/** Of a run that has done nothing yet. */
export function emptyReport(job: Pick<OffloadReport, 'config' | 'topic' | 'topics' | 'committed'>): OffloadReport {
  return {
    ...job,
    run: null,
    rows: 0,
    bytes: 0,
    seconds: 0,
    files: [],
    offsets: [],
    workers: [],
    warnings: [],
    retries: 0,
    retryCauses: {},
    recovered: [],
  };
}

export interface ReportedLoad {
  /** Files or topics that rows came from. */
  readonly sources: readonly string[];
  /** The topic of rows that name none. */
  readonly target: string;
  /** Those with rows. */
  readonly transactions: number;
  /** The run that had loaded all the files before, and when it ended: nothing was written. */
  readonly alreadyLoaded: { readonly run: string; readonly at: string } | null;
}

export interface ReportedStream {
  readonly group: string;
  /** That were committed. */
  readonly microBatches: number;
  /** That were published. */
  readonly files: number;
  readonly badRecords: number;
  /** True: it was told to stop. False: all there was is taken. */
  readonly stopped: boolean;
}

export interface ReportedFile {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
}

export interface ReportedOffset {
  readonly topic: string;
  readonly partition: number;
  readonly from: number | null;
  readonly to: number;
}

export interface ReportedBadRecords {
  readonly records: number;
  /** By the code that the run would have ended with. */
  readonly byReason: Readonly<Record<string, number>>;
  /** The topic that they went to; null: they were left out. */
  readonly deadLetterTopic: string | null;
}

const FILES_SHOWN = 10;

/**
 * The summary at the end of a run, for people.
 *
 * @param columns Width of the terminal; offsets of many partitions share a line within it.
 * @returns Several lines without a final line feed; the plan alone for a dry run.
 */
export function formatSummary(report: OffloadReport, columns = 100): string {
  if (report.plan !== undefined) return report.plan.trimEnd();
  if (report.table) return `${report.table.drawing}\n${describeTable(report)}`;
  const lines = report.recovered.map(
    (past) => `finished run ${past.run}, which had stopped half-way: ${count(past.files.length, 'file')} published`,
  );
  const duration = `${report.seconds.toFixed(1)} s`;
  if (report.stream) {
    lines.push(describeStream(report, report.stream));
  } else if (report.load) {
    lines.push(describeLoad(report, report.load));
  } else if (report.rows === 0 && report.files.length === 0) {
    lines.push(`${report.config}: nothing new in ${describeSource(report)}, no file written (${duration})`);
  } else {
    const rate = report.seconds > 0 ? `, ${number(Math.round(report.rows / report.seconds))} rows/s` : '';
    lines.push(
      `${report.config}: ${count(report.rows, 'row')} of ${describeSource(report)} in ${count(report.files.length, 'file')}, ` +
        `${formatSize(report.bytes)}, ${duration}${rate}`,
    );
  }
  if (report.files.length > 0) lines.push('files', ...describeFiles(report.files));
  lines.push(...describeOffsets(report, columns), ...describeGaps(report), ...describeBad(report));
  lines.push(...describeRetries(report));
  return lines.join('\n');
}

/**
 * The document of `--report json`: one object, `offsets` keyed by partition, or by topic and partition.
 *
 * @returns JSON with a final line feed.
 */
export function formatJson(report: OffloadReport): string {
  const offsets = groupByPlace(report.offsets, report.topic === null);
  const { drawing: _, ...table } = report.table ?? { drawing: '' };
  return `${JSON.stringify({ ...report, offsets, ...(report.table && { table }) }, null, 2)}\n`;
}

function describeStream({ config, rows, bytes, seconds, topics }: OffloadReport, stream: ReportedStream): string {
  const what = `${count(rows, 'row')} of ${describeTopics(topics)} in ${count(stream.microBatches, 'micro-batch', 'micro-batches')}`;
  const files = stream.files > 0 ? `, ${count(stream.files, 'file')}, ${formatSize(bytes)}` : '';
  const end = stream.stopped ? 'stopped' : 'all there was is taken';
  return `${config}: ${what}${files}, as group ${stream.group}, ${seconds.toFixed(1)} s; ${end}`;
}

function describeSource({ sourceFiles, topics }: OffloadReport): string {
  return sourceFiles ? count(sourceFiles.length, 'file') : describeTopics(topics);
}

function describeTable({ rows, sourceFiles, topics }: OffloadReport): string {
  if (sourceFiles) return `the first ${count(rows, 'row')} of ${count(sourceFiles.length, 'file')}`;
  return `${count(rows, 'row')} of ${describeTopics(topics)}, from where the next run begins; offsets were not saved`;
}

function describeFiles(files: readonly ReportedFile[]): string[] {
  const shown = files.slice(0, FILES_SHOWN);
  const lines = shown.map((file) => `  ${file.path}  ${count(file.rows, 'row')}, ${formatSize(file.bytes)}`);
  if (files.length > shown.length) lines.push(`  and ${files.length - shown.length} more`);
  return lines;
}

/** Offsets that moved, in as many columns as fit; those that did not are only counted. */
function describeOffsets({ offsets, topic, committed, stream }: OffloadReport, columns: number): string[] {
  const moved = offsets.filter((offset) => offset.from !== offset.to);
  const resting = offsets.length - moved.length;
  const cells = alignedCells(moved, topic === null);
  const width = Math.max(0, ...cells.map((cell) => cell.length)) + 3;
  const perLine = Math.max(1, Math.floor((columns - 2 + 3) / width));
  const lines: string[] = [];
  const place = topic === null ? 'topic and partition' : 'partition';
  if (cells.length > 0)
    lines.push(
      committed
        ? `${stream ? 'offsets of the group' : 'saved offsets'} by ${place}`
        : `offsets read by ${place}; none was saved`,
    );
  for (let index = 0; index < cells.length; index += perLine) {
    lines.push(`  ${cells.slice(index, index + perLine).join('   ')}`);
  }
  if (resting > 0) lines.push(`${count(resting, 'partition')} had nothing new`);
  return lines;
}

function alignedCells(offsets: readonly ReportedOffset[], isNested: boolean): string[] {
  const rows = offsets.map((entry) => [
    isNested ? offsetKey(entry) : String(entry.partition),
    entry.from === null ? 'none' : number(entry.from),
    number(entry.to),
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (row: readonly string[], column: number) => (row[column] ?? '').padStart(widths[column] ?? 0);
  return rows.map((row) => `${pad(row, 0)}: ${pad(row, 1)} -> ${pad(row, 2)}`);
}

function describeGaps(report: OffloadReport): string[] {
  const causes = ['control', 'aborted', 'compacted', 'deleted', 'lost', 'bad'] as const;
  const parts = causes.flatMap((cause) => {
    const total = (report.gaps ?? []).reduce((sum, gap) => sum + gap[cause], 0);
    return total > 0 ? [`${number(total)} ${cause}`] : [];
  });
  return parts.length > 0 ? [`offsets without a row: ${parts.join(', ')}`] : [];
}

function describeBad({ badRecords }: OffloadReport): string[] {
  if (!badRecords) return [];
  const { records, byReason, deadLetterTopic } = badRecords;
  const reasons = Object.entries(byReason).map(([code, times]) => `${number(times)} ${code}`);
  const where = deadLetterTopic === null ? 'left out' : `written to topic ${deadLetterTopic}`;
  return [`${count(records, 'bad record')} ${where}: ${reasons.join(', ')}`];
}

function describeRetries({ retries, retryCauses }: OffloadReport): string[] {
  const causes = Object.entries(retryCauses).map(([code, times]) => `${number(times)} ${code}`);
  return retries > 0 ? [`requests repeated: ${causes.join(', ')}`] : [];
}

function count(value: number, noun: string, plural = `${noun}s`): string {
  return `${number(value)} ${value === 1 ? noun : plural}`;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}
