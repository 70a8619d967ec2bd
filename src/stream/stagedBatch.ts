/** What sinks that stage files tell of a micro-batch, whatever becomes of the files. */
import type { TopicSource } from '../config/job.ts';
import { describeBadRecords } from '../coordinator/badRecords/counts.ts';
import { warnOfInvalidUtf8 } from '../coordinator/invalidValues.ts';
import type { ProgressSink } from '../coordinator/progress.ts';
import type { StagedRows } from '../coordinator/stageRows.ts';
import type { BatchOutcome, Observe } from './types.ts';

/** Passes progress on, and adds up the message bytes, as decoded. */
export function countProgress(observe: Observe): { readonly progress: ProgressSink; readonly bytesRead: () => number } {
  let bytesRead = 0;
  const progress: ProgressSink = {
    start() {},
    stop() {},
    advance(step) {
      bytesRead += step.bytes;
      if (step.offsets > 0) observe({ kind: 'progress', ...step });
    },
  };
  return { progress, bytesRead: () => bytesRead };
}

/**
 * The outcome of rows that are written, and of which the group has not been told.
 *
 * @param name Of the entry that records them; null: there is none, and their files are not there for others to see.
 */
export function writtenOutcome(
  { files, results }: StagedRows,
  source: TopicSource,
  bytesRead: number,
  name: string | null,
): BatchOutcome {
  const warnings: string[] = [];
  warnOfInvalidUtf8(results, source, { log: { warn: (line) => warnings.push(line) } });
  const bad = describeBadRecords(
    results.map((result) => result.bad),
    source.onBadRecord,
  );
  return {
    kind: 'written',
    rows: results.reduce((sum, result) => sum + result.rowsWritten, 0),
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    files: name === null ? [] : files.map(({ targetPath, rows, bytes }) => ({ path: targetPath, rows, bytes })),
    name,
    bytesRead,
    badRecords: bad.badRecords,
    warnings: [...warnings, ...bad.warnings],
    isGroupCommitted: false,
  };
}
