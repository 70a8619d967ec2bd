/** Step 4 of a run in STREAM mode (streamRun.ts): finishes what an earlier run prepared, or gives its ranges back. */
import { OffloadError } from '../errors.ts';
import { removeEmptyStaging, removeStaging } from './context.ts';
import { checkDeadLetters } from './deadLetters.ts';
import { isGivenBack, removeManifest, withdrawStaging } from './discard.ts';
import type { IntentRecord } from './intent.ts';
import { publishAndCommit } from './streamFinish.ts';
import type { StreamProgress } from './streamProgress.ts';
import { formatRunRecord, type Leftover, stateKeys } from './streamRecords.ts';
import type { StreamState } from './streamState.ts';

/** @throws OffloadError RECOVERY_BLOCKED, TARGET_CHANGED, FENCED, OUTCOME_UNKNOWN, broker errors */
export async function recover(progress: StreamProgress, state: StreamState): Promise<void> {
  const { context } = progress;
  const { config, offsets, step, log } = context;
  if (state.damagedIntent !== null) {
    throw new OffloadError(
      'RECOVERY_BLOCKED',
      `cannot finish a prepared run of config ${config}: the record ${stateKeys(config).intent} of topic ` +
        `${offsets.name} is no intent`,
      { context: { config, topic: offsets.name } },
    );
  }
  if (!state.intent) return;
  const givesBack = context.discard || (await isGivenBack(context.fs, state.intent, null));
  if (givesBack) return discard(progress, state.intent);
  await step('recover.begun');
  log(`finishing run ${state.intent.run} of config ${config}, which was prepared and did not end`);
  if (state.intent.plainTopic !== context.plainTopic) progress.read = await progress.readState(state.intent);
  progress.phase = 'bound';
  const { files, warnings } = await publishAndCommit(progress, state.intent, null);
  progress.phase = 'free';
  progress.recovered.push({ run: state.intent.run, files, warnings });
  progress.read = await progress.readState();
  await step('recover.read');
}

async function discard(progress: StreamProgress, record: IntentRecord): Promise<void> {
  const { context } = progress;
  const { config, fs, step, log, owner } = context;
  progress.phase = 'bound';
  await step('discard.begun');
  await withdrawStaging(fs, record);
  await checkDeadLetters(fs, context, record);
  await step('discard.withdrawn');
  const rest = progress.takenOver.filter(({ run }) => run !== record.run);
  progress.takenOver = [...rest, { run: record.run, stagingPath: record.stagingPath, withdrawn: true }];
  const withdrawn = await progress.transact(
    [
      [stateKeys(config).intent, null],
      [stateKeys(config).run, formatRunRecord(owner, progress.takenOver)],
    ],
    { isDone: async () => !(await progress.isHeld(record)) },
  );
  if (withdrawn.outcome === 'fenced') throw await progress.overtaken(record);
  if (withdrawn.outcome === 'unsent') throw withdrawn.cause;
  if (withdrawn.outcome === 'unknown') throw progress.unknownError('withdrawn', withdrawn.cause);
  await step('discard.done');
  if (await removeStaging(context, record.stagingPath, record.run)) progress.takenOver = rest;
  await step('discard.stagingRemoved');
  progress.phase = 'free';
  log(`run ${record.run} of config ${config} was withdrawn: its ranges are read again by the next run`);
  progress.discarded.push({ run: record.run, previous: record.previous, next: record.next });
  progress.read = await progress.readState();
}

/** Removes the staging of earlier runs. */
export async function clean(progress: StreamProgress): Promise<void> {
  const { context } = progress;
  const { fs, config, step } = context;
  const left: Leftover[] = [];
  for (const past of progress.takenOver) {
    if (past.withdrawn === true) await removeManifest(fs, { ...past, config });
    if (!(await removeStaging(context, past.stagingPath, past.run))) left.push(past);
    await step('open.stagingRemoved');
  }
  progress.takenOver = left;
  await removeEmptyStaging(context);
  await step('open.cleaned');
}
