/** What is saved of a config against the end of its manifests: whether the last of them is missing. */
import type { VisibleState } from '../commit/session.ts';
import { offsetKey } from '../plan/places.ts';
import type { PartitionOffset } from '../tasks.ts';
import type { Coverage } from './coverage.ts';
import { describe } from './coveredRanges.ts';
import type { FolderState } from './readFolder.ts';
import type { Finding } from './types.ts';

export interface SavedComparison {
  readonly findings: readonly Finding[];
  readonly remarks: readonly string[];
}

/**
 * @param isHere Whether a folder is the one that is looked at.
 * @param ends Where the manifests end.
 */
export function compareSaved(
  config: string,
  saved: VisibleState,
  { manifests, damaged }: FolderState,
  ends: Coverage['ends'],
  isHere: (root: string) => boolean,
): SavedComparison {
  const findings: Finding[] = [];
  const remarks: string[] = [];
  const found = (kind: Finding['kind'], message: string, more: Pick<Finding, 'run' | 'range'> = {}): void => {
    findings.push({ kind, config, message, ...more });
  };
  const { aliveRun, pendingIntent, previousRun } = saved;
  if (aliveRun) remarks.push(`a run of ${config} is under way on host ${aliveRun.host}, pid ${aliveRun.pid}`);
  if (pendingIntent) {
    const { run } = pendingIntent;
    remarks.push(`run ${run} is prepared and not committed: unless it still runs, the next run finishes it`);
    return { findings, remarks };
  }
  const offsets = [...saved.offsets, ...saved.others];
  if (previousRun === null) {
    const what = offsets.length === 0 ? 'nothing is saved' : 'saved offsets name no run';
    if (ends.size > 0)
      remarks.push(`${what} for ${config}: they are kept in another place, were removed, or were written by hand`);
    return { findings, remarks };
  }
  if (previousRun.root === null || !isHere(previousRun.root)) {
    remarks.push(`the last run of ${config}, ${previousRun.run}, wrote to ${previousRun.root ?? 'a topic'}`);
    return { findings, remarks };
  }
  const { run, manifestCrc32c } = previousRun;
  const last = manifests.get(config)?.find(({ manifest }) => manifest.run === run);
  const isDamaged = damaged.some((entry) => entry.config === config && entry.run === run);
  if (last && last.crc32c !== manifestCrc32c) {
    found('damaged-manifest', `the manifest of run ${run} was changed: it is not the one the run wrote`, { run });
  } else if (!last && !isDamaged) {
    found('missing-manifest', `the manifest of run ${run}, the last that saved offsets, is missing`, { run });
  }
  for (const entry of offsets) {
    const end = ends.get(offsetKey(entry));
    compareOffset(entry, end?.next ?? null, last ? run : null);
  }
  return { findings, remarks };

  function compareOffset(
    { topic, partition, offset }: PartitionOffset,
    end: number | null,
    lastRun: string | null,
  ): void {
    const key = offsetKey({ topic, partition });
    if (offset === null || offset === end) return;
    if (lastRun !== null) {
      const moved = end === null ? `set to ${offset}` : `${end} after run ${lastRun}, was set to ${offset}`;
      remarks.push(`the saved offset of ${key}, ${moved} by hand: the next run begins there`);
    } else if (end !== null && offset > end) {
      const range = { topic, partition, startOffset: end, endOffset: offset };
      found('hole', `no run that is known has ${describe(key, end, offset)}, which the saved offsets count as read`, {
        range,
      });
    }
  }
}
