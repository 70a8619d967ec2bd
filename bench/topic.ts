/** The topic of the end-to-end bench: JSON events of about 180 bytes, the same bytes in every run. */
import { createHash } from 'node:crypto';
import rdkafka from 'node-rdkafka';

export interface BenchTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly messages: number;
  /** Bytes of keys and values. */
  readonly messageBytes: number;
}

const EVENTS = ['click', 'view', 'buy', 'scroll', 'login'];
const TAGS = ['a', 'b', 'c', 'news', 'promo', 'x1'];
const START_MS = Date.UTC(2026, 10, 22, 10);

/** Creates and fills a topic, lz4, messages round robin over the partitions. */
export async function fillTopic(
  bootstrapServers: string,
  topic: string,
  partitions: number,
  messages: number,
): Promise<BenchTopic> {
  const admin = rdkafka.AdminClient.create({ 'bootstrap.servers': bootstrapServers });
  await new Promise<void>((resolve, reject) => {
    admin.createTopic({ topic, num_partitions: partitions, replication_factor: 1 }, (error) =>
      error ? reject(error) : resolve(),
    );
  });
  admin.disconnect();
  const producer = new rdkafka.Producer({
    'bootstrap.servers': bootstrapServers,
    'compression.type': 'lz4',
    'linger.ms': 50,
    'batch.size': 1_000_000,
    'queue.buffering.max.messages': 1_000_000,
    'queue.buffering.max.kbytes': 1_000_000,
  });
  await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())));
  let messageBytes = 0;
  for (let index = 0; index < messages; ) {
    const { key, value } = eventAt(index);
    try {
      producer.produce(topic, index % partitions, value, key);
      messageBytes += value.length + key.length;
      index++;
    } catch (error) {
      if ((error as { code?: number }).code !== rdkafka.CODES.ERRORS.ERR__QUEUE_FULL) throw error;
      producer.poll();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (index % 10_000 === 0) producer.poll();
  }
  await new Promise<void>((resolve, reject) => producer.flush(120_000, (error) => (error ? reject(error) : resolve())));
  await new Promise<void>((resolve) => producer.disconnect(() => resolve()));
  return { topic, partitions, messages, messageBytes };
}

/** A session id that does not compress, as real ones do not; the rest repeats as events do. */
function eventAt(index: number): { key: string; value: Buffer } {
  const digest = createHash('md5').update(String(index)).digest();
  const user = digest.readUInt16LE(0) % 50_000;
  const value = {
    id: index,
    user: `user-${user}`,
    event: EVENTS[index % EVENTS.length],
    ts: new Date(START_MS + index * 3).toISOString(),
    amount: Math.round(digest.readUInt32LE(2) / 43_000) / 100,
    tags: [TAGS[(digest[6] ?? 0) % TAGS.length], TAGS[(digest[7] ?? 0) % TAGS.length]],
    session: digest.toString('hex'),
    path: `/p/${(digest[8] ?? 0) * 4}/${'xyzw'[(digest[9] ?? 0) % 4]}`,
  };
  return { key: `user-${user}`, value: Buffer.from(JSON.stringify(value)) };
}
