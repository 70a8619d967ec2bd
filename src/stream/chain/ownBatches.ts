/**
 * The micro-batches of this process, from their staging folder to where nothing is left of it; `chain.ts` has the order of
 * the steps. An error may leave open whether one counts: then its staging stays, and `learn` finds out.
 */
import { OffloadError } from '../../errors.ts';
import { type FileSystem, unlessAbsent } from '../../io.ts';
import type { Place } from '../../plan/places.ts';
import { entryName } from '../../sinks/chainNames.ts';
import type { ChainState } from './chainState.ts';
import type { ClaimCheck, Claims } from './claims.ts';
import {
  type EntryPlace,
  encodeEntry,
  type FoundEntry,
  makeEntry,
  movesOf,
  parseEntry,
  type StagedBatch,
} from './entry.ts';
import type { Publisher } from './publisher.ts';
import type { ChainStaging } from './staging.ts';

/** A micro-batch on its way: where its files are staged, and the run id their names end with. */
export interface ChainBatch {
  readonly run: string;
  readonly stagingPath: string;
}

/** Another process went on with one of its partitions. */
export type Overtaken = Extract<ClaimCheck, { kind: 'overtaken' }>;

/** A micro-batch, and what became of it so far. */
interface OwnBatch extends ChainBatch {
  attempts: number;
  /** Its entry, once there is one. */
  made: FoundEntry | null;
  isPublished: boolean;
  /** Nobody knows whether there is one: its staging stays. */
  isInDoubt: boolean;
}

interface OwnBatchesOptions {
  readonly fs: FileSystem;
  /** What all entries of this process have in common. */
  readonly common: Pick<EntryPlace, 'root' | 'group' | 'config' | 'process'>;
  readonly state: ChainState;
  readonly claims: Claims;
  readonly staging: ChainStaging;
  readonly publisher: Publisher;
  readonly step: (name: string) => Promise<void>;
}

export class OwnBatches {
  readonly #options: OwnBatchesOptions;
  readonly #state: ChainState;
  readonly #claims: Claims;
  readonly #staging: ChainStaging;
  readonly #step: OwnBatchesOptions['step'];
  readonly #batches = new Map<string, OwnBatch>();

  constructor(options: OwnBatchesOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#claims = options.claims;
    this.#staging = options.staging;
    this.#step = options.step;
  }

  has(run: string): boolean {
    return this.#batches.has(run);
  }

