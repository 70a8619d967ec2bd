/**
 * Transactions of record batches that are encoded already (encode/records): one transactional id, one transaction at a
 * time. Calls are carried out one after another, in the order in which they are made.
 *
 *     const producer = await TransactionalProducer.open(cluster, { transactionalId, transactionTimeoutMs });
 *     await producer.begin();
 *     await producer.send(batches);
 *     await producer.commit();
 *
 * A record is written once however often its request is: a partition's batches are numbered, one is under way at a time,
 * and the same one is sent again until it is acknowledged. A process that is killed leaves an open transaction, which
 * the next `open` of its id aborts, or the time-out of the transaction.
 */
import type { EncodedRecordBatch } from '../encode/records/recordBatch.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { passStep } from '../steps.ts';
import { BatchDelivery } from './batchDelivery.ts';
import { isMemberFenced } from './brokerErrors.ts';
import type { Cluster } from './cluster.ts';
import { CoordinatorLink } from './coordinatorLink.ts';
import { commitGroupOffsetsInTransaction } from './groupOffsets.ts';
import type { PartitionOffset } from './groupOffsetsProtocol.ts';
import type { GroupIdentity } from './groupProtocol.ts';
import { TransactionCoordinator } from './transactionCoordinator.ts';
import { type ProducerIdentity, placeOf, type TopicPartition } from './transactionProtocol.ts';

export interface TransactionalProducerOptions {
  readonly transactionalId: string;
  /** A transaction that is open for longer is aborted by its coordinator, which fences this producer. */
  readonly transactionTimeoutMs: number;
  /** Ends the waits of `open`, `begin` and `send`, with its reason; an end of a transaction is brought to its end. */
  readonly signal?: AbortSignal;
}

/** `failed`: aborted, or left to its time-out, and `abort` not called yet. `ended`: fenced, unknown or closed. */
type State = 'idle' | 'open' | 'failed' | 'ended';

