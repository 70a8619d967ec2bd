/** What this process can read, as it looked last. */
import { keyOf } from './ownership.ts';
import { encodeSelection, type GroupTopic } from './subscription.ts';
import type { TopicPartition } from './types.ts';

export class Readable {
  /** As it is told to the group. */
  #selection: Buffer = encodeSelection([]);
  #topicIds: ReadonlyMap<string, string | null> = new Map();
  #places: ReadonlySet<string> = new Set();

  get selection(): Buffer {
    return this.#selection;
  }

  has(partition: TopicPartition): boolean {
    return this.#places.has(keyOf(partition));
  }

  isSame(topics: readonly GroupTopic[]): boolean {
    return encodeSelection(topics).equals(this.#selection);
  }

  /**
   * Takes a new look for the last one. A topic that was made again is another one: what was known of the old one is gone.
   *
   * @returns Those of `owned` of which the topic was made again.
   */
  take(topics: readonly GroupTopic[], owned: readonly TopicPartition[]): TopicPartition[] {
    const ids = new Map(topics.map(({ topic, topicId }) => [topic, topicId]));
    const remade = owned.filter(({ topic }) => ids.has(topic) && ids.get(topic) !== this.#topicIds.get(topic));
    const places = topics.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => keyOf({ topic, partition })),
    );
    this.#selection = encodeSelection(topics);
    this.#topicIds = ids;
    this.#places = new Set(places);
    return remade;
  }
}
