/**
 * The control path: node-rdkafka, in the coordinator only. Its native module loads in one thread, so it is imported
 * when first needed and never by a worker. Here: creating the offsets topic, and the transactional producer that is
 * both the fence between runs of a config and the commit.
 */
import type { LibrdKafkaError, Producer } from 'node-rdkafka';
import type { BearerSource, KafkaSettings } from '../config/kafkaSettings.ts';
import { type ErrorCode, messageOf, OffloadError } from '../errors.ts';
import { readBearerToken, refreshAfterMs } from './bearerToken.ts';

/** A transaction that nobody ends is aborted by its coordinator after this, and readers go on. */
const TRANSACTION_TIMEOUT_MS = 10_000;
/** The same for a load, whose transactions hold records: they have to be sent in this time. */
export const LOAD_TRANSACTION_TIMEOUT_MS = 30_000;
/** How often a coordinator looks for such transactions by default; they may stay open for this much longer. */
export const TRANSACTION_SWEEP_MS = 10_000;

const CONNECT_TIMEOUT_MS = 30_000;
const COMMIT_TIMEOUT_MS = 15_000;
const DISCONNECT_TIMEOUT_MS = 5_000;
const POLL_INTERVAL_MS = 100;

/** Numbers of LibrdKafkaError.codes; the enum itself would load the native module. */
const ERROR = {
  fenced: [-144, 47, 90],
  notAuthorized: [-169, 29, 31, 53, 58],
  unreachable: [-195, -193, -187],
  timedOut: [-185, -192, 7],
  unsupported: [-165, 35],
  topicExists: 36,
} as const;

/** Loads the native module, which takes 30 ms, before it is needed; that it cannot be is told where it is. */
export function preloadClient(): void {
  import('node-rdkafka').catch(() => {});
}

export interface TopicSettings {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  /** Topic configuration; compacted unless `cleanup.policy` says otherwise. */
  readonly createOptions: Readonly<Record<string, string>>;
}

/**
 * Creates a topic; one that is there already is left as it is.
 *
 * @throws OffloadError NOT_AUTHORIZED, BROKER_UNREACHABLE, BROKER_TIMEOUT, BROKER_REFUSED
 */
export async function createTopic(kafka: KafkaSettings, settings: TopicSettings): Promise<void> {
  const { topic, partitions, replicationFactor, createOptions } = settings;
  const { default: rdkafka } = await import('node-rdkafka');
  const bearer = kafka.connection.sasl?.bearer;
  const admin = rdkafka.AdminClient.create({ ...kafka.rdkafka }, bearer && (await readBearerToken(bearer)));
  try {
    await call<void>((done) =>
      admin.createTopic(
        {
          topic,
          num_partitions: partitions,
          replication_factor: replicationFactor,
          config: { 'cleanup.policy': 'compact', ...createOptions },
        },
        CONNECT_TIMEOUT_MS,
        done,
      ),
    );
  } catch (error) {
    const code = codeOf(error);
    // A broker without CreateTopics makes the topic when a producer asks for it.
    if (code === ERROR.topicExists || includes(ERROR.unsupported, code)) return;
    throw describe(error, `create topic ${topic}`, kafka, `Create on topic ${topic}, or on the cluster`);
  } finally {
    admin.disconnect();
  }
}

export interface TopicWrite {
  readonly partition: number;
  readonly key: string;
  /** Null writes a tombstone. */
  readonly value: string | null;
}

/**
 * `fenced`: a newer producer with the same id is there, nothing was written. `unknown`: the transaction may be
 * committed, or not, or not yet.
 */
export type TransactionResult =
  | { readonly outcome: 'ok' }
  | { readonly outcome: 'fenced' | 'unknown'; readonly cause: OffloadError };

/** One transactional id, one transaction at a time: calls wait for one another. */
export class OffsetsProducer {
  readonly #producer: Producer;
  readonly #kafka: KafkaSettings;
  readonly #transactionalId: string;
  readonly #stopRefreshing: () => void;
  #queue: Promise<unknown> = Promise.resolve();
  /** `committing` while nothing was heard of a commit: librdkafka wants its outcome before another transaction begins. */
  #state: 'idle' | 'open' | 'committing' = 'idle';

  private constructor(producer: Producer, kafka: KafkaSettings, transactionalId: string, stopRefreshing: () => void) {
    this.#stopRefreshing = stopRefreshing;
    this.#producer = producer;
    this.#kafka = kafka;
    this.#transactionalId = transactionalId;
  }

  /** Connects; fences nobody yet. @throws OffloadError BROKER_UNREACHABLE, BROKER_TIMEOUT, NOT_AUTHORIZED */
  static async connect(kafka: KafkaSettings, transactionalId: string): Promise<OffsetsProducer> {
    const { default: rdkafka } = await import('node-rdkafka');
    const producer = new rdkafka.Producer({
      ...kafka.rdkafka,
      'transactional.id': transactionalId,
      'transaction.timeout.ms': TRANSACTION_TIMEOUT_MS,
      // librdkafka refuses a request that may outlive the transaction it belongs to.
      'socket.timeout.ms': Math.min(kafka.connection.requestTimeoutMs, TRANSACTION_TIMEOUT_MS),
      'enable.idempotence': true,
      'linger.ms': 0,
    });
    let lastError: LibrdKafkaError | null = null;
    producer.on('event.error', (error) => {
      lastError = error;
    });
    const bearer = kafka.connection.sasl?.bearer;
    const stopRefreshing = bearer ? await keepToken(producer, bearer) : () => {};
    try {
      await call((done) => producer.connect({ timeout: CONNECT_TIMEOUT_MS }, done));
    } catch (error) {
      stopRefreshing();
      throw describe(lastError ?? error, `connect producer ${transactionalId}`, kafka);
    }
    producer.setPollInterval(POLL_INTERVAL_MS);
    return new OffsetsProducer(producer, kafka, transactionalId, stopRefreshing);
  }

