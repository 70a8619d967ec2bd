/**
 * How a run writes to the topic of saved offsets: one transaction at a time, under the transactional id of its config.
 *
 * A transaction whose outcome nobody knows, or that was refused as fenced, leaves a producer that can be of no use any
 * more: a coordinator that was away aborts transactions under a higher epoch. Then the run looks whether its record is
 * still there, fences with a new producer, which ends what was under way, and looks again. Whoever else fenced it meanwhile
 * writes a record before it does anything, so:
 *
 * - the record is this run's after the fencing: nobody has taken over, and whoever was about to is fenced now;
 * - it is not: the run is over. The one that took over may be fenced by now; it stops, too, and the next one finishes.
 *
 * After a heartbeat all that is done before the next write. A step that can be recognised is looked for at once, between
 * the two looks at the record, and written again if it is not there. Where brokers cannot be asked, a step stays unknown.
 * Of the record itself streamOpen.ts makes sure.
 */
import type { KafkaSettings } from '../config/kafkaSettings.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { OffsetsProducer, type TopicWrite, type TransactionResult } from '../kafka/client.ts';
import { countRetry } from '../retryCounts.ts';

/** `unsent`: there is no producer that could write; nothing was tried. */
export type WriteResult = TransactionResult | { readonly outcome: 'unsent'; readonly cause: OffloadError };

/** A step of which the topic tells whether it has happened, as long as the run record is this run's. */
export interface RecognisedStep {
  readonly isDone: () => Promise<boolean>;
}

export type WriteKind = 'heartbeat' | 'step' | RecognisedStep;

export interface RunProducerOptions {
  readonly kafka: KafkaSettings;
  readonly topic: string;
  readonly transactionalId: string;
  /** Whether the run record is this run's, read from the topic as it is now. */
  readonly isHeld: () => Promise<boolean>;
}

export class RunProducer {
  readonly #options: RunProducerOptions;
  #producer: OffsetsProducer;
  /** Ends of producers that were replaced. */
  readonly #retired: Promise<void>[] = [];
  /** Why the producer may be of no use. */
  #doubt: OffloadError | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(options: RunProducerOptions, producer: OffsetsProducer) {
    this.#options = options;
    this.#producer = producer;
  }

  /** Connects; fences nobody yet. @throws OffloadError BROKER_UNREACHABLE, BROKER_TIMEOUT, NOT_AUTHORIZED */
  static async connect(options: RunProducerOptions): Promise<RunProducer> {
    return new RunProducer(options, await OffsetsProducer.connect(options.kafka, options.transactionalId));
  }

  /** Number of partitions; 0 if there is no such topic. */
  countPartitions(): Promise<number> {
    return this.#producer.countPartitions(this.#options.topic);
  }

  fenceOthers(): Promise<void> {
    return this.#producer.fenceOthers();
  }

  /**
   * The same with a new producer, in place of one that may be of no use any more. What that had under way is ended, too.
   *
   * @throws OffloadError BROKER_UNREACHABLE, BROKER_TIMEOUT, NOT_AUTHORIZED
   */
  async fenceAnew(): Promise<void> {
    const { kafka, transactionalId } = this.#options;
    const producer = await OffsetsProducer.connect(kafka, transactionalId);
    this.#retired.push(this.#producer.disconnect());
    this.#producer = producer;
    await producer.fenceOthers();
  }

  /** Writes records in one transaction, after those asked for before. Never throws. */
  transact(writes: readonly TopicWrite[], kind: WriteKind): Promise<WriteResult> {
    const result = this.#queue.then(() => this.#transact(writes, kind));
    this.#queue = result;
    return result;
  }

  async #transact(writes: readonly TopicWrite[], kind: WriteKind): Promise<WriteResult> {
    if (this.#doubt) {
      try {
        const cause = await this.#renew(this.#doubt);
        if (cause) return { outcome: 'fenced', cause };
        this.#doubt = null;
      } catch (error) {
        return { outcome: 'unsent', cause: toOffloadError(error) };
      }
    }
    const result = await this.#producer.transact(this.#options.topic, writes);
    if (result.outcome === 'ok') return result;
    if (kind === 'heartbeat') this.#doubt = result.cause;
    return typeof kind === 'object' ? this.#makeSure(writes, kind, result) : result;
  }

  /** Looks for what may have been written, and writes it again if it is not there. */
  async #makeSure(
    writes: readonly TopicWrite[],
    { isDone }: RecognisedStep,
    result: Exclude<TransactionResult, { outcome: 'ok' }>,
  ): Promise<WriteResult> {
    let isThere = false;
    try {
      const cause = await this.#renew(result.cause, async () => {
        isThere = await isDone();
      });
      if (cause) return { outcome: 'fenced', cause };
    } catch {
      return { outcome: 'unknown', cause: result.cause };
    }
    return isThere ? { outcome: 'ok' } : this.#producer.transact(this.#options.topic, writes);
  }

  /**
   * @param look Done when nobody else can write, and before the record is looked at for the last time.
   * @returns Why the run is over; null if it has a good producer again.
   */
  async #renew(doubt: OffloadError, look: () => Promise<void> = async () => {}): Promise<OffloadError | null> {
    const { transactionalId, isHeld } = this.#options;
    countRetry(doubt.code);
    const taken = (): OffloadError =>
      new OffloadError('FENCED', `another run has begun as ${transactionalId}`, { cause: doubt });
    // Spares the run that took over, which fencing would stop.
    if (!(await isHeld())) return taken();
    await this.fenceAnew();
    await look();
    return (await isHeld()) ? null : taken();
  }

  /** Waits for what is under way, at most a few seconds; never throws. */
  async disconnect(): Promise<void> {
    await this.#queue;
    await Promise.all([...this.#retired, this.#producer.disconnect()]);
  }
}
