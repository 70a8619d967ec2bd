/**
 * A run that loads files as they come, from its opening to its end. Its record of progress says `running` all the while, and
 * is renewed: a second run of the config sees it, and leaves it alone. What a crash leaves:
 *
 * - between two rounds: nothing. All files of rounds that ended are remembered (coordinator/load/loadedFiles.ts).
 * - in a round: the files of the round and how far it is. The next run goes on there, and then looks at the folder.
 *
 * The end of a round, and that its files are loaded, is one transaction.
 */
import { stat } from 'node:fs/promises';
import { makeRunId } from '../../commit/names.ts';
import { describeOwner, markEnded, markRunning, type Owner } from '../../commit/owner.ts';
import type { FileLoadJob } from '../../coordinator/jobs.ts';
import { checkNotAlive, lookAtProgress, readFileProgress } from '../../coordinator/load/earlierLoads.ts';
import { chooseFiles, type FileChoice, type FoundFile } from '../../coordinator/load/fileChoice.ts';
import { type FileProgress, FileProgressFormat } from '../../coordinator/load/fileProgress.ts';
import { type LoadContext, settle } from '../../coordinator/load/loadContext.ts';
import { LoadedFiles } from '../../coordinator/load/loadedFiles.ts';
import type { LoadTask } from '../../coordinator/load/loadTask.ts';
import { ProgressTopic, type ProgressWrite, progressKey } from '../../coordinator/load/progressTopic.ts';
import { compacted, ensureTopic } from '../../coordinator/load/targetTopic.ts';
import { closeProducer, type LoadCounts, transact } from '../../coordinator/load/transactions.ts';
import { type FileWriting, writeFiles } from '../../coordinator/load/writeFiles.ts';
import type { WorkerThreads } from '../../coordinator/threads.ts';
import { OffloadError } from '../../errors.ts';
import { checksumFile, nodeFileSystem as fs, unlessAbsent } from '../../io.ts';
import { LOAD_TRANSACTION_TIMEOUT_MS } from '../../kafka/client.ts';
import { TransactionalProducer } from '../../kafka/transactionalProducer.ts';
import type { SourceFile } from '../../sources/files/listFiles.ts';

/** Their list is written with each transaction. */
export const ROUND_FILES = 500;

export interface FileStreamOptions extends LoadContext {
  readonly threads: WorkerThreads<LoadTask, void>;
  /** Run of this process that was closed by a failure, and is opened again. */
  readonly again: string | null;
}

type CheckedFile = SourceFile & FoundFile;

/** Files that are loaded together. */
export interface Round {
  readonly choice: FileChoice;
  readonly found: readonly CheckedFile[];
}

export class FileStream {
  readonly run: string;
  #context: LoadContext;
  readonly #writing: Omit<FileWriting, 'files'>;
  readonly #loaded: LoadedFiles;
  /** What the last record of progress said, as a record that says it anew. */
  #progress: (state: FileProgress['state']) => ProgressWrite;
  /** Records of files that turned out to be loaded already: written with what comes next. */
  #writes: ProgressWrite[];
  #writtenAtMs = performance.now();
  #schema = '';
  #version = 0;
  #isSettled: boolean = false;

