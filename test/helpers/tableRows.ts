/** What streams into tables are tested with: a topic whose messages are known, and their rows as readers have them. */
import { join } from 'node:path';
import { afterAll, beforeAll, inject } from 'vitest';
import { temporaryFolder } from './command.ts';
import { queryFile } from './duckdbReaders.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { sendMessages } from './producers.ts';
import type { ScriptMessage } from './script.ts';
import { TestTopics } from './topics.ts';

/** In each of two partitions. */
export const MESSAGES = 60;
export const FIELDS = ['partition', 'offset', 'key as STRING', 'value', 'timestamp', 'headers'];

interface TablePlace {
  readonly server: PostgresServer;
  readonly topic: string;
  readonly folder: string;
  /** Where streams into either database stage what they write; those of other tests do not. */
  readonly staging: string;
}

/** Sets up, for the tests of a file, a server of PostgreSQL, the topic and a folder. */
export function useTables(): () => TablePlace {
  const bootstrapServers = inject('bootstrapServers');
  const topics = new TestTopics(bootstrapServers);
  let server: PostgresServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let place: TablePlace;
  beforeAll(async () => {
    [server, folder] = await Promise.all([startPostgres(), temporaryFolder()]);
    const topic = await topics.create('tables', { partitions: 2 });
    // Where those to a database file in the folder stage anyway.
    const staging = join(folder.path, '_kafkaload', 'staging');
    process.env.KAFKALOAD_STAGING = staging;
    place = { server, topic, folder: folder.path, staging };
    const messages = Array.from({ length: 2 * MESSAGES }, (_, n) => messageOf(n % 2, Math.floor(n / 2)));
    await sendMessages({ bootstrapServers, topic, folder: folder.path }, messages);
  });
  afterAll(async () => {
    await server.stop();
    await folder.remove();
    await topics.cleanUp();
  });
  return () => place;
}

/** Nulls, empty values, and texts that quoting would spoil. */
export function messageOf(partition: number, offset: number): ScriptMessage {
  const hex = (text: string): string => Buffer.from(text).toString('hex');
  const value = `{"n":${offset},"text":"ü€😀\\\\N\\t,\\"'"}`;
  return {
    partition,
    timestamp: 1_700_000_000_123 + offset,
    key: offset % 5 === 0 ? null : offset % 5 === 1 ? '' : hex(`key ${partition}/${offset}`),
    value: offset % 7 === 0 ? null : offset % 7 === 1 ? '' : hex(value),
    headers:
      offset % 3 === 0
        ? []
        : [
            ['trace', hex(`t${offset}`)],
            ['trace', null],
          ],
  };
}

export function textOf(hex: string | null): string | null {
  return hex === null ? null : Buffer.from(hex, 'hex').toString();
}

export interface Row {
  readonly place: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly ms: string;
  readonly headers: readonly { readonly key: string; readonly value: string | null }[];
}

/** Rows of all messages below these offsets, as the readers below give them. */
export function expectedRows(ends: readonly number[]): Row[] {
  return ends.flatMap((end, partition) =>
    Array.from({ length: end }, (_, offset) => {
      const { key, value, timestamp, headers } = messageOf(partition, offset);
      const base64 = (hex: string | null): string | null => hex && Buffer.from(hex, 'hex').toString('base64');
      return {
        place: `${partition}/${String(offset).padStart(3, '0')}`,
        key: textOf(key),
        value,
        ms: String(timestamp),
        headers: headers.map(([name, bytes]) => ({ key: name, value: base64(bytes) })),
      };
    }),
  );
}

const PLACE = `partition || '/' || lpad("offset"::text, 3, '0')`;

export function rowsOfServer(server: PostgresServer, table: string): Promise<Row[]> {
  return server.rows(
    `SELECT ${PLACE} AS place, key, encode(value, 'hex') AS value, headers,
            (extract(epoch FROM timestamp) * 1000)::bigint::text AS ms
       FROM ${table} ORDER BY 1`,
  );
}

export function rowsOfFile(path: string, table: string): Promise<Row[]> {
  return queryFile(
    path,
    `SELECT ${PLACE} AS place, key, lower(hex(value)) AS value, epoch_ms(timestamp)::VARCHAR AS ms,
            list_transform(headers, h -> {'key': h.key, 'value': to_base64(h.value)}) AS headers
       FROM ${table} ORDER BY 1`,
  );
}
