/**
 * One run: config -> plan -> fetch ... stage -> prepare, publish, commit. The order of the steps, and what a crash at
 * each of them leaves, is told in `commit/`.
 */
import { openRun, readSavedState } from '../commit/session.ts';
import type { RunSession } from '../commit/types.ts';
import type { Job } from '../config/job.ts';
import { nodeFileSystem as fs } from '../io.ts';
import { Cluster, type TopicInfo } from '../kafka/cluster.ts';
import { readTopicCommitted } from '../kafka/topicReader.ts';
import { describePlan } from '../plan/describe.ts';
import type { RangePlan } from '../plan/ranges.ts';
import { cutTasks } from '../plan/tasks.ts';
import { countGaps } from './gaps.ts';
import { estimateBytesPerOffset, findTopic, lookUpRanges } from './lookup.ts';
import type { Log } from './log.ts';
import type { ProgressSink } from './progress.ts';
import type { OffloadReport } from './report.ts';
import { stageRows, type StagedRows } from './stageRows.ts';
import { checkTarget, rootOf } from './target.ts';

export interface OffloadUi {
  readonly progress: ProgressSink;
  readonly log: Log;
}

/**
 * Runs a job to its end.
 *
 * @param signal Stops the run: nothing is published that was not prepared, and its reason is thrown.
 * @returns What was done; for a dry run, what would be done.
 * @throws OffloadError, always; after one, saved offsets and target are as before or as after, never between.
 */
export async function offload(job: Job, ui: OffloadUi, signal: AbortSignal): Promise<OffloadReport> {
  const startedAtMs = performance.now();
  const seconds = (): number => (performance.now() - startedAtMs) / 1000;
  if ((await checkTarget(fs, job.target)) === 'skip') return { ...nothingDone(job), seconds: seconds() };
  const cluster = new Cluster(job.kafka.connection);
  try {
    const info = await findTopic(cluster, job.topic);
    const report = job.dryRun
      ? await dryRun(job, cluster, info, ui)
      : await run(job, cluster, info, ui, signal);
    return { ...report, seconds: seconds() };
  } finally {
    cluster.close();
  }
}

async function dryRun(job: Job, cluster: Cluster, info: TopicInfo, ui: OffloadUi): Promise<OffloadReport> {
  const saved = await readSavedState(await sessionOptions(job, cluster, ui));
  const { plan, bounds } = await lookUpRanges(cluster, info, job, saved);
  const tasks = await planTasks(job, cluster, plan, bounds);
  const remarks: string[] = [];
  if (saved.aliveRun) remarks.push(`a run of ${job.config} is under way on host ${saved.aliveRun.host}, pid ${saved.aliveRun.pid}`);
  if (saved.pendingIntent) {
    remarks.push(`run ${saved.pendingIntent.run} stopped after it was prepared: the next run finishes it first, and begins where it ends`);
  }
  return { ...nothingDone(job), plan: describePlan({ job, ranges: plan, tasks, remarks }) };
}

async function run(job: Job, cluster: Cluster, info: TopicInfo, ui: OffloadUi, signal: AbortSignal): Promise<OffloadReport> {
  const session = await openRun(await sessionOptions(job, cluster, ui));
  try {
    const either = AbortSignal.any([signal, session.signal]);
    return await runOpened(job, cluster, info, ui, session, either);
  } finally {
    ui.progress.stop();
    await session.close();
  }
}

