import type { Field } from './fields.ts';
import type { OffsetsAction } from './options.ts';

export type WriteMode = 'Append' | 'Overwrite' | 'ErrorIfExists' | 'Ignore';
export type ParquetCompression = 'snappy' | 'zstd' | 'gzip' | 'lz4_raw' | 'none';

/** Where a range begins or ends, before it is resolved against a cluster. */
export type OffsetSpec =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  /** By partition; -2 is earliest and -1 latest, as in Spark. Partitions not named take the default. */
  | { readonly kind: 'offsets'; readonly byPartition: Readonly<Record<number, number>> }
  | { readonly kind: 'timestamp'; readonly timestampMs: number };

export interface SaslSettings {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
}

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

export interface OffsetsSettings {
  /** How to reach the offsets topic, where its entry has `accessOptions` of its own; absent: as the job's topic. */
  readonly kafka?: KafkaSettings;
  readonly mode: 'STREAM' | 'FILE';
  /** STREAM: the topic. FILE: the absolute path of the folder. */
  readonly name: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly createOptions: Readonly<Record<string, string>>;
  /** How often a run renews its record. */
  readonly heartbeatMs: number;
  /** How long a run record is watched before its owner counts as dead. */
  readonly takeOverAfterMs: number;
}

export interface TargetSettings {
  /** Absolute; templates and variables replaced. */
  readonly path: string;
  /** `file`: exactly this file (`--write-coalesce 1`). */
  readonly kind: 'folder' | 'file';
  readonly format: 'parquet';
  readonly mode: WriteMode;
  /** Number of files; null: one for each task. */
  readonly coalesce: number | null;
  readonly parquet: {
    readonly compression: ParquetCompression;
    readonly rowGroupRows: number;
    readonly rowGroupBytes: number;
  };
}

/** One run of `kafkaload`, resolved and frozen: every default has been applied. */
export interface Job {
  /** Name of the entry under `kafka.topics`: state is kept by it. */
  readonly config: string;
  readonly topic: string;
  readonly fields: readonly Field[];
  readonly invalidUtf8: 'fail' | 'replace' | 'null';
  /** At most this many messages in this run; null: no limit. */
  readonly maxRead: number | null;
  readonly startingOffsets: OffsetSpec;
  readonly endingOffsets: OffsetSpec;
  readonly failOnDataLoss: boolean;
  readonly kafka: KafkaSettings;
  readonly offsets: OffsetsSettings;
  readonly target: TargetSettings;
  readonly workers: number;
  readonly maxMemoryBytes: number;
  readonly dryRun: boolean;
  readonly report: 'text' | 'json';
  readonly verbose: boolean;
  /** One line each for `--verbose`: properties accepted and without meaning here. */
  readonly notes: readonly string[];
}

/** One sub-command of `kafkaload offsets`, resolved and frozen. */
export interface OffsetsJob
  extends Pick<Job, 'config' | 'topic' | 'kafka' | 'offsets' | 'dryRun' | 'report' | 'verbose' | 'notes'> {
  readonly action: OffsetsAction;
  /** What `set` sets; null for the others. */
  readonly spec: OffsetSpec | null;
  /** `recover` gives the ranges back. */
  readonly discard: boolean;
}
