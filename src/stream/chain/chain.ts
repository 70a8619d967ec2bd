/**
 * The chain of a stream that writes files: what makes each row visible exactly once, in whichever of the group's processes.
 *
 *     ROOT/_kafkaload/streams/GROUP/
 *       N.json              entry N: a micro-batch that counts: its files, the offsets they hold, the CRC of entry N-1
 *       checkpoint.N.json   positions after entry N; entries up to N are folded
 *       folded/A-B.jsonl.gz entries A to B, as they were
 *       staging/PROCESS/RUN/   a micro-batch of a process, not yet an entry, or not yet cleared away
 *
 * A micro-batch, and what a crash behind each step leaves:
 *
 * 1. `begin`: a staging folder; files are staged there, complete and synced. Garbage that a later start removes.
 * 2. `append`: the entry is written and synced in the staging folder (chain.entryStaged). The same.
 * 3. It gets its number: a link, which only one of several can make (chain.created). From here on the micro-batch counts,
 *    unless the power goes, too, before the folder is synced (chain.synced): nobody goes on from an entry before that.
 *    A number that was free because it is folded makes an entry that nobody reads: so after the link, and before anything
 *    is published, checkpoints are looked at (chain.looked).
 *    Number lost: the new entries are read and synced. If one of them moves a partition of ours, we are overtaken (another process has
 *    our partitions, and we only slept): nothing of ours counts. If none does, the next number is tried. An exact file is
 *    made from the one before: there a lost number is always that.
 * 4. The files are published (publish.*, chain.published), then dead letters written (office.ts says how, and why once). A crash
 *    before: whoever starts next does it.
 * 5. The caller commits to the group, then calls `groupCommitted`: staging is removed (chain.stagingRemoved), and every
 *    1,000 entries are folded (fold.ts).
 *
 * Partitions that become ours: `claim` finds out who is dead, reads the chain, syncs it, and publishes what entries name and
 * is still staged. Then the group is asked, and `resume` says where each goes on: the group holds the start or the end of the
 * last entry that names it, since no entry is made before the group holds its start. Then the chain is right. Any other value
 * was set by a person, who wins.
 */
import { resolve } from 'node:path';
import { describeFailure } from '../../commit/context.ts';
import { makeRunId } from '../../commit/names.ts';
import type { DeadLetterOffice } from '../../commit/types.ts';
import { type Clock, type FileSystem, nodeFileSystem, systemClock } from '../../io.ts';
import type { Place } from '../../plan/places.ts';
import { chainFolder } from '../../sinks/chainNames.ts';
import { passStep } from '../../steps.ts';
import type { GroupOffset, Position, TopicPartition } from '../types.ts';
import { ChainState } from './chainState.ts';
import { Claims } from './claims.ts';
import { movesOf, type StagedBatch } from './entry.ts';
import { FOLD_ENTRIES, foldEntries, removeFolded } from './fold.ts';
import { ChainFolder } from './folder.ts';
import { type ChainBatch, type Overtaken, OwnBatches } from './ownBatches.ts';
import { describeSetting } from './positions.ts';
import { Publisher } from './publisher.ts';
import { ChainStaging, type OtherProcess } from './staging.ts';

export interface ChainOptions {
  /** Default: the file system of this machine. */
  readonly fs?: FileSystem;
  /** Absolute: the target folder, or the folder of the target file. */
  readonly root: string;
  readonly group: string;
  readonly config: string;
  readonly log: (line: string) => void;
  readonly clock?: Clock;
  /** Called after each named step; what it throws ends the call there. For tests. */
  readonly onStep?: (name: string) => void | Promise<void>;
  /** Default 1,000. All processes of a group must agree. */
  readonly foldEntries?: number;
  /** Writes what could not become rows; needed where an entry has dead letters. */
  readonly deadLetters?: DeadLetterOffice;
}

export interface ResumedPositions {
  /**
   * Of those partitions for which chain or group know one. What the group does not hold of them is to be committed to it,
   * and told to `groupCommitted`, before `append`.
   */
  readonly positions: readonly Position[];
  /** Topics that were deleted and made again since the chain saw them: what the chain knows of them is forgotten. */
  readonly madeAgain: readonly string[];
}

