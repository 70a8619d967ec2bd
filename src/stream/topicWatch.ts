/** Whether the topics of a stream are still those it began with, and their logs still the same. */
import type { TopicSource } from '../config/job.ts';
import { OffloadError } from '../errors.ts';
import { offsetKey } from '../plan/places.ts';
import type { BatchPlan } from './planBatch.ts';
import type { TopicCatalog } from './topicCatalog.ts';
import type { TopicPartition } from './types.ts';

/** After a change of leader the end of a log may lie further back for so long (KIP-207). */
const END_MAY_LIE_BACK_MS = 30_000;

export type TopicState = 'same' | { readonly kind: 'madeAgain'; readonly warning: string };

export class TopicWatch {
  readonly #catalog: TopicCatalog;
  readonly #failOnDataLoss: boolean;
  readonly #group: string;
  readonly #ids = new Map<string, string>();
  /** Since when a position lies behind the end of its log, by `offsetKey`. */
  readonly #beyondSinceMs = new Map<string, number>();

  constructor(catalog: TopicCatalog, { failOnDataLoss }: TopicSource, group: string) {
    this.#catalog = catalog;
    this.#failOnDataLoss = failOnDataLoss;
    this.#group = group;
  }

  /**
   * Compares the ids of topics with those seen first.
   *
   * @throws OffloadError OFFSET_LOST (exit 3) for one that was made again, while `failOnDataLoss` holds.
   */
  check(places: readonly TopicPartition[]): TopicState {
    for (const topic of new Set(places.map((place) => place.topic))) {
      const now = this.#catalog.find(topic)?.topicId ?? null;
      if (now === null) continue;
      const before = this.#ids.get(topic);
      this.#ids.set(topic, now);
      if (before === undefined || before === now) continue;
      const what = `topic ${topic} was made again while group ${this.#group} was reading it (topic id ${before} before, ${now} now), so its messages that were not read are gone`;
      if (this.#failOnDataLoss) {
        throw new OffloadError(
          'OFFSET_LOST',
          `${what}; start again to read the new one, or set failOnDataLoss to false`,
          {
            context: { topic, before, now },
          },
        );
      }
      return { kind: 'madeAgain', warning: `${what}; failOnDataLoss is false: going on with the new one` };
    }
    return 'same';
  }

  /**
   * @returns A warning, where reading goes on at the start of the log.
   * @throws OffloadError LEADER_MOVED (retriable) while this may pass; OFFSET_LOST later, while `failOnDataLoss` holds.
   */
  judgeBeyond(beyond: BatchPlan['beyond']): string {
    const now = performance.now();
    for (const entry of beyond) {
      const key = offsetKey(entry);
      const since = this.#beyondSinceMs.get(key) ?? now;
      this.#beyondSinceMs.set(key, since);
      if (now - since > END_MAY_LIE_BACK_MS) continue;
      const message = `group ${this.#group} is at offset ${entry.offset} of ${key}, whose log ends at ${entry.end} at the moment`;
      throw new OffloadError('LEADER_MOVED', message);
    }
    this.#beyondSinceMs.clear();
    const [first] = beyond;
    const what = `group ${this.#group} is at offset ${first?.offset} of ${first?.topic}/${first?.partition}, and its log ends at ${first?.end}: it was truncated, or made again`;
    if (this.#failOnDataLoss) {
      throw new OffloadError(
        'OFFSET_LOST',
        `${what}; set the offset of the group, or set failOnDataLoss to false to begin at the log start`,
        {
          context: { group: this.#group, topic: first?.topic ?? null, partition: first?.partition ?? null },
        },
      );
    }
    return `${what}; failOnDataLoss is false: going on at its log start`;
  }
}
