/** What this process can read, as it looked last, and whether that is still so. */
import { toOffloadError } from '../errors.ts';
import { keyOf } from './ownership.ts';
import { encodeSelection, type GroupTopic } from './subscription.ts';
import type { TopicPartition } from './types.ts';

export interface ReadableOptions {
  readonly topics: () => Promise<readonly GroupTopic[]>;
  /** Tries again what passes. */
  readonly persist: <T>(attempt: () => Promise<T>) => Promise<T>;
  /** The group was not joined yet. */
  readonly isFirst: () => boolean;
}

export class Readable {
  readonly #options: ReadableOptions;
  /** It is to be looked at again soon. */
  isDue: boolean = false;
  /** As it is told to the group. */
  #selection: Buffer = encodeSelection([]);
  #topicIds: ReadonlyMap<string, string | null> = new Map();
  #places: ReadonlySet<string> = new Set();

  constructor(options: ReadableOptions) {
    this.#options = options;
  }

  get selection(): Buffer {
    return this.#selection;
  }

  has(partition: TopicPartition): boolean {
    return this.#places.has(keyOf(partition));
  }

  /**
   * Looks before a rebalance. The first look has to succeed; after that the group does not wait for it: what was seen last
   * will do for now. A topic that was made again is another one: what was known of the old one is gone.
   *
   * @param owned Asked once the look is there.
   * @returns Those of `owned` of which the topic was made again.
   */
  async look(owned: () => readonly TopicPartition[]): Promise<readonly TopicPartition[]> {
    const { topics, persist, isFirst } = this.#options;
    this.isDue = false;
    const found = await persist(() =>
      topics().catch((error: unknown) => {
        if (isFirst() || !toOffloadError(error).retriable) throw error;
        this.isDue = true;
        return null;
      }),
    );
    return found === null ? [] : this.#take(found, owned());
  }

  async hasChanged(): Promise<boolean> {
    this.isDue = false;
    try {
      return !encodeSelection(await this.#options.topics()).equals(this.#selection);
    } catch (error) {
      // It is looked again soon enough.
      if (toOffloadError(error).retriable) return false;
      throw error;
    }
  }

  #take(topics: readonly GroupTopic[], owned: readonly TopicPartition[]): TopicPartition[] {
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
