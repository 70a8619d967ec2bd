/**
 * Files -> topic, watched: at each trigger the files that are new are loaded, each once. A file is another one if its path or
 * its content is another: one that was rewritten or renamed is loaded, as a whole, and one that was only touched is not. Who
 * puts files there does it by renaming them, or by a name that tells they are not whole (files/folderWatch.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FileStreamJob } from '../coordinator/jobs.ts';
import { lookAtProgress } from '../coordinator/load/earlierLoads.ts';
import { nothingLoaded } from '../coordinator/load/filesToTopic.ts';
import { LoadedFiles } from '../coordinator/load/loadedFiles.ts';
import { describeLoad } from '../coordinator/load/loadPlan.ts';
import type { LoadTask } from '../coordinator/load/loadTask.ts';
import type { LoadCounts } from '../coordinator/load/transactions.ts';
import { threadsFor } from '../coordinator/load/writeFiles.ts';
import type { ProgressStep } from '../coordinator/progress.ts';
import type { OffloadReport } from '../coordinator/report.ts';
import { WorkerThreads } from '../coordinator/threads.ts';
import type { RunUi } from '../coordinator/ui.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { Cluster } from '../kafka/cluster.ts';
import { FileStream, ROUND_FILES } from './files/fileStream.ts';
import { FolderWatch, type Look, STABLE_MS } from './files/folderWatch.ts';
import { createObserver } from './observe/observer.ts';
import { Outage } from './outage.ts';
import type { Observe } from './types.ts';
import { Waker } from './waker.ts';

/** A timer may end a little early. */
const TIMER_SLACK_MS = 20;
/** A round that is under way when the stream is told to stop may take so long; then the next start goes on in its middle. */
const FINISH_WITHIN_MS = 6_000;

/**
 * Runs until it is told to stop, or, with the triggers `Once` and `AvailableNow`, until the files that were there are
 * loaded.
 *
 * @param signal Asks it to finish what is under way: that is no failure.
 * @throws OffloadError RUN_ALIVE; SOURCE_UNSUITABLE, ROW_INVALID naming file and row: the files before it are loaded; others
 *   that do not pass by themselves.
 */
export async function watchFiles(job: FileStreamJob, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  const startedAtMs = performance.now();
  if (job.sink.reload) {
    throw new OffloadError(
      'USAGE',
      '--reload has no place with --stream, which loads each file once; leave one of them out',
    );
  }
  if (job.dryRun) return { ...(await plan(job, ui, signal)), seconds: (performance.now() - startedAtMs) / 1000 };
  const abandon = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onStop = (): void => {
    timer = setTimeout(() => abandon.abort(signal.reason), FINISH_WITHIN_MS);
  };
  if (signal.aborted) onStop();
  else signal.addEventListener('abort', onStop, { once: true });
  const observer = await createObserver({ job, log: ui.log, stderr: ui.stderr });
  const watch = new Watch(job, ui, observer.observe, signal, abandon.signal);
  try {
    await watch.run();
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onStop);
    await watch.close();
    await observer.close();
  }
  const { counts, runId: run } = watch;
  const load = {
    sources: job.source.paths,
    target: job.sink.topic,
    transactions: counts.transactions,
    alreadyLoaded: null,
  };
  const report = { ...nothingLoaded(job, load), run, rows: counts.rows, bytes: counts.bytes };
  return { ...report, seconds: (performance.now() - startedAtMs) / 1000 };
}

class Watch {
  readonly counts: LoadCounts = { rows: 0, bytes: 0, transactions: 0 };
  /** Of this process; null: none was opened. */
  runId: string | null = null;
  readonly #job: FileStreamJob;
  readonly #ui: RunUi;
  readonly #observe: Observe;
  readonly #stop: AbortSignal;
  readonly #abandon: AbortSignal;
  readonly #target: Cluster;
  readonly #threads: WorkerThreads<LoadTask, void>;
  readonly #folder: FolderWatch;
  readonly #waker = new Waker();
  readonly #outage: Outage;
  #stream: FileStream | null = null;
  #rounds = 0;
  #dueAtMs = performance.now();
  #cannotLook: boolean = false;
  #hasLooked: boolean = false;

  constructor(job: FileStreamJob, ui: RunUi, observe: Observe, stop: AbortSignal, abandon: AbortSignal) {
    this.#job = job;
    this.#ui = ui;
    this.#observe = observe;
    this.#stop = stop;
    this.#abandon = abandon;
    this.#target = new Cluster(job.sink.kafka.connection, abandon);
    this.#threads = new WorkerThreads<LoadTask, void>('load', threadsFor(job));
    this.#folder = new FolderWatch(job.source);
    this.#outage = new Outage(observe, job.stream.trigger.kind !== 'availableNow');
  }