async function runOpened(
  job: Job,
  cluster: Cluster,
  info: TopicInfo,
  ui: OffloadUi,
  session: RunSession,
  signal: AbortSignal,
): Promise<OffloadReport> {
  const recovered = session.recovered;
  // A run that was finished just now may have made the target.
  if (recovered.length > 0 && (await checkTarget(fs, job.target)) === 'skip') {
    return { ...nothingDone(job), run: session.run, recovered };
  }
  const { plan, bounds } = await lookUpRanges(cluster, info, job, session.saved);
  for (const warning of plan.warnings) ui.log.warn(warning);
  const report = { ...nothingDone(job), run: session.run, recovered, warnings: [...recovered.flatMap((past) => past.warnings), ...plan.warnings] };
  const offsets = plan.next.map(({ topic, partition, offset }, index) => ({
    topic,
    partition,
    from: plan.previous[index]?.offset ?? null,
    to: offset ?? 0,
  }));
  signal.throwIfAborted();
  if (offsets.every(({ from, to }) => from === to)) return { ...report, offsets };
  const tasks = await planTasks(job, cluster, plan, bounds);
  const totalOffsets = plan.ranges.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
  ui.progress.start(totalOffsets, 0);
  const staged = await stageRows(job, session, tasks, ui.progress, signal);
  ui.progress.stop();
  signal.throwIfAborted();
  const gaps = countGaps(plan, staged.results);
  await session.finish({
    version: 1,
    config: job.config,
    run: session.run,
    stagingPath: session.stagingPath,
    target: job.target.kind === 'file' ? { kind: 'file', path: job.target.path, old: staged.replacedState } : { kind: 'folder', path: job.target.path },
    writeMode: job.target.mode === 'Overwrite' ? 'Overwrite' : 'Append',
    previous: plan.previous,
    next: plan.next,
    files: staged.files,
    replaced: staged.replaced,
    ranges: plan.ranges,
    gaps,
    topicIds: info.topicId === null ? {} : { [info.topic]: info.topicId },
    root: rootOf(job.target),
    previousRun: session.saved.previousRun,
    createdAtMs: Date.now(),
  });
  const invalidUtf8 = staged.results.reduce((sum, result) => sum + result.invalidUtf8, 0);
  const warnings = invalidUtf8 > 0 ? [`${invalidUtf8} values were not UTF-8: invalidUtf8 is ${job.invalidUtf8}`] : [];
  for (const warning of warnings) ui.log.warn(warning);
  return {
    ...report,
    warnings: [...report.warnings, ...warnings],
    rows: staged.results.reduce((sum, { rows }) => sum + rows, 0),
    bytes: staged.files.reduce((sum, { bytes }) => sum + bytes, 0),
    files: staged.files.map(({ targetPath, rows, bytes }) => ({ path: targetPath, rows, bytes })),
    offsets,
    workers: rowsByWorker(job, staged),
    gaps,
  };
}

async function planTasks(job: Job, cluster: Cluster, plan: RangePlan, bounds: Parameters<typeof estimateBytesPerOffset>[1]) {
  const bytesPerOffset = await estimateBytesPerOffset(cluster, bounds, plan.ranges, job);
  return cutTasks(plan.ranges, bytesPerOffset, job.workers, job.target.kind === 'file' ? 1 : job.target.coalesce);
}

async function sessionOptions(job: Job, cluster: Cluster, ui: OffloadUi) {
  return {
    config: job.config,
    topics: [job.topic],
    offsets: job.offsets,
    root: rootOf(job.target),
    clusterId: await cluster.clusterId(),
    kafka: job.kafka,
    reader: (topic: string, options: { waitForStableMs: number }) => readTopicCommitted(cluster, topic, options),
    log: (line: string) => ui.log.info(line),
  };
}

function rowsByWorker(job: Job, staged: StagedRows): { worker: number; rows: number }[] {
  const rows = new Map(Array.from({ length: job.workers }, (_, worker) => [worker, 0]));
  for (const result of staged.results) rows.set(result.worker, (rows.get(result.worker) ?? 0) + result.rows);
  return [...rows].map(([worker, count]) => ({ worker, rows: count }));
}

function nothingDone(job: Job): OffloadReport {
  return {
    config: job.config,
    topic: job.topic,
    run: null,
    rows: 0,
    bytes: 0,
    seconds: 0,
    files: [],
    offsets: [],
    workers: [],
    warnings: [],
    recovered: [],
  };
}
