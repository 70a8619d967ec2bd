import type { TlsSettings } from './kafkaSettings.ts';

export type DatabaseSettings =
  /** A database file; absolute. */
  { readonly kind: 'duckdb'; readonly path: string } | ({ readonly kind: 'postgresql' } & PostgresSettings);

/** How to reach a PostgreSQL server. */
export interface PostgresSettings {
  /** The connection that gave it, for messages: `connections.NAME`. */
  readonly where: string;
  /** A folder: that of its Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Null: none, or what PGPASSWORD or the user's `.pgpass` says. */
  readonly password: string | null;
  readonly tls: TlsSettings | null;
  readonly connectTimeoutMs: number;
  /** What the server shows of us among its sessions. */
  readonly applicationName: string;
}
