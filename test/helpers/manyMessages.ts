import { randomBytes } from 'node:crypto';
import rdkafka from 'node-rdkafka';

export interface ManyMessages {
  readonly bootstrapServers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly messages: number;
  /** Of each value. */
  readonly bytes: number;
  readonly compression: 'none' | 'lz4';
}

/** Fills the partitions in turn with values of hexadecimal digits, each another piece of the same random text. */
export async function fillPartitions(many: ManyMessages): Promise<void> {
  const producer = new rdkafka.Producer({
    'bootstrap.servers': many.bootstrapServers,
    'compression.type': many.compression,
    'linger.ms': 20,
    'message.max.bytes': 2_000_000,
    'queue.buffering.max.messages': 1_000_000,
    'queue.buffering.max.kbytes': 500_000,
  });
  await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())));
  const starts = 100_000;
  const text = Buffer.from(randomBytes((many.bytes + starts) / 2 + 1).toString('hex'));
  for (let index = 0; index < many.messages; ) {
    const start = (index * 7919) % starts;
    try {
      producer.produce(many.topic, index % many.partitions, text.subarray(start, start + many.bytes));
      index++;
    } catch (error) {
      if ((error as { code?: number }).code !== rdkafka.CODES.ERRORS.ERR__QUEUE_FULL) throw error;
      producer.poll();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (index % 10_000 === 0) producer.poll();
  }
  await new Promise<void>((resolve, reject) => producer.flush(120_000, (error) => (error ? reject(error) : resolve())));
  await new Promise<void>((resolve) => producer.disconnect(() => resolve()));
}
