/**
 * A table in PostgreSQL. What belongs to a micro-batch is one transaction:
 *
 *     lock the positions, in their order -> still as we know them? -> move them -> COPY the rows -> dead letters -> commit
 *
 * Another process of the group that moves one of them waits at the lock, finds it moved, and is overtaken. Changes to the
 * table itself are transactions of their own, before: nobody who holds a position waits for a table.
 */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Schema } from 'apache-arrow';
import type { PostgresSettings } from '../../../config/databaseSettings.ts';
import type { TableSink } from '../../../config/job.ts';
import type { PgcopyOutput } from '../../../config/writerOptions.ts';
import { readLetters } from '../../../coordinator/badRecords/stagedLetters.ts';
import { nodeFileSystem } from '../../../io.ts';
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
import { type LetterContents, OUTBOX_TABLE, Outbox, type Query } from '../outbox.ts';
import { loadCopyStreams, type Patience, PostgresSession, type Transaction } from './session.ts';
import { ensureColumns, ensureOffsetsTable, ensureTable, hasTable, quoted } from './tables.ts';

const READ_BYTES = 1024 * 1024;

interface PositionRow {
  readonly topic: string;
  readonly partition: number;
  readonly start_offset: string;
  readonly next_offset: string;
  readonly topic_id: string | null;
}

/** Whichever process finds dead letters, it has them from the server. */
const IN_THE_TABLE: LetterContents = {
  type: 'bytea',
  put: (file) => readLetters(nodeFileSystem, file),
  get: async (value) => value as Buffer,
  removeUnless: async () => {},
};

export class PostgresTable implements TableDatabase {
  readonly outbox: Outbox;
  readonly #session: PostgresSession;
  readonly #sink: Pick<TableSink, 'schema' | 'table'>;
  readonly #name: StreamName;
  /** Null until `open`. */
  #schema: string | null = null;
  #columns: readonly string[] = [];

  constructor(
    settings: PostgresSettings,
    sink: Pick<TableSink, 'schema' | 'table'>,
    name: StreamName,
    patience: Patience,
  ) {
    this.#session = new PostgresSession(settings, patience);
    this.#sink = sink;
    this.#name = name;
    this.outbox = this.#makeOutbox();
  }

  async open(): Promise<void> {
    await loadCopyStreams();
    this.#schema = await this.#session.transaction('make the table of positions', (transaction) =>
      ensureOffsetsTable(transaction, this.#sink.schema),
    );
  }

  async prepare(schema: Schema): Promise<PgcopyOutput> {
    const types = await this.#session.transaction(`make the table ${this.#table}`, (transaction) =>
      ensureColumns(transaction, { schema: this.#schemaName, table: this.#sink.table }, schema),
    );
    this.#columns = schema.fields.map(({ name }) => name);
    return { format: 'pgcopy', types };
  }

  async settle(
    partitions: readonly TopicPartition[],
    correct: (found: readonly TablePosition[]) => readonly Correction[],
  ): Promise<void> {
    await this.#session.transaction('read positions', async (transaction) => {
      for (const correction of correct(await this.#lock(transaction, partitions))) {
        await this.#correct(transaction, correction);
      }
    });
  }

