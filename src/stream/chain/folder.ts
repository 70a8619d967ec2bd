/** The folder of a chain: the few operations on it that must be indivisible, and how what stands in it is read. */
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import { z } from 'zod';
import { parseJson } from '../../commit/shapes.ts';
import { OffloadError } from '../../errors.ts';
import { type FileSystem, makeFolders, syncFolder, systemCode, unlessAbsent, writeSynced } from '../../io.ts';
import { readEntryBytes } from '../../sinks/chainFiles.ts';
import {
  checkpointName,
  ENTRY_IN_FOLDER,
  entryName,
  PACKS_FOLDER,
  type PackRange,
  packName,
  parseCheckpointName,
  parseEntryName,
  parsePackName,
} from '../../sinks/chainNames.ts';
import { count, path as pathShape } from '../../sinks/manifestShape.ts';
import { type FoundEntry, parseEntry } from './entry.ts';
import { POSITION } from './positions.ts';

/** Systems say so in different ways: no hard links here. */
const NO_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];
/** A name is taken; the second is said of a folder. */
const TAKEN: readonly string[] = ['EEXIST', 'ENOTEMPTY'];

const CHECKPOINT = z.object({
  version: z.literal(1),
  group: z.string(),
  number: count,
  /** Of the last entry that is folded. */
  entryCrc32c: count,
  positions: z.array(POSITION),
  /** The entries since the checkpoint before; size and CRC-32C of them, not of the packed file. */
  pack: z.object({ path: pathShape, bytes: count, crc32c: count }),
});

/** All that those who read on need of the entries up to `number`. */
export type Checkpoint = z.infer<typeof CHECKPOINT>;

export interface ChainListing {
  /** Numbers of entries, rising. */
  readonly entries: readonly number[];
  /** The latest; 0: none. */
  readonly checkpoint: number;
  readonly checkpoints: readonly number[];
}

export class ChainFolder {
  readonly path: string;
  readonly #fs: FileSystem;
  readonly #group: string | null;

  /** @param group Null: whichever it is. */
  constructor(fs: FileSystem, path: string, group: string | null) {
    this.#fs = fs;
    this.#group = group;
    this.path = path;
  }