  /** Fences every other producer of this id and ends the transaction it left open. */
  async fenceOthers(): Promise<void> {
    try {
      await call((done) => this.#producer.initTransactions(CONNECT_TIMEOUT_MS, done));
    } catch (error) {
      const id = this.#transactionalId;
      throw describe(error, `begin with transactional id ${id}`, this.#kafka, `Write on transactional id ${id}`);
    }
  }

  /** Number of partitions; 0 if there is no such topic. A broker that creates topics by itself creates it. */
  async countPartitions(topic: string): Promise<number> {
    try {
      const metadata = await call<{ topics: readonly { name: string; partitions: readonly unknown[] }[] }>((done) =>
        this.#producer.getMetadata({ topic, timeout: CONNECT_TIMEOUT_MS }, done),
      );
      return metadata.topics.find(({ name }) => name === topic)?.partitions.length ?? 0;
    } catch (error) {
      throw describe(error, `look up topic ${topic}`, this.#kafka, `Describe on topic ${topic}`);
    }
  }

  /** Writes records in one transaction. Never throws: the caller must know which of the three it was. */
  transact(topic: string, writes: readonly TopicWrite[]): Promise<TransactionResult> {
    const result = this.#queue.then(() => this.#transact(topic, writes));
    this.#queue = result;
    return result;
  }

  async #transact(topic: string, writes: readonly TopicWrite[]): Promise<TransactionResult> {
    try {
      if (this.#state === 'committing') await this.#commit();
      await call((done) => this.#producer.beginTransaction(done));
      this.#state = 'open';
      for (const { partition, key, value } of writes) {
        this.#producer.produce(topic, partition, value === null ? null : Buffer.from(value), key, Date.now());
      }
      await this.#commit();
      return { outcome: 'ok' };
    } catch (error) {
      const attempt = `write to topic ${topic} as ${this.#transactionalId}`;
      const cause = describe(error, attempt, this.#kafka, `Write on topic ${topic}`);
      if (isFenced(error)) return { outcome: 'fenced', cause };
      if (requiresAbort(error) || this.#state === 'open') {
        this.#state = 'idle';
        await call((done) => this.#producer.abortTransaction(COMMIT_TIMEOUT_MS, done)).catch(() => undefined);
      }
      return { outcome: 'unknown', cause };
    }
  }

  async #commit(): Promise<void> {
    this.#state = 'committing';
    await call((done) => this.#producer.commitTransaction(COMMIT_TIMEOUT_MS, done));
    this.#state = 'idle';
  }

  /** Waits for what is under way, at most a few seconds; never throws. */
  async disconnect(): Promise<void> {
    await this.#queue;
    this.#stopRefreshing();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, DISCONNECT_TIMEOUT_MS);
      this.#producer.disconnect(DISCONNECT_TIMEOUT_MS, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/**
 * Hands the producer a bearer token, and another one before that ends: librdkafka sends the one it has, however old, when
 * a session is renewed. One that cannot be had is asked for again; the broker refuses an old one soon enough.
 *
 * @returns Stops it.
 */
async function keepToken(producer: Producer, bearer: BearerSource): Promise<() => void> {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const next = (token: string): void => {
    if (isStopped) return;
    producer.setOauthBearerToken(token);
    timer = setTimeout(
      () => {
        readBearerToken(bearer).then(next, () => next(token));
      },
      refreshAfterMs(token, Date.now()),
    ).unref();
  };
  next(await readBearerToken(bearer));
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

function call<T>(
  start: (done: (error: LibrdKafkaError | null | undefined, result?: T) => void) => unknown,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    start((error, result) => (error ? reject(error) : resolve(result as T)));
  });
}

function codeOf(error: unknown): number {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'number' ? code : 0;
}

function includes(codes: readonly number[], code: number): boolean {
  return codes.includes(code);
}

function isFenced(error: unknown): boolean {
  return includes(ERROR.fenced, codeOf(error)) || /fenced by a newer/i.test(messageOf(error));
}

function requiresAbort(error: unknown): boolean {
  return (error as { isTxnRequiresAbort?: unknown } | null)?.isTxnRequiresAbort === true;
}

/** @param permission What a refusal for want of a permission asks for. */
function describe(error: unknown, attempt: string, kafka: KafkaSettings, permission?: string): OffloadError {
  if (error instanceof OffloadError) return error;
  const code = codeOf(error);
  const own: ErrorCode = isFenced(error)
    ? 'FENCED'
    : includes(ERROR.notAuthorized, code)
      ? 'NOT_AUTHORIZED'
      : includes(ERROR.unreachable, code)
        ? 'BROKER_UNREACHABLE'
        : includes(ERROR.timedOut, code)
          ? 'BROKER_TIMEOUT'
          : 'BROKER_REFUSED';
  const brokers = kafka.connection.bootstrap.map(({ host, port }) => `${host}:${port}`).join(',');
  const next =
    own === 'NOT_AUTHORIZED' && permission !== undefined
      ? `; the user needs the permission ${permission} (kafka-acls)`
      : '';
  return new OffloadError(own, `cannot ${attempt} at ${brokers}: ${messageOf(error)}${next}`, {
    context: { brokers, kafkaError: code },
    cause: error,
  });
}
