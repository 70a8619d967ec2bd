import { setTimeout as sleep } from 'node:timers/promises';
import { type OffloadError, toOffloadError } from './errors.ts';
import { countRetry } from './retryCounts.ts';

export interface RetryPolicy {
  /** Time from the first failure in a row until giving up. */
  readonly deadlineMs: number;
  readonly retryBackoffMs: number;
  readonly retryBackoffMaxMs: number;
}

/**
 * The one loop that tries again: what is retriable is written in the table of errors.
 *
 * @param attempt Called until it succeeds, with the number of failures so far.
 * @param options.onFailure Called before each wait, to refresh what the failure made doubtful.
 * @throws The last error once `deadlineMs` have gone by since the first, with the time added to its message; an error
 *   that is not retriable, as it is; the signal's reason.
 */
export async function withRetry<T>(
  attempt: (failures: number) => Promise<T>,
  policy: RetryPolicy,
  options: { onFailure?: (error: OffloadError) => void | Promise<void>; signal?: AbortSignal } = {},
): Promise<T> {
  const { onFailure, signal } = options;
  let firstFailureMs = 0;
  for (let failures = 0; ; failures++) {
    signal?.throwIfAborted();
    try {
      return await attempt(failures);
    } catch (error) {
      const failure = toOffloadError(error);
      if (!failure.retriable) throw failure;
      if (failures === 0) firstFailureMs = performance.now();
      const backoffMs = Math.min(policy.retryBackoffMaxMs, policy.retryBackoffMs * 2 ** Math.min(failures, 20));
      const waitMs = backoffMs * (0.8 + 0.4 * Math.random());
      const spentMs = performance.now() - firstFailureMs;
      if (spentMs + waitMs > policy.deadlineMs) throw gaveUp(failure, failures + 1, spentMs);
      countRetry(failure.code);
      await onFailure?.(failure);
      await sleep(waitMs, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
    }
  }
}

function gaveUp(error: OffloadError, attempts: number, spentMs: number): OffloadError {
  const tries = attempts === 1 ? 'tried once' : `tried ${attempts} times in ${(spentMs / 1000).toFixed(1)} s`;
  error.message = `${error.message} (${tries})`;
  return error;
}
