/** What an orchestrator asks for: whether to start the process anew, and whether it does its work. */
import { type StreamJob, triggerMs } from './status.ts';
import type { StreamStatus } from './types.ts';
import { durationOf } from './words.ts';

/** A trigger, a record batch or a retry is heard of within this time, or after three triggers. */
const MAX_SILENCE_MS = 300_000;

export interface HealthAnswer {
  readonly isGood: boolean;
  readonly why: string;
}

/**
 * A process that waits for a broker, a disk or a database is alive, however long that takes: another one would wait, too.
 * One that has something to do, and of which nothing was heard, is wedged.
 */
export function liveness(status: StreamStatus, job: StreamJob): HealthAnswer {
  const maxSeconds = Math.max(MAX_SILENCE_MS, 3 * triggerMs(job)) / 1000;
  const hasWork = status.group === null || status.partitions.length > 0;
  const isWedged = status.state === 'running' && hasWork && status.silentSeconds > maxSeconds;
  if (!isWedged) return { isGood: true, why: status.state };
  return { isGood: false, why: `nothing has happened for ${durationOf(status.silentSeconds)}` };
}

/** Ready: in the group and not waiting for anything, with or without partitions of its own. */
export function readiness({ state, why }: StreamStatus): HealthAnswer {
  return { isGood: state === 'running', why: why === null ? state : `${state}: ${why}` };
}