  async append({ moves, files, letters, signal, onCommit }: AppendRequest): Promise<boolean> {
    return this.#session.transaction(
      `append rows to ${this.#table}`,
      async (transaction) => {
        passStep('table.begun');
        if (!(await this.#move(transaction, moves))) return false;
        passStep('table.offsetsMoved');
        for (const file of files) await this.#copy(transaction, file, signal);
        passStep('table.rowsCopied');
        if (letters !== null) await this.outbox.add(queryOf(transaction), letters);
        signal.throwIfAborted();
        return true;
      },
      (isMoved) => isMoved,
      onCommit,
    );
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  get #schemaName(): string {
    return this.#schema ?? this.#sink.schema ?? 'public';
  }

  get #table(): string {
    return quoted(this.#schemaName, this.#sink.table);
  }

  get #offsets(): string {
    return quoted(this.#schemaName, OFFSETS_TABLE);
  }

  /** Positions that are there, locked in the one order that everybody locks in. */
  async #lock(transaction: Transaction, partitions: readonly TopicPartition[]): Promise<TablePosition[]> {
    const rows = await transaction.query<PositionRow>(
      `SELECT topic, partition, start_offset, next_offset, topic_id FROM ${this.#offsets}
        WHERE table_name = $1 AND config = $2 AND group_id = $3
          AND (topic, partition) IN (SELECT * FROM unnest($4::text[], $5::integer[]))
        ORDER BY topic, partition FOR UPDATE`,
      [...this.#key, topicsOf(partitions), partitionsOf(partitions)],
    );
    return rows.map((row) => ({
      topic: row.topic,
      partition: row.partition,
      start: Number(row.start_offset),
      next: Number(row.next_offset),
      topicId: row.topic_id,
    }));
  }

  /** @returns False: one of them stands elsewhere by now. */
  async #move(transaction: Transaction, moves: readonly Move[]): Promise<boolean> {
    const old = moves.filter(({ from }) => from !== null);
    if (old.length > 0) {
      await this.#lock(transaction, old);
      const moved = await transaction.query(
        `UPDATE ${this.#offsets} AS o
            SET start_offset = m.start, next_offset = m.next, topic_id = m.topic_id, updated_at = now()
           FROM unnest($4::text[], $5::integer[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
                AS m(topic, partition, expected, start, next, topic_id)
          WHERE o.table_name = $1 AND o.config = $2 AND o.group_id = $3
            AND o.topic = m.topic AND o.partition = m.partition AND o.next_offset = m.expected
          RETURNING 1`,
        [
          ...this.#key,
          ...columnsOf(
            old,
            old.map(({ from }) => from),
          ),
        ],
      );
      if (moved.length < old.length) return false;
    }
    const added = moves.filter(({ from }) => from === null);
    if (added.length === 0) return true;
    const inserted = await transaction.query(
      `INSERT INTO ${this.#offsets} (table_name, config, group_id, topic, partition, start_offset, next_offset, topic_id)
       SELECT $1, $2, $3, m.topic, m.partition, m.start, m.next, m.topic_id
         FROM unnest($4::text[], $5::integer[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
              AS m(topic, partition, expected, start, next, topic_id)
        ORDER BY m.topic, m.partition
       ON CONFLICT DO NOTHING
       RETURNING 1`,
      [
        ...this.#key,
        ...columnsOf(
          added,
          added.map(() => null),
        ),
      ],
    );
    return inserted.length === added.length;
  }

  async #correct(transaction: Transaction, { topic, partition, next, topicId }: Correction): Promise<void> {
    const where = 'table_name = $1 AND config = $2 AND group_id = $3 AND topic = $4 AND partition = $5';
    const key = [...this.#key, topic, partition];
    if (next === null) await transaction.query(`DELETE FROM ${this.#offsets} WHERE ${where}`, key);
    else {
      const set = 'start_offset = $6, next_offset = $6, topic_id = $7, updated_at = now()';
      await transaction.query(`UPDATE ${this.#offsets} SET ${set} WHERE ${where}`, [...key, next, topicId]);
    }
  }

  async #copy({ client }: Transaction, { stagedPath }: StagedFile, signal: AbortSignal): Promise<void> {
    const { from } = await loadCopyStreams();
    const columns = this.#columns.map((name) => quoted(name)).join(', ');
    const copy = client.query(from(`COPY ${this.#table} (${columns}) FROM STDIN (FORMAT binary)`));
    await pipeline(createReadStream(stagedPath, { highWaterMark: READ_BYTES }), copy, { signal }).catch((error) => {
      signal.throwIfAborted();
      throw error;
    });
  }

  #makeOutbox(): Outbox {
    const place = () => ({ schema: this.#schemaName, table: OUTBOX_TABLE });
    return new Outbox({
      key: this.#key,
      contents: IN_THE_TABLE,
      table: () => quoted(this.#schemaName, OUTBOX_TABLE),
      exists: () => this.#session.transaction('look for dead letters', (transaction) => hasTable(transaction, place())),
      make: (columns) =>
        this.#session.transaction('make the table of dead letters', (transaction) =>
          ensureTable(transaction, place(), columns),
        ),
      transaction: (attempt, act) => this.#session.transaction(attempt, (transaction) => act(queryOf(transaction))),
    });
  }

  get #key(): [string, string, string] {
    return [this.#sink.table, this.#name.config, this.#name.groupId];
  }
}

function queryOf(transaction: Transaction): Query {
  return (sql, values) => transaction.query(sql, values);
}

function columnsOf(moves: readonly Move[], expected: readonly (number | null)[]): unknown[] {
  return [
    topicsOf(moves),
    partitionsOf(moves),
    expected,
    moves.map(({ start }) => start),
    moves.map(({ next }) => next),
    moves.map(({ topicId }) => topicId),
  ];
}

function topicsOf(partitions: readonly TopicPartition[]): string[] {
  return partitions.map(({ topic }) => topic);
}

function partitionsOf(partitions: readonly TopicPartition[]): number[] {
  return partitions.map(({ partition }) => partition);
}
