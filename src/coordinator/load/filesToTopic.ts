/**
 * From files to a topic, each row exactly once. What a run does, and what a crash after each step leaves:
 *
 * 1. Looks at the files and at the progress of the config (fileProgress.ts). Files that were loaded before are left
 *    out; where nothing is left, nothing is written. A run that is alive is left alone.
 * 2. Fences an older producer of the config, which aborts what it left open, and reads the progress again: the other may
 *    have committed until then.
 * 3. Writes chunk after chunk, in the order of files and rows, each with its progress in one transaction. A crash: the
 *    next run goes on after the last.
 * 4. Writes that it is done. A crash before: the next run finds nothing left and does that.
 */
import { makeRunId, startOfRun } from '../../commit/names.ts';
import { aliveError, describeOwner, formatOwner, markEnded, markRunning, type Owner } from '../../commit/owner.ts';
import { watchRun } from '../../commit/watch.ts';
import { OffloadError } from '../../errors.ts';
import { systemClock } from '../../io.ts';
import { LOAD_TRANSACTION_TIMEOUT_MS } from '../../kafka/client.ts';
import { Cluster } from '../../kafka/cluster.ts';
import { TransactionalProducer } from '../../kafka/transactionalProducer.ts';
import { fileLoadThreads, planLoadMemory } from '../../plan/loadMemory.ts';
import { type FileSchema, readSchema, toArrowSchema } from '../../sources/files/fileReader.ts';
import { passStep } from '../../steps.ts';
import { transformMemory } from '../../transform/memory.ts';
import type { FileLoadJob } from '../jobs.ts';
import { emptyReport, type OffloadReport, type ReportedLoad } from '../report.ts';
import { resultSchema, transformPlan } from '../rowTransform.ts';
import { settleFileJob } from '../settleJob.ts';
import { WorkerThreads } from '../threads.ts';
import type { RunUi } from '../ui.ts';
import type { FileUnit, LoadSettings } from './chunks.ts';
import { chooseFiles, type FileChoice, type FoundFile, fingerprint, loadedFiles } from './fileChoice.ts';
import { type FilePosition, type FileProgress, FileProgressFormat, parseFileProgress } from './fileProgress.ts';
import { fileUnits } from './fileUnits.ts';
import { checkUnchanged, type FoundFiles, findFiles } from './foundFiles.ts';
import { Lanes } from './lanes.ts';
import { isLoadedFilesKey, LoadedFiles } from './loadedFiles.ts';
import { describeLoad } from './loadPlan.ts';
import type { LoadTask } from './loadTask.ts';
import { type ProgressRecord, ProgressTopic, type ProgressWrite, progressKey, readProgress } from './progressTopic.ts';
import { compacted, ensureTopic } from './targetTopic.ts';
import { closeProducer, type LoadCounts, transact, writeChunks } from './transactions.ts';

/** For the reader that looks at the columns of files before the load begins. */
const CHECK_BYTES = 64 * 1024 ** 2;

export interface LoadContext {
  readonly job: FileLoadJob;
  readonly ui: RunUi;
  readonly target: Cluster;
  readonly signal: AbortSignal;
}

/** As `runJob`. @throws OffloadError RUN_ALIVE; SOURCE_UNSUITABLE; ROW_INVALID naming file and row; FENCED. */
export async function loadFiles(job: FileLoadJob, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  const startedAtMs = performance.now();
  const threads = job.dryRun ? null : new WorkerThreads<LoadTask, void>('load', threadsFor(job));
  const target = new Cluster(job.sink.kafka.connection, signal);
  try {
    const report = await load({ job, ui, target, signal }, threads);
    return { ...report, seconds: (performance.now() - startedAtMs) / 1000 };
  } finally {
    await threads?.close();
    target.close();
  }
}

export function threadsFor({ workers, maxMemoryBytes, transform }: FileLoadJob): number {
  return fileLoadThreads({ workers, maxMemoryBytes, transform: transformMemory(transform) });
}

