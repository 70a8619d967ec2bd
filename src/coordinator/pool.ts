/**
 * Runs tasks on all worker threads. The only importer of Piscina.
 *
 * Each lane hands out one task at a time and takes the next from the front of the queue; what a worker leaves of a range
 * goes back to the front. The first failure stops the others: a run publishes everything or nothing.
 */
import { Piscina } from 'piscina';
import { fromPlainError, messageOf, OffloadError } from '../errors.ts';
import type { FetchTask } from '../plan/tasks.ts';
import type { TaskOutcome, TaskResult, WorkerSettings } from './fetchTask.ts';
import type { ProgressSink } from './progress.ts';
import { readCounters, requestStop } from './sharedState.ts';

const WORKER_FILE = new URL('../../workers/offload.cjs', import.meta.url).href;
const PROGRESS_EVERY_MS = 200;

interface WorkerTask {
  readonly task: FetchTask;
  readonly settings: WorkerSettings;
}

/** The worker threads of one run. They start, and load what they need, when the pool is made. */
export class WorkerPool {
  readonly #threads: number;
  readonly #piscina: Piscina<WorkerTask, TaskOutcome>;

  constructor(threads: number) {
    this.#threads = threads;
    this.#piscina = new Piscina<WorkerTask, TaskOutcome>({
      filename: WORKER_FILE,
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      // Between tasks a thread must go on serving its connections: the default freezes it.
      atomics: 'disabled',
    });
  }

  /**
   * @param signal Stops the run: its reason is thrown at once, whatever the workers are doing.
   * @returns Results in the order they came.
   * @throws The first error of a worker; WORKER_FAILED if a thread died.
   */
  async run(
    tasks: readonly FetchTask[],
    settings: WorkerSettings,
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<TaskResult[]> {
    const queue = [...tasks];
    const results: TaskResult[] = [];
    let nextId = tasks.length;
    let failure: unknown = null;
    const fail = (error: unknown): void => {
      failure ??= error;
      queue.length = 0;
      requestStop(settings.shared);
    };
    const lane = async (): Promise<void> => {
      for (let task = queue.shift(); task; task = queue.shift()) {
        const outcome = await this.#piscina.run({ task, settings }).catch(workerDied);
        if (!outcome.ok) return fail(fromPlainError(outcome.error));
        results.push(outcome);
        if (outcome.rest && failure === null) queue.unshift({ ...task, id: nextId++, range: outcome.rest });
      }
    };
    const report = progressReporter(settings, this.#threads, progress);
    const ticker = setInterval(report, PROGRESS_EVERY_MS);
    try {
      await Promise.race([Promise.all(Array.from({ length: this.#threads }, lane)), rejectOnAbort(signal)]);
    } catch (error) {
      fail(error);
    } finally {
      clearInterval(ticker);
    }
    if (failure !== null) throw failure;
    report();
    return results;
  }

  /** Ends the threads; a second call does nothing. What one still writes goes to staged files, which an unfinished run leaves to be removed. */
  async close(): Promise<void> {
    await this.#piscina.destroy();
  }
}

function workerDied(error: unknown): never {
  throw new OffloadError('WORKER_FAILED', `a worker thread ended: ${messageOf(error)}; run again`, { cause: error });
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Turns the workers' running totals into steps. */
function progressReporter(settings: WorkerSettings, threads: number, progress: ProgressSink): () => void {
  let last = { rows: 0, bytes: 0, offsets: 0 };
  return () => {
    const now = { rows: 0, bytes: 0, offsets: 0 };
    for (let worker = 0; worker < threads; worker++) {
      const counters = readCounters(settings.shared, worker);
      now.rows += counters.rows;
      now.bytes += counters.bytes;
      now.offsets += counters.offsets;
    }
    progress.advance({
      rows: now.rows - last.rows,
      bytes: now.bytes - last.bytes,
      offsets: now.offsets - last.offsets,
    });
    last = now;
  };
}
