/**
 * A table in a database file of DuckDB. What belongs to a micro-batch is one transaction:
 *
 *     move the positions, if they still are as we know them -> insert the rows of the staged files -> dead letters -> commit
 */
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Schema } from 'apache-arrow';
import { DEFAULTS } from '../../../config/defaults.ts';
import type { TableSink } from '../../../config/job.ts';
import type { ParquetOutput } from '../../../config/writerOptions.ts';
import { nodeFileSystem } from '../../../io.ts';
import { offsetKey } from '../../../plan/places.ts';
import { quoteName } from '../../../sources/files/columnTypes.ts';
import { literalPath } from '../../../sources/files/duckdb/database.ts';
import { passStep } from '../../../steps.ts';
import type { StagedFile } from '../../../tasks.ts';
import type { TopicPartition } from '../../types.ts';
import {
  type AppendRequest,
  type Correction,
  type Move,
  OFFSETS_TABLE,
  type StreamName,
  type TableDatabase,
  type TablePosition,
} from '../database.ts';
import { OUTBOX_TABLE, Outbox, type Query } from '../outbox.ts';
import { DatabaseFile, type DuckdbLimits } from './databaseFile.ts';
import { LetterFiles } from './letterFiles.ts';
import { ensureColumns, ensureOffsetsTable, ensureTable, hasTable, MAIN, targetName } from './tables.ts';

/** Read once and at once: what is not compressed is written and read soonest. */
const STAGED: ParquetOutput = {
  format: 'parquet',
  compression: 'none',
  rowGroupRows: DEFAULTS.rowGroupRows,
  rowGroupBytes: DEFAULTS.rowGroupBytes,
};

export class DuckdbTable implements TableDatabase {
  readonly outbox: Outbox;
  readonly #file: DatabaseFile;
  readonly #schema: string;
  readonly #name: string;
  readonly #stream: StreamName;
  #columns: readonly string[] = [];

  constructor(
    path: string,
    { schema, table }: Pick<TableSink, 'schema' | 'table'>,
    stream: StreamName,
    limits: DuckdbLimits,
  ) {
    this.#file = new DatabaseFile(nodeFileSystem, path, limits);
    this.#schema = schema ?? MAIN;
    this.#name = table;
    this.#stream = stream;
    this.outbox = this.#makeOutbox();
  }

  async open(): Promise<void> {
    await this.#file.claim();
    await this.#file.transaction('make the table of positions', (connection) =>
      ensureOffsetsTable(connection, this.#schema),
    );
  }

  async prepare(schema: Schema): Promise<ParquetOutput> {
    const name = { schema: this.#schema, table: this.#name };
    await this.#file.transaction(`make the table ${this.#shown}`, (connection) =>
      ensureColumns(connection, name, schema),
    );
    this.#columns = schema.fields.map((field) => field.name);
    return STAGED;
  }

