/** Messages at a steady rate, each with the time at which it was made. */
import rdkafka from 'node-rdkafka';
import { eventAt } from '../core/events.ts';

const TICK_MS = 5;

export class PacedProducer {
  readonly #producer: InstanceType<typeof rdkafka.Producer>;
  #sent = 0;
  #bytes = 0;

  private constructor(producer: InstanceType<typeof rdkafka.Producer>) {
    this.#producer = producer;
  }

  /** @param lingerMs How long the client waits for more messages before it sends what it has. */
  static async open(bootstrapServers: string, lingerMs: number): Promise<PacedProducer> {
    const producer = new rdkafka.Producer(
      {
        'bootstrap.servers': bootstrapServers,
        'linger.ms': lingerMs,
        'compression.type': 'lz4',
        'queue.buffering.max.messages': 1_000_000,
      },
      // One broker: it has no replicas to wait for.
      { acks: 1 },
    );
    producer.setPollInterval(50);
    await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())));
    return new PacedProducer(producer);
  }

  get sent(): { readonly rows: number; readonly messageBytes: number } {
    return { rows: this.#sent, messageBytes: this.#bytes };
  }

  /** Sends for so long; returns when all are acknowledged. @param perSecond Messages, round robin over the partitions. */
  async send(topic: string, partitions: number, perSecond: number, seconds: number): Promise<void> {
    const startedAtMs = performance.now();
    const total = Math.round(perSecond * seconds);
    for (let sent = 0; sent < total; ) {
      const due = Math.min(total, Math.floor(((performance.now() - startedAtMs) / 1000) * perSecond));
      for (; sent < due; sent++) {
        const { key, value } = eventAt(this.#sent, null);
        this.#producer.produce(topic, this.#sent % partitions, value, key, Date.now());
        this.#sent += 1;
        this.#bytes += value.length + key.length;
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    await new Promise<void>((resolve, reject) =>
      this.#producer.flush(60_000, (error) => (error ? reject(error) : resolve())),
    );
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#producer.disconnect(() => resolve()));
  }
}