export type AppendOutcome =
  /** The files are visible. `number`: of the entry. */
  | { readonly kind: 'written'; readonly number: number }
  /** Nothing of the micro-batch counts. `positions` as those of `resume`; one that is not there goes on where it began. */
  | { readonly kind: 'overtaken'; readonly why: string; readonly positions: readonly Position[] };

/** @throws OffloadError IO_FAILED */
export async function openChain(options: ChainOptions): Promise<StreamChain> {
  const chain = new StreamChain(options);
  await chain.open();
  return chain;
}

/** Calls come one after the other: one that comes earlier waits. */
export class StreamChain {
  /** Id of this process. */
  readonly process: string;
  readonly #options: ChainOptions;
  readonly #fs: FileSystem;
  readonly #clock: Clock;
  readonly #folder: ChainFolder;
  readonly #state: ChainState;
  readonly #staging: ChainStaging;
  readonly #claims = new Claims();
  readonly #publisher: Publisher;
  readonly #batches: OwnBatches;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ChainOptions) {
    const { group, config, log, deadLetters } = options;
    const root = resolve(options.root);
    this.#options = options;
    this.#fs = options.fs ?? nodeFileSystem;
    this.#clock = options.clock ?? systemClock;
    this.process = makeRunId(this.#clock.nowMs());
    this.#folder = new ChainFolder(this.#fs, chainFolder(root, group), group);
    this.#state = new ChainState(this.#folder);
    this.#staging = new ChainStaging(this.#fs, this.#folder.path, this.process);
    this.#publisher = new Publisher(this.#state, { fs: this.#fs, root, log, deadLetters, step: this.#step });
    this.#batches = new OwnBatches({
      fs: this.#fs,
      common: { root, group, config, process: this.process },
      state: this.#state,
      claims: this.#claims,
      staging: this.#staging,
      publisher: this.#publisher,
      step: this.#step,
    });
  }

  /** Called by `openChain`. */
  open(): Promise<void> {
    return this.#alone('open', async () => {
      await this.#folder.make();
      await this.#staging.open();
      await this.#step('chain.opened');
    });
  }

  /**
   * Takes partitions that became ours, before the group is asked what it holds of them, and finishes what processes that
   * died have left.
   *
   * @throws OffloadError SAVED_OFFSETS_INVALID for a damaged chain, TARGET_CHANGED, IO_FAILED.
   */
  claim(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#alone('go on with', async () => {
      const others = await this.#staging.others();
      await this.#state.catchUp();
      await this.#step('chain.read');
      await this.#folder.sync();
      await this.#finishOthers(others);
      await removeFolded(this.#state);
      this.#claims.take(partitions, this.#state.positions);
      await this.#step('chain.claimed');
    });
  }

  /**
   * Where partitions go on that were claimed.
   *
   * @param committed What the group holds, one for each of them, asked after `claim`.
   * @param topicIds Ids of their topics now; a topic without one is taken for the one that the chain knows.
   * @throws OffloadError OVERTAKEN, retriable, if another process moved one on since `claim`: claim and ask again. INTERNAL
   *   for a partition that was not claimed, and as `claim`.
   */
  resume(
    committed: readonly GroupOffset[],
    topicIds: Readonly<Record<string, string>> = {},
  ): Promise<ResumedPositions> {
    return this.#alone('go on with', async () => {
      await this.#state.catchUp();
      const resumed = this.#claims.resume(committed, topicIds, this.#state.positions);
      for (const setting of resumed.byHand) this.#options.log(`warning: ${describeSetting(setting)}`);
      await this.#step('chain.resumed');
      return resumed;
    });
  }

  /** Makes the staging folder of a micro-batch; one before it that came to nothing is over. @param partitions That it moves. */
  begin(partitions: readonly TopicPartition[]): Promise<ChainBatch> {
    return this.#alone('begin a micro-batch of', async () => {
      await this.#batches.abandonAll();
      await this.#publisher.publishNews();
      const batch = await this.#batches.begin(makeRunId(this.#clock.nowMs()), partitions);
      await this.#step('chain.begun');
      return batch;
    });
  }

  /**
   * Makes a micro-batch count and its files visible. May be called again after an error; an entry that the error left is
   * finished first, by any other call as well.
   *
   * @throws OffloadError INTERNAL if the group does not hold its start, as far as was told; OVERTAKEN, as `resume`;
   *   TARGET_CHANGED, IO_FAILED.
   */
  append(batch: ChainBatch, staged: StagedBatch): Promise<AppendOutcome> {
    return this.#alone('write to', async () => {
      const made = await this.#batches.make(batch, staged);
      if (typeof made !== 'number') return this.#overtaken(movesOf(staged), made);
      await this.#batches.publish();
      return { kind: 'written', number: made };
    });
  }

  /** What the group holds by now: to be told after each group commit that succeeded. */
  groupCommitted(positions: readonly Position[]): Promise<void> {
    this.#claims.groupHolds(positions);
    return this.#alone('clear up', async () => {
      await this.#batches.publish();
      await this.#batches.removeCommitted();
      const { group } = this.#options;
      await foldEntries(this.#state, {
        ...{ fs: this.#fs, group, staging: this.#staging, step: this.#step },
        foldEntries: this.#options.foldEntries ?? FOLD_ENTRIES,
        publish: (found) => this.#publisher.publishIfStaged(found),
      });
    });
  }

  /** Partitions that are not ours any more: nothing of them is appended before they are resumed again. */
  release(partitions: readonly TopicPartition[]): void {
    this.#claims.release(partitions);
  }

  /** Removes what a micro-batch has staged that was given up. One that counts, or may, is left alone. */
  abandon(batch: ChainBatch): Promise<void> {
    return this.#alone('clear up', () => this.#batches.abandon(batch));
  }

  /** Removes this process's staging, unless a later start still needs it. Safe to call twice. */
  close(): Promise<void> {
    return this.#alone('close', async () => {
      await this.#staging.close(this.#batches.needsStaging);
      this.#batches.forget();
    });
  }

  /** Others went on with partitions of ours: their entries last, and are visible, before we go on from there. */
  async #overtaken(moves: readonly Place[], { why }: Overtaken): Promise<AppendOutcome> {
    await this.#publisher.publishNews();
    const positions = this.#claims.overtaken(moves, this.#state.positions);
    await this.#step('chain.overtaken');
    return { kind: 'overtaken', why, positions };
  }

  /** Publishes what entries name and is still staged, and removes what processes that ended have left. */
  async #finishOthers(others: readonly OtherProcess[]): Promise<void> {
    await this.#batches.learn();
    await this.#batches.publish();
    const dead = new Set(others.filter(({ isDead }) => isDead).map(({ process }) => process));
    for (const staged of await this.#staging.runs()) {
      if (this.#batches.has(staged.run)) continue;
      const number = this.#state.runs.get(staged.run);
      const found = number === undefined ? null : await this.#folder.readEntry(number);
      if (found) await this.#publisher.publish(found);
      const isDead = dead.has(staged.process);
      const isLeft = found
        ? isDead || (await this.#staging.isOld(staged.path))
        : await this.#staging.isLeft(staged, isDead, this.#state.positions);
      if (isLeft) await this.#staging.remove(staged.path);
    }
    this.#state.takeNews();
    await this.#step('chain.othersFinished');
    for (const other of others) await this.#staging.removeProcess(other);
  }

  readonly #step = async (name: string): Promise<void> => {
    passStep(name);
    await this.#options.onStep?.(name);
  };

  /** Waits for the call before, and gives what fails its one line. */
  #alone<T>(attempt: string, act: () => Promise<T>): Promise<T> {
    const next = this.#last.then(act).catch((error: unknown) => {
      throw describeFailure(error, `${attempt} the stream of group ${this.#options.group}`);
    });
    this.#last = next.catch(() => {});
    return next;
  }
}
