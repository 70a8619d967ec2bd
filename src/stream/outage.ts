/** Failures that pass by themselves: a stream waits for their end, however long it takes, and says so. */
import { type OffloadError, toOffloadError } from '../errors.ts';
import type { Observe } from './types.ts';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/** What a person, or time, mends while the process keeps running: disk full, quota, too many open files. */
const PASSING_SYSTEM_CODES = new Set([
  'ENOSPC',
  'EDQUOT',
  'EMFILE',
  'ENFILE',
  'EAGAIN',
  'EBUSY',
  'ETIMEDOUT',
  'ESTALE',
]);

/** Whoever was overtaken, or does not know, looks where things stand and goes on from there. */
const LOOK_AGAIN: readonly string[] = ['FENCED', 'OUTCOME_UNKNOWN', 'OVERTAKEN'];

/** In a row: a stream that has an end is not overtaken for ever. */
const MOST_LOOKS = 20;

/** Whether it passes by itself. */
function isPassing(error: OffloadError): boolean {
  if (error.retriable) return true;
  return error.code === 'IO_FAILED' && PASSING_SYSTEM_CODES.has(String(error.context.systemCode ?? ''));
}

export class Outage {
  readonly #observe: Observe;
  readonly #isEndless: boolean;
  #attempts = 0;
  #sinceMs = 0;

  /** @param isEndless False: a stream that ends by itself fails as a run of batch does, after the deadline of its requests. */
  constructor(observe: Observe, isEndless: boolean) {
    this.#observe = observe;
    this.#isEndless = isEndless;
  }

  /**
   * Takes note of a failure.
   *
   * @returns How long to wait before the next attempt.
   * @throws The error, if it does not pass by itself.
   */
  failed(thrown: unknown): number {
    const error = toOffloadError(thrown);
    const looksAgain = LOOK_AGAIN.includes(error.code) && (this.#isEndless || this.#attempts < MOST_LOOKS);
    if (!looksAgain && !(this.#isEndless && isPassing(error))) throw error;
    if (this.#attempts === 0) this.#sinceMs = performance.now();
    this.#attempts += 1;
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#attempts - 1, 16));
    // Processes that lost the same broker do not come back all at once.
    const retryInMs = Math.round(longest * (0.8 + 0.2 * Math.random()));
    const { code, message } = error;
    this.#observe({ kind: 'waiting', code, message, attempt: this.#attempts, retryInMs });
    return retryInMs;
  }

  succeeded(): void {
    if (this.#attempts === 0) return;
    this.#attempts = 0;
    this.#observe({ kind: 'resumed', afterMs: Math.round(performance.now() - this.#sinceMs) });
  }
}
