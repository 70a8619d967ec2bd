/**
 * The requests that a transaction takes beside Produce, in the versions of a transaction whose epoch stays the same from
 * one to the next (KIP-98): brokers from Kafka 2.1 to 4.x answer them, and none makes a producer change its epoch while
 * it ends a transaction (that comes with EndTxn 5, KIP-890).
 */
import type { Api } from './protocol.ts';
import { WireWriter } from './wire.ts';

/** What every broker knows a producer by; a higher epoch fences the lower ones. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface InitProducerIdRequest {
  readonly transactionalId: string;
  readonly transactionTimeoutMs: number;
  /** Who asks for a higher epoch: refused if it is not the newest any more (version 3 and above). Null: fences whoever is. */
  readonly current: ProducerIdentity | null;
}

export const initProducerIdApi: Api<InitProducerIdRequest, ProducerIdentity & { readonly errorCode: number }> = {
  name: 'InitProducerId',
  key: 22,
  minVersion: 0,
  maxVersion: 4,
  flexibleFrom: 2,
  encode({ transactionalId, transactionTimeoutMs, current }, version) {
    const writer = new WireWriter().string(transactionalId, version >= 2).int32(transactionTimeoutMs);
    if (version >= 3) writer.int64(current?.producerId ?? -1).int16(current?.producerEpoch ?? -1);
    return version >= 2 ? writer.noTaggedFields() : writer;
  },
  parse(reader) {
    reader.int32(); // throttle_time_ms
    return { errorCode: reader.int16(), producerId: reader.int64(), producerEpoch: reader.int16() };
  },
};

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface AddPartitionsRequest extends ProducerIdentity {
  readonly transactionalId: string;
  readonly partitions: readonly TopicPartition[];
}

export const addPartitionsToTxnApi: Api<
  AddPartitionsRequest,
  readonly (TopicPartition & { readonly errorCode: number })[]
> = {
  name: 'AddPartitionsToTxn',
  key: 24,
  minVersion: 0,
  maxVersion: 2,
  flexibleFrom: 3,
  encode({ transactionalId, producerId, producerEpoch, partitions }) {
    const writer = new WireWriter().string(transactionalId).int64(producerId).int16(producerEpoch);
    return writer.array(byTopic(partitions), ([topic, together]) => {
      writer.string(topic).array(together, ({ partition }) => writer.int32(partition));
    });
  },
  parse(reader) {
    reader.int32(); // throttle_time_ms
    const topics = reader.array(() => {
      const topic = reader.string();
      return reader.array(() => ({ topic, partition: reader.int32(), errorCode: reader.int16() }));
    });
    return topics.flat();
  },
};

export interface EndTxnRequest extends ProducerIdentity {
  readonly transactionalId: string;
  /** False aborts. */
  readonly committed: boolean;
}

export const endTxnApi: Api<EndTxnRequest, { readonly errorCode: number }> = {
  name: 'EndTxn',
  key: 26,
  minVersion: 0,
  maxVersion: 2,
  flexibleFrom: 3,
  encode({ transactionalId, producerId, producerEpoch, committed }) {
    return new WireWriter().string(transactionalId).int64(producerId).int16(producerEpoch).boolean(committed);
  },
  parse(reader) {
    reader.int32(); // throttle_time_ms
    return { errorCode: reader.int16() };
  },
};

/** Requests name a topic once, and then its partitions. */
export function byTopic<T extends TopicPartition>(partitions: readonly T[]): [topic: string, together: T[]][] {
  const topics = new Map<string, T[]>();
  for (const entry of partitions) {
    const together = topics.get(entry.topic);
    if (together) together.push(entry);
    else topics.set(entry.topic, [entry]);
  }
  return [...topics];
}

/** Key of a partition in maps. */
export function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
