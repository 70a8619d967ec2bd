/** Looks at the logs of the partitions that are ours: where they begin and end, and how much an offset takes. */
import type { TopicSource } from '../config/job.ts';
import { estimateBytesPerOffset, lookUpBounds } from '../coordinator/lookup.ts';
import type { SelectedTopic } from '../coordinator/topics.ts';
import type { Cluster } from '../kafka/cluster.ts';
import { offsetKey } from '../plan/places.ts';
import type { PartitionBounds } from '../plan/ranges.ts';
import type { TopicCatalog } from './topicCatalog.ts';
import type { TopicPartition } from './types.ts';

/** Sizes of logs are asked for so often, and when a partition is new: an estimate, which changes slowly. */
const ESTIMATE_FOR_MS = 30_000;
/** A topic that is made again is noticed within this time. */
const TOPICS_FOR_MS = 5_000;

export class Looker {
  readonly #cluster: Cluster;
  readonly #source: TopicSource;
  readonly #catalog: TopicCatalog;
  #bytesPerOffset = new Map<string, number>();
  #estimatedAtMs = -Infinity;
  #topicsAtMs = -Infinity;

  constructor(cluster: Cluster, source: TopicSource, catalog: TopicCatalog) {
    this.#cluster = cluster;
    this.#source = source;
    this.#catalog = catalog;
  }

  /**
   * Log start and end by `offsetKey`; of topics that are gone, none.
   *
   * @throws OffloadError a retriable one while brokers are away.
   */
  async bounds(places: readonly TopicPartition[]): Promise<ReadonlyMap<string, PartitionBounds>> {
    if (performance.now() - this.#topicsAtMs > TOPICS_FOR_MS) {
      await this.#catalog.look();
      this.#topicsAtMs = performance.now();
    }
    const bounds = await lookUpBounds(this.#cluster, this.#selected(places), this.#source.kafka);
    return new Map(bounds.map((entry) => [offsetKey(entry), entry]));
  }

  /** As of the last look. */
  get estimates(): ReadonlyMap<string, number> {
    return this.#bytesPerOffset;
  }

  /** Estimate by `offsetKey` for all of `bounds`. */
  async bytesPerOffset(bounds: ReadonlyMap<string, PartitionBounds>): Promise<ReadonlyMap<string, number>> {
    const isOld = performance.now() - this.#estimatedAtMs > ESTIMATE_FOR_MS;
    if (isOld || [...bounds.keys()].some((key) => !this.#bytesPerOffset.has(key))) {
      const all = [...bounds.values()];
      const ranges = all.map(({ topic, partition, logStartOffset, readableEnd }) => {
        return { topic, partition, startOffset: logStartOffset, endOffset: readableEnd };
      });
      this.#bytesPerOffset = await estimateBytesPerOffset(this.#cluster, all, ranges, this.#source);
      this.#estimatedAtMs = performance.now();
    }
    return this.#bytesPerOffset;
  }

  #selected(places: readonly TopicPartition[]): SelectedTopic[] {
    return this.#catalog.topics.flatMap((topic) => {
      const selected = places.filter((place) => place.topic === topic.topic).map(({ partition }) => partition);
      const there = selected.filter((partition) => topic.partitions.includes(partition));
      return there.length > 0 ? [{ ...topic, selected: there.sort((a, b) => a - b) }] : [];
    });
  }
}
