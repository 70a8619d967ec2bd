/** How many records were bad, why, and the first of them. Plain data: it crosses threads. */
import type { BadRecordPolicy } from '../../config/job.ts';
import type { BadRow } from '../../transform/badRows.ts';
import type { ReportedBadRecords } from '../report.ts';
import type { RunUi } from '../ui.ts';

export interface BadRecordCounts {
  /** By code of the error. */
  readonly byReason: Readonly<Record<string, number>>;
  /** What the first of them are, and why they are bad. */
  readonly first: readonly string[];
}

export const NO_BAD_RECORDS: BadRecordCounts = { byReason: {}, first: [] };

const FIRST_TOLD = 5;
/** A reason can quote a whole value. */
const MOST_CHARACTERS = 500;

export function countBad({ byReason }: BadRecordCounts): number {
  return Object.values(byReason).reduce((sum, count) => sum + count, 0);
}

/** Adds bad rows to what was counted before. */
export function addBadRows(counts: BadRecordCounts, rows: readonly BadRow[]): BadRecordCounts {
  if (rows.length === 0) return counts;
  const byReason = { ...counts.byReason };
  for (const { error } of rows) byReason[error.code] = (byReason[error.code] ?? 0) + 1;
  const told = rows.slice(0, Math.max(0, FIRST_TOLD - counts.first.length));
  return { byReason, first: [...counts.first, ...told.map(({ error }) => shorten(error.message))] };
}

export function sumBadRecords(counts: readonly BadRecordCounts[]): BadRecordCounts {
  const byReason: Record<string, number> = {};
  for (const each of counts) {
    for (const [code, count] of Object.entries(each.byReason)) byReason[code] = (byReason[code] ?? 0) + count;
  }
  return { byReason, first: counts.flatMap(({ first }) => first).slice(0, FIRST_TOLD) };
}

/**
 * How many records were bad, and what to say of the first of them.
 *
 * @param isWritten False: they were left out, whatever the policy.
 */
export function describeBadRecords(
  all: readonly BadRecordCounts[],
  policy: BadRecordPolicy,
  isWritten = true,
): { readonly badRecords: number; readonly warnings: readonly string[] } {
  const counts = sumBadRecords(all);
  const badRecords = countBad(counts);
  const topic = topicOf(policy, isWritten);
  const what = topic === null ? 'left out' : `written to topic ${topic}`;
  const warnings = counts.first.map((reason) => `bad record ${what}: ${reason}`);
  if (badRecords > warnings.length) warnings.push(`${badRecords - warnings.length} more bad records were ${what}`);
  return { badRecords, warnings };
}

/** The same for the report of a run; warnings are logged as well. */
export function reportBadRecords(
  all: readonly BadRecordCounts[],
  policy: BadRecordPolicy,
  { log }: Pick<RunUi, 'log'>,
  isWritten = true,
): { readonly badRecords?: ReportedBadRecords; readonly warnings: readonly string[] } {
  const { badRecords: records, warnings } = describeBadRecords(all, policy, isWritten);
  if (records === 0) return { warnings };
  for (const warning of warnings) log.warn(warning);
  const { byReason } = sumBadRecords(all);
  return { badRecords: { records, byReason, deadLetterTopic: topicOf(policy, isWritten) }, warnings };
}

/** What a dry run says of a policy. */
export function describePolicy(policy: BadRecordPolicy): string[] {
  switch (policy.kind) {
    case 'fail':
      return [];
    case 'skip':
      return ['bad records are left out'];
    case 'dlq':
      return [`bad records to topic ${policy.topic}`];
  }
}

function topicOf(policy: BadRecordPolicy, isWritten: boolean): string | null {
  return policy.kind === 'dlq' && isWritten ? policy.topic : null;
}

function shorten(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS)}...`;
}
