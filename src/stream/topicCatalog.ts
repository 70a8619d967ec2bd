/** The topics of a stream as the cluster has them now: they may be added, removed and made again while it runs. */
import type { Job, TopicSelection } from '../config/job.ts';
import { namedTopics } from '../config/topicSelection.ts';
import { findTopics, type SelectedTopic } from '../coordinator/topics.ts';
import { toOffloadError } from '../errors.ts';
import type { Cluster } from '../kafka/cluster.ts';

export class TopicCatalog {
  readonly #cluster: Cluster;
  readonly #selection: TopicSelection;
  readonly #offsets: Job['offsets'];
  #topics = new Map<string, SelectedTopic>();
  #version = 0;

  constructor(cluster: Cluster, selection: TopicSelection, offsets: Job['offsets']) {
    this.#cluster = cluster;
    this.#selection = selection;
    this.#offsets = offsets;
  }

  /** As of the last look. */
  get topics(): readonly SelectedTopic[] {
    return [...this.#topics.values()];
  }

  /** Another one after a look that found other topics, partitions or ids. */
  get version(): number {
    return this.#version;
  }

  /** Id by name, without topics whose id the broker does not tell. */
  get ids(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      this.topics.flatMap(({ topic, topicId }) => (topicId === null ? [] : [[topic, topicId]])),
    );
  }

  find(topic: string): SelectedTopic | null {
    return this.#topics.get(topic) ?? null;
  }

  /**
   * The first look, at which all must be there.
   *
   * @throws OffloadError TOPIC_UNKNOWN, CONFIG_INVALID
   */
  async open(): Promise<readonly SelectedTopic[]> {
    const { topics } = await findTopics(this.#cluster, this.#selection, this.#offsets);
    return this.#remember(topics);
  }

  /** A later look: a topic that is not there any more is left out, and none at all is no error. */
  async look(): Promise<readonly SelectedTopic[]> {
    const parts = this.#parts();
    const found = await Promise.all(
      parts.map(async (part) => {
        try {
          return (await findTopics(this.#cluster, part, this.#offsets)).topics;
        } catch (error) {
          if (toOffloadError(error).code === 'TOPIC_UNKNOWN') return [];
          throw error;
        }
      }),
    );
    return this.#remember(found.flat());
  }

  /** One selection for each topic that is named: each may be missing for itself. */
  #parts(): TopicSelection[] {
    const selection = this.#selection;
    if (selection.kind === 'pattern') return [selection];
    return namedTopics(selection).map((topic): TopicSelection => {
      if (selection.kind === 'topics') return { kind: 'topics', topics: [topic] };
      return { kind: 'assign', partitions: { [topic]: selection.partitions[topic] ?? [] } };
    });
  }

  #remember(topics: readonly SelectedTopic[]): readonly SelectedTopic[] {
    if (JSON.stringify(topics) !== JSON.stringify(this.topics)) this.#version += 1;
    this.#topics = new Map(topics.map((topic) => [topic.topic, topic]));
    return topics;
  }
}
