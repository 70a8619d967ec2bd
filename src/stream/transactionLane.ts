/**
 * The transactions of partitions that share one: open, written to, ended. Its producers take turns: with two of them rows
 * go into the next transaction while the last one is on its way to being committed, which takes the coordinator and every
 * partition in it some milliseconds. At most one is on its way, and the next is committed after it or not at all. The next
 * one is open before rows need it, with the partitions that they most likely go to.
 */
import type { EncodedRecordBatch } from '../encode/records/recordBatch.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import type { TransactionalProducer } from '../kafka/transactionalProducer.ts';
import { offsetKey } from '../plan/places.ts';
import type { Position, TopicPartition } from './types.ts';

/** Records of a source partition, and where it goes on after them. */
export interface Outgoing extends TopicPartition {
  readonly batches: readonly EncodedRecordBatch[];
  readonly next: number;
}

export class TransactionLane {
  /** Partition whose ids it has. */
  place: TopicPartition | null = null;
  /** What is committed has to be looked at before anything else is written. */
  isInDoubt = false;
  /** Null: opened when it is needed. */
  readonly #producers: (TransactionalProducer | null)[];
  readonly #open: (turn: number) => Promise<TransactionalProducer>;
  /** Whose transaction is open, or is the next. */
  #turn = 0;
  /** Null: no transaction is open. */
  #openSinceMs: number | null = null;
  /** Positions that the open transaction reaches, by `offsetKey`. */
  readonly #reached = new Map<string, Position>();
  /** Partitions of the target that the open transaction is written to. */
  readonly #written = new Map<string, TopicPartition>();
  /** Since when the transaction after it is open, too. */
  #nextSinceMs: number | null = null;
  #preparing: Promise<void> = Promise.resolve();

  /** @param open Takes the id of a turn; not called before there is a `place`. */
  constructor(turns: number, open: (turn: number) => Promise<TransactionalProducer>) {
    this.#producers = Array.from({ length: turns }, () => null);
    this.#open = open;
  }

  /** Since when a transaction is open, as `performance.now()` has it; null: none is. */
  get openSinceMs(): number | null {
    return this.#openSinceMs;
  }

  /** Whether anything is open, that which was opened ahead included. */
  get isOpen(): boolean {
    return this.#openSinceMs !== null || this.#nextSinceMs !== null;
  }

  get hasProducer(): boolean {
    return this.#producers.some((producer) => producer !== null);
  }

  /** Goes on under ids that were just taken: one producer for each turn. Only without one. */
  adopt(place: TopicPartition, producers: readonly TransactionalProducer[]): void {
    this.place = place;
    for (const [turn, producer] of producers.entries()) this.#producers[turn] = producer;
  }

  /** Takes all ids anew, which ends whatever is open under them. */
  async reopen(): Promise<void> {
    this.discard();
    for (const turn of this.#producers.keys()) await this.#producer(turn);
  }

  /** Writes into the open transaction, or opens one. @throws OffloadError as `TransactionalProducer.send`. */
  async send(parts: readonly Outgoing[]): Promise<void> {
    const producer = await this.#producer(this.#turn);
    if (this.#openSinceMs === null) {
      await producer.begin();
      this.#openSinceMs = performance.now();
    }
    const batches = parts.flatMap((part) => part.batches);
    if (batches.length > 0) await producer.send(batches);
    for (const { topic, partition } of batches) {
      this.#written.set(offsetKey({ topic, partition }), { topic, partition });
    }
    for (const { topic, partition, next } of parts) {
      this.#reached.set(offsetKey({ topic, partition }), { topic, partition, offset: next });
    }
  }

  /**
   * Opens the transaction after the one that is open; does nothing without a second producer. Rows may be sent meanwhile.
   *
   * @throws OffloadError as `TransactionalProducer.send`.
   */
  async prepare(): Promise<void> {
    if (this.#producers.length === 1 || this.#written.size === 0 || this.#nextSinceMs !== null) return;
    const open = async (): Promise<void> => {
      const producer = await this.#producer(this.#turnAfter);
      this.#nextSinceMs = performance.now();
      await producer.begin();
      await producer.addPartitions([...this.#written.values()]);
    };
    const opened = open();
    this.#preparing = opened.catch(() => {});
    await opened;
  }

  /**
   * Ends the open transaction; with two producers rows may be sent into the next one at once.
   *
   * @param end Commits what was written with the positions behind it.
   * @throws OffloadError FENCED: nothing was committed. A retriable one: that has to be looked at.
   */
  async commit(
    end: (producer: TransactionalProducer, positions: readonly Position[]) => Promise<void>,
  ): Promise<readonly Position[]> {
    const turn = this.#turn;
    const producer = this.#producers[turn] ?? null;
    const positions = [...this.#reached.values()];
    this.#turn = this.#turnAfter;
    this.#forgetOpen();
    this.#openSinceMs = this.#nextSinceMs;
    this.#nextSinceMs = null;
    if (producer === null) throw new OffloadError('INTERNAL', 'a transaction was to be committed that is not open');
    try {
      await end(producer, positions);
      return positions;
    } catch (error) {
      this.isInDoubt = true;
      this.#discardOne(turn, producer);
      const failure = toOffloadError(error);
      if (failure.code !== 'OUTCOME_UNKNOWN') throw error;
      throw new OffloadError('BROKER_TIMEOUT', failure.message, { context: failure.context, cause: failure });
    }
  }

  /** Takes back what is open. @returns False where that is left to whoever takes the ids next. */
  async abort(): Promise<boolean> {
    await this.#preparing;
    const isNextOpen = this.#nextSinceMs !== null;
    this.#nextSinceMs = null;
    this.#forgetOpen();
    const turns = isNextOpen ? [this.#turn, this.#turnAfter] : [this.#turn];
    const aborted = await Promise.all(turns.map((turn) => this.#abortOne(turn)));
    return aborted.every((done) => done);
  }

  async #abortOne(turn: number): Promise<boolean> {
    const producer = this.#producers[turn] ?? null;
    try {
      await producer?.abort();
      return true;
    } catch {
      if (producer !== null) this.#discardOne(turn, producer);
      return false;
    }
  }

  /** A partition that is not ours any more. */
  forget(place: TopicPartition): void {
    this.#reached.delete(offsetKey(place));
  }

  /** What its producers have open is aborted behind our back, as far as that can be done; the next begin anew. */
  discard(): void {
    this.#forgetOpen();
    this.#nextSinceMs = null;
    for (const [turn, producer] of this.#producers.entries()) if (producer !== null) this.#discardOne(turn, producer);
  }

  get #turnAfter(): number {
    return (this.#turn + 1) % this.#producers.length;
  }

  #forgetOpen(): void {
    this.#openSinceMs = null;
    this.#reached.clear();
    this.#written.clear();
  }

  #discardOne(turn: number, producer: TransactionalProducer): void {
    producer.close().catch(() => {});
    if (this.#producers[turn] === producer) this.#producers[turn] = null;
  }

  async #producer(turn: number): Promise<TransactionalProducer> {
    const known = this.#producers[turn];
    if (known) return known;
    const producer = await this.#open(turn);
    this.#producers[turn] = producer;
    return producer;
  }
}
