/**
 * The transactions of a stream into a topic, and their transactional ids.
 *
 *     kafkaload.stream/CLUSTER/GROUP/TOPIC/PARTITION    CLUSTER: id of the source's; TOPIC/PARTITION: of the source
 *     kafkaload.stream/CLUSTER/GROUP/TOPIC/PARTITION/2  of rows that flow while the first is being committed
 *
 * On one cluster a process has one transaction at a time, under an id of one of its partitions; what is in it is the
 * group's to judge, by generation. Where rows flow on while one is being committed (Continuous) it has two: the second
 * is committed when the first is, or never. Both ids are claimed with a partition, whatever the trigger: the process
 * before may have had another, and what it left open holds up every reader of the target.
 * Where the target is another cluster each partition has a transaction of its own (topicLedgers.ts).
 *
 * A partition that becomes ours is claimed first: whoever takes the id of a partition aborts what a process that died
 * under it has left open, at once rather than after the time-out, and fences one that only sleeps. A partition that is
 * given back takes its id with it: the next transaction goes under the id of another. So a living process is never
 * fenced for a partition it has given back, and there are no more ids than partitions.
 *
 * What became of a transaction whose end nobody answered is decided by looking: the id is taken anew, which ends it one
 * way or the other, and then what is committed is read.
 */
import { STOP_WITHIN_MS, untilStopped, withinMs } from '../coordinator/stopping.ts';
import { OffloadError } from '../errors.ts';
import type { Cluster } from '../kafka/cluster.ts';
import { TransactionalProducer } from '../kafka/transactionalProducer.ts';
import { offsetKey } from '../plan/places.ts';
import { passStep } from '../steps.ts';
import type { Ledger } from './topicLedgers.ts';
import { type Outgoing, TransactionLane } from './transactionLane.ts';
import type { GroupOffset, Position, TopicPartition } from './types.ts';

/** After this a coordinator aborts what a process that died has left, if nobody claims its partitions before. */
const TRANSACTION_TIMEOUT_MS = 20_000;
/** A transaction that has been open for so long is committed as it is, and the rest goes into the next. */
const DUE_AFTER_MS = 8_000;
const CLAIMS_AT_ONCE = 8;

export interface TopicTransactionsOptions {
  readonly target: Cluster;
  readonly ledger: Ledger;
  /** Of the source. */
  readonly clusterId: string;
  readonly groupId: string;
  /** Whether rows are to be sent while a transaction is being committed, where source and target are one cluster. */
  readonly overlap: boolean;
  readonly signal: AbortSignal;
}

export class TopicTransactions {
  readonly #options: TopicTransactionsOptions;
  readonly #lanes = new Map<string, TransactionLane>();
  readonly #owned = new Map<string, TopicPartition>();
  /** Committed, as far as is known. */
  readonly #positions = new Map<string, number>();

  constructor(options: TopicTransactionsOptions) {
    this.#options = options;
  }

  /** Whether `send` may be called while `commit` is under way. Then that fails as a whole, or not at all. */
  get canOverlap(): boolean {
    return this.#options.overlap && this.#options.ledger.isGroup;
  }

  get isGroupCommitted(): boolean {
    return this.#options.ledger.isGroup;
  }

  /** Takes the ids of partitions that became ours. */
  async claim(partitions: readonly TopicPartition[]): Promise<void> {
    const left = [...partitions];
    const claimNext = async (): Promise<void> => {
      for (let place = left.shift(); place; place = left.shift()) await this.#claimOne(place);
    };
    await Promise.all(Array.from({ length: CLAIMS_AT_ONCE }, claimNext));
    passStep('stream.claimed');
  }

