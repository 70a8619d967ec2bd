/** Steps 2 and 3 of a run in FILE mode (fileRun.ts): settles older runs, and removes what they left. */
import { removeStaging } from './context.ts';
import { removeManifest } from './discard.ts';
import type { FileProgress } from './fileProgress.ts';
import { recover } from './fileRecovery.ts';
import { highestDone } from './fileState.ts';
import { compareNames, type StateName } from './names.ts';
import { aliveError, formatOwner } from './owner.ts';
import { watchRun } from './watch.ts';

/**
 * One look at the others. Of two runs started together the later number goes on: each sees, listing again after it
 * made its own name, whether there is one.
 *
 * @returns The names, once no older run and no older intent is left; null: something was done, look again.
 * @throws OffloadError RUN_ALIVE, and those of `recover`.
 */
export async function settle(progress: FileProgress, first: boolean): Promise<readonly StateName[] | null> {
  const { folder, context } = progress;
  const { config, step } = context;
  const mine = progress.mine('run');
  const names = await folder.list();
  await step('settle.listed');
  if (first) await yieldToLater(progress, names);
  const older = names.filter((name) => isOpen(name) && compareNames(name, mine) < 0);
  // Runs first: while one of them can still prepare, the intent behind it may be any number of steps old.
  const oldest = older.find((name) => name.kind === 'run') ?? older[0];
  if (!oldest) return names;
  const verdict = await watch(progress, oldest);
  await step('settle.watched');
  if (verdict === 'gone') return null;
  if (verdict === 'alive') {
    throw aliveError(config, { run: oldest.run, owner: await folder.readOwner(oldest) }, 'is at work');
  }
  if (oldest.kind === 'run') {
    await folder.rename(oldest, { ...oldest, kind: 'fenced' });
    await step('settle.fenced');
  } else {
    await recover(progress, oldest);
  }
  return null;
}

/** @throws OffloadError RUN_ALIVE if there is a run with a later number. */
export async function yieldToLater(progress: FileProgress, names: readonly StateName[]): Promise<void> {
  const { folder, context } = progress;
  const own = progress.mine('run');
  const later = names.find((name) => name.kind !== 'next' && name.kind !== 'temp' && compareNames(name, own) > 0);
  if (!later) return;
  const other = { run: later.run, owner: await folder.readOwner(later) };
  throw aliveError(context.config, other, 'has just been started');
}

function isOpen(name: StateName): boolean {
  return name.kind === 'run' || name.kind === 'intent';
}

async function watch({ folder, context }: FileProgress, name: StateName): Promise<'alive' | 'dead' | 'gone'> {
  const { config, offsets, clock, log, takeOver } = context;
  if (takeOver) return 'dead';
  const owner = await folder.readOwner(name);
  const look = async () => {
    const mark = await folder.mark(name);
    return mark === null ? null : { mark, owner };
  };
  return watchRun(look, offsets, clock, () => {
    const seconds = offsets.takeOverAfterMs / 1000;
    log(`run ${name.run} of config ${config} on ${formatOwner(owner)} has not ended; watching it for ${seconds} s`);
  });
}

/**
 * Removes what older runs left: staging that `fenced`, `done` and `temp` name, then those names. The highest `done`
 * stays. A `temp` that was to be `run` becomes `fenced` first: its run may be asleep, and finds it gone when it wakes.
 * If the run was faster it may prepare, also while this one sleeps and is fenced itself: then its staging stays.
 *
 * @param names As `settle` gave them.
 */
export async function clean(progress: FileProgress, names: readonly StateName[]): Promise<void> {
  const { folder, context } = progress;
  const { fs, config, step } = context;
  const top = highestDone(names);
  for (const name of names) {
    if (compareNames(name, progress.mine('run')) >= 0) continue;
    if (name.kind === 'fenced' || name.kind === 'temp') {
      const owner = await folder.readFirstOwner(name);
      const fenced: StateName = { ...name, kind: 'fenced' };
      if (owner && name.kind === 'temp' && !(await folder.rename(name, fenced))) continue;
      // A fenced run may be one that was given back.
      if (owner && name.kind === 'fenced') await removeManifest(fs, { ...owner, config });
      if (owner && !(await removeStaging(context, owner.stagingPath, owner.run))) continue;
      await step('open.stagingRemoved');
      await folder.remove(owner ? fenced : name);
      await step('open.nameRemoved');
    } else if (name.kind === 'done') {
      const record = await folder.readIntent(name);
      const isRemoved =
        !record || record === 'absent' || (await removeStaging(context, record.stagingPath, record.run));
      if (isRemoved && name !== top) await folder.remove(name);
    } else if (name.kind === 'next') {
      await folder.remove(name);
    }
  }
}
