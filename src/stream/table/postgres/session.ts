/** One connection to a server, made when it is needed and again when it was lost. */
import type { Client, ClientConfig, QueryResultRow } from 'pg';
import type { PostgresSettings } from '../../../config/databaseSettings.ts';
import type { TlsSettings } from '../../../config/kafkaSettings.ts';
import { OffloadError } from '../../../errors.ts';
import { postgresError } from './errors.ts';

/** How long the server lets us hold what others wait for; in milliseconds. */
export interface Patience {
  /** Of one statement: from then on the group has given our partitions to another member. */
  readonly statementMs: number;
  /** Of a transaction in which nothing happens: as long as the group waits for a sign of life. */
  readonly idleMs: number;
  /** Of waiting for somebody else. */
  readonly lockMs: number;
}

/** What can be done in a transaction. */
export interface Transaction {
  readonly client: Client;
  query<Row extends QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

export class PostgresSession {
  readonly #settings: PostgresSettings;
  readonly #patience: Patience;
  #client: Client | null = null;

  constructor(settings: PostgresSettings, patience: Patience) {
    this.#settings = settings;
    this.#patience = patience;
  }

  /**
   * Runs statements as one transaction, which is rolled back when `act` throws.
   *
   * @param attempt In messages: what is tried.
   * @param isKept False rolls it back, too.
   * @param onCommit Called before the outcome can be in doubt.
   * @throws OffloadError as `postgresError` gives it.
   */
  async transaction<Result>(
    attempt: string,
    act: (transaction: Transaction) => Promise<Result>,
    isKept: (result: Result) => boolean = () => true,
    onCommit: () => void = () => {},
  ): Promise<Result> {
    try {
      const client = await this.#connect();
      await client.query(this.#begin());
      const query: Transaction['query'] = async <Row extends QueryResultRow>(
        sql: string,
        values: readonly unknown[] = [],
      ) => (await client.query<Row>(sql, [...values])).rows;
      const result = await act({ client, query });
      if (!isKept(result)) {
        await client.query('ROLLBACK');
        return result;
      }
      onCommit();
      // A transaction that failed is rolled back by COMMIT without an error; none of ours gets here.
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await this.#rollback();
      throw postgresError(attempt, this.#settings, error);
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => {});
  }

  /** Each for this transaction alone, so that nothing is left in a connection that a pooler shares. */
  #begin(): string {
    const { statementMs, idleMs, lockMs } = this.#patience;
    return `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
      SET LOCAL statement_timeout = ${statementMs};
      SET LOCAL idle_in_transaction_session_timeout = ${idleMs};
      SET LOCAL lock_timeout = ${lockMs};
      -- What is committed to the group must not be lost here by a crash.
      SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`;
  }

  async #rollback(): Promise<void> {
    const client = this.#client;
    if (client === null) return;
    // A connection that is broken rolls back by itself, and another one is made.
    await client.query('ROLLBACK').catch(() => this.close());
  }

  async #connect(): Promise<Client> {
    if (this.#client !== null) return this.#client;
    const { Client } = await loadPg();
    const client = new Client(clientConfig(this.#settings));
    client.on('error', () => {
      if (this.#client === client) this.#client = null;
      client.end().catch(() => {});
    });
    try {
      await client.connect();
    } catch (error) {
      client.end().catch(() => {});
      throw postgresError('log in', this.#settings, error);
    }
    this.#client = client;
    return client;
  }
}

function clientConfig(settings: PostgresSettings): ClientConfig {
  const { host, port, database, user, password, tls, connectTimeoutMs, applicationName } = settings;
  return {
    ...{ host, port, database, user, keepAlive: true },
    ...(password !== null && { password }),
    ssl: tls === null ? false : tlsOptions(tls, host),
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: applicationName,
  };
}

function tlsOptions(tls: TlsSettings, host: string): Exclude<ClientConfig['ssl'], boolean> {
  const { ca, cert, key, passphrase, verify, checkHostName } = tls;
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(passphrase !== undefined && { passphrase }),
    rejectUnauthorized: verify,
    ...(!checkHostName && { checkServerIdentity: () => undefined }),
    host,
  };
}

/** @throws OffloadError CONFIG_INVALID saying what to install. */
async function loadPg(): Promise<typeof import('pg').default> {
  return (await loadPackage('pg', () => import('pg'))).default;
}

/** As `loadPg`. */
export async function loadCopyStreams(): Promise<typeof import('pg-copy-streams')> {
  return loadPackage('pg-copy-streams', () => import('pg-copy-streams'));
}

async function loadPackage<Loaded>(name: string, load: () => Promise<Loaded>): Promise<Loaded> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new OffloadError(
      'CONFIG_INVALID',
      `cannot write to PostgreSQL: the package ${name} is not installed; run npm install pg pg-copy-streams beside kafkaload`,
      { cause: error },
    );
  }
}