  /** Where reading of partitions that became ours goes on; those without a position are left out. */
  async resume(
    committed: readonly GroupOffset[],
    topicIds: Readonly<Record<string, string>>,
  ): Promise<readonly Position[]> {
    const fresh = committed.filter((place) => !this.#owned.has(offsetKey(place)));
    if (fresh.length > 0) await this.claim(fresh);
    await this.settle();
    const positions = await this.#options.ledger.resume(committed, topicIds);
    for (const place of committed) this.#positions.delete(offsetKey(place));
    for (const position of positions) this.#positions.set(offsetKey(position), position.offset);
    return positions;
  }

  /** Partitions that are not ours any more; no transaction with rows of them is open. */
  release(partitions: readonly TopicPartition[]): void {
    for (const place of partitions) {
      const key = offsetKey(place);
      this.#owned.delete(key);
      this.#positions.delete(key);
      const lane = this.#lane(place);
      lane.forget(place);
      if (lane.place === null || offsetKey(lane.place) !== key) continue;
      lane.discard();
      lane.place = null;
    }
  }

  /** Reads what is committed wherever that is in doubt. */
  async settle(): Promise<void> {
    const doubtful = [...this.#lanes.values()].filter(({ isInDoubt }) => isInDoubt);
    await Promise.all(doubtful.map((lane) => this.#settleLane(lane)));
  }

  /** What is committed of a partition; null: not known. */
  positionOf(place: TopicPartition): number | null {
    return this.#positions.get(offsetKey(place)) ?? null;
  }

  /**
   * Writes into the open transaction, or opens one.
   *
   * @throws OffloadError as `TransactionalProducer.send`; then `abort` is to follow.
   */
  async send(outgoing: readonly Outgoing[]): Promise<void> {
    const byLane = new Map<TransactionLane, Outgoing[]>();
    for (const part of outgoing) {
      const lane = this.#lane(part);
      byLane.set(lane, [...(byLane.get(lane) ?? []), part]);
    }
    await Promise.all([...byLane].map(([lane, parts]) => lane.send(parts)));
    passStep('stream.rowsSent');
  }

  /** Has what is sent after the next `commit` find a transaction that is open. @throws OffloadError as `send`. */
  async prepare(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.prepare()));
  }

  /** Whether a transaction has been open for so long that it is better committed now. */
  get isDue(): boolean {
    const now = performance.now();
    return [...this.#lanes.values()].some(
      ({ openSinceMs }) => openSinceMs !== null && now - openSinceMs > DUE_AFTER_MS,
    );
  }

  /**
   * Commits what was written with the positions that it reaches. Where there are several transactions some may be
   * committed when this throws: `positionOf` tells.
   *
   * @returns Positions that are committed now.
   * @throws OffloadError FENCED: nothing was committed. A retriable one: what became of it shows in `settle`. Then `abort`
   *   is to follow.
   */
  async commit(signal: AbortSignal): Promise<readonly Position[]> {
    const open = [...this.#lanes.values()].filter(({ openSinceMs }) => openSinceMs !== null);
    // Each has let go of its open transaction before this waits.
    const ended = await Promise.allSettled(open.map((lane) => this.#commitLane(lane, signal)));
    for (const result of ended) if (result.status === 'rejected') throw result.reason;
    return ended.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  }

  /** The group has committed these, behind the transactions. */
  groupCommitted(positions: readonly Position[]): void {
    this.#options.ledger.groupCommitted(positions);
  }

  /** Takes back all that is not committed. Never throws. */
  async abort(): Promise<void> {
    const open = [...this.#lanes.values()].filter(({ isOpen }) => isOpen);
    await Promise.all(open.map((lane) => this.#abortLane(lane)));
  }

  /** After FENCED: reads what is committed of all partitions that are ours. */
  async lookAgain(): Promise<void> {
    for (const lane of this.#lanes.values()) lane.isInDoubt = true;
    await this.settle();
  }

  async close(): Promise<void> {
    await this.abort();
    for (const lane of this.#lanes.values()) lane.discard();
    this.#lanes.clear();
  }

  #lane(place: TopicPartition): TransactionLane {
    const name = this.#options.ledger.laneOf(place);
    const known = this.#lanes.get(name);
    if (known) return known;
    const lane: TransactionLane = new TransactionLane(this.#turns, (turn) => {
      lane.place ??= this.#placesOf(lane)[0] ?? null;
      if (lane.place === null) throw new OffloadError('INTERNAL', 'a transaction was begun for no partition');
      return this.#open(lane.place, turn);
    });
    this.#lanes.set(name, lane);
    return lane;
  }

  get #turns(): number {
    return this.canOverlap ? 2 : 1;
  }

  get #idsOfPartition(): number {
    return this.#options.ledger.isGroup ? 2 : 1;
  }

  async #claimOne(place: TopicPartition): Promise<void> {
    const lane = this.#lane(place);
    const isItsOwn = lane.place !== null && offsetKey(lane.place) === offsetKey(place);
    // Its ids are about to be taken again: it would be fenced by this very process.
    if (isItsOwn) lane.discard();
    const opened = Array.from({ length: this.#idsOfPartition }, (_, turn) => this.#open(place, turn));
    const producers = await Promise.all(opened);
    this.#owned.set(offsetKey(place), place);
    const adopted = lane.hasProducer ? [] : producers.splice(0, this.#turns);
    if (adopted.length > 0) lane.adopt(place, adopted);
    for (const producer of producers) await producer.close();
  }

  #open({ topic, partition }: TopicPartition, turn: number): Promise<TransactionalProducer> {
    const { target, clusterId, groupId, signal } = this.#options;
    const first = `kafkaload.stream/${clusterId}/${groupId}/${topic}/${partition}`;
    return TransactionalProducer.open(target, {
      transactionalId: turn === 0 ? first : `${first}/${turn + 1}`,
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
      signal,
    });
  }

  #placesOf(lane: TransactionLane): TopicPartition[] {
    return [...this.#owned.values()].filter((place) => this.#lane(place) === lane);
  }

  async #settleLane(lane: TransactionLane): Promise<void> {
    const places = this.#placesOf(lane);
    if (places.length > 0) {
      await lane.reopen();
      for (const entry of await this.#options.ledger.look(places)) {
        if (entry.offset !== null) this.#positions.set(offsetKey(entry), entry.offset);
      }
    }
    lane.isInDoubt = false;
  }

  async #commitLane(lane: TransactionLane, signal: AbortSignal): Promise<readonly Position[]> {
    // A broker that does not answer must not keep a process that was told to stop.
    const positions = await lane.commit((producer, reached) =>
      untilStopped(this.#options.ledger.end(producer, reached), signal),
    );
    for (const position of positions) this.#positions.set(offsetKey(position), position.offset);
    return positions;
  }

  async #abortLane(lane: TransactionLane): Promise<void> {
    let isAborted = false;
    const abort = lane.abort().then((done) => {
      isAborted = done;
    });
    await withinMs(abort, STOP_WITHIN_MS);
    if (isAborted) return;
    // Taking its ids anew aborts it.
    lane.isInDoubt = true;
    lane.discard();
  }
}
