/**
 * Runs tasks on all worker threads.
 *
 * Each lane hands out one task at a time and takes the next from the front of the queue; what a worker leaves of a range
 * goes back to the front. The first failure stops the others: a run publishes everything or nothing.
 */
import { fromPlainError, type PlainError } from '../errors.ts';
import type { ProgressSink } from './progress.ts';
import { readCounters, requestStop, type SharedState } from './sharedState.ts';
import { STOP_WITHIN_MS, withinMs } from './stopping.ts';
import { rejectOnAbort, type ThreadEntry, WorkerThreads } from './threads.ts';

const PROGRESS_EVERY_MS = 200;

type Outcome<Result> = (Result & { readonly ok: true }) | { readonly ok: false; readonly error: PlainError };

interface WithShared {
  readonly shared: SharedState;
}

export interface PoolRun<Task, Settings, Result> {
  /** In the order they are handed out. */
  readonly tasks: readonly Task[];
  readonly settings: Settings;
  /** What a worker left of its task, as a task; null: nothing. */
  readonly restOf?: (task: Task, result: Result) => Task | null;
  readonly progress: ProgressSink;
  /** Stops the run: its reason is thrown once the workers have left their tasks, or have taken too long to. */
  readonly signal: AbortSignal;
}

/** The worker threads of one run. They start, and load what they need, when the pool is made. */
export class WorkerPool<Task, Settings extends WithShared, Result> {
  readonly #threads: WorkerThreads<{ readonly task: Task; readonly settings: Settings }, Outcome<Result>>;

  /** @param argv As for `WorkerThreads`. */
  constructor(entry: ThreadEntry, threads: number, argv: readonly string[] = []) {
    this.#threads = new WorkerThreads(entry, threads, argv);
  }

  /**
   * @returns Results in the order they came.
   * @throws The first error of a worker; WORKER_FAILED if a thread died.
   */
  async run({ tasks, settings, restOf, progress, signal }: PoolRun<Task, Settings, Result>): Promise<Result[]> {
    const queue = [...tasks];
    const results: Result[] = [];
    let failure: unknown = null;
    const fail = (error: unknown): void => {
      failure ??= error;
      queue.length = 0;
      requestStop(settings.shared);
    };
    const lane = async (): Promise<void> => {
      for (let task = queue.shift(); task; task = queue.shift()) {
        const outcome = await this.#threads.run({ task, settings });
        if (!outcome.ok) return fail(fromPlainError(outcome.error));
        results.push(outcome);
        const rest = restOf?.(task, outcome) ?? null;
        if (rest !== null && failure === null) queue.unshift(rest);
      }
    };
    const report = progressReporter(settings, this.#threads.count, progress);
    const ticker = setInterval(report, PROGRESS_EVERY_MS);
    const lanes = Promise.all(Array.from({ length: this.#threads.count }, lane));
    try {
      await Promise.race([lanes, rejectOnAbort(signal)]);
    } catch (error) {
      fail(error);
      // A thread that is ended while it reads a file takes the whole process with it (DuckDB, seen with 1.5.5).
      await withinMs(
        lanes.catch(() => {}),
        STOP_WITHIN_MS,
      );
    } finally {
      clearInterval(ticker);
    }
    if (failure !== null) throw failure;
    report();
    return results;
  }

  /** Ends the threads; a second call does nothing. What one still writes goes to staged files, which an unfinished run leaves to be removed. */
  async close(): Promise<void> {
    await this.#threads.close();
  }
}

/** Turns the workers' running totals into steps. */
function progressReporter(settings: WithShared, threads: number, progress: ProgressSink): () => void {
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
