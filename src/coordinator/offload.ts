/**
 * One run: config -> plan -> fetch ... stage -> prepare, publish, commit. The order of the steps, and what a crash at
 * each of them leaves, is told in `commit/`.
 */
import { openRun, readSavedState } from '../commit/session.ts';
import type { Intent, RunSession } from '../commit/types.ts';
import { namedTopics } from '../config/topicSelection.ts';
import { loadFileFormat } from '../encode/fileFormat.ts';
import { nodeFileSystem as fs } from '../io.ts';
import { Cluster } from '../kafka/cluster.ts';
import { describePlan } from '../plan/describe.ts';
import type { PartitionBounds, RangePlan } from '../plan/ranges.ts';
import { cutTasks, DIVIDED_TASK_BYTES, type FetchTask, type TaskPlan, TURN_TASK_BYTES } from '../plan/tasks.ts';
import { startSpan, withinSpan } from '../spans.ts';
import { isUnsettled } from '../transform/settle.ts';
import { describePolicy, reportBadRecords } from './badRecords/counts.ts';
import { lettersOf, planDeadLetters } from './badRecords/deadLetterTopic.ts';
import { deadLetterOffice } from './badRecords/office.ts';
import type { TaskResult, WorkerSettings } from './fetchTypes.ts';
import { contentOf } from './fileContent.ts';
import { checkFolders } from './folders.ts';
import { countGaps } from './gaps.ts';
import { warnOfInvalidUtf8 } from './invalidValues.ts';
import type { OffloadJob } from './jobs.ts';
import { estimateBytesPerOffset, lookUpRanges } from './lookup.ts';
import { WorkerPool } from './pool.ts';
import { emptyReport, type OffloadReport, type ReportedOffset } from './report.ts';
import { settleTopicJob } from './settleJob.ts';
import { type FetchPool, loadSchema, type StagedRows, stageRows } from './stageRows.ts';
import { intentOfFiles } from './staging.ts';
import { checkTarget, rootOf } from './target.ts';
import { findTopics, keptTopicIds, plainTopicOf, type SelectedTopics } from './topics.ts';
import type { RunUi } from './ui.ts';

/** What the steps of one run share. */
interface RunContext {
  readonly job: OffloadJob;
  readonly ui: RunUi;
  readonly cluster: Cluster;
  /** The cluster of the offsets topic, which may be another. */
  readonly offsetsCluster: Cluster;
  readonly selected: SelectedTopics;
  readonly signal: AbortSignal;
}

/**
 * Runs a job to its end.
 *
 * @param signal Stops the run: nothing is published that was not prepared, and its reason is thrown.
 * @returns What was done; for a dry run, what would be done.
 * @throws OffloadError, always; after one, saved offsets and target are as before or as after, never between, or the
 *   next run finishes what this one prepared.
 */
export async function offload(job: OffloadJob, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  const startedAtMs = performance.now();
  const seconds = (): number => (performance.now() - startedAtMs) / 1000;
  if ((await checkTarget(fs, job.sink.target)) === 'skip') return { ...nothingDone(job), seconds: seconds() };
  if (!isUnsettled(job.transform)) await checkFolders(job.sink.target, () => loadSchema(job));
  // Threads, Arrow and encoders take a while to load: that is done while the run is opened and planned.
  const pool = job.dryRun ? null : startThreads(job);
  const cluster = new Cluster(job.source.kafka.connection, signal);
  const offsetsCluster = job.offsets.kafka ? new Cluster(job.offsets.kafka.connection, signal) : cluster;
  try {
    const selected = await findTopics(cluster, job.source.selection, job.offsets);
    const context = { job, ui, cluster, offsetsCluster, selected, signal };
    const report = pool ? await run(context, pool) : await dryRun(context);
    return { ...report, seconds: seconds() };
  } finally {
    await pool?.close();
    cluster.close();
    offsetsCluster.close();
  }
}

function startThreads(job: OffloadJob): FetchPool {
  const { output } = job.sink.target;
  // What cannot be loaded is told where it is used.
  Promise.all([loadFileFormat(output), loadSchema(job)]).catch(() => {});
  return new WorkerPool<FetchTask, WorkerSettings, TaskResult>('offload', job.workers, [JSON.stringify(output)]);
}

