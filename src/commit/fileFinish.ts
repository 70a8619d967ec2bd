/** Steps 4 to 8 of a run in FILE mode (fileRun.ts): prepares, publishes and commits an intent, its own or another's. */
import { messageOf, OffloadError } from '../errors.ts';
import { systemCode } from '../io.ts';
import { publishLocalFiles } from '../sinks/localFiles.ts';
import { fencedError, publishError, removeStaging } from './context.ts';
import { deliverDeadLetters } from './deadLetters.ts';
import type { FileProgress } from './fileProgress.ts';
import { blocked, formatIntentRecord, type IntentRecord, loadIntent } from './intent.ts';
import { compareNames, type StateName } from './names.ts';
import { formatOffsetsFile, mergeOffsets } from './savedOffsets.ts';
import type { Intent } from './types.ts';

/** @throws OffloadError FENCED: nothing of this run counts; OUTCOME_UNKNOWN */
export async function prepare(progress: FileProgress, record: IntentRecord): Promise<void> {
  const { folder, context } = progress;
  const { config, run, step } = context;
  const mine = progress.mine('run');
  const next = formatOffsetsFile(mergeOffsets(progress.offsets, record).offsets, record);
  if (!(await folder.create(progress.mine('next'), next))) {
    throw fencedError(context, 'a file it was writing was removed');
  }
  await step('prepare.nextWritten');
  if (!(await folder.append(mine, formatIntentRecord(record)))) throw takenAtPrepare(progress);
  await folder.sync();
  await step('prepare.before');
  progress.phase = 'bound';
  progress.release(mine);
  let prepared: boolean;
  try {
    prepared = await folder.rename(mine, progress.mine('intent'));
  } catch (error) {
    throw new OffloadError(
      'OUTCOME_UNKNOWN',
      `it is not known whether run ${run} of config ${config} is prepared: ${messageOf(error)}; ` +
        'nothing was touched; the next run finishes or discards it',
      { context: { config, run, systemCode: systemCode(error) }, cause: error },
    );
  }
  if (!prepared) throw takenAtPrepare(progress);
  progress.hold(progress.mine('intent'));
  await step('prepare.renamed');
  await folder.sync();
  await step('prepare.after');
}

function takenAtPrepare({ context }: FileProgress): OffloadError {
  return fencedError(context, 'its run record was taken before it prepared, so none of its work counts');
}

/**
 * Publishes and commits an intent that stands under this run's name.
 *
 * @param own The intent, if it is this run's; null to read it from its staging folder.
 * @param original Name of the intent before it was taken over: `done` gets its number, so that this run's are free.
 * @returns Paths published; null if another run has taken the intent over: look again.
 * @throws OffloadError RECOVERY_BLOCKED, TARGET_CHANGED, FENCED
 */
export async function publishAndCommit(
  progress: FileProgress,
  record: IntentRecord,
  own: Intent | null,
  original: StateName,
): Promise<readonly string[] | null> {
  const { folder, context } = progress;
  const { fs, run, step } = context;
  const name = progress.mine('intent');
  if (record.change) return commit(progress, record, false, original);
  const isHeld = async (): Promise<boolean> => (await folder.list()).some((other) => isSameName(other, name));
  const intent = own ?? (await loadIntent(fs, record));
  if (!own) await step('recover.intentRead');
  if (!intent) {
    if (await isHeld()) throw blocked(record, `its staging folder ${record.stagingPath} is not there`);
    return progress.release(name);
  }
  const outcome = await publishLocalFiles(intent, { fs, writer: run, step });
  if (!outcome.ok) {
    if (await isHeld()) throw publishError(record, outcome);
    if (own) throw await overtaken(progress, record);
    return progress.release(name);
  }
  if (!(await deliverDeadLetters(progress.context, record, intent, isHeld))) {
    if (own) throw await overtaken(progress, record);
    return progress.release(name);
  }
  await commit(progress, record, own !== null, original);
  return intent.files.map((file) => file.targetPath);
}

function isSameName(a: StateName, b: StateName): boolean {
  return a.kind === b.kind && compareNames(a, b) === 0;
}

/**
 * What follows publishing, and all of a change of the saved offsets.
 *
 * @param isOwn False for an intent that was taken over.
 * @throws OffloadError FENCED
 */
export async function commit(
  progress: FileProgress,
  record: IntentRecord,
  isOwn: boolean,
  original: StateName,
): Promise<readonly string[]> {
  const { folder, context } = progress;
  const { step } = context;
  const name = progress.mine('intent');
  await step('commit.begun');
  const committed = await folder.commit(progress.mine('next'));
  if (!committed && isOwn) throw await overtaken(progress, record);
  await step('commit.saved');
  await folder.sync();
  await step('commit.savedSynced');
  progress.release(name);
  const done = await folder.rename(name, { ...original, kind: 'done' });
  await step('commit.done');
  await folder.sync();
  await step('commit.doneSynced');
  if (done) await removeStaging(context, record.stagingPath, record.run);
  await step('commit.stagingRemoved');
  return [];
}

/** The intent was taken over while this run published: looks what became of it, and says so. */
async function overtaken(progress: FileProgress, record: IntentRecord): Promise<OffloadError> {
  const saved = await progress.readSaved(record);
  const { offsets } = mergeOffsets(saved, record);
  const isSaved = [...offsets].every(([key, entry]) => saved.get(key)?.offset === entry.offset);
  return fencedError(
    progress.context,
    `it had prepared, and its offsets ${isSaved ? 'are saved by now' : 'are not saved yet'}`,
  );
}
