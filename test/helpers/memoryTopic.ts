/**
 * An offsets topic in memory, whose state can be kept and put back together with that of a disk: a real broker cannot go
 * back to where it was at the n-th file operation. Transactions are whole, and a newer producer fences the older ones,
 * as commitStream.test.ts shows of the real one.
 */
import type { TopicRecord } from '../../src/commit/streamRecords.ts';
import type { TopicReader } from '../../src/commit/streamState.ts';
import { OffloadError } from '../../src/errors.ts';
import type { OffsetsProducer, TopicWrite, TransactionResult } from '../../src/kafka/client.ts';

/** What stands in a topic, and how often its producers were fenced. */
export interface TopicState {
  readonly records: readonly TopicRecord[];
  readonly epoch: number;
}

const topics = new Map<string, TopicState>();

export function topicState(topic: string): TopicState | null {
  return topics.get(topic) ?? null;
}

/** @param state Null: there is no such topic. */
export function setTopicState(topic: string, state: TopicState | null): void {
  if (state) topics.set(topic, state);
  else topics.delete(topic);
}

export const readMemoryTopic: TopicReader = async (topic) => topics.get(topic)?.records ?? null;

/** Takes the place of `src/kafka/client.ts` in a test. */
export const memoryClient = {
  createTopic: async (_kafka: unknown, { topic }: { readonly topic: string }): Promise<void> => {
    if (!topics.has(topic)) topics.set(topic, { records: [], epoch: 0 });
  },
  OffsetsProducer: {
    connect: async (_kafka: unknown, transactionalId: string): Promise<MemoryProducer> => {
      // kafkaload/TOPIC/CONFIG
      return new MemoryProducer(transactionalId.split('/')[1] ?? '');
    },
  },
};

class MemoryProducer implements Pick<OffsetsProducer, 'fenceOthers' | 'countPartitions' | 'transact' | 'disconnect'> {
  readonly #topic: string;
  #epoch = -1;

  constructor(topic: string) {
    this.#topic = topic;
  }

  async fenceOthers(): Promise<void> {
    const state = this.#state();
    this.#epoch = state.epoch + 1;
    topics.set(this.#topic, { ...state, epoch: this.#epoch });
  }

  async countPartitions(topic: string): Promise<number> {
    return topics.has(topic) ? 1 : 0;
  }

  async transact(_topic: string, writes: readonly TopicWrite[]): Promise<TransactionResult> {
    const { records, epoch } = this.#state();
    if (epoch !== this.#epoch) return { outcome: 'fenced', cause: new OffloadError('FENCED', 'a newer one is there') };
    const written = writes.map(({ partition, key, value }, index): TopicRecord => {
      const bytes = value === null ? null : Buffer.from(value);
      const timestampMs = Date.now();
      return { partition, offset: records.length + index, timestampMs, key: Buffer.from(key), value: bytes };
    });
    topics.set(this.#topic, { records: [...records, ...written], epoch });
    return { outcome: 'ok' };
  }

  async disconnect(): Promise<void> {}

  #state(): TopicState {
    return topics.get(this.#topic) ?? { records: [], epoch: 0 };
  }
}
