/** Names in files of results: goals, charts and comparisons find what they need by them. */
export const CONTENDERS = {
  own: 'kafkaload',
  ownOneFile: 'kafkaload, one file',
  kcat: 'kcat, to nowhere',
  script: 'Python script, 1 process',
  scripts: 'Python script, 2 processes',
  spark: 'Spark',
} as const;

export const SERIES = {
  standard: 'bench topic',
  zstd: 'zstd to zstd',
  small: 'one partition',
} as const;

export const STREAM_SERIES = {
  files: 'stream to files',
  flow: 'stream to a topic',
  backlog: 'stream of a backlog',
} as const;

export const SWEEPS = ['size', 'partitions', 'codec', 'messages', 'workers', 'workers-zstd', 'memory'] as const;
export type SweepName = (typeof SWEEPS)[number];

/** What the goals are set for. */
export const STANDARD_MESSAGES = 4_000_000;
export const SMALL_MESSAGES = 500_000;

/** The smallest event still has its number and a letter of its session. */
export const LEAST_VALUE_BYTES = 32;
export const MOST_VALUE_BYTES = 1_000_000;

export const TOPIC_CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type TopicCodec = (typeof TOPIC_CODECS)[number];

/** What `peers` installs and runs. */
export const PEERS = ['kcat', 'python', 'spark'] as const;
export type Peer = (typeof PEERS)[number];

export const MICRO_BENCHES = ['decode', 'encode', 'produce'] as const;
export type MicroBench = (typeof MICRO_BENCHES)[number];
