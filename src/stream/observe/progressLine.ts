import { formatSize } from '../../config/sizes.ts';
import type { ProgressOutput } from '../../coordinator/progress.ts';
import { oneLine } from '../../printable.ts';
import { partitionKey } from './partitions.ts';
import type { PartitionStatus, StreamStatus } from './types.ts';
import { countOf, durationOf } from './words.ts';

const PLAIN_LINE_EVERY_MS = 5_000;
const REDRAW_EVERY_MS = 500;
const DEFAULT_COLUMNS = 80;

export interface ProgressLineOptions {
  readonly stderr: ProgressOutput & { readonly columns?: number };
  /** The terminal shows rows, too: a line that is drawn again would stand between them. */
  readonly isTerminalShared: boolean;
  readonly status: () => StreamStatus;
}

/**
 * On a terminal one line that is drawn again and again, else one every few seconds.
 *
 * @returns What ends it; safe to call twice.
 */
export function showProgressLine({ stderr, isTerminalShared, status }: ProgressLineOptions): () => void {
  const isDrawn = stderr.isTTY === true && !isTerminalShared;
  const draw = (): void => {
    const line = progressLine(status());
    // Cut, not wrapped: only the row the cursor stands in can be cleared.
    if (isDrawn) stderr.write(`\r\u001b[K${line.slice(0, (stderr.columns ?? DEFAULT_COLUMNS) - 1)}`);
    else stderr.write(`${line}\n`);
  };
  const timer = setInterval(draw, isDrawn ? REDRAW_EVERY_MS : PLAIN_LINE_EVERY_MS);
  timer.unref();
  let isOver = false;
  return () => {
    if (isDrawn && !isOver) stderr.write('\r\u001b[K');
    isOver = true;
    clearInterval(timer);
  };
}

/** `12,345 rows/s | 4.5 MB/s | lag 1,234 (orders/3: 800) | committed 4 s ago | 1,234,567 rows | 320 MiB`. */
export function progressLine(status: StreamStatus): string {
  const { state, stateSeconds, rates, totals, lastCommit, memory } = status;
  const isRunning = state === 'running';
  const parts = [
    ...(isRunning
      ? []
      : [`${state} for ${durationOf(stateSeconds)}${status.why === null ? '' : `: ${oneLine(status.why)}`}`]),
    `${Math.round(rates.rows).toLocaleString('en-US')} rows/s`,
    `${(rates.bytes / 1e6).toFixed(1)} MB/s`,
    ...(status.group === null ? [] : [lagWords(status)]),
    lastCommit === null ? 'nothing committed yet' : `committed ${durationOf(lastCommit.seconds)} ago`,
    countOf(totals.rowsWritten, 'row'),
    formatSize(memory.rssBytes),
  ];
  return parts.join(' | ');
}

function lagWords({ lag, partitions }: StreamStatus): string {
  const largest = largestLag(partitions);
  const named = largest === null ? '' : ` (${partitionKey(largest)}: ${largest.lag.toLocaleString('en-US')})`;
  return `lag ${lag.toLocaleString('en-US')}${named}`;
}

/** @returns Null where nothing waits, or there is only one partition to name. */
function largestLag(partitions: readonly PartitionStatus[]): (PartitionStatus & { readonly lag: number }) | null {
  if (partitions.length < 2) return null;
  let largest: (PartitionStatus & { readonly lag: number }) | null = null;
  for (const partition of partitions) {
    const { lag } = partition;
    if (lag !== null && lag > (largest?.lag ?? 0)) largest = { ...partition, lag };
  }
  return largest;
}
