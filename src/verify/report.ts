/** The report of `verify`, for people and for scripts. */
import { formatSize } from '../config/sizes.ts';
import { groupBy } from './groupBy.ts';
import type { VerifiedConfig, VerifyReport } from './types.ts';

const PARTITIONS_SHOWN = 20;

/** One JSON document with a final line feed; `ok` is false where there are findings. */
export function formatVerifyJson(report: VerifyReport): string {
  const { findings, ...rest } = report;
  return `${JSON.stringify({ ok: findings.length === 0, ...rest, findings }, null, 2)}\n`;
}

/** Several lines without a final line feed: what was looked at, remarks, and one line for each finding. */
export function formatVerifyReport({ path, configs, findings, remarks }: VerifyReport): string {
  return [
    ...configs.flatMap(describeConfig),
    ...remarks,
    ...findings.map(({ kind, message }) => `${kind.replace('-', ' ')}: ${message}`),
    findings.length === 0
      ? `${path} is complete: nothing is lost, doubled or damaged`
      : `${path} is not complete: ${count(findings.length, 'finding')}`,
  ].join('\n');
}

function describeConfig(verified: VerifiedConfig): string[] {
  const { config, isStream, runs, uncommittedRuns, files, rows, bytes, ranges, comparedRows, comparedMessages } =
    verified;
  const uncommitted = uncommittedRuns > 0 ? ` (${uncommittedRuns} with --no-commit)` : '';
  const size = `${count(files, 'file')}, ${count(rows, 'row')}, ${formatSize(bytes)}`;
  const byPartition = [...groupBy(ranges, ({ topic, partition }) => `${topic}/${partition}`)];
  const lines = byPartition.slice(0, PARTITIONS_SHOWN).map(([key, own]) => {
    return `  ${key}: ${own.map(({ startOffset, endOffset }) => `${startOffset} to ${endOffset - 1}`).join(', ')}`;
  });
  if (byPartition.length > lines.length)
    lines.push(`  and ${count(byPartition.length - lines.length, 'partition')} more`);
  const gaps = Object.entries(verified.gaps).flatMap(([cause, offsets]) => {
    return offsets > 0 ? [`${offsets.toLocaleString('en-US')} ${cause}`] : [];
  });
  if (gaps.length > 0) lines.push(`  offsets without a row: ${gaps.join(', ')}`);
  if (comparedRows !== null) lines.push(`  offsets of ${count(comparedRows, 'row')} were compared`);
  if (comparedMessages !== null) lines.push(`  ${count(comparedMessages, 'message')} of the topic were looked up`);
  const noun = isStream ? 'micro-batch' : 'run';
  return [`${config}: ${count(runs, noun)}${uncommitted}, ${size}`, ...lines];
}

function count(value: number, noun: string): string {
  const plural = noun.endsWith('ch') ? 'es' : 's';
  return `${value.toLocaleString('en-US')} ${noun}${value === 1 ? '' : plural}`;
}