async function dryRun(context: RunContext): Promise<OffloadReport> {
  const { job, cluster, selected } = context;
  const saved = await readSavedState(await sessionOptions(context));
  const { plan, bounds } = await lookUpRanges(cluster, selected, job, saved);
  const tasks = await planTasks(context, plan, bounds);
  const remarks = describePolicy(job.source.onBadRecord);
  if (saved.aliveRun) {
    const { host, pid } = saved.aliveRun;
    remarks.push(`a run of ${job.config} is under way on host ${host}, pid ${pid}`);
  }
  if (saved.pendingIntent) {
    const { run } = saved.pendingIntent;
    remarks.push(`run ${run} is prepared and not committed: unless it still runs, the next run finishes it first`);
  }
  return { ...nothingDone(job, selected), plan: describePlan({ job, ranges: plan, tasks, remarks }) };
}

async function run(context: RunContext, pool: FetchPool): Promise<OffloadReport> {
  const { ui } = context;
  const session = await withinSpan('open', async () => openRun(await sessionOptions(context)));
  try {
    const signal = AbortSignal.any([context.signal, session.signal]);
    return await runOpened({ ...context, signal }, session, pool);
  } finally {
    ui.progress.stop();
    // Before the staging goes: a thread may still be writing to it.
    await pool.close();
    await session.close();
  }
}

async function runOpened(context: RunContext, session: RunSession, pool: FetchPool): Promise<OffloadReport> {
  const { job, ui, cluster, selected, signal } = context;
  const { recovered } = session;
  const begun = { ...nothingDone(job, selected), run: session.run, recovered };
  // A run that was finished just now may have made the target.
  if (recovered.length > 0 && (await checkTarget(fs, job.sink.target)) === 'skip') return begun;
  const endPlan = startSpan('plan');
  const { plan, bounds } = await lookUpRanges(cluster, selected, job, session.saved);
  const warnings = [...recovered.flatMap((past) => past.warnings), ...plan.warnings];
  for (const warning of plan.warnings) ui.log.warn(warning);
  const offsets = job.source.commit ? movedOffsets(plan) : readOffsets(plan);
  signal.throwIfAborted();
  if (offsets.every(({ from, to }) => from === to)) return { ...begun, warnings, offsets };
  const tasks = await planTasks(context, plan, bounds);
  endPlan();
  ui.progress.start(sumOffsets(plan), 0);
  const settled = await settleTopicJob(job, cluster, plan.ranges);
  // A run that saves no offsets is a trial: whoever reads these records again writes their dead letters.
  const deadLetters = job.source.commit ? await planDeadLetters(job, cluster, job.source.kafka) : null;
  // Their memory is free for the ends of files; ending them takes a while, which the rest does not wait for.
  const endThreads = (): void => void pool.close().catch(() => {});
  const staged = await withinSpan('stage', () =>
    stageRows(settled, session, tasks, pool, ui.progress, signal, deadLetters, endThreads),
  );
  ui.progress.stop();
  signal.throwIfAborted();
  const intent = makeIntent(context, session, plan, staged);
  await withinSpan('publish', () => session.finish(intent));
  const startedAtMs = staged.results.reduce((first, result) => Math.min(first, result.startedAtMs), Infinity);
  const dataSeconds = (performance.timeOrigin + performance.now() - startedAtMs) / 1000;
  const bad = reportBadRecords(
    staged.results.map((result) => result.bad),
    job.source.onBadRecord,
    ui,
    job.source.commit,
  );
  warnings.push(...warnOfInvalidUtf8(staged.results, job.source, ui), ...bad.warnings);
  return {
    ...begun,
    ...bad,
    warnings,
    rows: sum(staged, (result) => result.rowsWritten),
    ...(Number.isFinite(dataSeconds) && { dataSeconds }),
    bytes: staged.files.reduce((total, { bytes }) => total + bytes, 0),
    files: staged.files.map(({ targetPath, rows, bytes }) => ({ path: targetPath, rows, bytes })),
    offsets,
    workers: rowsByWorker(job, staged),
    gaps: intent.gaps,
    encoders: [...new Set(staged.results.flatMap((result) => result.encoders))],
  };
}

