/** Steps 5 to 8 of a run in STREAM mode (streamRun.ts): prepares, publishes and commits an intent, its own or another's. */
import { publishLocalFiles } from '../sinks/localFiles.ts';
import { publishError, removeStaging } from './context.ts';
import { deliverDeadLetters } from './deadLetters.ts';
import { blocked, formatIntentRecord, type IntentRecord, loadIntent } from './intent.ts';
import { mergeOffsets, type SavedOffsets } from './savedOffsets.ts';
import type { StreamProgress } from './streamProgress.ts';
import { formatLastCommit, formatRunRecord, keysToForget, type Leftover, stateKeys } from './streamRecords.ts';
import type { Intent } from './types.ts';

/** @throws OffloadError FENCED: nothing of this run counts; OUTCOME_UNKNOWN, broker errors */
export async function prepare(progress: StreamProgress, record: IntentRecord): Promise<void> {
  const { config, step } = progress.context;
  await step('prepare.before');
  progress.phase = 'bound';
  const prepared = await progress.transact([[stateKeys(config).intent, formatIntentRecord(record)]], {
    isDone: () => progress.isHeld(record),
  });
  if (prepared.outcome === 'fenced') throw progress.overtakenError('that was before it knew that it had prepared');
  if (prepared.outcome === 'unsent') {
    progress.phase = 'free';
    throw prepared.cause;
  }
  if (prepared.outcome === 'unknown') throw progress.unknownError('prepared', prepared.cause);
  await step('prepare.after');
}

/**
 * @param own The intent, if it is this run's; null to read it from its staging folder.
 * @returns Paths published, and entries of saved offsets that were set by hand and stay.
 * @throws OffloadError RECOVERY_BLOCKED, TARGET_CHANGED, FENCED, OUTCOME_UNKNOWN, broker errors
 */
export async function publishAndCommit(
  progress: StreamProgress,
  record: IntentRecord,
  own: Intent | null,
): Promise<{ files: string[]; warnings: string[] }> {
  const { context } = progress;
  const { fs, config, run: writer, step, log, owner } = context;
  const intent = own ?? (await loadIntent(fs, record));
  if (!own) await step('recover.intentRead');
  if (!intent) {
    throw (await progress.isHeld(record))
      ? blocked(record, `its staging folder ${record.stagingPath} is not there`)
      : progress.overtakenError('another run finished what it was finishing');
  }
  const outcome = await publishLocalFiles(intent, { fs, writer, step });
  if (!outcome.ok) {
    throw (await progress.isHeld(record)) ? publishError(record, outcome) : await progress.overtaken(record);
  }
  const areWritten = await deliverDeadLetters(context, record, intent, () => progress.isHeld(record));
  if (!areWritten) throw await progress.overtaken(record);
  await step('commit.begun');
  const { offsets, warnings } = mergeOffsets(progress.current.offsets, record);
  for (const warning of warnings) log(`warning: ${warning}`);
  const finished: Leftover = { run: record.run, stagingPath: record.stagingPath };
  const rest = progress.takenOver.filter(({ run }) => run !== record.run);
  progress.takenOver = own ? rest : [...rest, finished];
  const committed = await progress.transact(
    [
      ...progress.changedOffsets(offsets, record),
      [stateKeys(config).state, formatLastCommit(record)],
      [stateKeys(config).intent, null],
      [stateKeys(config).run, formatRunRecord(owner, progress.takenOver)],
    ],
    { isDone: async () => !(await progress.isHeld(record)) },
  );
  if (committed.outcome === 'fenced') throw await progress.overtaken(record);
  if (committed.outcome === 'unsent') throw committed.cause;
  if (committed.outcome === 'unknown') throw progress.unknownError('committed', committed.cause);
  await step('commit.committed');
  const isRemoved = await removeStaging(context, record.stagingPath, record.run);
  if (isRemoved) progress.takenOver = rest;
  else if (own) progress.staging = 'left';
  await step('commit.stagingRemoved');
  return { files: intent.files.map((file) => file.targetPath), warnings };
}

/**
 * Saves offsets as a person sets them, in one transaction.
 *
 * @param next All that is to be saved: entries that are not among them are forgotten.
 * @param record What the last commit is from now on.
 * @throws OffloadError FENCED, OUTCOME_UNKNOWN, broker errors
 */
export async function commitChange(progress: StreamProgress, next: SavedOffsets, record: IntentRecord): Promise<void> {
  const { context } = progress;
  const { config, step } = context;
  progress.phase = 'bound';
  const changed = await progress.transact([
    ...keysToForget(progress.current, config, next, context).map((key) => [key, null] as const),
    ...progress.changedOffsets(next, context),
    [stateKeys(config).state, formatLastCommit(record)],
  ]);
  if (changed.outcome === 'fenced') throw progress.overtakenError('that was before it changed the saved offsets');
  if (changed.outcome === 'unsent') throw changed.cause;
  if (changed.outcome === 'unknown') throw progress.unknownError('committed', changed.cause);
  await step('commit.committed');
}