async function load(given: LoadContext, threads: WorkerThreads<LoadTask, void> | null): Promise<OffloadReport> {
  const { job, target } = given;
  const before = await lookAtProgress(given);
  const files = await findFiles(job.source, before?.progress ?? null);
  const choice = choose(job, files, before);
  const isFresh = before?.progress.state !== 'running';
  if (choice === null && before && isFresh) return alreadyLoaded(job, files, before);
  const context = job.transform === null || choice === null ? given : await settle(given, choice);
  if (threads === null) {
    const existing = await target.findTopic(job.sink.topic);
    const plan = await describeLoad({ job, choice, existing, progress: before?.progress ?? null });
    const load = { sources: job.source.paths, target: job.sink.topic, transactions: 0, alreadyLoaded: null };
    return { ...nothingLoaded(job, load), plan };
  }
  if (before && !isFresh) await checkNotAlive(context, before);
  const { sink } = job;
  const partitions = await ensureTopic(target, sink.kafka, { ...sink.create, topic: sink.topic });
  const progressPartitions = await ensureTopic(target, sink.kafka, compacted(sink.progress));
  const run = makeRunId(Date.now());
  markRunning(run);
  let producer: TransactionalProducer | null = null;
  try {
    producer = await TransactionalProducer.open(target, {
      transactionalId: `kafkaload.load/${sink.progress.topic}/${sink.config}`,
      transactionTimeoutMs: LOAD_TRANSACTION_TIMEOUT_MS,
      signal: context.signal,
    });
    const topic = new ProgressTopic(sink.progress.topic, progressPartitions);
    return await loadOpened(context, { run, producer, topic, partitions, threads, files });
  } finally {
    context.ui.progress.stop();
    await threads.close();
    if (producer) await closeProducer(producer);
    markEnded(run);
  }
}

/** The columns of user code; and a statement that does not go with the files is refused before anything is written. */
export async function settle(context: LoadContext, { files }: FileChoice): Promise<LoadContext> {
  const { job, signal } = context;
  const paths = files.flatMap(({ path, loadedBy }) => (loadedBy === null ? [path] : []));
  const schema = await readSchema(job.source.input, paths, { memoryLimitBytes: CHECK_BYTES, signal });
  if (schema.columns.length === 0) return context;
  const settled = await settleFileJob(job, paths, schema, signal);
  await resultSchema(settled.transform, toArrowSchema(schema.columns));
  return { ...context, job: settled };
}

export interface FileWriting {
  readonly run: string;
  readonly producer: TransactionalProducer;
  readonly topic: ProgressTopic;
  /** Of the target topic. */
  readonly partitions: number;
  readonly threads: WorkerThreads<LoadTask, void>;
  readonly files: FoundFiles;
}

async function loadOpened(context: LoadContext, opened: FileWriting): Promise<OffloadReport> {
  const { job, ui, target } = context;
  const { run, topic, files } = opened;
  const earlier = await readFileProgress(topic, target, job);
  passStep('load.progressRead');
  // Another run may have done it all meanwhile.
  const choice = choose(job, files, earlier);
  if (choice === null && earlier) return alreadyLoaded(job, files, earlier);
  if (choice === null) throw new OffloadError('INTERNAL', 'no files are left to load, and none were loaded');
  for (const remark of choice.remarks) ui.log.info(remark);
  const { rows, bytes, transactions } = (await writeFiles(context, opened, choice)).counts;
  const sources = choice.files.flatMap(({ path, loadedBy }) => (loadedBy === null ? [path] : []));
  return {
    ...nothingLoaded(job, { sources, target: job.sink.topic, transactions, alreadyLoaded: null }),
    run,
    rows,
    bytes,
  };
}

/** How a load ends; left out: as a batch does. */
export interface LoadEnding {
  /** `running`: more is to come. */
  readonly state: FileProgress['state'];
  /** Written with it. */
  readonly writes: readonly ProgressWrite[];
  /** Of settings that differ from those of the load before, in the same threads. */
  readonly version: (schema: FileSchema) => number;
}

