/** Stages files in folders named by the values of columns. */
import { join } from 'node:path';
import { extensionOf } from '../encode/extensions.ts';
import { loadFileFormat } from '../encode/fileFormat.ts';
import { nodeFileSystem as fs, writeSynced } from '../io.ts';
import { planPartitioning } from '../partition/partitioning.ts';
import { FILE_BYTES } from '../plan/tasks.ts';
import { listOwnFiles } from '../sinks/localFiles.ts';
import { assembleFolderFiles } from '../stage/folderFiles.ts';
import { createLayout } from '../stage/segments.ts';
import { fileNumber } from '../stage/stagedFiles.ts';
import { passStep } from '../steps.ts';
import type { StagedFiles, StagingRequest } from './staging.ts';

/** Enough that workers seldom write to the same one at a time. */
const SPOOLS = 4;

/** @throws OffloadError as `stageFiles`; USAGE for a column to divide by that is not there or does not suit. */
export async function stageFolders<Result>(request: StagingRequest<Result>): Promise<StagedFiles<Result>> {
  const { target, config, session, schema, fileCount } = request;
  const { fileSchema } = planPartitioning(target.partitionBy, schema);
  const format = await loadFileFormat(target.output);
  const start = await format.start(fileSchema);
  const replaced = target.mode === 'Overwrite' ? await listOwnFiles(fs, target.path, config) : [];
  if (fileCount === 0) return { files: [], results: [], replacedState: null, replaced: [] };

  const { stagingPath, run } = session;
  const paths = Array.from({ length: SPOOLS }, (_, index) => join(stagingPath, `spool-${index}.staged`));
  for (const path of paths) await writeSynced(fs, path, new Uint8Array(0), 'wx');
  passStep('stage.spoolsCreated');
  const spools = createLayout(paths, 0);
  const results = await request.write({ layout: spools, mark: start.mark, isOrdered: false });
  passStep('stage.rowsWritten');
  const extension = extensionOf(target.output);
  const files = await assembleFolderFiles({
    ...{ fs, stagingPath, spools, format, head: start.head, mostFiles: target.coalesce, fileBytes: FILE_BYTES },
    segments: results.flatMap((result) => result.folders),
    targetPath: (folder, file) => join(target.path, folder, `${fileNumber(file)}-${run}${extension}`),
  });
  // Nothing new: a folder to overwrite stays as it is.
  return { files, results, replacedState: null, replaced: files.length === 0 ? [] : replaced };
}
