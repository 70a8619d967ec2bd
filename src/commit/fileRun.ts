/**
 * A run that keeps its offsets in a folder (FILE mode; layout in fileState.ts). Steps 2 and 3 are in fileSettle.ts and
 * fileRecovery.ts, 4 to 8 in fileFinish.ts. The order of steps, and what a crash after each leaves:
 *
 * 1. Open: staging folder, `run.E`. Left: garbage; the next run fences `run.E` and removes the folder it names.
 * 2. Settle: every older run is fenced, then every older intent is finished (5 to 8), until none is left.
 * 3. Read the saved offsets, then remove what older runs left. The caller plans and stages.
 * 4. Prepare: `intent.json`, `next.E`, the record appended to `run.E`, all synced; rename `run.E` to `intent.E`. That
 *    rename is the point of no return: before it the run never happened, after it the run is finished by whoever comes.
 * 5. Publish and manifest (sinks/localFiles.ts): may be repeated by anyone.
 * 6. Commit: rename `next.E` to `CONFIG`. It was made before prepare and exists once, so a run that slept meanwhile
 *    cannot move the offsets back: its rename fails.
 * 7. Rename `intent.E` to `done.E`.
 * 8. Remove the staging folder: only by the run whose rename to `done` succeeded, or by a later one that `done` tells.
 *
 * Saved offsets that a person sets or resets go the same way, with a record that has no staging and no files: prepare,
 * commit, `done`. A crash in between leaves an intent that the next run finishes; the new `done` brings topic ids of its
 * own, so that those of a topic that was made again are gone with the offsets.
 *
 * An intent whose ranges are given back (discard.ts) is renamed to this run's number as for a recovery, and its `next`
 * removed; then, with nothing of it visible, `intent` becomes `fenced` with the number it had: it never happened.
 *
 * A run that takes an intent over writes its own `next` first, then renames the intent to its own number; the
 * old `next` goes. From then on the run it took over fails at 6 or, if it was later than that, has done the same work.
 */
import { messageOf } from '../errors.ts';
import { makeFolders } from '../io.ts';
import { offsetKey } from '../plan/places.ts';
import { passStep } from '../steps.ts';
import { describeFailure, fencedError, makeStaging, type RunContext, removeStaging, stageIntent } from './context.ts';
import { commit, prepare, publishAndCommit } from './fileFinish.ts';
import { FileProgress } from './fileProgress.ts';
import { clean, settle, yieldToLater } from './fileSettle.ts';
import { makeChangeRecord } from './intent.ts';
import { markEnded, markRunning } from './owner.ts';
import { openSession, type RunSteps } from './runSession.ts';
import type { Intent, RunSession, SavedState } from './types.ts';

/** @throws OffloadError RUN_ALIVE, RECOVERY_BLOCKED, TARGET_CHANGED, SAVED_OFFSETS_INVALID, FENCED, IO_FAILED */
export function openFileRun(context: RunContext): Promise<RunSession> {
  return openSession(new FileRun(context));
}

class FileRun implements RunSteps {
  readonly progress: FileProgress;

  constructor(context: RunContext) {
    this.progress = new FileProgress(context);
  }

  get saved(): SavedState {
    return this.progress.state;
  }

  async holdsRecord(): Promise<boolean> {
    const { progress } = this;
    return (await progress.folder.mark(progress.mine('run'))) !== null;
  }

  async open(): Promise<void> {
    const { progress } = this;
    await this.#announce();
    for (let first = true; ; first = false) {
      const settled = await settle(progress, first);
      if (!settled) continue;
      await progress.read(settled);
      await clean(progress, settled);
      await progress.context.step('open.cleaned');
      return;
    }
  }

  async #announce(): Promise<void> {
    const { progress } = this;
    const { folder, context } = progress;
    const { fs, step, owner, run } = context;
    await makeFolders(fs, folder.path);
    const names = await folder.list();
    progress.number = 1 + Math.max(0, ...names.map((name) => name.number));
    await step('open.listed');
    // The record is written, not yet under its name, before the folder it names: a crash in between leaves no folder
    // that nothing names, and nobody can know the run before its folder is there.
    await folder.write(progress.mine('temp'), `${JSON.stringify(owner)}\n`);
    await folder.sync();
    await step('open.recordWritten');
    await makeStaging(context);
    await step('open.stagingMade');
    markRunning(run);
    if (!(await folder.rename(progress.mine('temp'), progress.mine('run')))) {
      await yieldToLater(progress, await folder.list());
      throw fencedError(context, 'its run record was removed');
    }
    progress.hold(progress.mine('run'));
    progress.startHeartbeat();
    await folder.sync();
    await step('open.runCreated');
  }

  async finish(intent: Intent): Promise<void> {
    const { progress } = this;
    const record = await stageIntent(progress.context, intent, progress.offsets);
    await progress.context.step('prepare.intentStaged');
    await prepare(progress, record);
    await publishAndCommit(progress, record, intent, progress.mine('intent'));
  }

  async replaceSaved(...change: Parameters<RunSession['replaceSaved']>): Promise<void> {
    const [offsets, topicIds, previousRun] = change;
    const { progress } = this;
    const next = new Map(offsets.map((entry) => [offsetKey(entry), entry]));
    const from = { saved: progress.offsets, previousRun: previousRun ?? progress.state.previousRun };
    const record = makeChangeRecord(progress.context, from, { offsets: next, topicIds });
    await prepare(progress, record);
    await commit(progress, record, true, progress.mine('intent'));
  }

  end(): Promise<void> {
    const { progress } = this;
    progress.releaseAll();
    return progress.end(() => markEnded(progress.context.run));
  }

  /** Staging first: a crash in between leaves `run.E`, which names it. */
  async close(): Promise<void> {
    const { progress } = this;
    const { folder, context } = progress;
    if (progress.ending) return progress.ending;
    await this.end();
    if (progress.phase === 'bound') return;
    const isRemoved = await removeStaging(context, context.stagingPath, context.run);
    passStep('close.stagingRemoved');
    if (progress.number === 0 || !isRemoved) return;
    try {
      for (const kind of ['temp', 'next', 'run'] as const) await folder.remove(progress.mine(kind));
      passStep('close.recordRemoved');
    } catch (error) {
      // Harmless: the next run finds them and sees that this process has ended.
      context.log(`warning: ${messageOf(describeFailure(error, 'end the run'))}; the next run tries again`);
    }
  }
}
