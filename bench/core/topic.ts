/** Topics of the benches. */
import rdkafka from 'node-rdkafka';
import type { TestTopics } from '../../test/helpers/topics.ts';
import { eventAt } from './events.ts';
import type { TopicCodec } from './names.ts';
import type { Input } from './results.ts';

export interface TopicShape {
  readonly messages: number;
  readonly partitions: number;
  readonly codec: TopicCodec;
  /** Bytes of each value; null: events as they are, about 180. */
  readonly valueBytes: number | null;
}

export interface BenchTopic {
  readonly topic: string;
  readonly input: Required<Input>;
}

const QUEUE_KILOBYTES = 256 * 1024;

/** Creates and fills a topic, messages round robin over the partitions: the first N of them are N/partitions in each. */
export async function fillTopic(bootstrapServers: string, topics: TestTopics, shape: TopicShape): Promise<BenchTopic> {
  const { messages, partitions, codec, valueBytes } = shape;
  const what = valueBytes === null ? '' : ` of ${valueBytes} bytes`;
  console.log(
    `filling a topic: ${messages.toLocaleString('en-US')} messages${what}, partitions ${partitions}, ${codec}`,
  );
  // node-rdkafka may be compiled without zstd; the broker is not.
  const isByBroker = codec === 'zstd';
  const properties = { 'compression.type': isByBroker ? codec : 'producer' };
  const topic = await topics.create('bench', { partitions, properties });
  const producer = new rdkafka.Producer({
    'bootstrap.servers': bootstrapServers,
    'compression.type': isByBroker ? 'none' : codec,
    'linger.ms': 50,
    'batch.size': 1_000_000,
    'queue.buffering.max.messages': 1_000_000,
    'queue.buffering.max.kbytes': QUEUE_KILOBYTES,
  });
  await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())));
  let messageBytes = 0;
  for (let index = 0; index < messages; ) {
    const { key, value } = eventAt(index, valueBytes);
    for (;;) {
      try {
        producer.produce(topic, index % partitions, value, key);
        break;
      } catch (error) {
        if ((error as { code?: number }).code !== rdkafka.CODES.ERRORS.ERR__QUEUE_FULL) throw error;
        producer.poll();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    messageBytes += value.length + key.length;
    index++;
    if (index % 10_000 === 0) producer.poll();
  }
  await new Promise<void>((resolve, reject) => producer.flush(120_000, (error) => (error ? reject(error) : resolve())));
  await new Promise<void>((resolve) => producer.disconnect(() => resolve()));
  const stored = (await topics.endOffsets(topic)).reduce((sum, end) => sum + end, 0);
  if (stored !== messages) throw new Error(`topic ${topic} has ${stored} messages, and ${messages} were produced`);
  return { topic, input: { rows: messages, messageBytes, partitions, codec } };
}
