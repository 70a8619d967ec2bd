/** What is asked of the broker that keeps the state of one transactional id. */
import { OffloadError, toOffloadError } from '../errors.ts';
import { brokerError } from './brokerErrors.ts';
import type { Cluster } from './cluster.ts';
import type { BrokerConnection } from './connection.ts';
import { CoordinatorLink } from './coordinatorLink.ts';
import { addOffsetsToTxnApi } from './groupOffsetsProtocol.ts';
import {
  addPartitionsToTxnApi,
  endTxnApi,
  initProducerIdApi,
  type ProducerIdentity,
  type TopicPartition,
} from './transactionProtocol.ts';

const TOPIC_AUTHORIZATION_FAILED = 29;
const GROUP_AUTHORIZATION_FAILED = 30;
const INVALID_TRANSACTION_TIMEOUT = 50;
/** Of several partitions that are added together, one was refused and so none was added. */
const OPERATION_NOT_ATTEMPTED = 55;

/** The end of the transaction before takes a few milliseconds: waits for it begin short. */
const FIRST_BACKOFF_MS = 5;
/** A transaction that cannot be aborted within this time is left to its time-out. */
const ABORT_DEADLINE_MS = 10_000;

export class TransactionCoordinator {
  readonly #cluster: Cluster;
  readonly #transactionalId: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #link: CoordinatorLink;

  constructor(cluster: Cluster, transactionalId: string, transactionTimeoutMs: number, signal?: AbortSignal) {
    this.#cluster = cluster;
    this.#transactionalId = transactionalId;
    this.#timeoutMs = transactionTimeoutMs;
    this.#signal = signal;
    this.#link = new CoordinatorLink(cluster, { kind: 'transactional id', id: transactionalId });
  }

  /**
   * Takes a new epoch, which fences every older one, and aborts the transaction that an older one left open.
   *
   * @param current Who asks, if not for the first time: FENCED unless it is the newest.
   */
  async initProducerId(current: ProducerIdentity | null): Promise<ProducerIdentity> {
    const { producerId, producerEpoch } = await this.#retry(async (coordinator) => {
      const request = { transactionalId: this.#transactionalId, transactionTimeoutMs: this.#timeoutMs, current };
      const answer = await coordinator.request(initProducerIdApi, request);
      this.#check(answer.errorCode, 'cannot begin', coordinator);
      return answer;
    });
    return { producerId, producerEpoch };
  }

  /** Makes partitions part of the open transaction; the first ones open it. */
  async addPartitions(producer: ProducerIdentity, partitions: readonly TopicPartition[]): Promise<void> {
    await this.#retry(async (coordinator) => {
      const request = { transactionalId: this.#transactionalId, ...producer, partitions };
      const answer = await coordinator.request(addPartitionsToTxnApi, request);
      const failed = answer.filter(({ errorCode }) => errorCode !== 0);
      const [reason] = [...failed.filter(({ errorCode }) => errorCode !== OPERATION_NOT_ATTEMPTED), ...failed];
      if (reason === undefined) return;
      const { topic, partition, errorCode } = reason;
      const permission = errorCode === TOPIC_AUTHORIZATION_FAILED ? `Write on topic ${topic}` : undefined;
      this.#check(errorCode, `cannot add ${topic}/${partition} to the transaction`, coordinator, permission);
    });
  }

  /** Makes the offsets of a group part of the transaction: the group's coordinator is told of its end. */
  async addOffsets(producer: ProducerIdentity, groupId: string): Promise<void> {
    await this.#retry(async (coordinator) => {
      const request = { transactionalId: this.#transactionalId, ...producer, groupId };
      const { errorCode } = await coordinator.request(addOffsetsToTxnApi, request);
      const permission = errorCode === GROUP_AUTHORIZATION_FAILED ? `Read on group ${groupId}` : undefined;
      this.#check(errorCode, `cannot add the offsets of group ${groupId} to the transaction`, coordinator, permission);
    });
  }

  /**
   * Commits. A coordinator that has been asked answers a second time as it did the first, so it is asked until it answers.
   *
   * @throws OffloadError OUTCOME_UNKNOWN when an answer may have been lost and none came later; any other error means
   *   that nothing was committed.
   */
  async commit(producer: ProducerIdentity): Promise<void> {
    let asked = 0;
    try {
      await this.#end(producer, true, this.#cluster.settings.deadlineMs, () => {
        asked += 1;
      });
    } catch (error) {
      const failure = toOffloadError(error);
      // After one that was lost, a refusal can mean that it had been carried out.
      if (asked === 0 || (asked === 1 && !failure.retriable)) throw failure;
      throw new OffloadError(
        'OUTCOME_UNKNOWN',
        `it is not known whether the transaction of ${this.#transactionalId} was committed: ${failure.message}`,
        { context: { transactionalId: this.#transactionalId }, cause: failure },
      );
    }
  }

  /** Aborts: nothing of the transaction is ever seen under read_committed. */
  abort(producer: ProducerIdentity): Promise<void> {
    return this.#end(producer, false, Math.min(ABORT_DEADLINE_MS, this.#cluster.settings.deadlineMs), () => {});
  }

  /** Not ended by the signal: what was begun has to be brought to an end. */
  async #end(producer: ProducerIdentity, committed: boolean, deadlineMs: number, onAsk: () => void): Promise<void> {
    const attempt = async (coordinator: BrokerConnection): Promise<void> => {
      onAsk();
      const request = { transactionalId: this.#transactionalId, ...producer, committed };
      const { errorCode } = await coordinator.request(endTxnApi, request);
      this.#check(errorCode, committed ? 'cannot commit the transaction' : 'cannot abort the transaction', coordinator);
    };
    await this.#retry(attempt, { deadlineMs });
  }

  #retry<T>(ask: (coordinator: BrokerConnection) => Promise<T>, ending?: { readonly deadlineMs: number }): Promise<T> {
    const policy = { retryBackoffMs: FIRST_BACKOFF_MS, ...ending };
    return this.#link.askUntilAnswered(ask, ending === undefined ? { policy, signal: this.#signal } : { policy });
  }

  #check(errorCode: number, attempt: string, coordinator: BrokerConnection, permission?: string): void {
    if (errorCode === 0) return;
    const id = this.#transactionalId;
    const detail =
      errorCode === INVALID_TRANSACTION_TIMEOUT
        ? `the transaction time-out of ${this.#timeoutMs} ms is above the broker's transaction.max.timeout.ms`
        : undefined;
    throw brokerError(
      errorCode,
      `${attempt} as transactional id ${id} at broker ${coordinator.address}`,
      permission ?? `Write on transactional id ${id}`,
      detail,
    );
  }
}
