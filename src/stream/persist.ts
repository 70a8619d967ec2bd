/** Tries again for as long as it takes: a broker may be away for any time, and a stream waits for it. */
import type { ConnectionSettings } from '../config/kafkaSettings.ts';
import { type OffloadError, toOffloadError } from '../errors.ts';
import { countRetry } from '../retryCounts.ts';
import type { Condition } from './condition.ts';
import type { Observe } from './types.ts';

const UNKNOWN_SERVER_ERROR = -1;
/** An answer to act on, not a failure. */
const REBALANCE_IN_PROGRESS = 27;
/** Failures in a row that pass unsaid: a coordinator that moves is one or two. */
const UNSAID_FAILURES = 2;

export interface PersistOptions {
  readonly settings: ConnectionSettings;
  readonly signal: AbortSignal;
  readonly condition: Condition;
  readonly observe: Observe;
  /** True: gives up after the deadline of the settings, as a command does that has not begun yet. */
  readonly givesUp: () => boolean;
}

/** @throws OffloadError one that does not pass by itself; the signal's reason. */
export async function persist<T>(
  attempt: () => Promise<T>,
  { settings, signal, condition, observe, givesUp }: PersistOptions,
): Promise<T> {
  const { deadlineMs, retryBackoffMs, retryBackoffMaxMs } = settings;
  let sinceMs = 0;
  for (let failures = 0; ; ) {
    signal.throwIfAborted();
    try {
      const result = await attempt();
      if (failures > UNSAID_FAILURES) observe({ kind: 'resumed', of: 'group', afterMs: performance.now() - sinceMs });
      return result;
    } catch (error) {
      const failure = toOffloadError(error);
      if (!passes(failure)) throw failure;
      if (failures === 0) sinceMs = performance.now();
      if (givesUp() && performance.now() - sinceMs > deadlineMs) throw failure;
      failures += 1;
      countRetry(failure.code);
      const backoffMs = Math.min(retryBackoffMaxMs, retryBackoffMs * 2 ** Math.min(failures - 1, 20));
      const retryInMs = Math.round(backoffMs * (0.8 + 0.4 * Math.random()));
      if (failures > UNSAID_FAILURES) {
        const { code, message } = failure;
        observe({ kind: 'waiting', of: 'group', code, message, attempt: failures, retryInMs });
      }
      await condition.pause(retryInMs);
    }
  }
}

function passes({ retriable, context: { errorCode } }: OffloadError): boolean {
  return (retriable && errorCode !== REBALANCE_IN_PROGRESS) || errorCode === UNKNOWN_SERVER_ERROR;
}
