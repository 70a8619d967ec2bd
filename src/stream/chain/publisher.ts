/** Publishes what entries name and is still staged: their files, and behind them their dead letters. */
import { resolve } from 'node:path';
import type { DeadLetterOffice } from '../../commit/types.ts';
import { OffloadError } from '../../errors.ts';
import { type FileSystem, unlessAbsent } from '../../io.ts';
import type { ChainState } from './chainState.ts';
import type { ChainEntry, FoundEntry } from './entry.ts';
import { publishEntry } from './publishEntry.ts';

interface PublisherOptions {
  readonly fs: FileSystem;
  readonly root: string;
  readonly log: (line: string) => void;
  /** Undefined: entries have no dead letters. */
  readonly deadLetters: DeadLetterOffice | undefined;
  readonly step: (name: string) => Promise<void>;
}

export class Publisher {
  readonly #state: ChainState;
  readonly #options: PublisherOptions;
  readonly #step: PublisherOptions['step'];

  constructor(state: ChainState, options: PublisherOptions) {
    this.#state = state;
    this.#options = options;
    this.#step = options.step;
  }

  /** Of entries that were read: an exact file is made from what the last of them made of it. */
  async publishNews(): Promise<void> {
    const news = this.#state.takeNews();
    if (news.length === 0) return;
    await this.#state.folder.sync();
    for (const found of news) await this.publishIfStaged(found);
  }

  async publishIfStaged(found: FoundEntry): Promise<void> {
    if (await this.#isStaged(found.entry)) await this.publish(found);
  }

  /** May be done again at any time, by any process. */
  async publish({ entry }: FoundEntry): Promise<void> {
    if (this.#state.isBuiltUpon(entry)) return;
    await publishEntry(entry, this.#options);
    await this.#deliver(entry);
  }

  /**
   * Dead letters of an entry, by whoever publishes it: once, as how far they are is kept by its process, which has one entry
   * at a time that is not published. Its staging is there until the group has been told.
   */
  async #deliver(entry: ChainEntry): Promise<void> {
    const { number, group, config, process, run, deadLetters } = entry;
    if (deadLetters === null) return;
    const { root, deadLetters: office } = this.#options;
    if (!office)
      throw new OffloadError('INTERNAL', `entry ${number} of group ${group} has dead letters, and nobody writes them`);
    const files = deadLetters.files.map(({ staged, ...file }) => ({ ...file, path: resolve(root, staged) }));
    const isHeld = (): Promise<boolean> => this.#isStaged(entry);
    if (!(await isHeld())) return;
    await office.deliver({ ...deadLetters, files, run, config: `${config}/${process}` }, isHeld);
    await this.#step('chain.deadLettersWritten');
  }

  /** Whether its staging folder is there. */
  async #isStaged({ staging }: ChainEntry): Promise<boolean> {
    const { fs, root } = this.#options;
    return (await unlessAbsent(fs.stat(resolve(root, staging)))) !== null;
  }
}
