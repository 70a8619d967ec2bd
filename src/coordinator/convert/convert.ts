/** Files -> files: as an offload, with files in the place of partitions and no offsets to save. */
import { sep } from 'node:path';
import type { Schema } from 'apache-arrow';
import { openRun } from '../../commit/session.ts';
import type { Intent, RunSession } from '../../commit/types.ts';
import type { TargetSettings } from '../../config/job.ts';
import { formatSize } from '../../config/sizes.ts';
import { encoderMemory } from '../../encode/memory.ts';
import { OffloadError } from '../../errors.ts';
import { nodeFileSystem as fs } from '../../io.ts';
import { batchLimits, FILE_READER_BYTES, planMemory } from '../../plan/memory.ts';
import { FILE_BYTES } from '../../plan/tasks.ts';
import { type FileSchema, readSchema, toArrowSchema } from '../../sources/files/fileReader.ts';
import { listSourceFiles, type SourceFile } from '../../sources/files/listFiles.ts';
import { createTurns } from '../../stage/turns.ts';
import { transformMemory } from '../../transform/memory.ts';
import { checkFolders } from '../folders.ts';
import type { ConvertJob } from '../jobs.ts';
import { WorkerPool } from '../pool.ts';
import { emptyReport, type OffloadReport } from '../report.ts';
import { resultSchema, transformPlan } from '../rowTransform.ts';
import { settleFileJob } from '../settleJob.ts';
import { createSharedState } from '../sharedState.ts';
import { intentOfFiles, type StagedFiles, stageFiles } from '../staging.ts';
import { checkTarget, rootOf } from '../target.ts';
import type { RunUi } from '../ui.ts';
import type { ConvertResult, ConvertSettings, ConvertTask } from './convertTask.ts';

/** A run that reads no topic asks no broker. */
const NO_CLUSTER = 'files';

/**
 * Runs a job to its end: the new files become visible all together or, with a crash between, by the next run.
 *
 * @throws OffloadError SOURCE_UNSUITABLE, ROW_INVALID naming file and row, TARGET_UNSUITABLE, and as `offload`.
 */
export async function convert(job: ConvertJob, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  const startedAtMs = performance.now();
  const seconds = (): number => (performance.now() - startedAtMs) / 1000;
  const { target } = job.sink;
  const { input, paths } = job.source;
  if ((await checkTarget(fs, target)) === 'skip') return { ...nothingDone(job), seconds: seconds() };
  const filter = 'pathGlobFilter' in input ? input.pathGlobFilter : null;
  const files = await listSourceFiles(paths, '/', filter);
  checkApart(files, target);
  if (job.dryRun) return { ...nothingDone(job), seconds: seconds(), plan: describe(job, files) };
  const pool = new WorkerPool<ConvertTask, ConvertSettings, ConvertResult>('convert', threadsFor(job, files.length));
  try {
    const schema = await readSchema(
      input,
      files.map(({ path }) => path),
      { memoryLimitBytes: FILE_READER_BYTES, signal },
    );
    const settled = await settleFileJob(
      job,
      files.map(({ path }) => path),
      schema,
      signal,
    );
    const columns = await resultSchema(settled.transform, toArrowSchema(schema.columns));
    await checkFolders(target, async () => columns);
    const session = await openRun({
      ...{ config: job.config, topics: [], offsets: job.offsets, root: rootOf(target), clusterId: NO_CLUSTER },
      takeOver: job.takeOver,
      log: (line) => ui.log.info(line),
    });
    try {
      const report = await convertOpened(settled, { ui, files, schema, resultSchema: columns, session, pool, signal });
      return { ...report, seconds: seconds() };
    } finally {
      ui.progress.stop();
      // Before the staging goes: a thread may still be writing to it.
      await pool.close();
      await session.close();
    }
  } finally {
    await pool.close();
  }
}

interface OpenedRun {
  readonly ui: RunUi;
  readonly files: readonly SourceFile[];
  readonly schema: FileSchema;
  /** Of what is written. */
  readonly resultSchema: Schema;
  readonly session: RunSession;
  readonly pool: WorkerPool<ConvertTask, ConvertSettings, ConvertResult>;
  readonly signal: AbortSignal;
}

async function convertOpened(job: ConvertJob, opened: OpenedRun): Promise<OffloadReport> {
  const { ui, files, schema, session, pool } = opened;
  const { target } = job.sink;
  const { recovered } = session;
  const signal = AbortSignal.any([opened.signal, session.signal]);
  const warnings = recovered.flatMap((past) => past.warnings);
  const sourceFiles = files.map(({ path }) => path);
  const begun = { ...nothingDone(job), sourceFiles, run: session.run, recovered, warnings };
  if (schema.columns.length === 0) return begun;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  ui.progress.start(bytes, bytes);
  const fileCount = target.kind === 'file' ? 1 : (target.coalesce ?? Math.ceil(Math.max(1, bytes) / FILE_BYTES));
  const staged = await stageFiles<ConvertResult>({
    ...{ target, session, config: job.config, fileCount },
    schema: opened.resultSchema,
    write: ({ layout, mark, isOrdered }) => {
      const tasks = planTasks(files, target, isOrdered);
      const settings = {
        ...{ input: job.source.input, schema, output: target.output, partitionBy: target.partitionBy, layout, mark },
        transform: transformPlan(job.transform),
        ...shareMemory(job, files.length),
        turns: isOrdered ? createTurns(tasks.length) : null,
        shared: createSharedState(job.workers),
      };
      return pool.run({ tasks, settings, progress: ui.progress, signal });
    },
  });
  signal.throwIfAborted();
  const dropped = sum(staged, (result) => result.dropped);
  if (dropped > 0) warnings.push(`${dropped} bad rows were left out; mode is DROPMALFORMED`);
  for (const warning of warnings) ui.log.warn(warning);
  if (staged.files.length > 0) await session.finish(makeIntent(job, session, staged));
  return {
    ...begun,
    rows: sum(staged, (result) => result.rows),
    bytes: staged.files.reduce((total, file) => total + file.bytes, 0),
    files: staged.files.map((file) => ({ path: file.targetPath, rows: file.rows, bytes: file.bytes })),
    workers: Array.from({ length: threadsFor(job, files.length) }, (_, worker) => {
      return { worker, rows: sum(staged, (result) => (result.worker === worker ? result.rows : 0)) };
    }),
    encoders: [...new Set(staged.results.flatMap((result) => result.encoders))],
  };
}

