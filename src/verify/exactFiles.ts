/** A file that each run replaced by old and new rows: every run recorded what it found, so that a change between two shows. */
import type { FileState } from '../commit/types.ts';
import { sameState } from '../sinks/localFiles.ts';
import { toAbsolute } from '../sinks/manifest.ts';
import type { ChainedRun } from './chain.ts';
import type { Finding } from './types.ts';

interface LastState {
  readonly run: string;
  readonly state: FileState;
}

/** @param runs Whose files count, in the order in which they ended. */
export function checkExactFiles(root: string, runs: readonly ChainedRun[]): { findings: Finding[]; remarks: string[] } {
  const findings: Finding[] = [];
  const remarks: string[] = [];
  const states = new Map<string, LastState>();
  for (const [index, { manifest, link }] of runs.entries()) {
    const { config, run, target, files, writeMode } = manifest;
    const [file] = files;
    // Behind a run that is not known, nothing can be said.
    if (link.kind !== 'linked' && index > 0) states.clear();
    if (target.kind !== 'file' || !file) continue;
    const path = toAbsolute(root, target.path);
    const before = states.get(target.path);
    if (writeMode === 'Append' && before && !sameState(before.state, target.old)) {
      const what = target.old === null ? 'was taken away' : 'was changed';
      const message = `${path} ${what} between run ${before.run} and run ${run}: rows of earlier runs may not be in it`;
      findings.push({ kind: 'damaged-file', config, message, run, path });
    } else if (writeMode === 'Append' && !before && target.old !== null && link.kind === 'first') {
      remarks.push(`${path} had ${target.old.bytes} bytes that no run wrote when run ${run} appended to it`);
    }
    states.set(target.path, { run, state: file });
  }
  return { findings, remarks };
}