  async make(): Promise<void> {
    await makeFolders(this.#fs, this.path);
  }

  /** Makes all names in it last. */
  async sync(): Promise<void> {
    await syncFolder(this.#fs, this.path);
  }

  /** None where there is no such folder. */
  async list(): Promise<ChainListing> {
    const names = (await unlessAbsent(this.#fs.readdir(this.path))) ?? [];
    const numbers = (parse: (name: string) => number | null): number[] =>
      names.flatMap((name) => parse(name) ?? []).sort((a, b) => a - b);
    const checkpoints = numbers(parseCheckpointName);
    return { entries: numbers(parseEntryName), checkpoints, checkpoint: checkpoints.at(-1) ?? 0 };
  }

  /**
   * Null: there is none.
   *
   * @throws OffloadError SAVED_OFFSETS_INVALID for something else in its place.
   */
  async readEntry(number: number): Promise<FoundEntry | null> {
    const bytes = await this.#readEntryBytes(number);
    if (bytes === null) return null;
    const found = parseEntry(bytes, this.#group, number);
    if (found) return found;
    throw this.damaged(entryName(number), `it is not entry ${number} of that group`);
  }

  #readEntryBytes(number: number): Promise<Buffer | null> {
    return readEntryBytes(this.#fs, join(this.path, entryName(number)));
  }

  /** Writes an entry, synced, where nobody looks for it. @param attempt Tells the tries of a micro-batch apart. */
  async stageEntry(bytes: Buffer, stagingPath: string, attempt: number): Promise<string> {
    const staged = join(stagingPath, `entry-${attempt}.json`);
    await writeSynced(this.#fs, staged, bytes, 'wx');
    return staged;
  }

  /**
   * Makes an entry under its number, whole or not at all, and only if the number is free. A hard link does that; without
   * them, a folder that holds the entry is moved to the number: that neither replaces a file nor a folder with content.
   * Both ways stand in each other's way.
   *
   * @returns `lost`: another has made that number.
   * @throws What the file system says; then the entry may stand all the same.
   */
  async create(number: number, bytes: Buffer, staged: string): Promise<'created' | 'lost'> {
    const path = join(this.path, entryName(number));
    try {
      await this.#fs.link(staged, path);
      return 'created';
    } catch (error) {
      if (!NO_LINKS.includes(systemCode(error))) return this.#wasCreated(number, bytes, error);
    }
    const folder = `${staged}.folder`;
    await this.#fs.mkdir(folder);
    await this.#fs.rename(staged, join(folder, ENTRY_IN_FOLDER));
    await syncFolder(this.#fs, folder);
    try {
      await this.#fs.rename(folder, path);
      return 'created';
    } catch (error) {
      return this.#wasCreated(number, bytes, error);
    }
  }

  /** Over a network the answer may be lost, or an operation done twice: what stands there tells. */
  async #wasCreated(number: number, bytes: Buffer, error: unknown): Promise<'created' | 'lost'> {
    const now = await this.#readEntryBytes(number).catch(() => null);
    if (now?.equals(bytes)) return 'created';
    // A folder was to be moved to the name of a file.
    const isFile = systemCode(error) === 'ENOTDIR' && now !== null;
    if (isFile || TAKEN.includes(systemCode(error))) return 'lost';
    throw error;
  }

  /** Of an entry that is folded, or of one that does not count since its number was. */
  async removeEntry(number: number): Promise<void> {
    const path = join(this.path, entryName(number));
    try {
      await unlessAbsent(this.#fs.unlink(path));
    } catch (error) {
      if (!['EISDIR', 'EPERM'].includes(systemCode(error))) throw error;
      await this.#fs.removeAll(path);
    }
  }

  async readCheckpoint(number: number): Promise<Checkpoint | null> {
    const bytes = await unlessAbsent(this.#fs.readFile(join(this.path, checkpointName(number))));
    if (bytes === null) return null;
    const { success, data } = CHECKPOINT.safeParse(parseJson(bytes.toString('utf8')));
    if (success && [null, data.group].includes(this.#group) && data.number === number) return data;
    throw this.damaged(checkpointName(number), `it is not checkpoint ${number} of that group`);
  }

  /** @param stagingPath As for `writePack`. */
  async writeCheckpoint(checkpoint: Checkpoint, stagingPath: string): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(checkpoint)}\n`);
    await this.#place(join(stagingPath, 'checkpoint.json'), join(this.path, checkpointName(checkpoint.number)), bytes);
    await this.sync();
  }

  async removeCheckpoint(number: number): Promise<void> {
    await unlessAbsent(this.#fs.unlink(join(this.path, checkpointName(number))));
  }

  /** Ranges of the packs there are, in order. */
  async listPacks(): Promise<PackRange[]> {
    const names = (await unlessAbsent(this.#fs.readdir(join(this.path, PACKS_FOLDER)))) ?? [];
    return names.flatMap((name) => parsePackName(name) ?? []).sort((a, b) => a.first - b.first || a.last - b.last);
  }

  /**
   * Puts entries into one file, synced. Whoever packs the same entries writes the same.
   *
   * @param stagingPath A folder of this process alone, on the same file system.
   */
  async writePack(range: PackRange, entries: readonly FoundEntry[], stagingPath: string): Promise<Checkpoint['pack']> {
    const folder = join(this.path, PACKS_FOLDER);
    await makeFolders(this.#fs, folder);
    const bytes = Buffer.concat(entries.map((found) => found.bytes));
    await this.#place(join(stagingPath, 'pack.gz'), join(folder, packName(range)), await promisify(gzip)(bytes));
    await syncFolder(this.#fs, folder);
    return { path: `${PACKS_FOLDER}/${packName(range)}`, bytes: bytes.length, crc32c: crc32c(bytes) };
  }

  /**
   * Entries of a pack, in order; null: there is none.
   *
   * @throws OffloadError SAVED_OFFSETS_INVALID
   */
  async readPack(range: PackRange): Promise<{ entries: FoundEntry[]; bytes: number; crc32c: number } | null> {
    const name = packName(range);
    const packed = await unlessAbsent(this.#fs.readFile(join(this.path, PACKS_FOLDER, name)));
    if (packed === null) return null;
    const bytes = await promisify(gunzip)(packed).catch(() => Buffer.alloc(0));
    const entries: FoundEntry[] = [];
    for (let from = 0; from < bytes.length; ) {
      const end = bytes.indexOf('\n', from) + 1 || bytes.length;
      const found = parseEntry(bytes.subarray(from, end), this.#group, range.first + entries.length);
      if (!found) break;
      entries.push(found);
      from = end;
    }
    if (entries.length === range.last - range.first + 1) return { entries, bytes: bytes.length, crc32c: crc32c(bytes) };
    const path = join(PACKS_FOLDER, name);
    throw this.damaged(path, `it does not hold entries ${range.first} to ${range.last} of that group`);
  }

  /** Puts a file under a name that never stands for anything else. */
  async #place(staged: string, path: string, bytes: Buffer): Promise<void> {
    await this.#fs.removeAll(staged);
    await writeSynced(this.#fs, staged, bytes, 'wx');
    await this.#fs.rename(staged, path);
  }

  damaged(name: string, what: string): OffloadError {
    const path = join(this.path, name);
    return new OffloadError(
      'SAVED_OFFSETS_INVALID',
      `cannot go on with the stream of group ${this.#group}: ${path} is damaged: ${what}; put it back from a copy, or go ` +
        'on in another folder; kafkaload verify tells what the files hold',
      { context: { group: this.#group, path } },
    );
  }
}
