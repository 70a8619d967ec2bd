/**
 * Dead letters of a database file, as they wait: files beside it, which rows of the outbox name. DuckDB keeps in memory what
 * a transaction inserts, and a micro-batch may be nothing but bad records: 300 MiB of them cannot be committed, or put
 * down in several transactions, with a limit of 128 MiB (measured, 1.5.5).
 */
import { join } from 'node:path';
import type { StagedLetters } from '../../../commit/types.ts';
import { ioError, OffloadError } from '../../../errors.ts';
import { type FileSystem, makeFolders, syncFolder, unlessAbsent } from '../../../io.ts';
import type { LetterContents } from '../outbox.ts';

export class LetterFiles implements LetterContents {
  readonly type = 'text';
  readonly #fs: FileSystem;
  readonly #folder: string;

  /** @param folder Of this stream alone; made when it is needed, on the disk of the staging folder. */
  constructor(fs: FileSystem, folder: string) {
    this.#fs = fs;
    this.#folder = folder;
  }

  /** @returns The name. */
  async put({ path }: StagedLetters, run: string, number: number): Promise<string> {
    const name = `${run}-${number}`;
    const target = join(this.#folder, name);
    await this.#attempt('keep dead letters in', target, async () => {
      await makeFolders(this.#fs, this.#folder);
      // Of an attempt before this one.
      if (await unlessAbsent(this.#fs.stat(target))) return;
      await this.#fs.rename(path, target);
      await syncFolder(this.#fs, this.#folder);
    });
    return name;
  }

  async get(value: unknown): Promise<Buffer> {
    const path = join(this.#folder, String(value));
    const content = await this.#attempt('read dead letters from', path, () => unlessAbsent(this.#fs.readFile(path)));
    if (content !== null) return content;
    throw new OffloadError(
      'RECOVERY_BLOCKED',
      `cannot write dead letters: ${path} is gone; bring it back, or remove its row from the table of dead letters`,
      { context: { path } },
    );
  }

  async removeUnless(isKept: (run: string) => boolean): Promise<void> {
    await this.#attempt('remove dead letters from', this.#folder, async () => {
      for (const name of (await unlessAbsent(this.#fs.readdir(this.#folder))) ?? []) {
        if (!isKept(name.slice(0, name.lastIndexOf('-'))))
          await unlessAbsent(this.#fs.unlink(join(this.#folder, name)));
      }
    });
  }

  async #attempt<Result>(attempt: string, path: string, act: () => Promise<Result>): Promise<Result> {
    try {
      return await act();
    } catch (error) {
      throw ioError(attempt, path, error);
    }
  }
}
