/** The rhythm of a stream: step after step, a wait between two, and a longer one after a failure that passes by itself. */
import { setImmediate } from 'node:timers/promises';
import type { Outage } from './outage.ts';
import type { Turns } from './turns.ts';
import type { GroupMember } from './types.ts';
import type { Waker } from './waker.ts';

export interface RepeatOptions {
  readonly turns: Turns;
  readonly waker: Waker;
  readonly outage: Outage;
  readonly member: GroupMember;
  /** Ends it after the step that is under way. */
  readonly stop: AbortSignal;
  /** Ends it at once. */
  readonly abandon: AbortSignal;
  /** @returns Milliseconds until the next step, which others may ask for earlier; null: this was the last one. */
  readonly step: (signal: AbortSignal) => Promise<number | null>;
  /** After a step that failed: what it had under way may count or not. */
  readonly onFailure: () => void;
}

/**
 * @throws OffloadError that does not pass by itself; why the member left the group.
 */
export async function repeatSteps(options: RepeatOptions): Promise<void> {
  const { turns, waker, outage, member, stop, abandon, step, onFailure } = options;
  const wake = (): void => waker.wake();
  // Not by AbortSignal.any for each step: what it leaves behind in the signals that stay would add up over months.
  const leave = (): void => turns.abandon(abandon.reason);
  abandon.addEventListener('abort', leave, { once: true });
  const signals = [stop, abandon, member.signal];
  for (const signal of signals) signal.addEventListener('abort', wake, { once: true });
  try {
    while (!stop.aborted && !abandon.aborted) {
      member.signal.throwIfAborted();
      let waitMs: number;
      try {
        const next = await turns.take(step);
        outage.succeeded();
        if (next === null) return;
        waitMs = next;
      } catch (error) {
        onFailure();
        if (abandon.aborted || member.signal.aborted) continue;
        waitMs = outage.failed(error);
      }
      if (waitMs > 0) await waker.sleep(waitMs);
      // A step that waited for nothing must not keep heartbeats from being sent.
      else await setImmediate();
    }
    member.signal.throwIfAborted();
  } finally {
    abandon.removeEventListener('abort', leave);
    for (const signal of signals) signal.removeEventListener('abort', wake);
  }
}
