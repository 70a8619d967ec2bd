/**
 * Dead letters that wait in the database, in a table beside that of positions: they go there in the transaction of the rows
 * beside them, so they count if the micro-batch does, and only then. Once they are in their topic they are removed.
 *
 * What waits is whole, encoded for its topic: retention may remove a record before its letter is written. A row for each
 * file that a thread has staged.
 */
import type { StagedLetters } from '../../commit/types.ts';
import { checkLetters } from '../../coordinator/badRecords/stagedLetters.ts';
import { passStep } from '../../steps.ts';

export const OUTBOX_TABLE = '_kafkaload_dead_letters';

/** Dead letters of a micro-batch. */
export interface BatchLetters<File> {
  /** Ids of the process that read it, and of the micro-batch. */
  readonly process: string;
  readonly run: string;
  readonly topic: string;
  /** Where it is kept how far they are. */
  readonly progressTopic: string;
  readonly files: readonly File[];
}

/** A file of letters as it waits. */
export interface WaitingFile {
  readonly number: number;
  readonly bytes: number;
}

export type SqlValue = string | number | Uint8Array;

/** Runs a statement. @returns Its rows; bytes in them are a Uint8Array. */
export type Query = (sql: string, values: readonly SqlValue[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Where the content of files waits. */
export interface LetterContents {
  /** Of the column `content`, in SQL. */
  readonly type: 'bytea' | 'text';
  /** Before the row of a file is inserted, also when that is tried again. @returns What stands in its column. */
  put(file: StagedLetters, run: string, number: number): Promise<SqlValue>;
  /** @param value Of the column. */
  get(value: unknown): Promise<Buffer>;
  /** Removes what no row speaks of any more, or ever did. @param isKept Of a micro-batch. */
  removeUnless(isKept: (run: string) => boolean): Promise<void>;
}

/** What an outbox asks of its database. */
export interface OutboxDatabase {
  /** Whose letters: table, config, group. */
  readonly key: readonly [string, string, string];
  readonly contents: LetterContents;
  /** The table, as it is named in SQL. */
  table(): string;
  /** Whether it is there. */
  exists(): Promise<boolean>;
  /** Makes it if it is missing. @param columns In brackets. */
  make(columns: string): Promise<void>;
  transaction<Result>(attempt: string, act: (query: Query) => Promise<Result>): Promise<Result>;
}

/** In words that both databases have. */
function columnsOf({ type }: LetterContents): string {
  return `(
    table_name text NOT NULL, config text NOT NULL, group_id text NOT NULL,
    process text NOT NULL, run text NOT NULL, number integer NOT NULL,
    topic text NOT NULL, progress_topic text NOT NULL,
    records integer NOT NULL, bytes bigint NOT NULL, crc32c bigint NOT NULL, content ${type} NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, config, group_id, run, number))`;
}

const OF_STREAM = 'table_name = $1 AND config = $2 AND group_id = $3';
const OF_BATCH = `${OF_STREAM} AND run = $4`;

/** Errors of all calls are those of `TableDatabase`. */
export class Outbox {
  readonly #database: OutboxDatabase;
  #isThere: boolean = false;

  constructor(database: OutboxDatabase) {
    this.#database = database;
  }

  /** Makes the table if it is missing. */
  async make(): Promise<void> {
    if (this.#isThere) return;
    await this.#database.make(columnsOf(this.#database.contents));
    this.#isThere = true;
  }

  /** As part of the transaction that appends the rows beside them. */
  async add(query: Query, { process, run, topic, progressTopic, files }: BatchLetters<StagedLetters>): Promise<void> {
    const { key, contents } = this.#database;
    for (const [number, file] of files.entries()) {
      const { records, bytes, crc32c } = file;
      const content = await contents.put(file, run, number);
      await query(
        `INSERT INTO ${this.#database.table()} (table_name, config, group_id, process, run, number, topic, progress_topic,
           records, bytes, crc32c, content) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
        [...key, process, run, number, topic, progressTopic, records, bytes, crc32c, content],
      );
    }
    passStep('table.deadLettersKept');
  }

  /** What waits, of whichever process of the stream. A table that is not there holds nothing, and is not made. */
  async waiting(): Promise<readonly BatchLetters<WaitingFile>[]> {
    this.#isThere ||= await this.#database.exists();
    if (!this.#isThere) return [];
    const sql = `SELECT process, run, number, topic, progress_topic, bytes FROM ${this.#database.table()}
      WHERE ${OF_STREAM} ORDER BY run, number`;
    const rows = await this.#ask('look for dead letters', (query) => query(sql, this.#database.key));
    const batches = new Map<string, BatchLetters<WaitingFile> & { readonly files: WaitingFile[] }>();
    for (const row of rows) {
      const run = String(row.run);
      const about = { process: String(row.process), run, topic: String(row.topic) };
      const batch = batches.get(run) ?? { ...about, progressTopic: String(row.progress_topic), files: [] };
      batches.set(run, batch);
      batch.files.push({ number: Number(row.number), bytes: Number(row.bytes) });
    }
    await this.#database.contents.removeUnless((run) => batches.has(run));
    return [...batches.values()];
  }

  async isWaiting(run: string): Promise<boolean> {
    const sql = `SELECT 1 AS found FROM ${this.#database.table()} WHERE ${OF_BATCH} LIMIT 1`;
    const rows = await this.#ask('look for dead letters', (query) => query(sql, [...this.#database.key, run]));
    return rows.length > 0;
  }

  /**
   * @returns Null: it does not wait any more.
   * @throws OffloadError RECOVERY_BLOCKED if it is not what was put there.
   */
  async read(run: string, number: number): Promise<Buffer | null> {
    const sql = `SELECT bytes, crc32c, content FROM ${this.#database.table()} WHERE ${OF_BATCH} AND number = $5`;
    const [row] = await this.#ask('read dead letters', (query) => query(sql, [...this.#database.key, run, number]));
    if (!row) return null;
    const content = await this.#database.contents.get(row.content);
    const path = `file ${number} of micro-batch ${run} in ${this.#database.table()}`;
    return checkLetters(content, { path, bytes: Number(row.bytes), crc32c: Number(row.crc32c) });
  }

  async remove(run: string): Promise<void> {
    const sql = `DELETE FROM ${this.#database.table()} WHERE ${OF_BATCH}`;
    await this.#ask('remove dead letters', (query) => query(sql, [...this.#database.key, run]));
    await this.#database.contents.removeUnless((other) => other !== run);
  }

  #ask<Result>(attempt: string, act: (query: Query) => Promise<Result>): Promise<Result> {
    return this.#database.transaction(attempt, act);
  }
}