/** What is saved, before and after. */
function movedOffsets({ previous, next }: RangePlan): ReportedOffset[] {
  return next.map(({ topic, partition, offset }, index) => {
    return { topic, partition, from: previous[index]?.offset ?? null, to: offset ?? 0 };
  });
}

/** What was read by a run that saves nothing. */
function readOffsets({ ranges }: RangePlan): ReportedOffset[] {
  return ranges.map(({ topic, partition, startOffset, endOffset }) => {
    return { topic, partition, from: startOffset, to: endOffset };
  });
}

function makeIntent({ job, selected }: RunContext, session: RunSession, plan: RangePlan, staged: StagedRows): Intent {
  const { commit } = job.source;
  // Without a commit they are what is saved, and nothing moves.
  const previous = commit ? plan.previous : plan.previous.filter(({ offset }) => offset !== null);
  const ids = selected.topics.flatMap(({ topic, topicId }) => (topicId === null ? [] : [[topic, topicId] as const]));
  const content = contentOf(job);
  return {
    ...intentOfFiles({ config: job.config, target: job.sink.target }, session, staged),
    ...(content && { content }),
    ...lettersOf(job, staged),
    commit,
    previous,
    next: commit ? plan.next : previous,
    ranges: plan.ranges,
    gaps: countGaps(plan, staged.results),
    topicIds: commit ? { ...keptTopicIds(session.saved), ...Object.fromEntries(ids) } : session.saved.topicIds,
  };
}

async function planTasks(
  { job, cluster }: RunContext,
  plan: RangePlan,
  bounds: readonly PartitionBounds[],
): Promise<TaskPlan> {
  const bytesPerOffset = await estimateBytesPerOffset(cluster, bounds, plan.ranges, job.source);
  const { target } = job.sink;
  // Files of folders are put together in the end, whoever wrote their rows and when.
  const isDivided = target.partitionBy.length > 0;
  const fileCount = target.kind === 'file' ? 1 : isDivided ? null : target.coalesce;
  const isInTurn = target.output.format !== 'parquet' && !isDivided;
  return cutTasks(plan.ranges, bytesPerOffset, job.workers, fileCount, {
    ...(isInTurn && { mostBytes: TURN_TASK_BYTES }),
    ...(isDivided && { leastBytes: DIVIDED_TASK_BYTES }),
    minTasks: job.source.minPartitions ?? 0,
  });
}

async function sessionOptions({ job, ui, cluster, offsetsCluster, selected }: RunContext) {
  return {
    config: job.config,
    topics: selected.topics.map(({ topic }) => topic),
    plainTopic: selected.plainTopic,
    takeOver: job.takeOver,
    offsets: job.offsets,
    root: rootOf(job.sink.target),
    clusterId: await cluster.clusterId(),
    kafka: job.offsets.kafka ?? job.source.kafka,
    reader: async (topic: string, options: { waitForStableMs: number }) => {
      // Only STREAM mode reads a topic here, and the decoder's codecs take a while to load.
      const { readTopicCommitted } = await import('../kafka/topicReader.ts');
      return readTopicCommitted(offsetsCluster, topic, options);
    },
    deadLetters: deadLetterOffice(job.source.kafka),
    log: (line: string) => ui.log.info(line),
  };
}

function rowsByWorker(job: OffloadJob, staged: StagedRows): { worker: number; rows: number }[] {
  return Array.from({ length: job.workers }, (_, worker) => {
    return { worker, rows: sum(staged, (result) => (result.worker === worker ? result.rowsWritten : 0)) };
  });
}

function sum(staged: StagedRows, count: (result: StagedRows['results'][number]) => number): number {
  return staged.results.reduce((total, result) => total + count(result), 0);
}

function sumOffsets({ ranges }: RangePlan): number {
  return ranges.reduce((total, { startOffset, endOffset }) => total + endOffset - startOffset, 0);
}

/** @param selected Absent where nobody has looked: a pattern names no topic. */
function nothingDone({ config, source }: OffloadJob, selected?: SelectedTopics): OffloadReport {
  const topics = selected ? selected.topics.map(({ topic }) => topic) : namedTopics(source.selection);
  return emptyReport({ config, topic: plainTopicOf(source.selection), topics, committed: source.commit });
}
