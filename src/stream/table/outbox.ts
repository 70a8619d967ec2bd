/**
 * Dead letters that wait in the database, in a table beside that of positions: they go there in the transaction of the rows
 * beside them, so they count if the micro-batch does, and only then. Once they are in their topic they are removed.
 *
 * What waits is whole, encoded for its topic: retention may remove a record before its letter is written. A row for each
 * file that a thread has staged.
 */
import type { StagedLetters } from '../../commit/types.ts';
import { readLetters } from '../../coordinator/badRecords/stagedLetters.ts';
import { nodeFileSystem } from '../../io.ts';
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

type SqlValue = string | number | Uint8Array;

/** Runs a statement. @returns Its rows; bytes in them are a Uint8Array. */
export type Query = (sql: string, values: readonly SqlValue[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** What an outbox asks of its database. */
export interface OutboxDatabase {
  /** Whose letters: table, config, group. */
  readonly key: readonly [string, string, string];
  /** The table, as it is named in SQL. */
  table(): string;
  /** Whether it is there. */
  exists(): Promise<boolean>;
  /** Makes it if it is missing. @param columns In brackets. */
  make(columns: string): Promise<void>;
  transaction<Result>(attempt: string, act: (query: Query) => Promise<Result>): Promise<Result>;
}

/** In words that both databases have. */
const COLUMNS = `(
  table_name text NOT NULL, config text NOT NULL, group_id text NOT NULL,
  process text NOT NULL, run text NOT NULL, number integer NOT NULL,
  topic text NOT NULL, progress_topic text NOT NULL, records integer NOT NULL, content bytea NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, config, group_id, run, number))`;
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
    await this.#database.make(COLUMNS);
    this.#isThere = true;
  }

  /** As part of the transaction that appends the rows beside them. */
  async add(query: Query, { process, run, topic, progressTopic, files }: BatchLetters<StagedLetters>): Promise<void> {
    for (const [number, file] of files.entries()) {
      await query(
        `INSERT INTO ${this.#database.table()}
           (table_name, config, group_id, process, run, number, topic, progress_topic, records, content)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          ...this.#database.key,
          ...[process, run, number, topic, progressTopic, file.records, await readLetters(nodeFileSystem, file)],
        ],
      );
    }
    passStep('table.deadLettersKept');
  }

  /** What waits, of whichever process of the stream. A table that is not there holds nothing, and is not made. */
  async waiting(): Promise<readonly BatchLetters<WaitingFile>[]> {
    this.#isThere ||= await this.#database.exists();
    if (!this.#isThere) return [];
    const sql = `SELECT process, run, number, topic, progress_topic, octet_length(content) AS bytes
      FROM ${this.#database.table()} WHERE ${OF_STREAM} ORDER BY run, number`;
    const rows = await this.#ask('look for dead letters', (query) => query(sql, this.#database.key));
    const batches = new Map<string, BatchLetters<WaitingFile> & { readonly files: WaitingFile[] }>();
    for (const row of rows) {
      const run = String(row.run);
      const about = { process: String(row.process), run, topic: String(row.topic) };
      const batch = batches.get(run) ?? { ...about, progressTopic: String(row.progress_topic), files: [] };
      batches.set(run, batch);
      batch.files.push({ number: Number(row.number), bytes: Number(row.bytes) });
    }
    return [...batches.values()];
  }

  async isWaiting(run: string): Promise<boolean> {
    const sql = `SELECT 1 AS found FROM ${this.#database.table()} WHERE ${OF_BATCH} LIMIT 1`;
    const rows = await this.#ask('look for dead letters', (query) => query(sql, [...this.#database.key, run]));
    return rows.length > 0;
  }

  /** @returns Null: it does not wait any more. */
  async read(run: string, number: number): Promise<Buffer | null> {
    const sql = `SELECT content FROM ${this.#database.table()} WHERE ${OF_BATCH} AND number = $5`;
    const rows = await this.#ask('read dead letters', (query) => query(sql, [...this.#database.key, run, number]));
    const content = rows[0]?.content;
    return content instanceof Uint8Array ? Buffer.from(content.buffer, content.byteOffset, content.byteLength) : null;
  }

  async remove(run: string): Promise<void> {
    const sql = `DELETE FROM ${this.#database.table()} WHERE ${OF_BATCH}`;
    await this.#ask('remove dead letters', (query) => query(sql, [...this.#database.key, run]));
  }

  #ask<Result>(attempt: string, act: (query: Query) => Promise<Result>): Promise<Result> {
    return this.#database.transaction(attempt, act);
  }
}
