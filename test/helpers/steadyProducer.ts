import rdkafka from 'node-rdkafka';
import { delay } from './wait.ts';
import { sorted } from './workspace.ts';

/** How often a steady stream of messages is topped up. */
const TICK_MS = 50;

export interface SteadyProducerOptions {
  readonly bootstrapServers: string;
  readonly topic: string;
  readonly partitions: number;
}

/**
 * librdkafka in this process, connected for as long as it is needed. Values are numbers from 0, one for each message, in all
 * partitions in turn; each is in the topic once, also after an outage of the brokers, which it waits out.
 */
export class SteadyProducer {
  readonly #options: SteadyProducerOptions;
  readonly #producer: rdkafka.Producer;
  #sent = 0;
  #isStopped: boolean = false;
  #running: Promise<void> | null = null;

  private constructor(options: SteadyProducerOptions) {
    this.#options = options;
    this.#producer = new rdkafka.Producer(
      {
        'bootstrap.servers': options.bootstrapServers,
        'enable.idempotence': true,
        'linger.ms': 5,
        'reconnect.backoff.max.ms': 1_000,
      },
      { 'message.timeout.ms': 0 },
    );
    this.#producer.on('event.error', () => {});
  }

  static async open(options: SteadyProducerOptions): Promise<SteadyProducer> {
    const opened = new SteadyProducer(options);
    await new Promise<void>((resolve, reject) => {
      opened.#producer.connect({}, (error) => (error ? reject(error) : resolve()));
    });
    return opened;
  }

  /** Values so far, sorted as text. */
  get values(): string[] {
    return sorted(Array.from({ length: this.#sent }, (_, index) => String(index)));
  }

  /** Sends so many and waits for their acknowledgement. */
  async send(count: number): Promise<void> {
    this.#produce(count);
    await this.#flush(60_000);
  }

  /** Sends at this rate until `end`. */
  begin(perSecond: number): void {
    const run = async (): Promise<void> => {
      const startMs = performance.now();
      for (let sent = 0; !this.#isStopped; await delay(TICK_MS)) {
        const due = Math.floor(((performance.now() - startMs) / 1_000) * perSecond) - sent;
        this.#produce(due);
        this.#producer.poll();
        sent += due;
      }
    };
    this.#isStopped = false;
    this.#running = run();
  }

  /** Ends what `begin` began; returns when all is acknowledged. */
  async end(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await this.#flush(120_000);
  }

  async close(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await new Promise<void>((resolve) => this.#producer.disconnect(() => resolve()));
  }

  #produce(count: number): void {
    const { topic, partitions } = this.#options;
    for (let index = 0; index < count; index++) {
      this.#producer.produce(topic, this.#sent % partitions, Buffer.from(String(this.#sent)));
      this.#sent += 1;
    }
  }

  #flush(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#producer.flush(timeoutMs, (error) => (error ? reject(error) : resolve()));
    });
  }
}
