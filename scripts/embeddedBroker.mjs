/**
 * A Kafka broker inside this process: librdkafka's mock cluster, a real TCP server on loopback. For demonstrations only:
 * it keeps everything in memory, at most 5 MiB and 100,000 messages a partition (the oldest are dropped silently), gives
 * every topic 4 partitions and makes topics when they are first produced to. It serves for as long as it is open, on a
 * thread of its own, so never block this process while another one reads from it for longer than its time-outs.
 */
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

export const PARTITIONS = 4;
const FLUSH_TIMEOUT_MS = 30_000;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * @returns `bootstrapServers`; `createTopic(topic)`; `produce(topic, partition, messages)`, which takes `{ key, value }` and resolves when the
 *   broker has acknowledged all of them; `watermarks(topic, partition)`; `close()`.
 */
export async function openEmbeddedBroker() {
  // node-rdkafka is CommonJS and loads a native addon; it is not there before set-up has run.
  const kafka = createRequire(import.meta.url)('node-rdkafka');
  const producer = new kafka.Producer({
    'client.id': 'kafkaload-demo',
    'test.mock.num.brokers': 1,
    'compression.type': 'lz4',
    'linger.ms': 20,
    'queue.buffering.max.messages': 200_000,
  });
  let failure = null;
  producer.on('event.error', (error) => {
    failure = error;
  });
  const metadata = await promisify(producer.connect.bind(producer))({ timeout: REQUEST_TIMEOUT_MS });
  producer.setPollInterval(50);
  const [broker] = metadata.brokers;

  async function produce(topic, partition, messages) {
    for (const { key, value } of messages) {
      while (!tryProduce(topic, partition, key, value)) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await promisify(producer.flush.bind(producer))(FLUSH_TIMEOUT_MS);
    if (failure !== null) throw new Error(`the embedded broker failed: ${failure.message}`);
  }

  function tryProduce(topic, partition, key, value) {
    try {
      producer.produce(topic, partition, value, key);
      return true;
    } catch (error) {
      if (error.code !== kafka.CODES.ERRORS.ERR__QUEUE_FULL) throw error;
      return false;
    }
  }

  /** It has no request for this: asking a broker that makes topics by itself about one makes it. */
  async function createTopic(topic) {
    const deadlineMs = Date.now() + REQUEST_TIMEOUT_MS;
    for (;;) {
      const { topics } = await promisify(producer.getMetadata.bind(producer))({ topic, timeout: REQUEST_TIMEOUT_MS });
      if (topics.some(({ name, partitions }) => name === topic && partitions.length === PARTITIONS)) return;
      if (Date.now() > deadlineMs) throw new Error(`the embedded broker does not make topic ${topic}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  return {
    createTopic,
    bootstrapServers: `${broker.host}:${broker.port}`,
    produce,
    watermarks: (topic, partition) =>
      promisify(producer.queryWatermarkOffsets.bind(producer))(topic, partition, REQUEST_TIMEOUT_MS),
    close: () => promisify(producer.disconnect.bind(producer))(),
  };
}
