/** Worker threads that run one kind of task. The only importer of Piscina. */
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { messageOf, OffloadError } from '../errors.ts';

/** What a thread is started with: a file of `workers/`. */
export type ThreadEntry = 'offload' | 'load' | 'convert' | 'flow';

/**
 * Few objects are made for each batch, so that V8's young spaces have nothing to gain from growing, and do it all the same:
 * 16 MiB each, within 10 M messages (November 2026).
 */
const YOUNG_MEBIBYTES = 12;

/** They start, and load what they need, when this is made. */
export class WorkerThreads<Task, Outcome> {
  readonly count: number;
  readonly #piscina: Piscina<Task, Outcome>;

  /** @param argv What the entry finds in `process.argv`, behind its own path. */
  constructor(entry: ThreadEntry, count: number, argv: readonly string[] = []) {
    this.count = count;
    this.#piscina = new Piscina<Task, Outcome>({
      filename: new URL(`../../workers/${entry}.cjs`, import.meta.url).href,
      argv: [...argv],
      minThreads: count,
      maxThreads: count,
      idleTimeout: Number.POSITIVE_INFINITY,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEBIBYTES },
      // Between tasks a thread must go on serving its connections: the default freezes it.
      atomics: 'disabled',
    });
  }

  /**
   * @param ports Handed over to the thread.
   * @throws OffloadError WORKER_FAILED if the thread died.
   */
  async run(task: Task, ports: readonly MessagePort[] = []): Promise<Outcome> {
    try {
      return await this.#piscina.run(task, { transferList: [...ports] });
    } catch (error) {
      throw new OffloadError('WORKER_FAILED', `a worker thread ended: ${messageOf(error)}; run again`, {
        cause: error,
      });
    }
  }

  /** Ends the threads, whatever they are doing; a second call does nothing. */
  async close(): Promise<void> {
    await this.#piscina.destroy();
  }
}

export function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
