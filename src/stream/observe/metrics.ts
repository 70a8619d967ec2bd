/** Metrics in the text format of Prometheus. All but the histogram are read from the status when they are asked for. */
import type { Observe } from '../types.ts';
import type { StreamStatus } from './types.ts';

/** From a continuous commit to the publishing of very many files. */
const DURATION_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

export interface Metrics {
  readonly contentType: string;
  readonly observe: Observe;
  text(): Promise<string>;
}

export interface DescribedMetric {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

interface ReadMetric extends DescribedMetric {
  readonly type: 'counter' | 'gauge';
  /** Series with the values of their labels in order. */
  readonly read: (
    status: StreamStatus,
  ) => readonly (readonly [value: number, ...labels: readonly (string | number)[]])[];
}

const READ: readonly ReadMetric[] = [
  {
    type: 'counter',
    name: 'kafkaload_records_read_total',
    help: 'Messages read, those of abandoned micro-batches among them',
    read: ({ totals }) => [[totals.rowsRead]],
  },
  {
    type: 'counter',
    name: 'kafkaload_records_written_total',
    help: 'Rows written and committed',
    read: ({ totals }) => [[totals.rowsWritten]],
  },
  {
    type: 'counter',
    name: 'kafkaload_read_bytes_total',
    help: 'Message bytes read, as decoded',
    read: ({ totals }) => [[totals.bytesRead]],
  },
  {
    type: 'counter',
    name: 'kafkaload_written_bytes_total',
    help: 'Bytes of files or record batches, written and committed',
    read: ({ totals }) => [[totals.bytesWritten]],
  },
  {
    type: 'counter',
    name: 'kafkaload_files_written_total',
    help: 'Files made visible',
    read: ({ totals }) => [[totals.filesWritten]],
  },
  {
    type: 'counter',
    name: 'kafkaload_bad_records_total',
    help: 'Records that could not be used: left out, or sent to the dead-letter topic',
    read: ({ totals }) => [[totals.badRecords]],
  },
  {
    type: 'counter',
    name: 'kafkaload_batches_total',
    help: 'Micro-batches that ended: written, or abandoned and read again',
    labels: ['outcome'],
    read: ({ totals }) => [
      [totals.written, 'written'],
      [totals.abandoned, 'abandoned'],
    ],
  },
  {
    type: 'counter',
    name: 'kafkaload_commits_total',
    help: 'Commits of positions',
    read: ({ totals }) => [[totals.written]],
  },
  {
    type: 'counter',
    name: 'kafkaload_retries_total',
    help: 'Requests that were repeated, by the code of the error before',
    labels: ['cause'],
    read: ({ totals }) => Object.entries(totals.retries).map(([cause, count]) => [count, cause] as const),
  },
  {
    type: 'counter',
    name: 'kafkaload_rebalances_total',
    help: 'Rebalances of the group while this process was in it',
    read: ({ totals }) => [[totals.rebalances]],
  },
  {
    type: 'gauge',
    name: 'kafkaload_lag_offsets',
    help: 'Offsets between the position and the end of each partition that is ours',
    labels: ['topic', 'partition'],
    read: ({ partitions }) =>
      partitions.flatMap(({ topic, partition, lag }) => (lag === null ? [] : [[lag, topic, partition] as const])),
  },
  {
    type: 'gauge',
    name: 'kafkaload_assigned_partitions',
    help: 'Partitions that are ours',
    read: ({ partitions }) => [[partitions.length]],
  },
  {
    type: 'gauge',
    name: 'kafkaload_waiting',
    help: '1 while the stream waits for something that is away, else 0',
    read: ({ state }) => [[state === 'waiting' ? 1 : 0]],
  },
  {
    type: 'gauge',
    name: 'kafkaload_last_commit_timestamp_seconds',
    help: 'When positions were committed last; absent before the first commit',
    read: ({ lastCommit }) => (lastCommit === null ? [] : [[lastCommit.atMs / 1000]]),
  },
  {
    type: 'gauge',
    name: 'kafkaload_stream_info',
    help: '1, with what the stream is called',
    labels: ['config', 'group'],
    read: ({ config, group }) => [[1, config, group ?? '']],
  },
];

const DURATION = {
  type: 'histogram',
  name: 'kafkaload_batch_duration_seconds',
  help: 'From the begin of a micro-batch to its commit',
} as const satisfies DescribedMetric;

/** All of ours; those of the process, which prom-client collects, come on top. */
export const STREAM_METRICS: readonly DescribedMetric[] = [...READ, DURATION];

/** Loads prom-client: only a stream that is told to serve metrics does. */
export async function createMetrics(status: () => StreamStatus): Promise<Metrics> {
  const { default: prometheus } = await import('prom-client');
  const registry = new prometheus.Registry();
  prometheus.collectDefaultMetrics({ register: registry });
  const duration = new prometheus.Histogram({
    name: DURATION.name,
    help: DURATION.help,
    buckets: DURATION_BUCKETS,
    registers: [registry],
  });
  const series = READ.map(({ type, name, help, labels = [], read }) => {
    const options = { name, help, labelNames: labels, registers: [registry] };
    const metric = type === 'counter' ? new prometheus.Counter(options) : new prometheus.Gauge(options);
    return (current: StreamStatus): void => {
      // Nothing stays of what is gone: a partition is told of by the member that has it now.
      metric.reset();
      if (labels.length === 0) metric.remove();
      for (const [value, ...values] of read(current)) {
        metric.inc(Object.fromEntries(labels.map((label, at) => [label, values[at] ?? ''])), value);
      }
    };
  });
  return {
    contentType: registry.contentType,
    observe: (event) => {
      if (event.kind === 'written') duration.observe(event.seconds);
    },
    text: () => {
      const current = status();
      for (const update of series) update(current);
      return registry.metrics();
    },
  };
}
