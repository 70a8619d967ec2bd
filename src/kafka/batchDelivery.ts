/**
 * Batches on their way to the leaders of their partitions: numbered, several under way at a time (produceLanes), and
 * each sent again until it is acknowledged.
 */
import { type EncodedRecordBatch, stampBatch } from '../encode/records/recordBatch.ts';
import { type OffloadError, toOffloadError } from '../errors.ts';
import { withRetry } from '../retry.ts';
import type { Cluster } from './cluster.ts';
import type { BrokerConnection } from './connection.ts';
import { produceApi, produceError } from './produce.ts';
import { shareOut, takeRound } from './produceLanes.ts';
import { type ProducerIdentity, placeOf } from './transactionProtocol.ts';

/** A broker that waits for replicas answers before the connection gives up. */
const ANSWER_SHARE = 0.8;

interface DeliveryOptions {
  readonly transactionalId: string;
  /** Ends the waits, with its reason. */
  readonly signal?: AbortSignal;
}

export class BatchDelivery {
  readonly #cluster: Cluster;
  readonly #options: DeliveryOptions;
  /** Sequence number of the next record, by partition; goes on from one transaction to the next. */
  readonly #sequences = new Map<string, number>();

  constructor(cluster: Cluster, options: DeliveryOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  /** Counts from 0 again, as a new epoch does. */
  restart(): void {
    this.#sequences.clear();
  }

  /**
   * Stamps batches in place. One partition is in one lane, and a lane has one round under way: its batches keep their
   * order.
   *
   * @returns When every one is acknowledged. On an error, nothing is under way any more.
   */
  async deliver(batches: readonly EncodedRecordBatch[], identity: ProducerIdentity): Promise<void> {
    let failed = false;
    const drain = async (lane: EncodedRecordBatch[][]): Promise<void> => {
      while (lane.length > 0 && !failed) await this.#produce(takeRound(lane), identity);
    };
    const lanes = shareOut(batches).map((lane) =>
      drain(lane).catch((error: unknown) => {
        failed = true;
        throw error;
      }),
    );
    // All of them, so that nothing is under way any more when the transaction is aborted.
    const results = await Promise.allSettled(lanes);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Writes batches of different partitions, each until it is acknowledged. */
  async #produce(round: readonly EncodedRecordBatch[], identity: ProducerIdentity): Promise<void> {
    for (const batch of round) this.#stamp(batch, identity);
    let left = round;
    const attempt = async (): Promise<void> => {
      const byBroker = new Map<BrokerConnection, EncodedRecordBatch[]>();
      for (const batch of left) {
        const { connection } = await this.#cluster.leader(batch.topic, batch.partition);
        byBroker.set(connection, [...(byBroker.get(connection) ?? []), batch]);
      }
      const asked = [...byBroker].map(([connection, together]) => this.#request(connection, together));
      const failures = new Map((await Promise.all(asked)).flat());
      left = left.filter((batch) => failures.has(batch));
      const errors = [...failures.values()];
      const first = errors.find((error) => !error.retriable) ?? errors[0];
      if (first) throw first;
    };
    const onFailure = (): void => {
      for (const { topic } of left) this.#cluster.forget(topic);
    };
    const { signal } = this.#options;
    await withRetry(attempt, this.#cluster.settings, signal ? { onFailure, signal } : { onFailure });
  }

  #stamp(batch: EncodedRecordBatch, identity: ProducerIdentity): void {
    const place = placeOf(batch);
    const baseSequence = this.#sequences.get(place) ?? 0;
    stampBatch(batch.bytes, { ...identity, baseSequence });
    // After 2^31 - 1 comes 0.
    this.#sequences.set(place, (baseSequence + batch.rows) % 2 ** 31);
  }

  /** Never rejects: the batches that were not acknowledged, each with its error. */
  async #request(
    connection: BrokerConnection,
    batches: readonly EncodedRecordBatch[],
  ): Promise<[EncodedRecordBatch, OffloadError][]> {
    const { transactionalId } = this.#options;
    const timeoutMs = Math.floor(this.#cluster.settings.requestTimeoutMs * ANSWER_SHARE);
    try {
      const answer = await connection.request(produceApi, { transactionalId, timeoutMs, batches });
      const results = new Map(answer.map((result) => [placeOf(result), result]));
      return batches.flatMap((batch) => {
        const result = results.get(placeOf(batch)) ?? { errorCode: -1, errorMessage: 'the answer leaves it out' };
        const error = produceError(batch, result, transactionalId, connection.address);
        return error ? [[batch, error]] : [];
      });
    } catch (error) {
      return batches.map((batch) => [batch, toOffloadError(error)]);
    }
  }
}
