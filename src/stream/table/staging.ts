/**
 * Files on their way into a table: `FOLDER/kafkaload-PROCESS/RUN/`, a folder for each process, in it one for each
 * micro-batch. What lies there counts for nothing until it is in the table, so whatever a process that is dead has left is
 * removed by the next one.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isRunId, makeRunId } from '../../commit/names.ts';
import { describeOwner, isKnownDead, markEnded, markRunning, parseOwner } from '../../commit/owner.ts';
import { parseJson } from '../../commit/shapes.ts';
import type { StagingPlace } from '../../coordinator/staging.ts';
import { ioError } from '../../errors.ts';
import { makeFolders, nodeFileSystem, PRIVATE_MODE, unlessAbsent, writeSynced } from '../../io.ts';

const PREFIX = 'kafkaload-';
const OWNER_FILE = 'owner.json';
/** Rows are nobody's but the user's who runs kafkaload. */
const PRIVATE_FOLDER_MODE = 0o700;

export class TableStaging {
  readonly #root: string;
  /** Id of this process. */
  readonly process = makeRunId(Date.now());
  #isOpen: boolean = false;

  /** @param root Absolute; may be shared with others. */
  constructor(root: string) {
    this.#root = root;
  }

  get #path(): string {
    return join(this.#root, PREFIX + this.process);
  }

  /** An empty folder for a micro-batch. */
  async begin(): Promise<StagingPlace> {
    const run = makeRunId(Date.now());
    const stagingPath = join(this.#path, run);
    try {
      if (!this.#isOpen) await this.#open();
      const made = await unlessAbsent(makePrivate(stagingPath));
      // Whoever tidies the temporary folder up has removed ours, in which nothing had happened for long.
      if (made === null) {
        await this.#open();
        await makePrivate(stagingPath);
      }
    } catch (error) {
      throw ioError('make the folder', stagingPath, error);
    }
    return { run, stagingPath, isTakenOver: async () => false, isTransient: true };
  }

  async remove({ stagingPath }: Pick<StagingPlace, 'stagingPath'>): Promise<void> {
    await nodeFileSystem.removeAll(stagingPath);
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    markEnded(this.process);
    await nodeFileSystem.removeAll(this.#path);
  }

  async #open(): Promise<void> {
    await makeFolders(nodeFileSystem, this.#root);
    await makePrivate(this.#path);
    markRunning(this.process);
    this.#isOpen = true;
    const owner = JSON.stringify(await describeOwner(this.process, this.#path));
    await writeSynced(nodeFileSystem, join(this.#path, OWNER_FILE), Buffer.from(owner), 'w', PRIVATE_MODE);
    // What cannot be read or removed is somebody else's.
    await this.#removeDead().catch(() => {});
  }

  async #removeDead(): Promise<void> {
    for (const name of await readdir(this.#root)) {
      const process = name.slice(PREFIX.length);
      if (!name.startsWith(PREFIX) || !isRunId(process) || process === this.process) continue;
      const path = join(this.#root, name);
      const text = await readFile(join(path, OWNER_FILE), 'utf8').catch(() => '');
      const owner = parseOwner(parseJson(text));
      if (owner?.run === process && (await isKnownDead(owner))) {
        await rm(path, { recursive: true, force: true }).catch(() => {});
      }
    }
  }
}

async function makePrivate(path: string): Promise<true> {
  await mkdir(path, { mode: PRIVATE_FOLDER_MODE });
  return true;
}