  /** An entry needs what is staged, or may. */
  get needsStaging(): boolean {
    return [...this.#batches.values()].some(({ made, isPublished, isInDoubt }) => {
      return isInDoubt || (made !== null && !isPublished);
    });
  }

  /** Makes the staging folder of a micro-batch. */
  async begin(run: string, partitions: readonly Place[]): Promise<ChainBatch> {
    const stagingPath = await this.#staging.begin(run, this.#state.tip, partitions);
    const batch = { run, stagingPath };
    this.#batches.set(run, { ...batch, attempts: 0, made: null, isPublished: false, isInDoubt: false });
    return batch;
  }

  /** Makes the entry of one, unless it is there. @returns Its number, or that we are overtaken. */
  async make({ run }: ChainBatch, staged: StagedBatch): Promise<number | Overtaken> {
    const own = this.#batches.get(run);
    if (!own) throw new OffloadError('INTERNAL', `micro-batch ${run} was not begun, or is over`);
    if (own.isInDoubt) await this.learn();
    return own.made?.entry.number ?? this.#makeNumbered(own, staged);
  }

  /** Tries numbers until one is ours. */
  async #makeNumbered(own: OwnBatch, staged: StagedBatch): Promise<number | Overtaken> {
    const { folder } = this.#state;
    const moves = movesOf(staged);
    for (;;) {
      const check = this.#claims.check(moves, this.#state.positions);
      if (check.kind === 'overtaken') return check;
      await this.#checkStaged(own, staged);
      const number = this.#state.tip + 1;
      const entry = makeEntry(staged, {
        ...this.#options.common,
        ...{ run: own.run, stagingPath: own.stagingPath, number, previousCrc32c: this.#state.tipCrc32c },
        byHand: check.byHand,
      });
      const bytes = encodeEntry(entry);
      const found = parseEntry(bytes, entry.group, number);
      if (!found) throw new OffloadError('INTERNAL', `entry ${number} of group ${entry.group} cannot be read again`);
      if (await this.#create(own, found)) {
        own.made = found;
        this.#state.add(found);
        this.#claims.moved(found.entry);
        await folder.sync();
        await this.#step('chain.synced');
        return number;
      }
      const { tip } = this.#state;
      await this.#state.catchUp();
      if (this.#state.tip === tip) throw folder.damaged(entryName(number), 'it is neither an entry nor free');
      // Or the next entry might outlast a loss of power without the one before it.
      await folder.sync();
      await this.#step('chain.lost');
      if (staged.target.kind !== 'file') continue;
      return { kind: 'overtaken', why: `entry ${this.#state.tip} replaced the file meanwhile` };
    }
  }

  /** @returns Whether the entry counts. */
  async #create(own: OwnBatch, found: FoundEntry): Promise<boolean> {
    const { folder } = this.#state;
    const { number } = found.entry;
    own.attempts += 1;
    const staged = await folder.stageEntry(found.bytes, own.stagingPath, own.attempts);
    await this.#step('chain.entryStaged');
    own.isInDoubt = true;
    const created = await folder.create(number, found.bytes, staged);
    if (created === 'lost') {
      own.isInDoubt = false;
      return false;
    }
    await this.#step('chain.created');
    const counts = await this.#state.counts(found);
    await this.#step('chain.looked');
    if (!counts) await folder.removeEntry(number);
    own.isInDoubt = false;
    return counts;
  }

  /** An entry whose files are not there would lose rows. */
  async #checkStaged({ run }: OwnBatch, { files }: StagedBatch): Promise<void> {
    for (const { stagedPath, bytes } of files) {
      const info = await unlessAbsent(this.#options.fs.stat(stagedPath));
      if (info?.size === bytes) continue;
      throw new OffloadError(
        'TARGET_CHANGED',
        `cannot write micro-batch ${run}: its staged file ${stagedPath} has ${info?.size ?? 'no'} bytes in place of ${bytes}`,
        { context: { path: stagedPath, bytes, found: info?.size ?? null } },
      );
    }
  }

  /** Whether entries of ours that are in doubt came to be. */
  async learn(): Promise<void> {
    const { folder } = this.#state;
    await this.#state.catchUp();
    for (const own of this.#batches.values()) {
      const number = own.isInDoubt ? this.#state.runs.get(own.run) : undefined;
      if (number === undefined) continue;
      const found = await folder.readEntry(number);
      if (!found) continue;
      own.made = found;
      own.isInDoubt = false;
      this.#claims.moved(found.entry);
      await folder.sync();
    }
  }

  /** Publishes what entries of this process name. */
  async publish(): Promise<void> {
    for (const own of this.#batches.values()) {
      if (!own.made || own.isPublished) continue;
      await this.#options.publisher.publish(own.made);
      own.isPublished = true;
      await this.#step('chain.published');
    }
  }

  /** Removes the staging of those that are published, and whose end the group holds. */
  async removeCommitted(): Promise<void> {
    for (const own of [...this.#batches.values()]) {
      if (!own.isPublished || !own.made || !this.#claims.isCommitted(own.made.entry)) continue;
      await this.#staging.remove(own.stagingPath);
      this.#batches.delete(own.run);
      await this.#step('chain.stagingRemoved');
    }
  }

  /** Removes what those have staged that came to nothing. */
  async abandonAll(): Promise<void> {
    for (const own of [...this.#batches.values()]) await this.abandon(own);
  }

  /** Leaves one alone that counts, or may. */
  async abandon({ run }: ChainBatch): Promise<void> {
    const own = this.#batches.get(run);
    if (!own || own.made || own.isInDoubt) return;
    await this.#staging.remove(own.stagingPath);
    this.#batches.delete(run);
  }

  /** Nothing is known of any of them from now on; what they have staged stays. */
  forget(): void {
    this.#batches.clear();
  }
}
