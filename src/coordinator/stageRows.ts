/** Stages the rows of a plan: files, workers, footers. Nothing of it is visible to anybody yet. */
import { join } from 'node:path';
import type { Schema } from 'apache-arrow';
import type { FileState, RunSession } from '../commit/types.ts';
import { DEFAULTS } from '../config/defaults.ts';
import { extensionOf } from '../encode/extensions.ts';
import { loadFileFormat } from '../encode/fileFormat.ts';
import { encoderMemory } from '../encode/memory.ts';
import { checksumFile, nodeFileSystem as fs } from '../io.ts';
import { planMemory } from '../plan/memory.ts';
import type { TaskPlan } from '../plan/tasks.ts';
import { listOwnFiles } from '../sinks/localFiles.ts';
import { startFlushing } from '../stage/flush.ts';
import { copyOldFile, readOldStart, startOfNewRows } from '../stage/oldFile.ts';
import { createLayout, type StagedLayout, startAt } from '../stage/segments.ts';
import { closeStagedFiles, createStagedFiles, fileNumber } from '../stage/stagedFiles.ts';
import { createTurns, takeTurns } from '../stage/turns.ts';
import type { StagedFile } from '../tasks.ts';
import type { TaskResult, WorkerSettings } from './fetchTask.ts';
import type { OffloadJob } from './jobs.ts';
import type { WorkerPool } from './pool.ts';
import type { ProgressSink } from './progress.ts';
import { createSharedState } from './sharedState.ts';

export interface StagedRows {
  readonly files: readonly StagedFile[];
  readonly results: readonly TaskResult[];
  /** Exact file: what stands there now and will be replaced. */
  readonly replacedState: FileState | null;
  /** Folder with Overwrite: our own files that go. */
  readonly replaced: readonly string[];
}

/** @throws OffloadError: whatever a worker met; TARGET_UNSUITABLE if the target cannot take these columns. */
export async function stageRows(
  job: OffloadJob,
  session: RunSession,
  plan: TaskPlan,
  pool: WorkerPool,
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<StagedRows> {
  const { target } = job.sink;
  const [format, schema] = await Promise.all([loadFileFormat(target.output), loadSchema(job)]);
  const isAppend = target.kind === 'file' && target.mode !== 'Overwrite';
  // Refused before any row is read: columns the format or the old file cannot take, a foreign file in a folder to overwrite.
  const start = await format.start(schema);
  const oldStart = isAppend ? await readOldStart(fs, target.path, format, schema) : null;
  const replaced =
    target.kind === 'folder' && target.mode === 'Overwrite' ? await listOwnFiles(fs, target.path, job.config) : [];
  if (plan.tasks.length === 0) return { files: [], results: [], replacedState: null, replaced: [] };

  const paths = await createStagedFiles(fs, session.stagingPath, plan.fileCount, start.head);
  const layout = createLayout(paths, start.head.length);
  if (oldStart) startAt(layout, 0, startOfNewRows(oldStart));
  const tasks = format.isOrdered ? takeTurns(plan.tasks) : plan.tasks;
  const settings = {
    ...workerSettings(job, layout),
    mark: (oldStart ?? start).mark,
    turns: format.isOrdered ? createTurns(tasks.length) : null,
  };
  const flusher = startFlushing(fs, layout);
  const [old, results] = await Promise.all([
    oldStart ? copyOldFile(fs, oldStart, paths[0] as string) : null,
    pool.run(tasks, settings, progress, signal),
  ]).finally(() => flusher.stop());
  const segments = results.flatMap((result) => result.segments);
  const extension = extensionOf(target.output);
  const targetPath = (file: number): string =>
    target.kind === 'file' ? target.path : join(target.path, `${fileNumber(file)}-${session.run}${extension}`);
  const files = await closeStagedFiles({ fs, layout, format, head: start.head, segments, targetPath, old });
  // Nothing new: an exact file and a folder to overwrite stay as they are.
  if (files.length === 0) return { files, results, replacedState: null, replaced: [] };
  const replacedState = target.kind === 'file' ? (old?.whole ?? (await checksumFile(fs, target.path))) : null;
  return { files, results, replacedState, replaced };
}

function workerSettings(job: OffloadJob, layout: StagedLayout): Omit<WorkerSettings, 'mark' | 'turns'> {
  const { source } = job;
  const { output } = job.sink.target;
  const rowGroup = output.format === 'parquet' ? output : DEFAULTS;
  const memory = planMemory({
    maxMemoryBytes: job.maxMemoryBytes,
    workers: job.workers,
    rowGroupBytes: rowGroup.rowGroupBytes,
    fetchBytes: source.kafka.fetch.maxBytes,
    encoder: encoderMemory(output.format),
  });
  return {
    connection: source.kafka.connection,
    fetch: { ...source.kafka.fetch, maxBytes: memory.fetchBytes },
    failOnDataLoss: source.failOnDataLoss,
    fields: source.fields,
    invalidUtf8: source.invalidUtf8,
    output,
    rowGroupRows: rowGroup.rowGroupRows,
    rowGroupBytes: memory.rowGroupBytes,
    layout,
    shared: createSharedState(job.workers),
  };
}

/** Imported here: planning needs no Arrow, and loading it takes time. */
async function loadSchema(job: OffloadJob): Promise<Schema> {
  const { arrowSchema } = await import('../transform/schema.ts');
  return arrowSchema(job.source.fields);
}
