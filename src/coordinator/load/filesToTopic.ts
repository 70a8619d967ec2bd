/**
 * From files to a topic, each row exactly once. What a run does, and what a crash after each step leaves:
 *
 * 1. Looks at the files and at the progress of the config (fileProgress.ts). Files that were loaded before are left
 *    out; where nothing is left, nothing is written. A run that is alive is left alone.
 * 2. Fences an older producer of the config, which aborts what it left open, and reads the progress again: the other may
 *    have committed until then.
 * 3. Writes chunk after chunk (writeFiles.ts), in the order of files and rows, each with its progress in one transaction.
 *    A crash: the next run goes on after the last.
 * 4. Writes that it is done. A crash before: the next run finds nothing left and does that.
 */
import { makeRunId, startOfRun } from '../../commit/names.ts';
import { markEnded, markRunning } from '../../commit/owner.ts';
import { OffloadError } from '../../errors.ts';
import { LOAD_TRANSACTION_TIMEOUT_MS } from '../../kafka/client.ts';
import { Cluster } from '../../kafka/cluster.ts';
import { TransactionalProducer } from '../../kafka/transactionalProducer.ts';
import { passStep } from '../../steps.ts';
import type { FileLoadJob } from '../jobs.ts';
import { emptyReport, type OffloadReport, type ReportedLoad } from '../report.ts';
import { WorkerThreads } from '../threads.ts';
import type { RunUi } from '../ui.ts';
import { checkNotAlive, type EarlierLoads, lookAtProgress, readFileProgress } from './earlierLoads.ts';
import { chooseFiles, type FileChoice, type FoundFile, fingerprint, loadedFiles } from './fileChoice.ts';
import { type FoundFiles, findFiles } from './foundFiles.ts';
import { type LoadContext, settle } from './loadContext.ts';
import { describeLoad } from './loadPlan.ts';
import type { LoadTask } from './loadTask.ts';
import { ProgressTopic } from './progressTopic.ts';
import { compacted, ensureTopic } from './targetTopic.ts';
import { closeProducer } from './transactions.ts';
import { type FileWriting, threadsFor, writeFiles } from './writeFiles.ts';

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

function choose(job: FileLoadJob, files: FoundFiles, earlier: EarlierLoads | null): FileChoice | null {
  const runOf = (file: FoundFile): string | null => earlier?.loaded.runOfContent(file) ?? null;
  return chooseFiles(files.found, files.asked, earlier?.progress ?? null, job.sink.reload, runOf);
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