/** What is read must not be what is written: it would be read half-way, or taken away. */
function checkApart(files: readonly SourceFile[], target: TargetSettings): void {
  const { path, kind } = target;
  const same = files.find((file) => file.path === path || (kind === 'folder' && file.path.startsWith(path + sep)));
  if (!same) return;
  throw new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot write to ${path}: ${same.path}, which is to be read, is there; write to another place`,
    { context: { path, source: same.path } },
  );
}

/** One task for each file. In a folder, adjacent files share an output of about FILE_BYTES. */
function planTasks(files: readonly SourceFile[], target: TargetSettings, isOrdered: boolean): ConvertTask[] {
  let bytesBefore = 0;
  return files.map(({ path, bytes }, number) => {
    const isFree = target.kind === 'file' || target.coalesce !== null;
    const file = isFree ? null : Math.floor(bytesBefore / FILE_BYTES);
    bytesBefore += bytes;
    // Rows stand in the order of the files, so all of them take turns.
    return { number, path, bytes, file, ...(isOrdered ? { turn: { first: 0, own: number } } : {}) };
  });
}

/** Batches of a thread, at least: below it its row groups would be too small to be read well. */
const LEAST_BATCH_BYTES = 24 * 1024 ** 2;

/** One thread a file at most, and none that memory has no room for beside the others. */
function threadsFor(job: ConvertJob, files: number): number {
  const { output, partitionBy } = job.sink.target;
  const { fixedBytes } = encoderMemory(output.format, partitionBy.length > 0);
  const threadBytes = fixedBytes + FILE_READER_BYTES + transformMemory(job.transform).fixedBytes + LEAST_BATCH_BYTES;
  return Math.max(1, Math.min(job.workers, files, Math.floor(job.maxMemoryBytes / threadBytes)));
}

function shareMemory(
  job: ConvertJob,
  files: number,
): Pick<ConvertSettings, 'batchRows' | 'batchBytes' | 'readerBytes'> {
  const { output, partitionBy } = job.sink.target;
  const isDivided = partitionBy.length > 0;
  const limits = batchLimits(output, isDivided);
  const encoder = encoderMemory(output.format, isDivided);
  const memory = planMemory({
    maxMemoryBytes: job.maxMemoryBytes,
    workers: threadsFor(job, files),
    rowGroupBytes: limits.bytes,
    fetchBytes: 0,
    encoder: { ...encoder, fixedBytes: encoder.fixedBytes + FILE_READER_BYTES },
    transform: transformMemory(job.transform),
  });
  return { batchRows: limits.rows, batchBytes: memory.rowGroupBytes, readerBytes: FILE_READER_BYTES };
}

function makeIntent(job: ConvertJob, session: RunSession, staged: StagedFiles<ConvertResult>): Intent {
  return {
    ...intentOfFiles({ config: job.config, target: job.sink.target }, session, staged),
    commit: true,
    previous: [],
    next: [],
    ranges: staged.files.flatMap((file) => file.ranges),
    gaps: [],
    topicIds: {},
  };
}

function describe(job: ConvertJob, files: readonly SourceFile[]): string {
  const { target } = job.sink;
  const bytes = files.reduce((total, file) => total + file.bytes, 0);
  const shown = files.slice(0, 20).map((file) => `  ${file.path}  ${formatSize(file.bytes)}`);
  return [
    `plan: ${sourceOf(job)} to ${target.path} (${target.output.format}, ${target.mode})`,
    ...shown,
    ...(files.length > shown.length ? [`  and ${files.length - shown.length} more`] : []),
    `${files.length} file${files.length === 1 ? '' : 's'}, ${formatSize(bytes)} to read, on ${threadsFor(job, files.length)} workers`,
    'nothing was read, written or committed',
  ].join('\n');
}

function sourceOf({ source }: ConvertJob): string {
  return `${source.input.format} files ${source.paths.join(', ')}`;
}

function sum(staged: StagedFiles<ConvertResult>, count: (result: ConvertResult) => number): number {
  return staged.results.reduce((total, result) => total + count(result), 0);
}

function nothingDone({ config }: ConvertJob): OffloadReport {
  return { ...emptyReport({ config, topic: null, topics: [], committed: true }), sourceFiles: [] };
}
