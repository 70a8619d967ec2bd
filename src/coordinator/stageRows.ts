/** Stages the rows of a plan: files, workers, footers. Nothing of it is visible to anybody yet. */
import { basename, join } from 'node:path';
import type { FileState, RunSession } from '../commit/types.ts';
import { columnNames, parseFooter, schemaBytes } from '../encode/parquet/footer.ts';
import { OffloadError } from '../errors.ts';
import { checksumFile, nodeFileSystem as fs } from '../io.ts';
import { planMemory } from '../plan/memory.ts';
import type { TaskPlan } from '../plan/tasks.ts';
import { listOwnFiles } from '../sinks/localFiles.ts';
import { startFlushing } from '../stage/flush.ts';
import { copyOldFile, type OldFooter, readOldFooter } from '../stage/oldFile.ts';
import { closeStagedFiles, createStagedFiles, fileNumber } from '../stage/parquetFiles.ts';
import { createLayout, startAt } from '../stage/segments.ts';
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
  const isAppend = target.kind === 'file' && target.mode !== 'Overwrite';
  // Refused before any row is read: a footer of other columns, a foreign file in a folder to overwrite.
  const oldFooter = isAppend ? await readOldFooter(fs, target.path) : null;
  if (oldFooter) await checkColumns(oldFooter, job);
  const replaced =
    target.kind === 'folder' && target.mode === 'Overwrite' ? await listOwnFiles(fs, target.path, job.config) : [];
  if (plan.tasks.length === 0) return { files: [], results: [], replacedState: null, replaced: [] };

  const paths = await createStagedFiles(fs, session.stagingPath, plan.fileCount);
  const layout = createLayout(paths, PARQUET_MAGIC_BYTES);
  if (oldFooter) startAt(layout, 0, oldFooter.footerStart);
  const settings = workerSettings(job, layout);
  const flusher = startFlushing(fs, layout);
  const [old, results] = await Promise.all([
    oldFooter ? copyOldFile(fs, oldFooter, paths[0] as string) : null,
    pool.run(plan.tasks, settings, progress, signal),
  ]).finally(() => flusher.stop());
  const segments = results.flatMap((result) => result.segments);
  const targetPath = (file: number): string =>
    target.kind === 'file' ? target.path : join(target.path, `${fileNumber(file)}-${session.run}.parquet`);
  const files = await closeStagedFiles({ fs, layout, segments, targetPath, old });
  // Nothing new: an exact file and a folder to overwrite stay as they are.
  if (files.length === 0) return { files, results, replacedState: null, replaced: [] };
  const replacedState = target.kind === 'file' ? (old?.whole ?? (await checksumFile(fs, target.path))) : null;
  return { files, results, replacedState, replaced };
}

const PARQUET_MAGIC_BYTES = 4;

function workerSettings(job: OffloadJob, layout: WorkerSettings['layout']): WorkerSettings {
  const { source } = job;
  const { parquet } = job.sink.target;
  const memory = planMemory({
    maxMemoryBytes: job.maxMemoryBytes,
    workers: job.workers,
    rowGroupBytes: parquet.rowGroupBytes,
    fetchBytes: source.kafka.fetch.maxBytes,
  });
  return {
    connection: source.kafka.connection,
    fetch: { ...source.kafka.fetch, maxBytes: memory.fetchBytes },
    failOnDataLoss: source.failOnDataLoss,
    fields: source.fields,
    invalidUtf8: source.invalidUtf8,
    compression: parquet.compression,
    rowGroupRows: parquet.rowGroupRows,
    rowGroupBytes: memory.rowGroupBytes,
    layout,
    shared: createSharedState(job.workers),
  };
}

async function checkColumns(old: OldFooter, job: OffloadJob): Promise<void> {
  // Imported here: the coordinator encodes nothing else, and loading the encoder takes time.
  const [{ createEncoder }, { arrowSchema }] = await Promise.all([
    import('../encode/encoder.ts'),
    import('../transform/schema.ts'),
  ]);
  const encoder = createEncoder({ compression: job.sink.target.parquet.compression });
  const own = parseFooter(encoder.emptyFile(arrowSchema(job.source.fields)).footer);
  encoder.free();
  if (schemaBytes(old.footer).equals(schemaBytes(own))) return;
  const theirs = columnNames(old.footer).join(', ');
  const ours = job.source.fields.map(({ name }) => name).join(', ');
  throw new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot append to ${old.path}: it has the columns ${theirs}, and ${job.config} gives ${ours}, or the same names in other types; write to another file, or use --write-mode Overwrite`,
    { context: { path: basename(old.path), theirs, ours } },
  );
}
