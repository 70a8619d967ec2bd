/** How to reach a cluster, read from it and be a member of a group: resolved, plain data. */

export interface SaslSettings {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  readonly username?: string;
  readonly password?: string;
  /** Of OAUTHBEARER. */
  readonly bearer?: BearerSource;
}

/** Where a bearer token comes from; `where` is the key that says so, for messages. */
export type BearerSource =
  | { readonly kind: 'text'; readonly where: string; readonly token: string }
  | { readonly kind: 'file'; readonly where: string; readonly path: string }
  | { readonly kind: 'command'; readonly where: string; readonly command: string };

export interface TlsSettings {
  /** PEM text, read by the coordinator. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  /** `ssl.endpoint.identification.algorithm=none` turns the check of the host name off. */
  readonly checkHostName: boolean;
  /** `enable.ssl.certificate.verification`. */
  readonly verify: boolean;
}

/** How to reach a cluster from any thread: plain data. */
export interface ConnectionSettings {
  readonly bootstrap: readonly { readonly host: string; readonly port: number }[];
  readonly clientId: string;
  readonly tls: TlsSettings | null;
  readonly sasl: SaslSettings | null;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** How long a request is tried again, with backoff, before the run fails. */
  readonly deadlineMs: number;
  readonly retryBackoffMs: number;
  readonly retryBackoffMaxMs: number;
}

export interface FetchSettings {
  readonly isolationLevel: 'read_committed' | 'read_uncommitted';
  /** Bytes asked for in one Fetch. */
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly checkCrcs: boolean;
  /** Upper bound of one inflated record batch, in bytes. */
  readonly maxBatchBytes: number;
  readonly clientRack: string;
}

export interface KafkaSettings {
  readonly connection: ConnectionSettings;
  readonly fetch: FetchSettings;
  /** Properties for node-rdkafka (control path), `bootstrap.servers`, security and client id included. */
  readonly rdkafka: Readonly<Record<string, string | number | boolean>>;
}

/** A consumer group of Kafka, and how this process is a member of it. */
export interface GroupSettings {
  readonly groupId: string;
  /** `group.instance.id`: a static member keeps its partitions through a restart; null: a dynamic one. */
  readonly instanceId: string | null;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** `max.poll.interval.ms`: how long a rebalance waits for the members of the group. */
  readonly rebalanceTimeoutMs: number;
}