export interface WrittenFiles {
  readonly counts: LoadCounts;
  /** Of all files, for the records of progress that follow. */
  readonly progress: (state: FileProgress['state']) => ProgressWrite;
}

/** Writes the files of a choice, from its position on, and that they are done. */
export async function writeFiles(
  context: LoadContext,
  opened: FileWriting,
  choice: FileChoice,
  ending: LoadEnding = { state: 'done', writes: [], version: () => 0 },
): Promise<WrittenFiles> {
  const { job, ui, signal } = context;
  const { run, producer, topic, partitions, threads, files } = opened;
  const { sink, source, offsets } = job;
  const format = new FileProgressFormat(choice.files);
  const owner = await describeOwner(run, '');
  const startedAtMs = choice.startedAtMs ?? Date.now();
  let position: FilePosition = choice.position;
  let rows = choice.rows;
  const progress = (state: FileProgress['state']): ProgressWrite => {
    const endedAtMs = state === 'done' ? Date.now() : null;
    return { key: keyOf(job), value: format.format({ state, run, owner, position, rows, startedAtMs, endedAtMs }) };
  };
  // Others see from now on who is at work; a list that is too long is refused before any row is written.
  await transact(producer, [], await topic.encode([progress('running')]), signal);
  passStep('load.announced');
  const paths = choice.files.flatMap(({ path, loadedBy }) => (loadedBy === null ? [path] : []));
  const bytes = files.found.reduce((sum, file) => sum + (paths.includes(file.path) ? file.bytes : 0), 0);
  ui.progress.start(bytes, bytes);
  const memory = planLoadMemory({
    source: 'files',
    maxMemoryBytes: job.maxMemoryBytes,
    workers: threadsFor(job),
    fetchBytes: sink.kafka.fetch.maxBytes,
    transform: transformMemory(job.transform),
  });
  const schema = await readSchema(source.input, paths, { memoryLimitBytes: memory.readerBytes, signal });
  const { transform } = await settleFileJob(job, paths, schema, signal);
  const settings: LoadSettings = {
    version: ending.version(schema),
    source: {
      kind: 'files',
      input: source.input,
      schema,
      memoryLimitBytes: memory.readerBytes,
    },
    transform: transformPlan(transform),
    target: {
      connection: sink.kafka.connection,
      topic: sink.topic,
      partitions,
      readTopics: [],
      compression: sink.compression,
      headers: sink.headers,
    },
    chunkRows: sink.chunkRecords,
    deadLetters: null,
    chunkBytes: memory.chunkBytes,
  };
  const units = fileUnits({
    files: choice.files,
    position: choice.position,
    format: source.input.format,
    unitRows: sink.chunkRecords,
  });
  const lanes = new Lanes<FileUnit>({ threads, units, settings, isOrdered: true, signal });
  const counts = await writeChunks({
    lanes,
    producer,
    chunkRecords: sink.chunkRecords,
    heartbeatMs: offsets.heartbeatMs,
    onEnd: async (unit) => {
      if (unit.isLast) await checkUnchanged(files, unit.path);
    },
    progress: (taken) => {
      for (const { unit, chunk } of taken) {
        if (chunk) {
          position = { file: unit.file, row: chunk.next };
          rows += chunk.rows;
        } else if (unit.isLast) position = { file: unit.file + 1, row: 0 };
      }
      return topic.encode([progress('running')]);
    },
    onCommitted: (taken) => {
      for (const { unit, chunk, end } of taken) {
        const offsets = end && unit.isLast ? files.bytesOf(unit.path) : 0;
        ui.progress.advance({ rows: chunk?.rows ?? 0, bytes: chunk?.bytes ?? 0, offsets });
        if (end && end.dropped > 0) ui.log.warn(`${end.dropped} bad rows of ${unit.path} were left out`);
      }
    },
    signal,
  });
  passStep('load.allWritten');
  await transact(producer, [], await topic.encode([progress(ending.state), ...ending.writes]), signal);
  passStep('load.done');
  return { counts, progress };
}

