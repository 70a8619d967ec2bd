/**
 * A database file of DuckDB. DuckDB lets one process write to a file, and nobody read it meanwhile. So the file is open
 * only as long as a transaction takes, and a lock of its own (`_kafkaload/NAME.lock`, held by DuckDB, too, and so gone with
 * the process, however that ends) keeps a second stream away in between.
 *
 * Measured: to open and to close it takes 10 to 25 ms of each micro-batch (November 2026).
 */
import { basename, dirname, join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { OffloadError } from '../../../errors.ts';
import { type FileSystem, makeFolders } from '../../../io.ts';
import { quoteText } from '../../../sources/files/columnTypes.ts';
import { duckdbError, lockHolder } from './errors.ts';

/** The name of the file in our statements. */
export const TARGET = 'target';

export interface DuckdbLimits {
  readonly threads: number;
  readonly memoryBytes: number;
}

interface Engine {
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
}

export class DatabaseFile {
  readonly path: string;
  readonly #fs: FileSystem;
  readonly #limits: DuckdbLimits;
  #engine: Engine | null = null;
  #lock: Engine | null = null;

  constructor(fs: FileSystem, path: string, limits: DuckdbLimits) {
    this.#fs = fs;
    this.path = path;
    this.#limits = limits;
  }

  /** Where what is ours lies, beside the file. */
  get folder(): string {
    return join(dirname(this.path), '_kafkaload');
  }

  /** @throws OffloadError DATABASE_REFUSED if another process streams to the file. */
  async claim(): Promise<void> {
    if (this.#lock !== null) return;
    await makeFolders(this.#fs, this.folder);
    const lock = await startEngine({ threads: 1, memoryBytes: 32 * 1024 ** 2 });
    try {
      await lock.connection.run(`ATTACH ${quoteText(join(this.folder, `${basename(this.path)}.lock`))} AS held`);
      this.#lock = lock;
    } catch (error) {
      stopEngine(lock);
      const holder = lockHolder(error);
      if (holder === null) throw duckdbError('lock', this.path, error);
      throw new OffloadError(
        'DATABASE_REFUSED',
        `cannot write to ${this.path}: ${holder} streams to it, and a database file of DuckDB serves one process; ` +
          'stop the other, or write to PostgreSQL, which serves many',
        { context: { path: this.path }, cause: error },
      );
    }
  }

  /**
   * Opens the file, runs statements as one transaction, and closes it.
   *
   * @param attempt In messages: what is tried.
   * @param isKept False rolls it back, and so does what `act` throws.
   * @param onCommit Called before the outcome can be in doubt.
   * @throws OffloadError as `duckdbError` gives it.
   */
  async transaction<Result>(
    attempt: string,
    act: (connection: DuckDBConnection) => Promise<Result>,
    isKept: (result: Result) => boolean = () => true,
    onCommit: () => void = () => {},
  ): Promise<Result> {
    try {
      this.#engine ??= await startEngine(this.#limits);
      const { connection } = this.#engine;
      await connection.run(`ATTACH ${quoteText(this.path)} AS ${TARGET} (TYPE duckdb)`);
      await connection.run('BEGIN TRANSACTION');
      const result = await act(connection);
      if (isKept(result)) {
        onCommit();
        await connection.run('COMMIT');
      } else await connection.run('ROLLBACK');
      await connection.run(`DETACH ${TARGET}`);
      return result;
    } catch (error) {
      // Rolls back, and lets go of the file: after some errors nothing else can be done with it.
      this.#stop();
      throw duckdbError(attempt, this.path, error);
    }
  }

  close(): void {
    this.#stop();
    if (this.#lock !== null) stopEngine(this.#lock);
    this.#lock = null;
  }

  #stop(): void {
    if (this.#engine !== null) stopEngine(this.#engine);
    this.#engine = null;
  }
}

async function startEngine({ threads, memoryBytes }: DuckdbLimits): Promise<Engine> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(threads),
    memory_limit: `${Math.ceil(memoryBytes / 1024)}KiB`,
    // Rows of a table have no order, and keeping one takes memory.
    preserve_insertion_order: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    temp_directory: '',
  });
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  return { instance, connection };
}

function stopEngine({ instance, connection }: Engine): void {
  connection.closeSync();
  instance.closeSync();
}
