import type { TransformSettings } from '../transform/batchTransform.ts';
import type { DatabaseSettings } from './databaseSettings.ts';
import type { Field } from './fields.ts';
import type { GroupSettings, KafkaSettings } from './kafkaSettings.ts';
import type { OffsetsAction } from './options.ts';
import type { PartitionColumn } from './partitionBy.ts';
import type { InputFormat } from './readerOptions.ts';
import type { OutputFormat } from './writerOptions.ts';

export type WriteMode = 'Append' | 'Overwrite' | 'ErrorIfExists' | 'Ignore';
export type ParquetCompression = 'snappy' | 'zstd' | 'gzip' | 'lz4_raw' | 'none';
/** Codecs of record batches that are written to Kafka. */
export type RecordCompression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** Where a range begins or ends, before it is resolved against a cluster. */
export type OffsetSpec =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  /** By topic and partition; -2 is earliest and -1 latest, as in Spark. Partitions not named take the default. */
  | { readonly kind: 'offsets'; readonly byTopic: Readonly<Record<string, Readonly<Record<number, number>>>> }
  | { readonly kind: 'timestamp'; readonly timestampMs: number };

export interface OffsetsSettings {
  /** How to reach the offsets topic, where its entry has `accessOptions` of its own; absent: as the job's topic. */
  readonly kafka?: KafkaSettings;
  readonly mode: 'STREAM' | 'FILE';
  /** STREAM: the topic. FILE: the absolute path of the folder. */
  readonly name: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly createOptions: Readonly<Record<string, string>>;
  /** Where loads keep progress that cannot be kept in the topic of saved offsets; no pattern matches it. */
  readonly progressTopic: string;
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
  readonly mode: WriteMode;
  /** Number of files, of each folder where `partitionBy` makes folders; null: as sizes suggest. */
  readonly coalesce: number | null;
  /** Folders below the path, outermost first; none: all files lie in it. Only in a folder. */
  readonly partitionBy: readonly PartitionColumn[];
  /** Format and options of the files. */
  readonly output: OutputFormat;
}

/** Which partitions a job reads. Names in order, none twice. */
export type TopicSelection =
  /** `topicName` or `subscribe`. */
  | { readonly kind: 'topics'; readonly topics: readonly string[] }
  /** `subscribePattern`: a Java regular expression that the whole name must match, resolved against the cluster. */
  | { readonly kind: 'pattern'; readonly pattern: string }
  /** `assign`: these partitions alone, by topic. */
  | { readonly kind: 'assign'; readonly partitions: Readonly<Record<string, readonly number[]>> };

/** What becomes of a record of which no row can be made. */
export type BadRecordPolicy =
  /** The run ends with an error that names it. */
  | { readonly kind: 'fail' }
  /** It is left out and counted. */
  | { readonly kind: 'skip' }
  | DeadLetterPolicy;

/**
 * It goes to another topic as it is, with the reason in headers: on the cluster that records are written to, else on the
 * one that they are read from.
 */
export interface DeadLetterPolicy {
  readonly kind: 'dlq';
  readonly topic: string;
  /** Where the topic is not there yet. */
  readonly create: TopicToCreate;
}

/** Rows are the messages of topics. */
export interface TopicSource {
  readonly kind: 'topic';
  readonly selection: TopicSelection;
  readonly fields: readonly Field[];
  readonly invalidUtf8: 'fail' | 'replace' | 'null';
  readonly onBadRecord: BadRecordPolicy;
  /** At most this many messages in this run; null: no limit. */
  readonly maxRead: number | null;
  readonly startingOffsets: OffsetSpec;
  readonly endingOffsets: OffsetSpec;
  /** `--starting-offsets` was given: then a range that does not begin at the saved offsets is meant. */
  readonly startIsAsked: boolean;
  readonly failOnDataLoss: boolean;
  /** At least so many tasks; null: as sizes suggest. */
  readonly minPartitions: number | null;
  readonly kafka: KafkaSettings;
  /** Offsets are saved after the run; not with `--no-commit`, to the console, and where no entry names the job. */
  readonly commit: boolean;
}

/** Rows are those of files, in sorted order of their paths. */
export interface FileSource {
  readonly kind: 'files';
  /** Files, folders and globs as given, each absolute. */
  readonly paths: readonly string[];
  readonly input: InputFormat;
}

export interface FileSink {
  readonly kind: 'files';
  readonly target: TargetSettings;
}

/** A topic that is to be there, or is made. */
export interface TopicToCreate {
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly createOptions: Readonly<Record<string, string>>;
}

