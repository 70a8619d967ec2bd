/**
 * Every default of a run, in one place. Sizes are bytes, times milliseconds.
 *
 * What depends on the machine (workers, memory) is a function of it.
 */
import { availableParallelism, totalmem } from 'node:os';
import type { Machine } from './options.ts';

const MIB = 1024 ** 2;

/** Looked for in the working directory, in this order, when no file is named. */
export const DEFAULT_CONF_FILES = [
  'application.conf',
  'application.sl.yml',
  'kafkaload.yml',
  'kafkaload.yaml',
  'kafkaload.json',
  'kafkaload.conf',
] as const;
/** Looked for last, below the folder that the environment variable `SL_ROOT` names. */
export const SL_ROOT_CONF_FILE = 'metadata/application.sl.yml';
/** The entry under `kafka.topics` that says where offsets are saved, and the topic or folder when it is absent. */
export const OFFSETS_ENTRY = 'comet_offsets';
export const DEFAULT_FIELDS = ['key as STRING', 'value as STRING'] as const;
/** From topic to topic: all that a record has, as bytes. Its place is its target's own. */
export const DEFAULT_COPIED_FIELDS = ['key', 'value', 'headers', 'timestamp'] as const;

export const DEFAULTS = {
  cometOffsetsMode: 'STREAM',
  heartbeatMs: 5_000,
  takeOverAfterMs: 15_000,
  offsetsPartitions: 1,
  offsetsReplicationFactor: 1,
  offsetsCreateOptions: { 'cleanup.policy': 'compact' },
  /** Of a topic that is written to and has to be made. */
  topicPartitions: 1,
  topicReplicationFactor: 1,
  chunkRecords: 100_000,
  progressTopic: '_kafkaload_progress',
  /**
   * Makes events half as large and costs little. One core, JSON events in sections of 1 MiB, most of them repeating
   * (November 2026): lz4 431 MB/s to 41%, snappy 437 MB/s to 43%, zstd 182 MB/s to 23%, gzip 59 MB/s to 24%. With the
   * transaction (bench/produce.ts) lz4 and snappy are as fast as one another, and none is not faster.
   */
  recordCompression: 'lz4',
  /** Of the table on the console, as Spark has them. */
  consoleRows: 20,
  consoleTruncate: 20,
  invalidUtf8: 'fail',
  maxBatchBytes: 256 * MIB,
  writeMode: 'Append',
  format: 'parquet',
  compression: 'snappy',
  rowGroupRows: 1_000_000,
  /**
   * A worker holds a row group as columns and once more compressed, so that this is what memory depends on most: with 64 MiB, of
   * which small topics fill a part, it was 203 MiB for 0.5 M messages and 357 MiB for 16 M. Not smaller, for readers share out row
   * groups, and ask for one column of one at a time.
   */
  rowGroupBytes: 16 * MIB,
  /** Where rows are divided into folders, each folder's row group is its part of so much. */
  dividedRowGroupBytes: 64 * MIB,
  clientId: 'kafkaload',
  brokerPort: 9092,
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  /** As the Java client's `default.api.timeout.ms`. */
  deadlineMs: 60_000,
  retryBackoffMs: 100,
  retryBackoffMaxMs: 1_000,
  /** One answer is held per worker while the next is on its way: two of these each. 8 MiB are not faster (November 2026). */
  fetchMaxBytes: 2 * MIB,
  fetchMaxWaitMs: 500,
} as const;

/** Below this a worker cannot hold an answer, its columns and a row group of any use. */
export const MIN_WORKER_BYTES = 32 * MIB;

/** The machine as this process may use it: a container's limit counts, not the host's memory. */
export function thisMachine(): Machine {
  const limit = process.constrainedMemory();
  // Without a limit Linux reports one near 2^63.
  const memoryBytes = limit > 0 && limit < totalmem() ? limit : totalmem();
  return { cores: availableParallelism(), memoryBytes };
}

/** 320 MiB for two workers, 128 MiB for each further one, at most a quarter of the machine. */
export function defaultMaxMemoryBytes(workers: number, machine: Machine): number {
  return Math.min((64 + 128 * workers) * MIB, Math.floor(machine.memoryBytes / 4));
}