  private constructor(
    context: LoadContext,
    writing: Omit<FileWriting, 'files'>,
    owner: Owner,
    earlier: { readonly progress: FileProgress; readonly loaded: LoadedFiles } | null,
  ) {
    const { config } = context.job.sink;
    this.run = writing.run;
    this.#context = context;
    this.#writing = writing;
    this.#loaded = earlier?.loaded ?? new LoadedFiles(config);
    const last = earlier?.progress ?? null;
    // Of a load by batch the files are listed in its record alone, which ours takes the place of.
    const done = last?.files.filter((file, place) => file.loadedBy !== null || place < last.position.file) ?? [];
    this.#writes = done.flatMap((file) => this.#loaded.add([file], file.loadedBy ?? last?.run ?? this.run));
    const format = new FileProgressFormat([]);
    const position = { file: 0, row: 0 };
    const startedAtMs = Date.now();
    this.#progress = (state) => {
      const endedAtMs = state === 'done' ? Date.now() : null;
      const value = format.format({ state, run: this.run, owner, position, rows: 0, startedAtMs, endedAtMs });
      return { key: progressKey(config), value };
    };
  }

  /**
   * Fences whoever had the config, and ends what a run that died has left.
   *
   * @throws OffloadError RUN_ALIVE; FENCED if another run has taken over from one that is opened again; SOURCE_UNSUITABLE
   *   if a file is changed or gone that a run has begun to load.
   */
  static async open(options: FileStreamOptions): Promise<{ stream: FileStream; resumed: LoadCounts | null }> {
    const { job, target, signal, again, threads } = options;
    const before = await lookAtProgress(options);
    if (again !== null && before && before.progress.run !== again) throw takenOver(job, before.progress);
    if (before?.progress.state === 'running' && before.progress.run !== again) await checkNotAlive(options, before);
    const { sink } = job;
    const partitions = await ensureTopic(target, sink.kafka, { ...sink.create, topic: sink.topic });
    const progressPartitions = await ensureTopic(target, sink.kafka, compacted(sink.progress));
    const run = again ?? makeRunId(Date.now());
    markRunning(run);
    const producer = await TransactionalProducer.open(target, {
      transactionalId: `kafkaload.load/${sink.progress.topic}/${sink.config}`,
      transactionTimeoutMs: LOAD_TRANSACTION_TIMEOUT_MS,
      signal,
    });
    try {
      const topic = new ProgressTopic(sink.progress.topic, progressPartitions);
      const earlier = await readFileProgress(topic, target, job);
      if (again !== null && earlier && earlier.progress.run !== again) throw takenOver(job, earlier.progress);
      const writing = { run, producer, topic, partitions, threads };
      const stream = new FileStream(options, writing, await describeOwner(run, ''), earlier);
      const resumed = await stream.#resume(earlier?.progress ?? null);
      if (resumed === null) await stream.renew();
      return { stream, resumed };
    } catch (error) {
      await closeProducer(producer);
      throw error;
    }
  }

  /** Whether a file was loaded, as far as its size and time tell. */
  isLoaded = (file: SourceFile): boolean => this.#loaded.runOfSeen(file) !== null;

  /**
   * Reads files that nobody writes to any more, at most `ROUND_FILES`, to know them by their content.
   *
   * @returns Those to be loaded; null if all of them were loaded before, and only touched since.
   */
  async prepare(files: readonly SourceFile[]): Promise<Round | null> {
    const checked: CheckedFile[] = [];
    for (const file of files.slice(0, ROUND_FILES)) {
      const sum = await checksumFile(fs, file.path);
      // It grew, or went, while it was read: the next look tells.
      if (sum === null || sum.bytes !== file.bytes) continue;
      const found = { ...file, ...sum };
      const run = this.#loaded.runOfContent(found);
      if (run === null) checked.push(found);
      else this.#writes.push(...this.#loaded.add([found], run));
      await this.renewIfDue();
    }
    if (checked.length === 0) {
      if (this.#writes.length > 0) await this.renew();
      return null;
    }
    const listed = checked.map(({ path, bytes, crc32c }) => ({ path, bytes, crc32c, loadedBy: null }));
    const choice = { files: listed, position: { file: 0, row: 0 }, rows: 0, startedAtMs: null, remarks: [] };
    return { choice, found: checked };
  }

  /** Loads them, which are remembered in the transaction of their last rows. */
  load(round: Round): Promise<LoadCounts> {
    return this.#write(round);
  }

  /** Shows that this run is alive. */
  async renewIfDue(): Promise<void> {
    if (performance.now() - this.#writtenAtMs >= this.#context.job.offsets.heartbeatMs) await this.renew();
  }

  async renew(): Promise<void> {
    await this.#transact('running');
  }

  /** The end of the run: another may begin at once. */
  async end(): Promise<void> {
    await this.#transact('done');
  }

  async close(): Promise<void> {
    await closeProducer(this.#writing.producer);
  }

  /** This process has no run of the config any more. */
  static forget(run: string): void {
    markEnded(run);
  }

  async #transact(state: FileProgress['state']): Promise<void> {
    const { producer, topic } = this.#writing;
    const records = await topic.encode([this.#progress(state), ...newestOf(this.#writes)]);
    await transact(producer, [], records, this.#context.signal);
    this.#writes = [];
    this.#writtenAtMs = performance.now();
  }

  async #resume(last: FileProgress | null): Promise<LoadCounts | null> {
    if (last?.state !== 'running') return null;
    const left = last.files.filter(({ loadedBy }, place) => loadedBy === null && place >= last.position.file);
    if (left.length === 0) return null;
    const found: CheckedFile[] = [];
    for (const { path } of left) {
      const info = await unlessAbsent(stat(path));
      const sum = info && (await checksumFile(fs, path));
      if (info && sum) found.push({ path, modifiedMs: info.mtimeMs, ...sum });
    }
    const choice = chooseFiles(found, new Set(), last, false);
    if (choice === null) return null;
    for (const remark of choice.remarks) this.#context.ui.log.info(remark);
    return this.#write({ choice, found });
  }

  async #write({ choice, found }: Round): Promise<LoadCounts> {
    if (!this.#isSettled && this.#context.job.transform !== null) {
      this.#context = await settle(this.#context, choice);
      this.#isSettled = true;
    }
    const sizes = new Map(found.map(({ path, bytes }) => [path, bytes]));
    const files = { found, asked: new Set<string>(), bytesOf: (path: string) => sizes.get(path) ?? 0 };
    const writes = newestOf([...this.#writes, ...this.#loaded.add(found, this.run)]);
    const version = (schema: unknown): number => {
      const text = JSON.stringify(schema);
      if (text !== this.#schema) this.#version += 1;
      this.#schema = text;
      return this.#version;
    };
    const writing = { ...this.#writing, files };
    const { counts, progress } = await writeFiles(this.#context, writing, choice, {
      state: 'running',
      writes,
      version,
    });
    this.#writes = [];
    this.#progress = progress;
    this.#writtenAtMs = performance.now();
    return counts;
  }
}

/** Of several records of a key only the last counts. */
function newestOf(writes: readonly ProgressWrite[]): ProgressWrite[] {
  return [...new Map(writes.map((write) => [write.key, write])).values()];
}

function takenOver({ sink }: FileLoadJob, { run }: FileProgress): OffloadError {
  return new OffloadError(
    'RUN_ALIVE',
    `run ${run} of config ${sink.config} has taken over from this one, which ends; what it loaded stays, and nothing is loaded twice`,
    { context: { config: sink.config, run } },
  );
}
