/**
 * A run that keeps its offsets in a folder (FILE mode; layout in fileState.ts). The order of steps, and what a crash
 * after each leaves:
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
import { messageOf, OffloadError } from '../errors.ts';
import { makeFolders, systemCode } from '../io.ts';
import { offsetKey } from '../plan/places.ts';
import { publishLocalFiles } from '../sinks/localFiles.ts';
import { passStep } from '../steps.ts';
import {
  afterPrepare,
  describeFailure,
  fencedError,
  makeStaging,
  publishError,
  type RunContext,
  removeStaging,
  stageIntent,
} from './context.ts';
import { findSaved, isGivenBack, refuseDiscard, removeManifest, withdrawStaging } from './discard.ts';
import { highestDone, OffsetsFolder, savedState } from './fileState.ts';
import { blocked, formatIntentRecord, type IntentRecord, loadIntent, makeChangeRecord } from './intent.ts';
import { compareNames, type StateKind, type StateName } from './names.ts';
import { aliveError, formatOwner, markEnded, markRunning } from './owner.ts';
import { formatOffsetsFile, mergeOffsets, type SavedOffset, type SavedOffsets } from './savedOffsets.ts';
import type { DiscardedRun, Intent, RunSession, SavedState } from './types.ts';
import { type Heartbeat, startHeartbeat, watchRun } from './watch.ts';

type RecoveredRun = RunSession['recovered'][number];

export class FileRun implements RunSession {
  readonly run: string;
  readonly stagingPath: string;
  readonly #context: RunContext;
  readonly #folder: OffsetsFolder;
  readonly #fenced = new AbortController();
  readonly #recovered: RecoveredRun[] = [];
  readonly #discarded: DiscardedRun[] = [];
  /** Names whose modification time shows that this run is alive: `run.E`, and an intent while it is being finished. */
  readonly #held = new Map<string, StateName>();
  #number = 0;
  #heartbeat: Heartbeat | null = null;
  #offsets: SavedOffsets = new Map();
  #state: SavedState = { offsets: [], others: [], topicIds: {}, previousRun: null };
  /** `bound` from before the call that may prepare or take an intent over: then nothing of ours is removed on error. */
  #phase: 'free' | 'bound' = 'free';
  #ending: Promise<void> | null = null;

  private constructor(context: RunContext) {
    this.#context = context;
    this.run = context.run;
    this.stagingPath = context.stagingPath;
    this.#folder = new OffsetsFolder(context.fs, context.offsets.name, context.config);
  }

  get saved(): SavedState {
    return this.#state;
  }

  get recovered(): readonly RecoveredRun[] {
    return this.#recovered;
  }

  get discarded(): readonly DiscardedRun[] {
    return this.#discarded;
  }

  get signal(): AbortSignal {
    return this.#fenced.signal;
  }

  /** @throws OffloadError RUN_ALIVE, RECOVERY_BLOCKED, TARGET_CHANGED, SAVED_OFFSETS_INVALID, FENCED, IO_FAILED */
  static async open(context: RunContext): Promise<FileRun> {
    const session = new FileRun(context);
    try {
      await session.#open();
      return session;
    } catch (error) {
      await session.close().catch((closing: unknown) => context.log(`warning: ${messageOf(closing)}`));
      throw describeFailure(error, 'open the run');
    }
  }

  async #open(): Promise<void> {
    const { fs, step, owner } = this.#context;
    await makeFolders(fs, this.#folder.path);
    const names = await this.#folder.list();
    this.#number = 1 + Math.max(0, ...names.map((name) => name.number));
    await step('open.listed');
    // The record is written, not yet under its name, before the folder it names: a crash in between leaves no folder
    // that nothing names, and nobody can know the run before its folder is there.
    await this.#folder.write(this.#mine('temp'), `${JSON.stringify(owner)}\n`);
    await this.#folder.sync();
    await step('open.recordWritten');
    await makeStaging(this.#context);
    await step('open.stagingMade');
    markRunning(this.run);
    if (!(await this.#folder.rename(this.#mine('temp'), this.#mine('run')))) {
      throw fencedError(this.#context, 'its run record was removed');
    }
    this.#hold(this.#mine('run'));
    this.#heartbeat = startHeartbeat(this.#context.clock, this.#context.offsets.heartbeatMs, () => this.#beat());
    await this.#folder.sync();
    await step('open.runCreated');
    for (let first = true; ; first = false) {
      const settled = await this.#settle(first);
      if (!settled) continue;
      await this.#read(settled);
      await this.#clean(settled);
      await step('open.cleaned');
      return;
    }
  }

  /**
   * One look at the others. Of two runs started together the later number goes on: each sees, listing again after it
   * made its own name, whether there is one.
   *
   * @returns The names, once no older run and no older intent is left; null: something was done, look again.
   */
  async #settle(first: boolean): Promise<readonly StateName[] | null> {
    const { config, step } = this.#context;
    const mine = this.#mine('run');
    const names = await this.#folder.list();
    await step('settle.listed');
    const later = names.find((name) => name.kind !== 'next' && name.kind !== 'temp' && compareNames(name, mine) > 0);
    if (first && later) {
      throw aliveError(config, { run: later.run, owner: await this.#folder.readOwner(later) }, 'has just been started');
    }
    const older = names.filter((name) => isOpen(name) && compareNames(name, mine) < 0);
    // Runs first: while one of them can still prepare, the intent behind it may be any number of steps old.
    const oldest = older.find((name) => name.kind === 'run') ?? older[0];
    if (!oldest) return names;
    const verdict = await this.#watch(oldest);
    await step('settle.watched');
    if (verdict === 'gone') return null;
    if (verdict === 'alive') {
      throw aliveError(config, { run: oldest.run, owner: await this.#folder.readOwner(oldest) }, 'is at work');
    }
    if (oldest.kind === 'run') {
      await this.#folder.rename(oldest, { ...oldest, kind: 'fenced' });
      await step('settle.fenced');
    } else {
      await this.#recover(oldest);
    }
    return null;
  }

  async #watch(name: StateName): Promise<'alive' | 'dead' | 'gone'> {
    const { config, offsets, clock, log, takeOver } = this.#context;
    if (takeOver) return 'dead';
    const owner = await this.#folder.readOwner(name);
    const look = async () => {
      const mark = await this.#folder.mark(name);
      return mark === null ? null : { mark, owner };
    };
    return watchRun(look, offsets, clock, () => {
      const seconds = offsets.takeOverAfterMs / 1000;
      log(`run ${name.run} of config ${config} on ${formatOwner(owner)} has not ended; watching it for ${seconds} s`);
    });
  }

  /** Takes over an intent whose owner is dead, and finishes it. What was taken by another meanwhile is looked at again. */
  async #recover(found: StateName): Promise<void> {
    const { config, step, log } = this.#context;
    const record = await this.#folder.readIntent(found);
    if (record === 'absent') return;
    if (!record) {
      throw new OffloadError(
        'RECOVERY_BLOCKED',
        `cannot finish run ${found.run} of config ${config}: ${this.#folder.pathOf(found)} holds no intent record`,
        { context: { config, run: found.run, path: this.#folder.pathOf(found) } },
      );
    }
    const saved = await this.#readSaved(record);
    const givesBack = this.#context.discard || (await isGivenBack(this.#context.fs, record, saved));
    if (givesBack && !record.change) return this.#discard(found, record);
    const { offsets, warnings } = mergeOffsets(saved, record);
    if (!(await this.#folder.create(this.#mine('next'), formatOffsetsFile(offsets, record)))) {
      throw fencedError(this.#context, 'a file it was writing was removed');
    }
    await this.#folder.sync();
    await step('recover.nextWritten');
    this.#phase = 'bound';
    if (!(await this.#folder.rename(found, this.#mine('intent')))) {
      this.#phase = 'free';
      return;
    }
    this.#hold(this.#mine('intent'));
    await step('recover.claimed');
    await this.#folder.remove({ ...found, kind: 'next' });
    await this.#folder.sync();
    await step('recover.begun');
    log(`finishing run ${record.run} of config ${config}, which was prepared and did not end`);
    for (const warning of warnings) log(`warning: ${warning}`);
    const files = await this.#publish(record, null, found);
    this.#phase = 'free';
    if (files) this.#recovered.push({ run: record.run, files, warnings });
  }

  /** Takes over an intent whose owner is dead, and gives its ranges back. */
  async #discard(found: StateName, record: IntentRecord): Promise<void> {
    const { fs, step, log } = this.#context;
    this.#phase = 'bound';
    if (!(await this.#folder.rename(found, this.#mine('intent')))) {
      this.#phase = 'free';
      return;
    }
    this.#hold(this.#mine('intent'));
    await step('discard.claimed');
    await this.#folder.remove({ ...found, kind: 'next' });
    await this.#folder.sync();
    await step('discard.begun');
    // Its owner may have been asleep until just now, and have committed before its `next` went.
    const saved = await this.#readSaved(record);
    const kept = findSaved(record, saved);
    if (kept) throw refuseDiscard(record, `its offsets are saved already (${offsetKey(kept)}: ${kept.offset})`);
    await withdrawStaging(fs, record);
    await step('discard.withdrawn');
    this.#release(this.#mine('intent'));
    // With the run that prepared: the name of a run that took it over may be there already, of that run itself.
    const fenced: StateName = { kind: 'fenced', number: found.number, run: record.run };
    const gone = await this.#folder.rename(this.#mine('intent'), fenced);
    if (!gone) throw fencedError(this.#context, 'the intent it was giving back was taken');
    await this.#folder.sync();
    await step('discard.done');
    await removeManifest(fs, record);
    await removeStaging(this.#context, record.stagingPath, record.run);
    await step('discard.stagingRemoved');
    this.#phase = 'free';
    log(`run ${record.run} of config ${record.config} was withdrawn: its ranges are read again by the next run`);
    this.#discarded.push({ run: record.run, previous: record.previous, next: record.next });
  }

  /**
   * Publishes and commits an intent that stands under this run's name.
   *
   * @param own The intent, if it is this run's; null to read it from its staging folder.
   * @param original Name of the intent before it was taken over: `done` gets its number, so that this run's are free.
   * @returns Paths published; null if another run has taken the intent over: look again.
   */
  async #publish(record: IntentRecord, own: Intent | null, original: StateName): Promise<readonly string[] | null> {
    const { fs, step } = this.#context;
    const name = this.#mine('intent');
    if (record.change) return this.#commit(record, false, original);
    const isHeld = async (): Promise<boolean> => (await this.#folder.list()).some((other) => isSameName(other, name));
    const intent = own ?? (await loadIntent(fs, record));
    if (!own) await step('recover.intentRead');
    if (!intent) {
      if (await isHeld()) throw blocked(record, `its staging folder ${record.stagingPath} is not there`);
      return this.#release(name);
    }
    const outcome = await publishLocalFiles(intent, { fs, writer: this.run, step });
    if (!outcome.ok) {
      if (await isHeld()) throw publishError(record, outcome);
      if (own) throw await this.#overtaken(record);
      return this.#release(name);
    }
    await this.#commit(record, own !== null, original);
    return intent.files.map((file) => file.targetPath);
  }

  /** What follows publishing; `isOwn` is false for an intent that was taken over. */
  async #commit(record: IntentRecord, isOwn: boolean, original: StateName): Promise<readonly string[]> {
    const { step } = this.#context;
    const name = this.#mine('intent');
    await step('commit.begun');
    const committed = await this.#folder.commit(this.#mine('next'));
    if (!committed && isOwn) throw await this.#overtaken(record);
    await step('commit.saved');
    await this.#folder.sync();
    await step('commit.savedSynced');
    this.#release(name);
    const done = await this.#folder.rename(name, { ...original, kind: 'done' });
    await step('commit.done');
    await this.#folder.sync();
    await step('commit.doneSynced');
    if (done) await removeStaging(this.#context, record.stagingPath, record.run);
    await step('commit.stagingRemoved');
    return [];
  }

  async #read(names: readonly StateName[]): Promise<void> {
    const { topics, plainTopic, step } = this.#context;
    const last = await this.#folder.readLastDone(names);
    this.#offsets = await this.#folder.readSaved({ topics, plainTopic, before: last });
    this.#state = savedState(this.#offsets, last, topics);
    await step('open.read');
  }

  /** What is saved, as the run of a record reads it. */
  async #readSaved({ topics, plainTopic }: IntentRecord): Promise<Map<string, SavedOffset>> {
    const before = await this.#folder.readLastDone(await this.#folder.list());
    return this.#folder.readSaved({ topics, plainTopic, before });
  }

  /**
   * Removes what older runs left: staging that `fenced`, `done` and `temp` name, then those names. The highest `done`
   * stays. A run asleep before its `temp` got its name `run` finds it gone, or its staging folder, and ends.
   */
  async #clean(names: readonly StateName[]): Promise<void> {
    const { fs, config, step } = this.#context;
    const top = highestDone(names);
    for (const name of names) {
      if (compareNames(name, this.#mine('run')) >= 0) continue;
      if (name.kind === 'fenced' || name.kind === 'temp') {
        const owner = await this.#folder.readFirstOwner(name);
        // A fenced run may be one that was given back.
        if (owner && name.kind === 'fenced') await removeManifest(fs, { ...owner, config });
        if (owner && !(await removeStaging(this.#context, owner.stagingPath, owner.run))) continue;
        await step('open.stagingRemoved');
        await this.#folder.remove(name);
        await step('open.nameRemoved');
      } else if (name.kind === 'done') {
        const record = await this.#folder.readIntent(name);
        const isRemoved =
          !record || record === 'absent' || (await removeStaging(this.#context, record.stagingPath, record.run));
        if (isRemoved && name !== top) await this.#folder.remove(name);
      } else if (name.kind === 'next') {
        await this.#folder.remove(name);
      }
    }
  }

  finish(intent: Intent): Promise<void> {
    return this.#conclude(async () => {
      this.signal.throwIfAborted();
      const record = await stageIntent(this.#context, intent, this.#offsets);
      await this.#context.step('prepare.intentStaged');
      await this.#prepare(record);
      await this.#publish(record, intent, this.#mine('intent'));
    });
  }

  replaceSaved(...change: Parameters<RunSession['replaceSaved']>): Promise<void> {
    const [offsets, topicIds, previousRun] = change;
    return this.#conclude(async () => {
      this.signal.throwIfAborted();
      const next = new Map(offsets.map((entry) => [offsetKey(entry), entry]));
      const from = { saved: this.#offsets, previousRun: previousRun ?? this.#state.previousRun };
      const record = makeChangeRecord(this.#context, from, { offsets: next, topicIds });
      await this.#prepare(record);
      await this.#commit(record, true, this.#mine('intent'));
    });
  }

  async #conclude(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const isBound = this.#phase === 'bound';
      const failure = describeFailure(error, isBound ? 'publish and commit' : 'prepare');
      throw isBound ? afterPrepare(failure, this.#context) : failure;
    } finally {
      if (this.#phase === 'bound') await this.#end();
    }
  }

  async #prepare(record: IntentRecord): Promise<void> {
    const { step } = this.#context;
    const run = this.#mine('run');
    const next = formatOffsetsFile(mergeOffsets(this.#offsets, record).offsets, record);
    if (!(await this.#folder.create(this.#mine('next'), next))) {
      throw fencedError(this.#context, 'a file it was writing was removed');
    }
    await step('prepare.nextWritten');
    if (!(await this.#folder.append(run, formatIntentRecord(record)))) throw this.#takenAtPrepare();
    await this.#folder.sync();
    await step('prepare.before');
    this.#phase = 'bound';
    this.#release(run);
    let prepared: boolean;
    try {
      prepared = await this.#folder.rename(run, this.#mine('intent'));
    } catch (error) {
      throw new OffloadError(
        'OUTCOME_UNKNOWN',
        `it is not known whether run ${this.run} of config ${this.#context.config} is prepared: ${messageOf(error)}; ` +
          'nothing was touched; the next run finishes or discards it',
        { context: { config: this.#context.config, run: this.run, systemCode: systemCode(error) }, cause: error },
      );
    }
    if (!prepared) throw this.#takenAtPrepare();
    this.#hold(this.#mine('intent'));
    await step('prepare.renamed');
    await this.#folder.sync();
    await step('prepare.after');
  }

  /** Staging first: a crash in between leaves `run.E`, which names it. */
  async close(): Promise<void> {
    if (this.#ending) return this.#ending;
    await this.#end();
    if (this.#phase === 'bound') return;
    const isRemoved = await removeStaging(this.#context, this.stagingPath, this.run);
    passStep('close.stagingRemoved');
    if (this.#number === 0 || !isRemoved) return;
    try {
      for (const kind of ['temp', 'next', 'run'] as const) await this.#folder.remove(this.#mine(kind));
      passStep('close.recordRemoved');
    } catch (error) {
      // Harmless: the next run finds them and sees that this process has ended.
      this.#context.log(`warning: ${messageOf(describeFailure(error, 'end the run'))}; the next run tries again`);
    }
  }

  #end(): Promise<void> {
    this.#held.clear();
    this.#ending ??= (this.#heartbeat?.stop() ?? Promise.resolve()).then(() => markEnded(this.run));
    return this.#ending;
  }

  #mine(kind: StateKind): StateName {
    return { kind, number: this.#number, run: this.run };
  }

  #hold(name: StateName): void {
    this.#held.set(name.kind, name);
  }

  #release(name: StateName): null {
    this.#held.delete(name.kind);
    return null;
  }

  async #beat(): Promise<void> {
    const { clock, log } = this.#context;
    for (const name of [...this.#held.values()]) {
      try {
        const touched = await this.#folder.touch(name, clock.nowMs());
        // An own rename may have come in between; then the name is no longer held.
        if (touched || this.#held.get(name.kind) !== name) continue;
        this.#fenced.abort(fencedError(this.#context, 'its record was renamed while it did not renew it'));
      } catch (error) {
        log(`warning: cannot renew ${this.#folder.pathOf(name)}: ${messageOf(error)}`);
      }
    }
  }

  #takenAtPrepare(): OffloadError {
    return fencedError(this.#context, 'its run record was taken before it prepared, so none of its work counts');
  }

  /** The intent was taken over while this run published: looks what became of it, and says so. */
  async #overtaken(record: IntentRecord): Promise<OffloadError> {
    const saved = await this.#readSaved(record);
    const { offsets } = mergeOffsets(saved, record);
    const isSaved = [...offsets].every(([key, entry]) => saved.get(key)?.offset === entry.offset);
    return fencedError(
      this.#context,
      `it had prepared, and its offsets ${isSaved ? 'are saved by now' : 'are not saved yet'}`,
    );
  }
}

function isOpen(name: StateName): boolean {
  return name.kind === 'run' || name.kind === 'intent';
}

function isSameName(a: StateName, b: StateName): boolean {
  return a.kind === b.kind && compareNames(a, b) === 0;
}
