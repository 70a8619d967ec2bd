import type { OffsetsJob, OffsetsSettings } from '../config/job.ts';
import { groupByPlace } from '../plan/places.ts';

/** One partition as `offsets show` sees it; null where nothing is saved, or the cluster did not tell. */
export interface ShownPartition {
  readonly topic: string;
  readonly partition: number;
  readonly saved: number | null;
  readonly logStart: number | null;
  /** Offset after the last record a run would read now. */
  readonly end: number | null;
  /** Offsets from the saved one to the end. */
  readonly lag: number | null;
}

/** A saved offset before and after; null: none. */
export interface ChangedOffset {
  readonly topic: string;
  readonly partition: number;
  readonly from: number | null;
  readonly to: number | null;
}

/** What a sub-command of `offsets` found or did; for a dry run, what it would do. */
export interface OffsetsReport extends Pick<OffsetsJob, 'action' | 'config' | 'dryRun' | 'discard'> {
  /** The one topic the config can read; null where it can be several: then everything is by topic. */
  readonly topic: string | null;
  readonly mode: OffsetsSettings['mode'];
  /** The topic or the folder of saved offsets. */
  readonly place: string;
  /** `show` only. */
  readonly partitions?: readonly ShownPartition[];
  /** `set` and `reset` only. */
  readonly offsets?: readonly ChangedOffset[];
  /** A run that has not ended and is not known to be dead. */
  readonly aliveRun: { readonly run: string; readonly host: string; readonly pid: number } | null;
  /** A run that is prepared and not committed, with the offsets it moves. */
  readonly pendingRun: {
    readonly run: string;
    readonly host: string;
    readonly offsets: readonly ChangedOffset[];
  } | null;
  readonly recovered: readonly { readonly run: string; readonly files: readonly string[] }[];
  readonly discarded: readonly { readonly run: string; readonly offsets: readonly ChangedOffset[] }[];
  readonly remarks: readonly string[];
}

/** One JSON document with a final line feed; offsets are keyed by partition, or by topic and partition. */
export function formatOffsetsJson(report: OffsetsReport): string {
  const { partitions, offsets, pendingRun, discarded, ...rest } = report;
  // Unlike what is saved now, a run of the past may have read several topics where the config names one today.
  const group = (entries: readonly (ShownPartition | ChangedOffset)[]): object => {
    return groupByPlace(entries, isNested(report, entries));
  };
  const document = {
    ...rest,
    ...(partitions && { partitions: group(partitions) }),
    ...(offsets && { offsets: group(offsets) }),
    pendingRun: pendingRun && { ...pendingRun, offsets: group(pendingRun.offsets) },
    discarded: discarded.map((past) => ({ ...past, offsets: group(past.offsets) })),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function isNested({ topic }: OffsetsReport, entries: readonly { readonly topic: string }[]): boolean {
  return topic === null || entries.some((entry) => entry.topic !== topic);
}

/** For people; several lines without a final line feed. */
export function formatOffsetsReport(report: OffsetsReport): string {
  const { action, recovered, discarded, remarks, dryRun } = report;
  const lines = recovered.map(({ run, files }) => {
    return `finished run ${run}, which had stopped half-way: ${files.length} file${files.length === 1 ? '' : 's'} published`;
  });
  for (const { run, offsets } of discarded) {
    lines.push(
      `withdrew run ${run}; the next run reads its ranges again`,
      ...table(report, ['partition', 'from', 'to'], offsets),
    );
  }
  if (action === 'show') lines.push(...describeShown(report));
  else if (action === 'recover') lines.push(...describeRecovery(report));
  else lines.push(...describeChange(report));
  lines.push(...remarks);
  if (dryRun) lines.push('nothing was changed');
  return lines.join('\n');
}

function describeShown(report: OffsetsReport): string[] {
  const { config, mode, place, partitions = [] } = report;
  const where = mode === 'STREAM' ? `topic ${place}` : `folder ${place}`;
  const nothing = partitions.every(({ saved }) => saved === null);
  const what = nothing ? `nothing is saved in ${where}` : `saved in ${where}`;
  const columns = partitions.map(({ logStart, ...rest }) => ({ ...rest, 'log start': logStart }));
  return [
    `${config}: offsets of ${describe(report)}, ${what}`,
    ...table(report, ['partition', 'saved', 'log start', 'end', 'lag'], columns),
    ...describeRuns(report),
  ];
}

function describeRuns(report: OffsetsReport): string[] {
  const { aliveRun, pendingRun } = report;
  const lines: string[] = [];
  if (aliveRun) lines.push(`run ${aliveRun.run} is under way on host ${aliveRun.host}, pid ${aliveRun.pid}`);
  if (pendingRun) {
    lines.push(
      `run ${pendingRun.run} is prepared on host ${pendingRun.host} and not committed: unless it still runs, the next run finishes it`,
      ...table(report, ['partition', 'from', 'to'], pendingRun.offsets),
    );
  }
  return lines;
}

function describeRecovery(report: OffsetsReport): string[] {
  const { config, dryRun, discard, pendingRun, recovered, discarded } = report;
  if (recovered.length > 0 || discarded.length > 0) return [];
  if (!dryRun || !pendingRun) return [`${config}: no run is prepared and not committed`, ...describeRuns(report)];
  const what = discard ? `would withdraw run ${pendingRun.run}` : `would finish run ${pendingRun.run}`;
  return [`${config}: ${what}`, ...describeRuns(report)];
}

function describeChange(report: OffsetsReport): string[] {
  const { config, action, dryRun, offsets = [] } = report;
  const runs = dryRun ? describeRuns(report) : [];
  if (action === 'reset' && offsets.length === 0)
    return [...runs, `${config}: no offsets of ${describe(report)} are saved`];
  const did = action === 'reset' ? (dryRun ? 'would forget' : 'forgot') : dryRun ? 'would set' : 'set';
  const then = action === 'reset' ? '; the next run begins by startingOffsets' : '';
  return [
    ...runs,
    `${config}: ${did} saved offsets of ${describe(report)}${then}`,
    ...table(report, ['partition', 'from', 'to'], offsets),
  ];
}

function describe({ topic }: OffsetsReport): string {
  return topic === null ? 'its topics' : `topic ${topic}`;
}

/** Right-aligned columns with a heading, the topic first where there are several; null is `none`. */
function table(
  report: OffsetsReport,
  columns: readonly string[],
  rows: readonly (object & { readonly topic: string })[],
): string[] {
  const header = isNested(report, rows) ? ['topic', ...columns] : columns;
  const cells = rows.map((row) => header.map((name) => cell((row as Record<string, unknown>)[name])));
  const widths = header.map((name, column) => Math.max(name.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `  ${row.map((text, column) => text.padStart(widths[column] ?? 0)).join('   ')}`;
  return rows.length === 0 ? [] : [line(header), ...cells.map(line)];
}

function cell(value: unknown): string {
  return typeof value === 'number' ? value.toLocaleString('en-US') : String(value ?? 'none');
}
