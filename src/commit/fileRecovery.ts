/** What a run in FILE mode does with an intent whose owner is dead (fileRun.ts): finishes it, or gives its ranges back. */
import { OffloadError } from '../errors.ts';
import { offsetKey } from '../plan/places.ts';
import { fencedError, removeStaging } from './context.ts';
import { checkDeadLetters } from './deadLetters.ts';
import { findSaved, isGivenBack, refuseDiscard, removeManifest, withdrawStaging } from './discard.ts';
import { publishAndCommit } from './fileFinish.ts';
import type { FileProgress } from './fileProgress.ts';
import type { IntentRecord } from './intent.ts';
import type { StateName } from './names.ts';
import { formatOffsetsFile, mergeOffsets } from './savedOffsets.ts';

/**
 * Takes over an intent whose owner is dead, and finishes it. What was taken by another meanwhile is looked at again.
 *
 * @throws OffloadError RECOVERY_BLOCKED, TARGET_CHANGED, SAVED_OFFSETS_INVALID, FENCED
 */
export async function recover(progress: FileProgress, found: StateName): Promise<void> {
  const { folder, context } = progress;
  const { config, step, log } = context;
  const record = await folder.readIntent(found);
  if (record === 'absent') return;
  if (!record) {
    throw new OffloadError(
      'RECOVERY_BLOCKED',
      `cannot finish run ${found.run} of config ${config}: ${folder.pathOf(found)} holds no intent record`,
      { context: { config, run: found.run, path: folder.pathOf(found) } },
    );
  }
  const saved = await progress.readSaved(record);
  const givesBack = context.discard || (await isGivenBack(context.fs, record, saved));
  if (givesBack && !record.change) return discard(progress, found, record);
  const { offsets, warnings } = mergeOffsets(saved, record);
  if (!(await folder.create(progress.mine('next'), formatOffsetsFile(offsets, record)))) {
    throw fencedError(context, 'a file it was writing was removed');
  }
  await folder.sync();
  await step('recover.nextWritten');
  if (!(await claim(progress, found))) return;
  await step('recover.claimed');
  await folder.remove({ ...found, kind: 'next' });
  await folder.sync();
  await step('recover.begun');
  log(`finishing run ${record.run} of config ${config}, which was prepared and did not end`);
  for (const warning of warnings) log(`warning: ${warning}`);
  const files = await publishAndCommit(progress, record, null, found);
  progress.phase = 'free';
  if (files) progress.recovered.push({ run: record.run, files, warnings });
}

async function discard(progress: FileProgress, found: StateName, record: IntentRecord): Promise<void> {
  const { folder, context } = progress;
  const { fs, step, log } = context;
  if (!(await claim(progress, found))) return;
  await step('discard.claimed');
  await folder.remove({ ...found, kind: 'next' });
  await folder.sync();
  await step('discard.begun');
  // Its owner may have been asleep until just now, and have committed before its `next` went.
  const saved = await progress.readSaved(record);
  const kept = findSaved(record, saved);
  if (kept) throw refuseDiscard(record, `its offsets are saved already (${offsetKey(kept)}: ${kept.offset})`);
  await withdrawStaging(fs, record);
  await checkDeadLetters(fs, context, record);
  await step('discard.withdrawn');
  progress.release(progress.mine('intent'));
  // With the run that prepared: the name of a run that took it over may be there already, of that run itself.
  const fenced: StateName = { kind: 'fenced', number: found.number, run: record.run };
  const gone = await folder.rename(progress.mine('intent'), fenced);
  if (!gone) throw fencedError(context, 'the intent it was giving back was taken');
  await folder.sync();
  await step('discard.done');
  await removeManifest(fs, record);
  await removeStaging(context, record.stagingPath, record.run);
  await step('discard.stagingRemoved');
  progress.phase = 'free';
  log(`run ${record.run} of config ${record.config} was withdrawn: its ranges are read again by the next run`);
  progress.discarded.push({ run: record.run, previous: record.previous, next: record.next });
}

/** Renames an intent to this run's number. False: another was faster. */
async function claim(progress: FileProgress, found: StateName): Promise<boolean> {
  progress.phase = 'bound';
  if (await progress.folder.rename(found, progress.mine('intent'))) {
    progress.hold(progress.mine('intent'));
    return true;
  }
  progress.phase = 'free';
  return false;
}
