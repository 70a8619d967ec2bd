/** The two ends of a sign of life: a run renews it, another watches whether it changes. */
import type { Clock } from '../io.ts';
import { isKnownDead, type Owner } from './owner.ts';

export interface SignOfLife {
  /** Changes with every heartbeat: a modification time, an offset. */
  readonly mark: string;
  /** Null where it cannot be told whose sign it is: then only watching helps. */
  readonly owner: Owner | null;
}

export interface WatchSettings {
  readonly heartbeatMs: number;
  readonly takeOverAfterMs: number;
}

/**
 * Watches a run for `takeOverAfterMs`: `alive` when its sign changes, `gone` when there is none any more, else `dead`.
 * The time is counted in looks, not read from a clock, so that a machine that sleeps for an hour in between does not
 * take everybody for dead when it wakes.
 */
export async function watchRun(
  look: () => Promise<SignOfLife | null>,
  { heartbeatMs, takeOverAfterMs }: WatchSettings,
  clock: Clock,
  onWait: (owner: Owner | null) => void,
): Promise<'alive' | 'dead' | 'gone'> {
  const first = await look();
  if (!first) return 'gone';
  const intervalMs = Math.max(5, Math.min(heartbeatMs, takeOverAfterMs) / 4);
  const looks = Math.ceil(takeOverAfterMs / intervalMs);
  for (let count = 0; count < looks; count++) {
    if (first.owner && (await isKnownDead(first.owner))) return 'dead';
    if (count === 0) onWait(first.owner);
    await clock.sleep(intervalMs);
    const now = await look();
    if (!now) return 'gone';
    if (now.mark !== first.mark) return 'alive';
  }
  return 'dead';
}

export interface Heartbeat {
  /** Resolves when no beat is under way; none follows. */
  stop(): Promise<void>;
}

/** Calls `beat` every `everyMs`, one at a time. It must not throw: what it learns is its own business. */
export function startHeartbeat(clock: Clock, everyMs: number, beat: () => Promise<void>): Heartbeat {
  const stopped = new AbortController();
  const loop = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(everyMs, { signal: stopped.signal, idle: true });
      if (stopped.signal.aborted) return;
      await beat();
    }
  };
  const running = loop();
  return {
    stop: () => {
      stopped.abort();
      return running;
    },
  };
}