/** What earlier loads of a config left. */
export interface EarlierLoads {
  readonly progress: FileProgress;
  readonly mark: string;
  /** Files of streams. */
  readonly loaded: LoadedFiles;
}

/** Before anything is opened. */
export async function lookAtProgress({ job, target }: LoadContext): Promise<EarlierLoads | null> {
  const { found } = await readProgress(target, job.sink.progress.topic, isKeyOf(job));
  return earlierLoads(job, found);
}

/** The same once the own producer is open: nobody else can write it any more. */
export async function readFileProgress(
  topic: ProgressTopic,
  target: Cluster,
  job: FileLoadJob,
): Promise<EarlierLoads | null> {
  return earlierLoads(job, await topic.read(target, isKeyOf(job)));
}

function isKeyOf(job: FileLoadJob): (key: string) => boolean {
  const isLoaded = isLoadedFilesKey(job.sink.config);
  return (key) => key === keyOf(job) || isLoaded(key);
}

function earlierLoads(job: FileLoadJob, found: ReadonlyMap<string, ProgressRecord>): EarlierLoads | null {
  const key = keyOf(job);
  const record = found.get(key);
  if (!record) return null;
  const loaded = LoadedFiles.read(job.sink.config, found);
  return { progress: parseFileProgress(key, record.value), mark: record.mark, loaded };
}

/** @throws OffloadError RUN_ALIVE if the run shows a sign of life. */
export async function checkNotAlive(context: LoadContext, before: EarlierLoads): Promise<void> {
  const { job, ui } = context;
  const { run, owner } = before.progress;
  if (job.takeOver) return;
  let known: EarlierLoads | null = before;
  const look = async (): Promise<{ mark: string; owner: Owner | null } | null> => {
    const seen = known ?? (await lookAtProgress(context));
    known = null;
    return seen?.progress.state === 'running' ? { mark: seen.mark, owner: seen.progress.owner } : null;
  };
  const verdict = await watchRun(look, job.offsets, systemClock, () => {
    const seconds = job.offsets.takeOverAfterMs / 1000;
    ui.log.info(
      `run ${run} of config ${job.sink.config} on ${formatOwner(owner)} has not ended; watching it for ${seconds} s`,
    );
  });
  if (verdict === 'alive') throw aliveError(job.sink.config, { run, owner }, 'is at work');
}

function choose(job: FileLoadJob, files: FoundFiles, earlier: EarlierLoads | null): FileChoice | null {
  const runOf = (file: FoundFile): string | null => earlier?.loaded.runOfContent(file) ?? null;
  return chooseFiles(files.found, files.asked, earlier?.progress ?? null, job.sink.reload, runOf);
}

function keyOf({ sink }: FileLoadJob): string {
  return progressKey(sink.config);
}

function alreadyLoaded(
  job: FileLoadJob,
  { found, asked }: FoundFiles,
  { progress: done, loaded: ofStreams }: EarlierLoads,
): OffloadReport {
  const wanted = found.filter(({ path }) => asked.has(path));
  const sources = wanted.map(({ path }) => path);
  const loaded = loadedFiles(done);
  // Of several runs the last: with it the last of these files was there.
  const [run = done.run] = wanted
    .flatMap((file) => loaded.get(fingerprint(file)) ?? ofStreams.runOfContent(file) ?? [])
    .sort()
    .reverse();
  const at = run === done.run ? new Date(done.endedAtMs ?? 0).toISOString() : startOfRun(run);
  return nothingLoaded(job, { sources, target: job.sink.topic, transactions: 0, alreadyLoaded: { run, at } });
}

export function nothingLoaded({ config }: FileLoadJob, load: ReportedLoad): OffloadReport {
  return { ...emptyReport({ config, topic: null, topics: [], committed: true }), load };
}