export class TransactionalProducer {
  readonly #cluster: Cluster;
  readonly #options: TransactionalProducerOptions;
  readonly #coordinator: TransactionCoordinator;
  readonly #delivery: BatchDelivery;
  #identity: ProducerIdentity;
  #state: State = 'idle';
  /** Why the state is `failed` or `ended`. */
  #failure: OffloadError | null = null;
  /** Partitions of the open transaction, and groups of which it commits offsets. */
  readonly #added = new Set<string>();
  readonly #groups = new Map<string, CoordinatorLink>();
  /** What was under way when a transaction failed may have been written: the next one starts with a new epoch. */
  #needsNewEpoch: boolean = false;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    cluster: Cluster,
    options: TransactionalProducerOptions,
    coordinator: TransactionCoordinator,
    identity: ProducerIdentity,
  ) {
    this.#cluster = cluster;
    this.#options = options;
    this.#coordinator = coordinator;
    this.#delivery = new BatchDelivery(cluster, options);
    this.#identity = identity;
  }

  /**
   * Fences every other producer of the id and aborts the transaction it left open.
   *
   * @param cluster Stays the caller's, also after `close`.
   * @throws OffloadError BROKER_UNREACHABLE, BROKER_TIMEOUT or LEADER_MOVED after the cluster's deadline; NOT_AUTHORIZED
   *   naming the permission; BROKER_REFUSED for a time-out above the broker's limit; the signal's reason.
   */
  static async open(cluster: Cluster, options: TransactionalProducerOptions): Promise<TransactionalProducer> {
    const { transactionalId, transactionTimeoutMs, signal } = options;
    const coordinator = new TransactionCoordinator(cluster, transactionalId, transactionTimeoutMs, signal);
    const identity = await coordinator.initProducerId(null);
    passStep('transaction.othersFenced');
    return new TransactionalProducer(cluster, options, coordinator, identity);
  }

  /** @throws OffloadError FENCED, or why the last transaction left the producer unusable. */
  begin(): Promise<void> {
    return this.#enqueue(async () => {
      this.#expect('idle', 'begin');
      if (this.#needsNewEpoch) {
        try {
          this.#identity = await this.#coordinator.initProducerId(this.#identity);
        } catch (error) {
          throw this.#endIfFenced(error);
        }
        this.#delivery.restart();
        this.#needsNewEpoch = false;
      }
      this.#state = 'open';
    });
  }

  /**
   * Adds partitions to the open transaction before anything is written to them, so that this need not be waited for then.
   * One that is not written to gets an empty end of the transaction.
   *
   * @throws OffloadError as `send`.
   */
  addPartitions(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#enqueue(async () => {
      this.#expect('open', 'addPartitions');
      try {
        await this.#addPartitions(partitions);
      } catch (error) {
        await this.#fail(error);
        throw error;
      }
    });
  }

  /**
   * Writes batches as part of the open transaction: resolves when every one is acknowledged by all replicas in sync.
   * Batches of one partition are written in the order given. They are stamped in place and must not change meanwhile.
   *
   * On an error the transaction is aborted before the error is thrown; only `abort` and `close` may follow.
   *
   * @throws OffloadError FENCED; NOT_AUTHORIZED naming the permission; BATCH_TOO_LARGE naming the topic's setting;
   *   BROKER_REFUSED with the broker's own words; a retriable one after the cluster's deadline; the signal's reason.
   */
  send(batches: readonly EncodedRecordBatch[]): Promise<void> {
    return this.#enqueue(async () => {
      this.#expect('open', 'send');
      try {
        await this.#addPartitions(batches);
        await this.#delivery.deliver(batches, this.#identity);
      } catch (error) {
        await this.#fail(error);
        throw error;
      }
    });
  }

  /**
   * Commits offsets of a consumer group with the open transaction: they are the group's when it is committed, and stay as
   * they were when it is aborted.
   *
   * On an error the transaction is aborted before the error is thrown; only `abort` and `close` may follow.
   *
   * @param member Whose generation has to be the group's newest (`GroupMember.commitAs`).
   * @throws OffloadError FENCED if the group went on without the member: the producer can be used on after `abort`; any
   *   that `send` throws.
   */
  sendOffsets(member: GroupIdentity, positions: readonly PartitionOffset[]): Promise<void> {
    return this.#enqueue(async () => {
      this.#expect('open', 'sendOffsets');
      if (positions.length === 0) return;
      try {
        await this.#commitOffsets(member, positions);
      } catch (error) {
        await this.#fail(error);
        throw error;
      }
    });
  }

  /**
   * Makes everything sent visible at once. Without anything sent there is nothing to do.
   *
   * @throws OffloadError OUTCOME_UNKNOWN if the answer was lost and the deadline passed: the transaction is committed or
   *   not, and the producer cannot be used any more. Any other error: nothing was committed.
   */
  commit(): Promise<void> {
    return this.#enqueue(async () => {
      this.#expect('open', 'commit');
      if (this.#added.size > 0) {
        try {
          passStep('transaction.ending');
          await this.#coordinator.commit(this.#identity);
          passStep('transaction.committed');
        } catch (error) {
          const failure = toOffloadError(error);
          if (failure.code === 'OUTCOME_UNKNOWN') this.#end(failure);
          else await this.#fail(failure);
          throw failure;
        }
      }
      this.#added.clear();
      this.#state = 'idle';
    });
  }

  /**
   * Takes back everything sent. After a failed `send` it has been done already, and this makes way for `begin`.
   *
   * @throws OffloadError FENCED; a retriable one if the coordinator did not answer: the time-out aborts then.
   */
  abort(): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#state === 'ended') throw this.#failure ?? this.#misused('abort');
      if (this.#state === 'open') await this.#abortOpen();
      this.#failure = null;
      this.#state = 'idle';
    });
  }

  /** Aborts what is open, as far as that can be done. Never throws; a second call does nothing. */
  async close(): Promise<void> {
    await this.#enqueue(async () => {
      if (this.#state === 'open') await this.#abortOpen().catch(() => {});
      if (this.#state !== 'ended') this.#end(null);
    });
  }

  #enqueue<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(call);
    this.#queue = result.catch(() => {});
    return result;
  }

  #expect(state: State, call: string): void {
    if (this.#state === state) return;
    throw this.#failure ?? this.#misused(call);
  }

  #misused(call: string): OffloadError {
    const message = `${call} of producer ${this.#options.transactionalId} while it is ${this.#state}`;
    return new OffloadError('INTERNAL', message, { context: { state: this.#state } });
  }

  async #abortOpen(): Promise<void> {
    try {
      if (this.#added.size > 0) {
        this.#needsNewEpoch = true;
        await this.#coordinator.abort(this.#identity);
      }
    } catch (error) {
      this.#state = 'failed';
      throw this.#endIfFenced(error);
    } finally {
      this.#added.clear();
    }
  }

  async #fail(error: unknown): Promise<void> {
    const failure = this.#endIfFenced(error);
    if (this.#state === 'ended') return;
    this.#failure = failure;
    // The first failure is the one to tell.
    await this.#abortOpen().catch(() => {});
    if (this.#state === 'open') this.#state = 'failed';
  }

  #endIfFenced(error: unknown): OffloadError {
    const failure = toOffloadError(error);
    if (failure.code === 'FENCED' && !isMemberFenced(failure)) this.#end(failure);
    return failure;
  }

  #end(failure: OffloadError | null): void {
    this.#state = 'ended';
    this.#failure ??= failure;
  }

  async #addPartitions(partitions: readonly TopicPartition[]): Promise<void> {
    const fresh = new Map<string, TopicPartition>();
    for (const place of partitions) if (!this.#added.has(placeOf(place))) fresh.set(placeOf(place), place);
    if (fresh.size === 0) return;
    // Before the answer: one that is lost may have added them.
    for (const place of fresh.keys()) this.#added.add(place);
    await this.#coordinator.addPartitions(this.#identity, [...fresh.values()]);
    passStep('transaction.partitionsAdded');
  }

  async #commitOffsets(identity: GroupIdentity, positions: readonly PartitionOffset[]): Promise<void> {
    const { groupId } = identity;
    const { transactionalId, signal } = this.#options;
    // No partition has such a name.
    const place = `group ${groupId}`;
    if (!this.#added.has(place)) {
      this.#added.add(place);
      await this.#coordinator.addOffsets(this.#identity, groupId);
      passStep('transaction.groupAdded');
    }
    const link = this.#groups.get(groupId) ?? new CoordinatorLink(this.#cluster, { kind: 'group', id: groupId });
    this.#groups.set(groupId, link);
    const request = { transactionalId, ...this.#identity, identity, positions };
    await commitGroupOffsetsInTransaction(link, request, signal);
    passStep('transaction.offsetsSent');
  }
}
