/**
 * What fault tests injected and what they then checked, for the table at the end of a run (faultTable.ts). Each test
 * counts when its oracle has spoken, not before.
 */
import { appendFileSync } from 'node:fs';
import { inject } from 'vitest';

/** What a count belongs to: all but `step` make a line of the table. */
export interface FaultTest {
  /** What is done to the run: `crash`, `crash of a recovery`, `failing I/O`. */
  readonly kind: string;
  /** `folder`, `exact file`, `partitioned`, `N files`, `topic`. */
  readonly layout?: string;
  /** Write mode, offsets mode, or both: `Append STREAM`. */
  readonly mode?: string;
  /** Named step at which it is done: makes a line of the table of steps. */
  readonly step?: string;
}

/** Numbers that are left out are 0. */
export interface FaultCounts {
  /** Processes killed, or stopped and woken, that a later run made good. */
  readonly kills?: number;
  /** Faults that were injected otherwise: failed file operations, cut connections, hostile answers. */
  readonly faults?: number;
  /** Rows compared with what was produced. */
  readonly rows?: number;
  /** Rows found more than once. */
  readonly duplicates?: number;
  /** Rows that were produced and not found. */
  readonly lost?: number;
}

/** Adds to the counts of this run of the tests. */
export function countFaults(test: FaultTest, counts: FaultCounts): void {
  // One short line, appended in one write: test files in several processes do not disturb one another.
  appendFileSync(inject('faultCountsPath'), `${JSON.stringify({ ...test, ...counts })}\n`);
}