  async settle(
    partitions: readonly TopicPartition[],
    correct: (found: readonly TablePosition[]) => readonly Correction[],
  ): Promise<void> {
    await this.#file.transaction('read positions', async (connection) => {
      for (const correction of correct(await this.#read(connection, partitions))) {
        await this.#correct(connection, correction);
      }
    });
  }

  async append({ moves, files, letters, signal, onCommit }: AppendRequest): Promise<boolean> {
    return this.#file.transaction(
      `append rows to ${this.#shown}`,
      async (connection) => {
        passStep('table.begun');
        for (const move of moves) if (!(await this.#move(connection, move))) return false;
        passStep('table.offsetsMoved');
        if (files.length > 0) await this.#insert(connection, files, signal);
        passStep('table.rowsCopied');
        if (letters !== null) await this.outbox.add(queryOf(connection), letters);
        signal.throwIfAborted();
        return true;
      },
      (isMoved) => isMoved,
      onCommit,
    );
  }

  async close(): Promise<void> {
    this.#file.close();
  }

  #makeOutbox(): Outbox {
    const name = { schema: this.#schema, table: OUTBOX_TABLE };
    const of = createHash('sha256').update(JSON.stringify([this.#schema.toLowerCase(), ...this.#key]));
    const folder = join(this.#file.folder, `${basename(this.#file.path)}.dead-letters`, of.digest('hex').slice(0, 16));
    return new Outbox({
      key: this.#key,
      contents: new LetterFiles(nodeFileSystem, folder),
      table: () => targetName(this.#schema, OUTBOX_TABLE),
      exists: () => this.#file.transaction('look for dead letters', (connection) => hasTable(connection, name)),
      make: (columns) =>
        this.#file.transaction('make the table of dead letters', (connection) =>
          ensureTable(connection, name, columns),
        ),
      transaction: (attempt, act) => this.#file.transaction(attempt, (connection) => act(queryOf(connection))),
    });
  }

  get #shown(): string {
    return `${this.#schema}.${this.#name}`;
  }

  get #offsets(): string {
    return targetName(this.#schema, OFFSETS_TABLE);
  }

  get #key(): [string, string, string] {
    // Names that differ in case are one table.
    return [this.#name.toLowerCase(), this.#stream.config, this.#stream.groupId];
  }

  async #read(connection: DuckDBConnection, partitions: readonly TopicPartition[]): Promise<TablePosition[]> {
    const wanted = new Set(partitions.map(offsetKey));
    const reader = await connection.runAndReadAll(
      `SELECT topic, partition, start_offset, next_offset, topic_id FROM ${this.#offsets}
        WHERE table_name = $1 AND config = $2 AND group_id = $3`,
      this.#key,
    );
    return reader
      .getRows()
      .map(([topic, partition, start, next, topicId]) => ({
        topic: String(topic),
        partition: Number(partition),
        start: Number(start),
        next: Number(next),
        topicId: topicId === null ? null : String(topicId),
      }))
      .filter((position) => wanted.has(offsetKey(position)));
  }

  /** @returns False: it stands elsewhere by now. */
  async #move(connection: DuckDBConnection, move: Move): Promise<boolean> {
    const { topic, partition, start, next, topicId, from } = move;
    const values = [...this.#key, topic, partition, BigInt(start), BigInt(next), topicId];
    const moved =
      from === null
        ? await connection.run(
            `INSERT INTO ${this.#offsets} (table_name, config, group_id, topic, partition, start_offset, next_offset, topic_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
            values,
          )
        : await connection.run(
            `UPDATE ${this.#offsets} SET start_offset = $6, next_offset = $7, topic_id = $8, updated_at = now()
              WHERE table_name = $1 AND config = $2 AND group_id = $3 AND topic = $4 AND partition = $5 AND next_offset = $9`,
            [...values, BigInt(from)],
          );
    return moved.rowsChanged === 1;
  }

  async #correct(connection: DuckDBConnection, { topic, partition, next, topicId }: Correction): Promise<void> {
    const where = 'table_name = $1 AND config = $2 AND group_id = $3 AND topic = $4 AND partition = $5';
    const key = [...this.#key, topic, partition];
    if (next === null) await connection.run(`DELETE FROM ${this.#offsets} WHERE ${where}`, key);
    else {
      const set = 'start_offset = $6, next_offset = $6, topic_id = $7, updated_at = now()';
      await connection.run(`UPDATE ${this.#offsets} SET ${set} WHERE ${where}`, [...key, BigInt(next), topicId]);
    }
  }

  async #insert(connection: DuckDBConnection, files: readonly StagedFile[], signal: AbortSignal): Promise<void> {
    const columns = this.#columns.map(quoteName).join(', ');
    const paths = files.map(({ stagedPath }) => literalPath(stagedPath)).join(', ');
    const interrupt = (): void => connection.interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
    try {
      await connection.run(
        `INSERT INTO ${targetName(this.#schema, this.#name)} (${columns}) SELECT ${columns} FROM read_parquet([${paths}])`,
      );
    } finally {
      signal.removeEventListener('abort', interrupt);
    }
  }
}

function queryOf(connection: DuckDBConnection): Query {
  return async (sql, values) => {
    const { blobValue } = await import('@duckdb/node-api');
    const bound = values.map((value) => (value instanceof Uint8Array ? blobValue(value) : value));
    return (await connection.runAndReadAll(sql, bound)).getRowObjectsJS();
  };
}
