/** Stages files, whatever their rows come from. Nothing of it is visible to anybody yet. */
import { join } from 'node:path';
import type { Schema } from 'apache-arrow';
import type { FileState, Intent, RunSession } from '../commit/types.ts';
import type { TargetSettings } from '../config/job.ts';
import type { StagedFormat } from '../config/writerOptions.ts';
import { extensionOf } from '../encode/extensions.ts';
import { loadFileFormat } from '../encode/fileFormat.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { checksumFile, nodeFileSystem, unlessAbsent, withoutSync } from '../io.ts';
import { listOwnFiles } from '../sinks/localFiles.ts';
import { startFlushing } from '../stage/flush.ts';
import type { FolderSegment } from '../stage/folderSegments.ts';
import { copyOldFile, readOldStart, startOfNewRows } from '../stage/oldFile.ts';
import { createLayout, type Segment, type StagedLayout, startAt } from '../stage/segments.ts';
import { closeStagedFiles, createStagedFiles, fileNumber } from '../stage/stagedFiles.ts';
import { passStep } from '../steps.ts';
import type { StagedFile } from '../tasks.ts';
import { rootOf } from './target.ts';

export interface StagedFiles<Result> {
  readonly files: readonly StagedFile[];
  readonly results: readonly Result[];
  /** Exact file: what stands there now and will be replaced. */
  readonly replacedState: FileState | null;
  /** Folder with Overwrite: our own files that go. */
  readonly replaced: readonly string[];
}

/** What workers write to. */
export interface Staging {
  readonly layout: StagedLayout;
  /** What the format puts between blocks. */
  readonly mark: Uint8Array;
  /** Whether segments must lie in the order of their rows. */
  readonly isOrdered: boolean;
}

/** What one task has written. */
export interface StagedRowsOf {
  readonly segments: readonly Segment[];
  /** Where the target has folders by values; then there are no other segments. */
  readonly folders: readonly FolderSegment[];
}

/** Whose files they are, and where they stand until they are published: part of an open run. */
export interface StagingPlace extends Pick<RunSession, 'run' | 'stagingPath' | 'isTakenOver'> {
  /** True: nobody needs the files after a crash, so nothing is synced. */
  readonly isTransient?: boolean;
}

/** What is staged for, also on its way to what is no file. */
export interface StagingTarget extends Omit<TargetSettings, 'output'> {
  readonly output: StagedFormat;
}

export interface StagingRequest<Result> {
  readonly target: StagingTarget;
  readonly config: string;
  readonly session: StagingPlace;
  readonly schema: Schema;
  /** 0: there is nothing to write. */
  readonly fileCount: number;
  /** Has the rows written; its results hold the segments, or those of folders. */
  readonly write: (staging: Staging) => Promise<readonly (Result & StagedRowsOf)[]>;
}

type IntentOfFiles = Omit<Intent, 'commit' | 'previous' | 'next' | 'ranges' | 'gaps' | 'topicIds'>;

/** What an intent says of the files that are about to be published; the rest of it is of offsets. */
export function intentOfFiles(
  { config, target }: Pick<StagingRequest<unknown>, 'config' | 'target'>,
  { run, stagingPath, saved }: RunSession,
  { files, replaced, replacedState }: StagedFiles<unknown>,
): IntentOfFiles {
  const { kind, path } = target;
  return {
    version: 1,
    config,
    run,
    stagingPath,
    target: kind === 'file' ? { kind, path, old: replacedState } : { kind, path },
    writeMode: target.mode === 'Overwrite' ? 'Overwrite' : 'Append',
    files,
    replaced,
    root: rootOf(target),
    previousRun: saved.previousRun,
    createdAtMs: Date.now(),
  };
}

/**
 * @throws OffloadError: whatever a worker met; TARGET_UNSUITABLE if the target cannot take these columns; FENCED if
 *   another run has taken over.
 */
export async function stageFiles<Result>(request: StagingRequest<Result>): Promise<StagedFiles<Result>> {
  try {
    if (request.target.partitionBy.length === 0) return await stagePlainFiles(request);
    return await (await import('./stageFolders.ts')).stageFolders(request);
  } catch (error) {
    throw await explainFailure(error, request.session);
  }
}

/**
 * A run that was taken over finds its staging removed, or half of it while the other is at work on that: that, not the
 * missing file, is what to say.
 */
async function explainFailure(error: unknown, session: StagingPlace): Promise<unknown> {
  const { run, stagingPath } = session;
  const isThere = await unlessAbsent(nodeFileSystem.stat(stagingPath)).catch(() => true);
  const isOfFile = toOffloadError(error).context.systemCode === 'ENOENT';
  if (isThere && !(isOfFile && (await session.isTakenOver().catch(() => false)))) return error;
  return new OffloadError(
    'FENCED',
    `run ${run} was taken over by another: its staging folder ${stagingPath} is removed; nothing of it was published`,
    { context: { run, stagingPath }, cause: error },
  );
}

async function stagePlainFiles<Result>(request: StagingRequest<Result>): Promise<StagedFiles<Result>> {
  const { target, config, session, schema, fileCount } = request;
  const fs = session.isTransient ? withoutSync(nodeFileSystem) : nodeFileSystem;
  const format = await loadFileFormat(target.output);
  const isAppend = target.kind === 'file' && target.mode !== 'Overwrite';
  // Refused before any row is read: columns the format or the old file cannot take, a foreign file in a folder to overwrite.
  const start = await format.start(schema);
  const oldStart = isAppend ? await readOldStart(fs, target.path, format, schema) : null;
  const replaced =
    target.kind === 'folder' && target.mode === 'Overwrite' ? await listOwnFiles(fs, target.path, config) : [];
  if (fileCount === 0) return { files: [], results: [], replacedState: null, replaced: [] };

  const paths = await createStagedFiles(fs, session.stagingPath, fileCount, start.head);
  const layout = createLayout(paths, start.head.length);
  if (oldStart) startAt(layout, 0, startOfNewRows(oldStart));
  const flusher = startFlushing(fs, layout);
  const [old, results] = await Promise.all([
    oldStart ? copyOldFile(fs, oldStart, paths[0] as string) : null,
    request.write({ layout, mark: (oldStart ?? start).mark, isOrdered: format.isOrdered }),
  ]).finally(() => flusher.stop());
  passStep('stage.rowsWritten');
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
