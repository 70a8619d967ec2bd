/**
 * One look at the cluster -> the plan of a run. Looks only: the same for a dry run and for a real one.
 */

import type { SavedState } from '../commit/types.ts';
import type { Job, OffsetSpec, TopicSource } from '../config/job.ts';
import type { KafkaSettings } from '../config/kafkaSettings.ts';
import { OffloadError } from '../errors.ts';
import type { Cluster } from '../kafka/cluster.ts';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from '../kafka/protocol.ts';
import { offsetKey } from '../plan/places.ts';
import { type PartitionBounds, planRanges, type RangePlan } from '../plan/ranges.ts';
import { sampleBytesPerOffset } from '../sources/sample.ts';
import type { OffsetRange } from '../tasks.ts';
import type { SelectedTopic, SelectedTopics } from './topics.ts';

/** Log start and end of every partition that is read, taken once; in topic, then partition order. */
export async function lookUpBounds(
  cluster: Cluster,
  topics: readonly SelectedTopic[],
  kafka: KafkaSettings,
): Promise<PartitionBounds[]> {
  return (await Promise.all(topics.map((topic) => lookUpTopicBounds(cluster, topic, kafka)))).flat();
}

async function lookUpTopicBounds(
  cluster: Cluster,
  { topic, selected }: SelectedTopic,
  kafka: KafkaSettings,
): Promise<PartitionBounds[]> {
  const { isolationLevel } = kafka.fetch;
  const [starts, highWatermarks] = await Promise.all([
    cluster.listOffsets(topic, selected, EARLIEST_TIMESTAMP, 'read_uncommitted'),
    cluster.listOffsets(topic, selected, LATEST_TIMESTAMP, 'read_uncommitted'),
  ]);
  // After the high watermarks: a last stable offset asked for earlier could only lie further back.
  const ends =
    isolationLevel === 'read_committed'
      ? await cluster.listOffsets(topic, selected, LATEST_TIMESTAMP, 'read_committed')
      : highWatermarks;
  return selected.map((partition) => {
    const highWatermark = highWatermarks.get(partition) ?? 0;
    return {
      topic,
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
  { topics, plainTopic }: SelectedTopics,
  job: Job & { readonly source: TopicSource },
  saved: SavedState,
): Promise<{ plan: RangePlan; bounds: PartitionBounds[] }> {
  const { source } = job;
  const { kafka, startingOffsets, endingOffsets, startIsAsked, commit, maxRead, failOnDataLoss } = source;
  const bounds = await lookUpBounds(cluster, topics, kafka);
  const [starting, ending] = await Promise.all([
    resolveOffsets(
      cluster,
      topics,
      kafka,
      startingOffsets,
      bounds,
      startIsAsked ? '--starting-offsets' : 'startingOffsets',
    ),
    resolveOffsets(cluster, topics, kafka, endingOffsets, bounds, 'endingOffsets'),
  ]);
  const plan = planRanges({
    config: job.config,
    topics,
    plainTopic,
    bounds,
    saved: saved.offsets,
    otherTopics: [...new Set(saved.others.map(({ topic }) => topic))],
    savedTopicIds: saved.topicIds,
    starting,
    startIsAsked,
    commit,
    ending,
    maxRead,
    failOnDataLoss,
  });
  return { plan, bounds };
}

/**
 * Offset by `offsetKey` that a spec asks for; partitions it does not name are absent.
 *
 * @param key What the spec was given as, for messages.
 * @throws OffloadError CONFIG_INVALID naming a topic or partition that is not read.
 */
export async function resolveOffsets(
  cluster: Cluster,
  topics: readonly SelectedTopic[],
  kafka: KafkaSettings,
  spec: OffsetSpec,
  bounds: readonly PartitionBounds[],
  key: string,
): Promise<Map<string, number>> {
  const earliest = (entry: PartitionBounds): [string, number] => [offsetKey(entry), entry.logStartOffset];
  const latest = (entry: PartitionBounds): [string, number] => [offsetKey(entry), entry.readableEnd];
  switch (spec.kind) {
    case 'earliest':
      return new Map(bounds.map(earliest));
    case 'latest':
      return new Map(bounds.map(latest));
    case 'timestamp': {
      const found = await findByTime(cluster, topics, kafka, spec.timestampMs);
      return new Map(
        bounds.map((entry) => {
          const offset = found.get(offsetKey(entry)) ?? -1;
          return offset < 0 ? latest(entry) : [offsetKey(entry), offset];
        }),
      );
    }
    case 'offsets': {
      const known = new Map(bounds.map((entry) => [offsetKey(entry), entry]));
      const named = Object.entries(spec.byTopic).flatMap(([topic, offsets]) => {
        return Object.entries(offsets).map(([partition, offset]) => ({ topic, partition: Number(partition), offset }));
      });
      return new Map(
        named.map(({ topic, partition, offset }): [string, number] => {
          const entry = known.get(offsetKey({ topic, partition }));
          if (!entry) throw notRead(key, { topic, partition }, topics);
          if (offset === EARLIEST_TIMESTAMP) return earliest(entry);
          return offset === LATEST_TIMESTAMP ? latest(entry) : [offsetKey(entry), offset];
        }),
      );
    }
  }
}

async function findByTime(
  cluster: Cluster,
  topics: readonly SelectedTopic[],
  kafka: KafkaSettings,
  timestampMs: number,
): Promise<Map<string, number>> {
  const found = await Promise.all(
    topics.map(async ({ topic, selected }) => {
      const offsets = await cluster.listOffsets(topic, selected, timestampMs, kafka.fetch.isolationLevel);
      return [...offsets].map(([partition, offset]): [string, number] => [offsetKey({ topic, partition }), offset]);
    }),
  );
  return new Map(found.flat());
}

function notRead(
  key: string,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  topics: readonly SelectedTopic[],
): OffloadError {
  const info = topics.find((entry) => entry.topic === topic);
  const message = info
    ? `${key} names partition ${partition} of ${topic}, which has partitions ${info.selected.join(', ')}`
    : `${key} names topic ${topic}, which is not read; topics read are ${topics.map((entry) => entry.topic).join(', ')}`;
  return new OffloadError('CONFIG_INVALID', message, { context: { topic, partition } });
}

/**
 * Estimate of the bytes each offset takes, by `offsetKey`: from the log's size, or from a sample where that is not told.
 */
export async function estimateBytesPerOffset(
  cluster: Cluster,
  bounds: readonly PartitionBounds[],
  ranges: readonly OffsetRange[],
  { kafka }: TopicSource,
): Promise<Map<string, number>> {
  const estimates = new Map<string, number>();
  const logs = new Map(bounds.map((entry) => [offsetKey(entry), entry]));
  for (const topic of new Set(ranges.map((range) => range.topic))) {
    const own = ranges.filter((range) => range.topic === topic);
    const sizes = await cluster.logSizes(
      topic,
      own.map(({ partition }) => partition),
    );
    const sampled = sizes === null ? await sampleBytesPerOffset(cluster, own, kafka.fetch) : null;
    for (const [key, bytes] of sampled ?? []) estimates.set(key, bytes);
    for (const [partition, bytes] of sizes ?? []) {
      const key = offsetKey({ topic, partition });
      const log = logs.get(key);
      const offsets = log ? log.highWatermark - log.logStartOffset : 0;
      estimates.set(key, bytes / Math.max(1, offsets));
    }
  }
  return estimates;
}
