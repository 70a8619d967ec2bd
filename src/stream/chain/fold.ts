/**
 * Folds entries away: the oldest 1,000 of a chain become one packed file and a checkpoint that says what positions they
 * led to, and their own files go. Nothing is lost: `verify` reads the packs.
 *
 *     publish what they name -> pack -> checkpoint, synced -> remove the entries, and the checkpoint before
 *
 * A crash behind any arrow leaves a chain that reads the same. Whoever folds the same entries writes the same bytes, so two
 * may do it at once, and one that slept over it does no harm.
 */
import { type FileSystem, makeFolders } from '../../io.ts';
import { entryName, type PackRange } from '../../sinks/chainNames.ts';
import type { ChainState } from './chainState.ts';
import type { FoundEntry } from './entry.ts';
import { type ChainPositions, moveOn, positionsOf } from './positions.ts';
import type { ChainStaging } from './staging.ts';

/** Entries in one pack. */
export const FOLD_ENTRIES = 1000;

interface FoldOptions {
  readonly fs: FileSystem;
  readonly group: string;
  readonly staging: ChainStaging;
  readonly foldEntries: number;
  readonly publish: (found: FoundEntry) => Promise<void>;
  readonly step: (name: string) => Promise<void>;
}

/** Does nothing as long as there are not enough of them; the last entry of all is never folded. */
export async function foldEntries(state: ChainState, options: FoldOptions): Promise<void> {
  const { fs, group, staging, publish, step } = options;
  const { folder } = state;
  while (state.tip - state.checkpoint > options.foldEntries) {
    const range = { first: state.checkpoint + 1, last: state.checkpoint + options.foldEntries };
    const found = await readRange(state, range);
    if (!found) {
      // Another has folded them.
      const before = state.checkpoint;
      await state.catchUp();
      if (state.checkpoint === before) throw folder.damaged(entryName(range.first), 'it or one behind it is missing');
      continue;
    }
    const { entries, positions, last } = found;
    for (const entry of entries) await publish(entry);
    for (const { entry } of entries) moveOn(positions, entry);
    await makeFolders(fs, staging.path);
    const pack = await folder.writePack(range, entries, staging.path);
    await step('fold.packed');
    await folder.writeCheckpoint(
      { version: 1, group, number: range.last, entryCrc32c: last.crc32c, positions: [...positions.values()], pack },
      staging.path,
    );
    await step('fold.checkpointWritten');
    await state.catchUp();
    await removeFolded(state);
    await step('fold.entriesRemoved');
  }
}

/** The entries of a range and the positions before them; null: they are not there any more. */
async function readRange(
  { folder, checkpoint }: ChainState,
  { first, last }: PackRange,
): Promise<{ entries: FoundEntry[]; positions: ChainPositions; last: FoundEntry } | null> {
  const before = checkpoint === 0 ? null : await folder.readCheckpoint(checkpoint);
  const entries: FoundEntry[] = [];
  for (let number = first; number <= last; number++) {
    const found = await folder.readEntry(number);
    if (!found) return null;
    entries.push(found);
  }
  const end = entries.at(-1);
  // Entries that were read count only if no checkpoint came meanwhile.
  if (!end || (checkpoint > 0 && !before) || (await folder.list()).checkpoint !== checkpoint) return null;
  return { entries, positions: positionsOf(before?.positions ?? []), last: end };
}

/** Removes what checkpoints cover: entries, those that do not count among them, and the checkpoints before the last. */
export async function removeFolded({ folder, checkpoint }: ChainState): Promise<void> {
  const { entries, checkpoints } = await folder.list();
  const folded = entries.filter((number) => number <= checkpoint);
  const older = checkpoints.filter((number) => number < checkpoint);
  if (folded.length + older.length === 0) return;
  for (const number of folded) await folder.removeEntry(number);
  for (const number of older) await folder.removeCheckpoint(number);
  await folder.sync();
}