  async run(): Promise<void> {
    const wake = (): void => this.#waker.wake();
    for (const signal of [this.#stop, this.#abandon]) signal.addEventListener('abort', wake, { once: true });
    const publishNow = (): void => {
      this.#dueAtMs = performance.now();
      this.#waker.wake();
    };
    for (const name of ['SIGHUP', 'SIGUSR1'] as const) process.on(name, publishNow);
    try {
      while (!this.#stop.aborted) {
        const waitMs = await this.#attempt();
        if (waitMs === null) return;
        await this.#waker.sleep(waitMs);
      }
      if (!this.#abandon.aborted) await this.#stream?.end();
    } catch (error) {
      // What was under way when it took too long to stop: the next start goes on there.
      if (!this.#abandon.aborted) throw error;
    } finally {
      for (const signal of [this.#stop, this.#abandon]) signal.removeEventListener('abort', wake);
      for (const name of ['SIGHUP', 'SIGUSR1'] as const) process.off(name, publishNow);
    }
  }

  /** @returns How long to wait for what comes next; null: all is done. */
  async #attempt(): Promise<number | null> {
    try {
      const stream = this.#stream ?? (await this.#open());
      const isLast = performance.now() >= this.#dueAtMs ? await this.#trigger(stream) : false;
      await stream.renewIfDue();
      this.#outage.succeeded();
      if (isLast) {
        await stream.end();
        return null;
      }
      return Math.max(0, Math.min(this.#dueAtMs - performance.now(), this.#job.offsets.heartbeatMs));
    } catch (error) {
      if (this.#abandon.aborted) throw error;
      await this.#stream?.close();
      this.#stream = null;
      return this.#outage.failed(error);
    }
  }

  async #open(): Promise<FileStream> {
    const { stream, resumed } = await FileStream.open({
      job: this.#job,
      ui: { ...this.#ui, progress: this.#progress },
      target: this.#target,
      signal: this.#abandon,
      threads: this.#threads,
      again: this.runId,
    });
    this.#stream = stream;
    this.runId = stream.run;
    if (resumed !== null) this.#written(resumed, 0);
    return stream;
  }

  get #progress() {
    return {
      start: () => {},
      advance: (step: ProgressStep) => this.#observe({ kind: 'progress', ...step }),
      stop: () => {},
    };
  }

  /** Loads what is new. @returns True if that was all. */
  async #trigger(stream: FileStream): Promise<boolean> {
    const { trigger } = this.#job.stream;
    const beganAtMs = performance.now();
    let look = await this.#look(stream);
    if (look.unstable.length > 0) {
      // Most files were put there whole: the next trigger need not be waited for.
      await sleep(STABLE_MS + TIMER_SLACK_MS, undefined, { signal: this.#stop }).catch(() => {});
      look = await this.#look(stream);
    }
    let left = look.stable;
    while (left.length > 0 && !this.#stop.aborted) {
      await this.#round(stream, left);
      left = left.slice(ROUND_FILES);
    }
    if (trigger.kind === 'availableNow') {
      for (const { path } of look.unstable) {
        this.#ui.log.warn(`${path} is still being written to: left out; the next start loads it`);
      }
      return true;
    }
    this.#dueAtMs = beganAtMs + trigger.intervalMs;
    return false;
  }

  /** A folder that cannot be read for a while, as one of a file server, is waited for. */
  async #look(stream: FileStream): Promise<Look> {
    try {
      const look = await this.#folder.look(stream.isLoaded);
      if (this.#cannotLook) this.#ui.log.info(`${this.#job.source.paths.join(', ')} can be read again`);
      this.#hasLooked = true;
      this.#cannotLook = false;
      return look;
    } catch (error) {
      if (!this.#hasLooked) throw error;
      if (!this.#cannotLook) this.#ui.log.warn(`${toOffloadError(error).message}; looking again at each trigger`);
      this.#cannotLook = true;
      return { stable: [], unstable: [] };
    }
  }

  async #round(stream: FileStream, files: Look['stable']): Promise<void> {
    const beganAtMs = performance.now();
    const round = await stream.prepare(files);
    if (round === null) return;
    const batch = { number: this.#rounds + 1, ranges: [] };
    this.#observe({ kind: 'begun', batch });
    try {
      const counts = await stream.load(round);
      this.#written(counts, (performance.now() - beganAtMs) / 1000);
    } catch (error) {
      this.#observe({ kind: 'abandoned', batch, why: toOffloadError(error).message });
      throw error;
    }
  }

  #written({ rows, bytes, transactions }: LoadCounts, seconds: number): void {
    this.counts.rows += rows;
    this.counts.bytes += bytes;
    this.counts.transactions += transactions;
    this.#rounds += 1;
    const written = { kind: 'written', rows, bytes, bytesRead: 0, badRecords: 0, warnings: [], files: [] } as const;
    this.#observe({
      kind: 'written',
      batch: { number: this.#rounds, ranges: [] },
      outcome: { ...written, name: this.runId, isGroupCommitted: true },
      seconds,
    });
  }

  async close(): Promise<void> {
    this.#ui.progress.stop();
    await this.#threads.close();
    await this.#stream?.close();
    if (this.runId !== null) FileStream.forget(this.runId);
    this.#target.close();
  }
}

/** What would be loaded now. Looks once: what is still being written to is among it. */
async function plan(job: FileStreamJob, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  const target = new Cluster(job.sink.kafka.connection, signal);
  try {
    const before = await lookAtProgress({ job, ui, target, signal });
    const loaded = before?.loaded ?? new LoadedFiles(job.sink.config);
    const { unstable } = await new FolderWatch(job.source).look((file) => loaded.runOfSeen(file) !== null);
    const files = unstable.map(({ path, bytes }) => ({ path, bytes, crc32c: 0, loadedBy: null }));
    const choice = { files, position: { file: 0, row: 0 }, rows: 0, startedAtMs: null, remarks: [] };
    const existing = await target.findTopic(job.sink.topic);
    const load = { sources: job.source.paths, target: job.sink.topic, transactions: 0, alreadyLoaded: null };
    const text = await describeLoad({ job, choice, existing, progress: before?.progress ?? null });
    return { ...nothingLoaded(job, load), plan: text };
  } finally {
    target.close();
  }
}