export interface TopicSink {
  readonly kind: 'topic';
  /** Progress is kept by this name: the entry that is written to, or the topic where no entry is named. */
  readonly config: string;
  /** Of rows without a `topic` of their own. */
  readonly topic: string;
  readonly kafka: KafkaSettings;
  readonly create: TopicToCreate;
  /** Added to each record, in this order. */
  readonly headers: readonly { readonly key: string; readonly value: string }[];
  readonly compression: RecordCompression;
  /** Records in one transaction, about. */
  readonly chunkRecords: number;
  /** Where progress is kept, on the target cluster. */
  readonly progress: TopicToCreate & { readonly topic: string };
  /** Loads again what a finished load has loaded. */
  readonly reload: boolean;
}

/** A table of the first rows on stdout. */
export interface ConsoleSink {
  readonly kind: 'console';
  readonly numRows: number;
  /** Characters a cell is cut to; null: never. */
  readonly truncate: number | null;
}

/** A table of a database that a stream appends to. */
export interface TableSink {
  readonly kind: 'table';
  readonly database: DatabaseSettings;
  /** Null: the default schema of the connection (`public`, `main`). */
  readonly schema: string | null;
  readonly table: string;
  /** Folder for files on their way into the table; absolute. */
  readonly staging: string;
}

/** When a micro-batch begins. */
export type StreamTrigger =
  /** `Once` and `AvailableNow`: all there is at the start, in bounded micro-batches, then the end. */
  | { readonly kind: 'availableNow' }
  | { readonly kind: 'processingTime'; readonly intervalMs: number }
  /** To topics and the console records flow at once and are committed at the interval; files and tables roll at it. */
  | { readonly kind: 'continuous'; readonly intervalMs: number };

/** A job that keeps running (`--stream`). Positions are those of a consumer group, not the saved offsets of batch. */
export interface StreamSettings {
  readonly trigger: StreamTrigger;
  /** Null: the source is files, whose progress is kept with the target. */
  readonly group: GroupSettings | null;
  /** At most so many offsets in a micro-batch, over all partitions; null: as memory and sizes suggest. */
  readonly maxOffsetsPerTrigger: number | null;
  /** A micro-batch begins before its trigger when so many bytes wait; null: it does not. */
  readonly maxFileBytes: number | null;
  /** The same when the oldest message that waits is as old; null: it does not. */
  readonly maxFileAgeMs: number | null;
  /** TCP ports of the metrics and of the page, 0: any that is free; null: none. */
  readonly metricsPort: number | null;
  readonly uiPort: number | null;
  /** Address that both listen on. */
  readonly listenHost: string;
  /** A line on stderr that says how it goes. */
  readonly showProgress: boolean;
}

/** One run of `kafkaload`, resolved and frozen: every default has been applied. */
export interface Job {
  /** Name of the entry under `kafka.topics` that is read; state is kept by it. Without one: a name made from the source. */
  readonly config: string;
  readonly source: TopicSource | FileSource;
  /** What is done with the rows on their way; null: they stay as they are. */
  readonly transform: TransformSettings | null;
  readonly sink: FileSink | TopicSink | ConsoleSink | TableSink;
  /** Null: one run of batch. */
  readonly stream: StreamSettings | null;
  /** Where offsets are saved; for a job that saves none, a folder for its lock and its intents below the target. */
  readonly offsets: OffsetsSettings;
  readonly workers: number;
  readonly maxMemoryBytes: number;
  /** Goes on although an earlier run has not ended. */
  readonly takeOver: boolean;
  readonly dryRun: boolean;
  readonly report: 'text' | 'json';
  readonly verbose: boolean;
  /** One line each for `--verbose`: properties accepted and without meaning here. */
  readonly notes: readonly string[];
  /** One line each for everybody: settings that contradict one another without being wrong. */
  readonly warnings: readonly string[];
}

/** `kafkaload verify`, resolved and frozen. */
export interface VerifyJob extends Pick<Job, 'report' | 'verbose' | 'notes'> {
  /** Absolute. */
  readonly path: string;
  /** Reads the rows, too. */
  readonly deep: boolean;
  /** The one config that is looked at, with what is saved of it; null: all that wrote to the path. */
  readonly saved: (Pick<Job, 'config' | 'offsets'> & Pick<OffsetsJob, 'selection' | 'kafka'>) | null;
}

/** One sub-command of `kafkaload offsets`, resolved and frozen. */
export interface OffsetsJob extends Pick<Job, 'config' | 'offsets' | 'dryRun' | 'report' | 'verbose' | 'notes'> {
  readonly selection: TopicSelection;
  readonly kafka: KafkaSettings;
  readonly action: OffsetsAction;
  /** What `set` sets; null for the others. */
  readonly spec: OffsetSpec | null;
  /** `recover` gives the ranges back. */
  readonly discard: boolean;
}
