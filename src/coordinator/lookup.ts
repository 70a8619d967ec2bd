/**
 * One look at the cluster -> the plan of a run. Looks only: the same for a dry run and for a real one.
 */

import type { SavedState } from '../commit/types.ts';
import type { Job, KafkaSettings, OffsetSpec, TopicSource } from '../config/job.ts';
import { OffloadError } from '../errors.ts';
import type { Cluster, TopicInfo } from '../kafka/cluster.ts';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from '../kafka/protocol.ts';
import { type PartitionBounds, planRanges, type RangePlan } from '../plan/ranges.ts';
import { sampleBytesPerOffset } from '../sources/sample.ts';
import type { OffsetRange } from '../tasks.ts';
import { soleTopic } from './jobs.ts';

/** @throws OffloadError TOPIC_UNKNOWN; it is never created by looking. */
export async function findTopic(cluster: Cluster, topic: string): Promise<TopicInfo> {
  const found = await cluster.findTopic(topic);
  if (found) return found;
  const brokers = cluster.settings.bootstrap.map(({ host, port }) => `${host}:${port}`).join(',');
  throw new OffloadError(
    'TOPIC_UNKNOWN',
    `there is no topic ${topic} on the cluster at ${brokers}; check topicName and bootstrap.servers`,
    { context: { topic } },
  );
}

/** Log start and end of every partition, taken once. */
export async function lookUpBounds(
  cluster: Cluster,
  info: TopicInfo,
  kafka: KafkaSettings,
): Promise<PartitionBounds[]> {
  const { isolationLevel } = kafka.fetch;
  const [starts, highWatermarks] = await Promise.all([
    cluster.listOffsets(info.topic, info.partitions, EARLIEST_TIMESTAMP, 'read_uncommitted'),
    cluster.listOffsets(info.topic, info.partitions, LATEST_TIMESTAMP, 'read_uncommitted'),
  ]);
  // After the high watermarks: a last stable offset asked for earlier could only lie further back.
  const ends =
    isolationLevel === 'read_committed'
      ? await cluster.listOffsets(info.topic, info.partitions, LATEST_TIMESTAMP, 'read_committed')
      : highWatermarks;
  return info.partitions.map((partition) => {
    const highWatermark = highWatermarks.get(partition) ?? 0;
    return {
      partition,
      logStartOffset: starts.get(partition) ?? 0,
      highWatermark,
      readableEnd: Math.min(highWatermark, ends.get(partition) ?? highWatermark),
    };
  });
}

/** Resolves what the job asks for against the cluster and plans the ranges. */
export async function lookUpRanges(
  cluster: Cluster,
  info: TopicInfo,
  job: Job & { readonly source: TopicSource },
  saved: SavedState,
): Promise<{ plan: RangePlan; bounds: PartitionBounds[] }> {
  const { kafka, startingOffsets, endingOffsets, maxRead, failOnDataLoss } = job.source;
  const bounds = await lookUpBounds(cluster, info, kafka);
  const [starting, ending] = await Promise.all([
    resolveOffsets(cluster, info, kafka, startingOffsets, bounds, 'startingOffsets'),
    resolveOffsets(cluster, info, kafka, endingOffsets, bounds, 'endingOffsets'),
  ]);
  const plan = planRanges({
    config: job.config,
    topic: info.topic,
    topicId: info.topicId,
    bounds,
    saved: saved.offsets.filter(({ topic }) => topic === info.topic),
    savedTopicIds: saved.topicIds,
    starting,
    ending,
    maxRead,
    failOnDataLoss,
  });
  return { plan, bounds };
}

/**
 * Offset by partition that a spec asks for; partitions it does not name are absent.
 *
 * @param key What the spec was given as, for messages.
 * @throws OffloadError CONFIG_INVALID naming a partition that the topic does not have.
 */
export async function resolveOffsets(
  cluster: Cluster,
  info: TopicInfo,
  kafka: KafkaSettings,
  spec: OffsetSpec,
  bounds: readonly PartitionBounds[],
  key: string,
): Promise<Map<number, number>> {
  const earliest = (entry: PartitionBounds): [number, number] => [entry.partition, entry.logStartOffset];
  const latest = (entry: PartitionBounds): [number, number] => [entry.partition, entry.readableEnd];
  switch (spec.kind) {
    case 'earliest':
      return new Map(bounds.map(earliest));
    case 'latest':
      return new Map(bounds.map(latest));
    case 'timestamp': {
      const { isolationLevel } = kafka.fetch;
      const found = await cluster.listOffsets(info.topic, info.partitions, spec.timestampMs, isolationLevel);
      return new Map(
        bounds.map((entry) => {
          const offset = found.get(entry.partition) ?? -1;
          return offset < 0 ? latest(entry) : [entry.partition, offset];
        }),
      );
    }
    case 'offsets': {
      const byPartition = new Map(bounds.map((entry) => [entry.partition, entry]));
      return new Map(
        Object.entries(spec.byTopic[info.topic] ?? {}).map(([name, offset]) => {
          const entry = byPartition.get(Number(name));
          if (!entry) {
            throw new OffloadError(
              'CONFIG_INVALID',
              `${key} names partition ${name} of ${info.topic}, which has partitions ${info.partitions.join(', ')}`,
            );
          }
          if (offset === EARLIEST_TIMESTAMP) return earliest(entry);
          return offset === LATEST_TIMESTAMP ? latest(entry) : [entry.partition, offset];
        }),
      );
    }
  }
}

/** Estimate of the bytes each offset takes, by partition: from the log's size, or from a sample where that is not told. */
export async function estimateBytesPerOffset(
  cluster: Cluster,
  bounds: readonly PartitionBounds[],
  ranges: readonly OffsetRange[],
  source: TopicSource,
): Promise<Map<number, number>> {
  if (ranges.length === 0) return new Map();
  const sizes = await cluster.logSizes(
    soleTopic(source.selection),
    ranges.map(({ partition }) => partition),
  );
  if (sizes === null) return sampleBytesPerOffset(cluster, ranges, source.kafka.fetch);
  return new Map(
    bounds.map(({ partition, logStartOffset, highWatermark }) => {
      return [partition, (sizes.get(partition) ?? 0) / Math.max(1, highWatermark - logStartOffset)];
    }),
  );
}
