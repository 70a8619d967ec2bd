/**
 * The folder of FILE mode. Beside `CONFIG`, the saved offsets, stand `.CONFIG.KIND.E.RUN` (see names.ts):
 *
 *     run.E      one line: who the run is. At prepare a second line is added, the intent record.
 *     intent.E   `run.E` after its rename: prepared. Or, in the name of a run that took it over, another's.
 *     done.E     `intent.E` after its rename: committed. The highest one tells topic ids and the last manifest.
 *     fenced.E   `run.E`, or a `temp.E` that was to be it, after another run's rename.
 *     next.E     what `CONFIG` becomes.
 *     temp.E     one of these being written.
 *
 * A rename is the compare-and-swap: of two that try, one gets ENOENT. That holds because each name carries the run that
 * makes it, so no name is ever made by two.
 */
import { constants } from 'node:fs';
import { join } from 'node:path';
import {
  type FileSystem,
  PRIVATE_MODE,
  syncFolder,
  systemCode,
  unlessAbsent,
  withFile,
  writeFully,
  writeSynced,
} from '../io.ts';
import { type IntentRecord, lastManifest, parseIntentRecord } from './intent.ts';
import { compareNames, formatStateName, parseStateName, type StateKind, type StateName } from './names.ts';
import { type Owner, parseOwner } from './owner.ts';
import {
  parseOffsetsFile,
  type SavedOffset,
  type SavedOffsets,
  splitOffsets,
  type TopicsOverTime,
} from './savedOffsets.ts';
import { parseJson } from './shapes.ts';
import type { SavedState } from './types.ts';

/** Listings in a row that must agree. */
const LISTINGS = 4;

export class OffsetsFolder {
  readonly path: string;
  readonly #fs: FileSystem;
  readonly #config: string;

  constructor(fs: FileSystem, path: string, config: string) {
    this.path = path;
    this.#fs = fs;
    this.#config = config;
  }

  pathOf(name: StateName): string {
    return join(this.path, formatStateName(this.#config, name));
  }

  /**
   * Counts when four listings in a row agree: `readdir` can miss a file that is renamed meanwhile. The file of a run is
   * renamed three times until it stays (`run`, `intent`, `done`), so four in a row cannot all have missed it.
   */
  async list(): Promise<StateName[]> {
    let last: string | null = null;
    for (let agreed = 1; ; ) {
      const files = (await unlessAbsent(this.#fs.readdir(this.path))) ?? [];
      const names = files.map((file) => parseStateName(this.#config, file)).filter((name) => name !== null);
      names.sort((a, b) => compareNames(a, b) || (a.kind < b.kind ? -1 : 1));
      const now = names.map((name) => formatStateName(this.#config, name)).join('/');
      agreed = now === last ? agreed + 1 : 1;
      if (agreed === LISTINGS) return names;
      last = now;
    }
  }

  /** Puts a file under its name, whole and synced; an own older one of that name is replaced. False: see `rename`. */
  async create(name: StateName, text: string): Promise<boolean> {
    const temp: StateName = { ...name, kind: 'temp' };
    await this.write(temp, text);
    return this.rename(temp, name);
  }

  /** Writes a `temp` file, synced. */
  write(temp: StateName, text: string): Promise<void> {
    return writeSynced(this.#fs, this.pathOf(temp), Buffer.from(text), 'w', PRIVATE_MODE);
  }

  /** False if there is nothing of that name any more: another run has taken it. */
  async rename(from: StateName, to: StateName): Promise<boolean> {
    return this.#renamed(this.pathOf(from), this.pathOf(to));
  }

  /** Commits: the `next` of a run becomes the saved offsets. False if it is not there any more. */
  async commit(next: StateName): Promise<boolean> {
    return this.#renamed(this.pathOf(next), join(this.path, this.#config));
  }

  async remove(name: StateName): Promise<void> {
    await unlessAbsent(this.#fs.unlink(this.pathOf(name)));
  }

  /** Appends a line, synced. False if the file is not there any more; it is never made by this. */
  async append(name: StateName, line: string): Promise<boolean> {
    const flags = constants.O_WRONLY | constants.O_APPEND;
    const appended = withFile(this.#fs, this.pathOf(name), flags, async (file) => {
      await writeFully(file, Buffer.from(`${line}\n`));
      await file.sync();
      return true;
    });
    return (await unlessAbsent(appended)) ?? false;
  }

  sync(): Promise<void> {
    return syncFolder(this.#fs, this.path);
  }

  /** Renews the modification time; false if the file is not there any more. */
  async touch(name: StateName, nowMs: number): Promise<boolean> {
    const touched = await unlessAbsent(this.#fs.utimes(this.pathOf(name), nowMs, nowMs).then(() => true));
    return touched ?? false;
  }

  /** Modification time as it is stored, to be compared with itself only; null if the file is not there any more. */
  async mark(name: StateName): Promise<string | null> {
    const info = await unlessAbsent(this.#fs.stat(this.pathOf(name)));
    return info ? String(info.mtimeMs) : null;
  }

  /** Who made a name. An intent that was taken over holds another's first line; then the taker's own record tells. */
  async readOwner(name: StateName): Promise<Owner | null> {
    const kinds: StateKind[] = [name.kind, 'run', 'fenced'];
    for (const kind of kinds) {
      const [line] = (await this.#readLines({ ...name, kind })) ?? [];
      const owner = parseOwner(parseJson(line ?? ''));
      if (owner?.run === name.run) return owner;
    }
    return null;
  }

  /** The first line of a `run` or `fenced` file, or of a `temp` that was to be `run`; null if it is something else. */
  async readFirstOwner(name: StateName): Promise<Owner | null> {
    const [line] = (await this.#readLines(name)) ?? [];
    return parseOwner(parseJson(line ?? ''));
  }

  /** The record of an `intent` or `done` file. `absent`: the file is not there any more; null: it cannot be read. */
  async readIntent(name: StateName): Promise<IntentRecord | null | 'absent'> {
    const lines = await this.#readLines(name);
    return lines ? parseIntentRecord(lines[1] ?? '') : 'absent';
  }

  /** The record of the last commit, which the highest `done` keeps. */
  async readLastDone(names: readonly StateName[]): Promise<IntentRecord | null> {
    const top = highestDone(names);
    const record = top ? await this.readIntent(top) : null;
    return record === 'absent' ? null : record;
  }

  /** @throws OffloadError SAVED_OFFSETS_INVALID */
  async readSaved(use: TopicsOverTime): Promise<Map<string, SavedOffset>> {
    const path = join(this.path, this.#config);
    const bytes = await unlessAbsent(this.#fs.readFile(path));
    return bytes ? parseOffsetsFile(path, bytes.toString('utf8'), use) : new Map();
  }

  async #renamed(from: string, to: string): Promise<boolean> {
    try {
      await this.#fs.rename(from, to);
      return true;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  async #readLines(name: StateName): Promise<string[] | null> {
    const bytes = await unlessAbsent(this.#fs.readFile(this.pathOf(name)));
    return bytes ? bytes.toString('utf8').split('\n') : null;
  }
}

export function highestDone(names: readonly StateName[]): StateName | null {
  return names
    .filter((name) => name.kind === 'done')
    .reduce<StateName | null>((top, name) => (top === null || compareNames(name, top) > 0 ? name : top), null);
}

/** @param last The record of the highest `done`. */
export function savedState(offsets: SavedOffsets, last: IntentRecord | null, topics: readonly string[]): SavedState {
  return {
    ...splitOffsets(offsets, topics),
    topicIds: last?.topicIds ?? {},
    previousRun: last ? lastManifest(last) : null,
  };
}
