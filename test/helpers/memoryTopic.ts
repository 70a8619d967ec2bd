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

/** What a writer hears instead of how it was: `isCarriedOut` says how. */
export interface Misheard {
  readonly outcome: 'unknown' | 'fenced';
  readonly isCarriedOut: boolean;
  /** Nobody answers any more. */
  readonly isSilent?: boolean;
}

type Interference = (writes: readonly TopicWrite[]) => Misheard | null;

let interfere: Interference = () => null;
let isSilent = false;

/** Lets a test take the answer of some transactions away; without an argument, of none. */
export function interfereWith(interference: Interference = () => null): void {
  interfere = interference;
  isSilent = false;
}

export const readMemoryTopic: TopicReader = async (topic) => topics.get(topic)?.records ?? null;

/** Takes the place of `src/kafka/client.ts` in a test. */
export const memoryClient = {
  createTopic: async (_kafka: unknown, { topic }: { readonly topic: string }): Promise<void> => {
    if (!topics.has(topic)) topics.set(topic, { records: [], epoch: 0 });
  },
  OffsetsProducer: {
    connect: async (_kafka: unknown, transactionalId: string): Promise<MemoryProducer> => {
      if (isSilent) throw new OffloadError('BROKER_UNREACHABLE', 'nobody answers');
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
    const { epoch } = this.#state();
    if (epoch !== this.#epoch) return { outcome: 'fenced', cause: new OffloadError('FENCED', 'a newer one is there') };
    const misheard = interfere(writes);
    if (misheard) {
      isSilent = misheard.isSilent ?? false;
      if (misheard.isCarriedOut) this.#write(writes);
      return { outcome: misheard.outcome, cause: new OffloadError('BROKER_TIMEOUT', 'no answer') };
    }
    this.#write(writes);
    return { outcome: 'ok' };
  }

  #write(writes: readonly TopicWrite[]): void {
    const { records, epoch } = this.#state();
    const written = writes.map(({ partition, key, value }, index): TopicRecord => {
      const bytes = value === null ? null : Buffer.from(value);
      const timestampMs = Date.now();
      return { partition, offset: records.length + index, timestampMs, key: Buffer.from(key), value: bytes };
    });
    topics.set(this.#topic, { records: [...records, ...written], epoch });
  }

  async disconnect(): Promise<void> {}

  #state(): TopicState {
    return topics.get(this.#topic) ?? { records: [], epoch: 0 };
  }
}
