/**
 * Staging of a chain: `GROUP/staging/PROCESS/RUN/`, a folder for each process, in it one for each micro-batch.
 *
 * `owner.json` says who the process is; `batch.json` of a micro-batch, from where in the chain it sets out and which
 * partitions it moves. Of processes that ended without clearing up, the next one removes
 *
 * - what an entry names, once it is published;
 * - what no entry names, if its process was known to be dead before the chain was read: nobody can name it any more;
 * - what no entry names, an hour after, if the chain has moved one of its partitions since: then it is overtaken, and can
 *   never become an entry, whether its process sleeps here or elsewhere.
 *
 * Anything else stays, since its process may only sleep.
 */
import { dirname, join } from 'node:path';
import { isRunId } from '../../commit/names.ts';
import { describeOwner, isKnownDead, markEnded, markRunning, parseOwner } from '../../commit/owner.ts';
import { isObject, parseJson } from '../../commit/shapes.ts';
import {
  type FileSystem,
  makeFolders,
  PRIVATE_MODE,
  syncFolder,
  systemCode,
  unlessAbsent,
  writeSynced,
} from '../../io.ts';
import { offsetKey, type Place } from '../../plan/places.ts';
import type { ChainPositions } from './positions.ts';

const LEFT_AGE_MS = 3_600_000;
const OWNER_FILE = 'owner.json';
const BATCH_FILE = 'batch.json';

/** Another process that has a folder. */
export interface OtherProcess {
  readonly process: string;
  readonly isDead: boolean;
}

export interface StagedRun {
  readonly process: string;
  readonly run: string;
  readonly path: string;
}

export class ChainStaging {
  /** Of this process. */
  readonly path: string;
  readonly #fs: FileSystem;
  readonly #folder: string;
  readonly #process: string;

  constructor(fs: FileSystem, chainFolder: string, process: string) {
    this.#fs = fs;
    this.#process = process;
    this.#folder = join(chainFolder, 'staging');
    this.path = join(this.#folder, process);
  }

  async open(): Promise<void> {
    markRunning(this.#process);
    await makeFolders(this.#fs, this.path);
    const owner = JSON.stringify(await describeOwner(this.#process, this.path));
    await writeSynced(this.#fs, join(this.path, OWNER_FILE), Buffer.from(owner), 'w', PRIVATE_MODE);
    await syncFolder(this.#fs, this.path);
  }

  /**
   * Makes the folder of a micro-batch, empty but for what tells when it is overtaken.
   *
   * @param tip The last entry that its start positions know of.
   */
  async begin(run: string, tip: number, partitions: readonly Place[]): Promise<string> {
    const path = join(this.path, run);
    await makeFolders(this.#fs, path);
    const batch = { tip, partitions: partitions.map(offsetKey) };
    await writeSynced(this.#fs, join(path, BATCH_FILE), Buffer.from(JSON.stringify(batch)));
    return path;
  }

  /** So that it lasts: a file that came back would be published again, where its reader has taken the first one away. */
  async remove(path: string): Promise<void> {
    await this.#fs.removeAll(path);
    await unlessAbsent(syncFolder(this.#fs, dirname(path)));
  }

  /** Who else has a folder, and whether it is known to be dead: to be asked before the chain is read. */
  async others(): Promise<readonly OtherProcess[]> {
    const others: OtherProcess[] = [];
    for (const process of await this.#list(this.#folder)) {
      if (process === this.#process || !isRunId(process)) continue;
      const bytes = await unlessAbsent(this.#fs.readFile(join(this.#folder, process, OWNER_FILE)));
      const owner = bytes && parseOwner(parseJson(bytes.toString('utf8')));
      others.push({ process, isDead: owner?.run === process && (await isKnownDead(owner)) });
    }
    return others;
  }

  /** What processes have staged, this one as well. */
  async runs(): Promise<readonly StagedRun[]> {
    const runs: StagedRun[] = [];
    for (const process of await this.#list(this.#folder)) {
      if (!isRunId(process)) continue;
      for (const run of await this.#list(join(this.#folder, process))) {
        if (isRunId(run)) runs.push({ process, run, path: join(this.#folder, process, run) });
      }
    }
    return runs;
  }

  /**
   * Whether a micro-batch that no entry names may go.
   *
   * @param isDead Of its process, known before the positions were read.
   */
  async isLeft({ path }: StagedRun, isDead: boolean, positions: ChainPositions): Promise<boolean> {
    if (isDead) return true;
    if (!(await this.isOld(path))) return false;
    const bytes = await unlessAbsent(this.#fs.readFile(join(path, BATCH_FILE)));
    const batch = bytes && parseJson(bytes.toString('utf8'));
    if (!isObject(batch) || !Array.isArray(batch.partitions) || typeof batch.tip !== 'number') return false;
    const { tip } = batch;
    return batch.partitions.some((key) => (positions.get(String(key))?.entry ?? 0) > tip);
  }

  /** By an hour; both times are the file system's own. */
  async isOld(path: string): Promise<boolean> {
    const [now, then] = [await this.#touched(), await unlessAbsent(this.#fs.stat(path))];
    return now !== null && then !== null && now - then.mtimeMs >= LEFT_AGE_MS;
  }

  /** The file system's own time: of a file that is written now. */
  async #touched(): Promise<number | null> {
    await makeFolders(this.#fs, this.path);
    const path = join(this.path, '.now');
    await writeSynced(this.#fs, path, Buffer.from('.'));
    const info = await unlessAbsent(this.#fs.stat(path));
    await unlessAbsent(this.#fs.unlink(path));
    return info?.mtimeMs ?? null;
  }

  /** Removes the folder of a process that has ended, unless it holds a micro-batch: one that sleeps may make one just now. */
  async removeProcess({ process, isDead }: OtherProcess): Promise<void> {
    const path = join(this.#folder, process);
    if ((await this.#list(path)).some(isRunId) || !(isDead || (await this.isOld(path)))) return;
    for (const name of await this.#list(path))
      if (!isRunId(name)) await unlessAbsent(this.#fs.unlink(join(path, name)));
    try {
      await this.#fs.rmdir(path);
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(systemCode(error))) throw error;
    }
  }

  /** @param keeps A micro-batch is left that an entry names, or may name. */
  async close(keeps: boolean): Promise<void> {
    markEnded(this.#process);
    if (!keeps) await this.#fs.removeAll(this.path);
  }

  async #list(path: string): Promise<string[]> {
    try {
      return (await this.#fs.readdir(path)).sort((a, b) => (a < b ? -1 : 1));
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return [];
      throw error;
    }
  }
}
