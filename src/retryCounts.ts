/**
 * How often requests were repeated in this process, by the code of the error before. All threads count into the same
 * memory: a thread inherits it from the one that started it, so nothing has to be handed on with tasks.
 */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { ERROR_CODES, type ErrorCode } from './errors.ts';

export type RetryCounts = Readonly<Partial<Record<ErrorCode, number>>>;

const KEY = 'kafkaload.retryCounts';

let counters: Int32Array | undefined;

function sharedCounters(): Int32Array {
  if (counters) return counters;
  let memory = getEnvironmentData(KEY) as unknown;
  if (!(memory instanceof SharedArrayBuffer)) {
    memory = new SharedArrayBuffer(ERROR_CODES.length * Int32Array.BYTES_PER_ELEMENT);
    // The types know no shared memory here; it is shared, not copied, as everywhere between threads.
    setEnvironmentData(KEY, memory as ArrayBuffer);
  }
  counters = new Int32Array(memory as SharedArrayBuffer);
  return counters;
}

export function countRetry(code: ErrorCode): void {
  Atomics.add(sharedCounters(), ERROR_CODES.indexOf(code), 1);
}

/**
 * Since the process began, codes without any left out. Call it before threads are started that are to be counted.
 *
 * @param before An earlier answer: only what came after it is given.
 */
export function readRetryCounts(before: RetryCounts = {}): RetryCounts {
  const now = sharedCounters();
  const since = ERROR_CODES.map((code, index) => [code, Atomics.load(now, index) - (before[code] ?? 0)] as const);
  return Object.fromEntries(since.filter(([, count]) => count > 0));
}
