/**
 * Sends messages at a rate, in all partitions in turn, with librdkafka. Arguments: servers, topic, partitions, messages a
 * second, seconds. Values are numbers from 0, filled up to 60 bytes. Prints how many were sent, once all are acknowledged.
 */
import rdkafka from 'node-rdkafka';

const [servers = '', topic = '', ...numbers] = process.argv.slice(2);
const [partitions = 1, rate = 1, seconds = 1] = numbers.map(Number);
const TICK_MS = 20;
const PADDING = Buffer.alloc(60, '.');

const producer = new rdkafka.Producer(
  {
    'bootstrap.servers': servers,
    'enable.idempotence': true,
    'compression.type': 'lz4',
    'linger.ms': 20,
    'queue.buffering.max.messages': 1_000_000,
  },
  { 'message.timeout.ms': 0 },
);
await new Promise((resolve, reject) => {
  producer.connect({}, (error) => (error ? reject(error) : resolve(undefined)));
});
const startMs = performance.now();
const total = Math.floor(rate * seconds);
let sent = 0;
while (sent < total) {
  const due = Math.min(total, Math.floor(((performance.now() - startMs) / 1_000) * rate));
  try {
    for (; sent < due; sent++) {
      const value = Buffer.from(PADDING);
      value.write(String(sent));
      producer.produce(topic, sent % partitions, value);
    }
  } catch (error) {
    if (error.code !== rdkafka.CODES.ERRORS.ERR__QUEUE_FULL) throw error;
  }
  producer.poll();
  await new Promise((resolve) => setTimeout(resolve, TICK_MS));
}
await new Promise((resolve, reject) => {
  producer.flush(300_000, (error) => (error ? reject(error) : resolve(undefined)));
});
console.log(JSON.stringify({ sent, seconds: (performance.now() - startMs) / 1_000 }));
producer.disconnect(() => process.exit(0));
