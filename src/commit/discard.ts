/**
 * Gives the ranges of a prepared run back: its intent is withdrawn, the saved offsets stay, the next run reads the same
 * ranges again. Only while nothing of it is visible, or rows would come twice. The order of steps, and what a crash
 * after each leaves:
 *
 * 1. The intent is this session's (FILE: renamed to its number; STREAM: others are fenced). Left: an intent as before.
 * 2. The staging folder is put aside by one rename. From then on nobody can publish from it, whoever wakes up: every
 *    link and rename of a staged file fails. Left: the next run looks as in 3, and goes on here or finishes it.
 * 3. Look for anything that is published. There is: the folder is put back, and the run refused.
 * 4. The intent goes (FILE: it becomes `fenced`; STREAM: tombstone). Left: a folder that a record still names as that
 *    of a run that never happened.
 * 5. The manifest is removed, which a run without rows may have, or one whose files were removed again: it would tell
 *    of offsets that the next run reads. Not earlier: a session that slept after 3 may find the run finished by another.
 * 6. The folder is removed.
 *
 * `intent.json` is not read: its loss is one of the reasons to be here. Names of new files hold the run id, and the
 * record has what tells an exact file.
 */
import { basename, dirname, join, relative } from 'node:path';
import { OffloadError } from '../errors.ts';
import { checksumFile, type FileSystem, syncFolder, unlessAbsent } from '../io.ts';
import { offsetKey } from '../plan/places.ts';
import { listVisibleFiles, sameState } from '../sinks/localFiles.ts';
import { manifestPath } from '../sinks/manifest.ts';
import type { PartitionOffset } from '../tasks.ts';
import type { IntentRecord } from './intent.ts';
import { isStagingPathOf, rootOfStaging, withdrawnPathOf } from './names.ts';
import type { SavedOffsets } from './savedOffsets.ts';

/**
 * Looks whether the ranges of a run can be given back, and touches nothing.
 *
 * @throws OffloadError RECOVERY_BLOCKED naming the file that is published, or the folder that cannot be looked at.
 */
export async function checkDiscard(fs: FileSystem, record: IntentRecord): Promise<void> {
  await checkPlace(fs, record);
  const why = await findPublished(fs, record);
  if (why !== null) throw refuseDiscard(record, why);
}

/**
 * Steps 2 and 3.
 *
 * @throws OffloadError as `checkDiscard`.
 */
export async function withdrawStaging(fs: FileSystem, record: IntentRecord): Promise<void> {
  await checkPlace(fs, record);
  const { stagingPath } = record;
  await unlessAbsent(fs.rename(stagingPath, withdrawnPathOf(stagingPath)));
  await unlessAbsent(syncFolder(fs, dirname(stagingPath)));
  const why = await findPublished(fs, record);
  if (why === null) return;
  await restoreStaging(fs, record);
  throw refuseDiscard(record, why);
}

/** Where the target folder is not there, nothing can be said of what is in it. */
async function checkPlace(fs: FileSystem, record: IntentRecord): Promise<void> {
  const { stagingPath, run, host } = record;
  if (!isStagingPathOf(stagingPath, run)) {
    throw refuseDiscard(
      record,
      `its staging path ${stagingPath} is not one that kafkaload makes`,
      'correct the record',
    );
  }
  const root = rootOfStaging(stagingPath);
  if (!(await unlessAbsent(fs.stat(root)))) {
    throw refuseDiscard(
      record,
      `${root} is not there, so it cannot be told whether files of it are published`,
      `do this on host ${host}; if that folder is lost for good, make an empty one here and do it again`,
    );
  }
}

/**
 * Whether a run that was begun to be given back is to be given back, by whoever finds it. As long as its folder is aside
 * nobody can publish, so all who look find the same: of two, one cannot finish what the other gives back. Otherwise the
 * folder is put back, and the run can be finished.
 *
 * @param saved Saved offsets; null where they are saved together with the end of the intent (STREAM).
 */
export async function isGivenBack(fs: FileSystem, record: IntentRecord, saved: SavedOffsets | null): Promise<boolean> {
  const { stagingPath, run } = record;
  if (!isStagingPathOf(stagingPath, run) || !(await unlessAbsent(fs.stat(withdrawnPathOf(stagingPath))))) return false;
  const isSaved = saved !== null && findSaved(record, saved) !== null;
  if (!isSaved && (await findPublished(fs, record)) === null) return true;
  await restoreStaging(fs, record);
  return false;
}

/** A partition whose offset is saved as the run moves it; null: none, so it is not committed. */
export function findSaved(record: IntentRecord, saved: SavedOffsets): PartitionOffset | null {
  const isKept = ({ offset, ...place }: PartitionOffset, index: number): boolean =>
    offset !== record.previous[index]?.offset && saved.get(offsetKey(place))?.offset === offset;
  return record.next.find(isKept) ?? null;
}

/** Step 5. The run never happened: whatever tells of it can go at any time, and again. */
export async function removeManifest(
  fs: FileSystem,
  { stagingPath, config, run }: Pick<IntentRecord, 'stagingPath' | 'config' | 'run'>,
): Promise<void> {
  if (!isStagingPathOf(stagingPath, run)) return;
  const path = manifestPath(rootOfStaging(stagingPath), config, run);
  await unlessAbsent(fs.unlink(path));
  await unlessAbsent(syncFolder(fs, dirname(path)));
}

/** Undoes step 2. */
export async function restoreStaging(fs: FileSystem, { stagingPath }: IntentRecord): Promise<void> {
  await unlessAbsent(fs.rename(withdrawnPathOf(stagingPath), stagingPath));
  await unlessAbsent(syncFolder(fs, dirname(stagingPath)));
}

/** What of a run is visible, in words; null: nothing. */
async function findPublished(fs: FileSystem, record: IntentRecord): Promise<string | null> {
  const { stagingPath, run, exactFile } = record;
  const root = rootOfStaging(stagingPath);
  if (exactFile) {
    const now = await checksumFile(fs, exactFile.path);
    if (now && sameState(now, exactFile.next)) return `${exactFile.path} is already published`;
    if (now === null || sameState(now, exactFile.old)) return null;
    // Not what stood there, nor what was to: harmless while the new file has not left staging.
    for (const folder of [stagingPath, withdrawnPathOf(stagingPath)]) {
      const staged = join(folder, relative(stagingPath, exactFile.stagedPath));
      if (await unlessAbsent(fs.stat(staged))) return null;
    }
    return `${exactFile.path} may already be published: somebody has changed it since`;
  }
  const visible = (await listVisibleFiles(fs, root)).filter((path) => basename(path).includes(run));
  if (visible.length > 0) {
    const more = visible.length > 1 ? ` (and ${visible.length - 1} more)` : '';
    return `${visible[0]}${more} is already published`;
  }
  return null;
}

/** Nothing was changed, and the intent stands: it can still be finished. */
export function refuseDiscard(
  { config, run, host, stagingPath }: IntentRecord,
  why: string,
  hint = `kafkaload offsets recover --config ${config} finishes it`,
): OffloadError {
  return new OffloadError(
    'RECOVERY_BLOCKED',
    `cannot give back the ranges of run ${run} of config ${config}: ${why}; nothing was changed; ${hint}`,
    { context: { config, run, host, path: stagingPath } },
  );
}
