/**
 * What a process knows of a chain: how far it goes, and where each partition stands. It only grows.
 *
 * Numbers that are folded are free again, and one who slept may make an entry under such a number, which does not count.
 * So what was read counts only if no checkpoint came meanwhile: a checkpoint is there before the first name it covers goes.
 */

import { entryName } from '../../sinks/chainNames.ts';
import type { ChainEntry, FoundEntry } from './entry.ts';
import type { ChainFolder, ChainListing } from './folder.ts';
import { type ChainPositions, moveOn, positionsOf } from './positions.ts';

/** Looks at a chain whose last entries change with each look. */
const MOST_LOOKS = 1000;

export class ChainState {
  readonly folder: ChainFolder;
  positions: ChainPositions = new Map();
  /** Number of the last entry; 0: none. */
  tip = 0;
  /** CRC-32C of that entry. */
  tipCrc32c: number | null = null;
  /** The latest that was seen; 0: none. */
  checkpoint = 0;
  /** Entries that are not folded, by the run of their micro-batch. */
  readonly runs = new Map<string, number>();
  /** Number of the last entry that replaced an exact file, by its path in entries. */
  readonly #exact = new Map<string, number>();
  /** Those that were read since `takeNews`. */
  #news: FoundEntry[] = [];

  constructor(folder: ChainFolder) {
    this.folder = folder;
  }

  /**
   * Reads what is new.
   *
   * @throws OffloadError SAVED_OFFSETS_INVALID for a chain with a hole or with damage.
   */
  async catchUp(): Promise<void> {
    let listing = await this.folder.list();
    for (let look = 1; look <= MOST_LOOKS; look++) {
      const read = await this.#readFrom(listing);
      const after = await this.folder.list();
      if (read && after.checkpoint === listing.checkpoint) {
        const last = after.entries.at(-1) ?? 0;
        if (last <= read.tip) {
          this.#take(read);
          return;
        }
        // Made since, unless an entry before it is missing.
        const isMissing = look > 1 && (await this.folder.readEntry(read.tip + 1)) === null;
        if (isMissing && (await this.folder.list()).checkpoint === after.checkpoint) {
          throw this.folder.damaged(entryName(read.tip + 1), `it is missing, while entry ${last} is there`);
        }
      }
      listing = after;
    }
    throw this.folder.damaged(entryName(this.tip + 1), 'no two looks at what follows agree');
  }

  /** Null: a checkpoint went while it was looked at. */
  async #readFrom({ checkpoint }: ChainListing): Promise<ReadChain | null> {
    let tip = this.tip;
    let tipCrc32c = this.tipCrc32c;
    let positions = new Map(this.positions);
    if (checkpoint > tip) {
      const found = await this.folder.readCheckpoint(checkpoint);
      if (!found) return null;
      tip = found.number;
      tipCrc32c = found.entryCrc32c;
      positions = positionsOf(found.positions);
    }
    const entries: FoundEntry[] = [];
    for (let next = await this.folder.readEntry(tip + 1); next; next = await this.folder.readEntry(tip + 1)) {
      if (next.entry.previousCrc32c !== tipCrc32c) {
        throw this.folder.damaged(entryName(tip + 1), `it does not follow entry ${tip} as that stands there`);
      }
      tip += 1;
      tipCrc32c = next.crc32c;
      moveOn(positions, next.entry);
      entries.push(next);
    }
    return { checkpoint, tip, tipCrc32c, positions, entries };
  }

  #take({ checkpoint, tip, tipCrc32c, positions, entries }: ReadChain): void {
    this.checkpoint = Math.max(checkpoint, this.checkpoint);
    this.tip = tip;
    this.tipCrc32c = tipCrc32c;
    this.positions = positions;
    this.#news.push(...entries);
    for (const { entry } of entries) this.#name(entry);
    for (const [run, number] of this.runs) if (number <= this.checkpoint) this.runs.delete(run);
  }

  /** Entries that were read since it was asked last; those that are folded meanwhile among them. */
  takeNews(): readonly FoundEntry[] {
    const news = this.#news;
    this.#news = [];
    return news;
  }

  /** Takes an own entry in that was made behind the last one. */
  add({ entry, crc32c }: FoundEntry): void {
    this.tip = entry.number;
    this.tipCrc32c = crc32c;
    moveOn(this.positions, entry);
    this.#name(entry);
  }

  #name({ run, number, target, files }: ChainEntry): void {
    this.runs.set(run, number);
    if (target.kind === 'file' && files.length > 0) this.#exact.set(target.path, number);
  }

  /** Whether an exact file was made from what an entry made of it: then that was published, whatever is still staged. */
  isBuiltUpon({ target, number }: ChainEntry): boolean {
    return target.kind === 'file' && (this.#exact.get(target.path) ?? 0) > number;
  }

  /**
   * Whether an entry that was just made counts: not if its number was folded before, with another entry.
   *
   * @throws OffloadError SAVED_OFFSETS_INVALID if that cannot be told.
   */
  async counts({ entry: { number, run } }: FoundEntry): Promise<boolean> {
    const { checkpoint } = await this.folder.list();
    if (checkpoint < number) return true;
    const range = (await this.folder.listPacks()).find(({ first, last }) => first <= number && number <= last);
    const pack = range && (await this.folder.readPack(range));
    if (!range || !pack) throw this.folder.damaged('folded', `entry ${number} is folded, and in no pack`);
    return pack.entries[number - range.first]?.entry.run === run;
  }
}

interface ReadChain extends Pick<ChainState, 'checkpoint' | 'tip' | 'tipCrc32c' | 'positions'> {
  readonly entries: readonly FoundEntry[];
}
