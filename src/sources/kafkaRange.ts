/**
 * Reads the record batches of one offset range, still compressed, from whoever leads the partition: the next Fetch is on
 * its way while the last is decoded. Leader changes and lost connections are survived; a range goes on where it was.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FetchSettings } from '../config/kafkaSettings.ts';
import { OffloadError } from '../errors.ts';
import { brokerError } from '../kafka/brokerErrors.ts';
import type { Cluster, Leader } from '../kafka/cluster.ts';
import type { BrokerConnection } from '../kafka/connection.ts';
import { type AbortedTransaction, type FetchResponse, fetchFrom } from '../kafka/fetch.ts';
import { EARLIEST_TIMESTAMP } from '../kafka/protocol.ts';
import type { OffsetRange } from '../tasks.ts';
import { magicOf, scanBatches } from './scanBatches.ts';

/** A log whose last offsets were compacted away answers with nothing below its end, however often it is asked. */
const EMPTY_ANSWERS_ARE_A_GAP = 3;
const OFFSET_OUT_OF_RANGE = 1;
/** Asked again at least this often, whatever a broker says of its quota. */
const MAX_THROTTLE_MS = 10_000;
/** Asked for beyond what a range should still have: its last batch must be whole, or it takes another request. */
const SPARE_BYTES = 512 * 1024;
/** A quota that lets nothing through for so many deadlines of requests is not waited for any longer. */
const THROTTLED_DEADLINES = 10;

export interface KafkaRangeOptions {
  readonly fetch: FetchSettings;
  /** False: offsets that are gone are skipped and counted in `lostOffsets`. */
  readonly failOnDataLoss: boolean;
  /** As fetched, from a range that was read before; null: nothing is known. */
  readonly bytesPerOffset?: number | null;
}

/**
 * Complete record batches of one answer, the first of which may begin before `startOffset`. Valid until the next call of
 * `next()`, which uses the memory again.
 */
export interface FetchedRecords {
  readonly records: Buffer;
  readonly aborted: readonly AbortedTransaction[];
  readonly startOffset: number;
  /** Offset after the last batch. */
  readonly nextOffset: number;
}

interface Fetched {
  readonly response: FetchResponse;
  readonly connection: BrokerConnection;
}

export class KafkaRangeReader {
  readonly #cluster: Cluster;
  readonly #range: OffsetRange;
  readonly #options: KafkaRangeOptions;
  #position: number;
  #maxBytes: number;
  #replica = -1;
  #emptyAnswers = 0;
  /** Since when answers only throttled, or sent the reader to another replica; null: the last one had batches. */
  #heldSinceMs: number | null = null;
  #lostOffsets = 0;
  #bytesPerOffset: number | null;
  #underWay: Promise<Fetched> | null = null;
  /** What the caller was given last. */
  #lent: Fetched | null = null;

  constructor(cluster: Cluster, range: OffsetRange, options: KafkaRangeOptions) {
    this.#cluster = cluster;
    this.#range = range;
    this.#options = options;
    this.#position = range.startOffset;
    this.#maxBytes = options.fetch.maxBytes;
    this.#bytesPerOffset = options.bytesPerOffset ?? null;
  }

  /** Offsets of the range that were gone before they could be read. */
  get lostOffsets(): number {
    return this.#lostOffsets;
  }

  /** Of the last answer, or what was given; null: unknown. */
  get bytesPerOffset(): number | null {
    return this.#bytesPerOffset;
  }

  /**
   * The next record batches, or null when the range has been read to its end.
   *
   * @throws OffloadError OFFSET_LOST if the log no longer holds the position; what a request fails with after its
   *   deadline.
   */
  async next(): Promise<FetchedRecords | null> {
    this.#lent?.connection.recycle(this.#lent.response.records);
    this.#lent = null;
    while (this.#position < this.#range.endOffset) {
      const startOffset = this.#position;
      this.#underWay ??= this.#fetch(startOffset);
      const fetched = await this.#underWay;
      const { response } = fetched;
      this.#underWay = null;
      if (response.errorCode === OFFSET_OUT_OF_RANGE) {
        await this.#skipLost();
        continue;
      }
      const { end, nextOffset } = scanBatches(response.records);
      if (end === 0) {
        if (response.records.length > 0) this.#growFetch(response.records.length);
        else await this.#emptyAnswer(response);
        continue;
      }
      this.#emptyAnswers = 0;
      this.#heldSinceMs = null;
      this.#advance(nextOffset, response.records);
      this.#bytesPerOffset = end / (nextOffset - startOffset);
      if (this.#position < this.#range.endOffset) this.#prefetch();
      this.#lent = fetched;
      return { records: response.records.subarray(0, end), aborted: response.aborted, startOffset, nextOffset };
    }
    return null;
  }

  #advance(nextOffset: number, records: Buffer): void {
    const { topic, partition } = this.#range;
    if (nextOffset > this.#position) {
      this.#position = nextOffset;
    } else if (magicOf(records) === 2) {
      throw new OffloadError(
        'BATCH_CORRUPT',
        `cannot read ${topic}/${partition} at offset ${this.#position}: the broker sent record batches that end at ${nextOffset}`,
        { context: { topic, partition, position: this.#position, nextOffset } },
      );
    }
  }

  #prefetch(): void {
    this.#underWay = this.#fetch(this.#position);
    // Its failure belongs to the next call of next(), which may never come.
    this.#underWay.catch(() => {});
  }

  #fetch(fetchOffset: number): Promise<Fetched> {
    const { topic, partition } = this.#range;
    const { fetch } = this.#options;
    const attempt = async (): Promise<Fetched> => {
      const { connection, leaderEpoch } = await this.#source();
      const response = await fetchFrom(connection, {
        topic,
        partition,
        fetchOffset,
        leaderEpoch,
        maxBytes: this.#bytesToAsk(fetchOffset),
        maxWaitMs: fetch.maxWaitMs,
        isolationLevel: fetch.isolationLevel === 'read_committed' ? 1 : 0,
        clientRack: fetch.clientRack,
      });
      if (response.errorCode !== 0 && response.errorCode !== OFFSET_OUT_OF_RANGE) {
        const attempted = `cannot read ${topic}/${partition} at offset ${fetchOffset} from broker ${connection.address}`;
        throw brokerError(response.errorCode, attempted, `Read on topic ${topic}`);
      }
      // A quota answers without the partition, and so without its end (KIP-219).
      const isNews = response.throttleMs === 0 && response.records.length === 0;
      if (response.errorCode === 0 && isNews) this.#checkEnd(response, fetchOffset);
      return { response, connection };
    };
    const onFailure = (): void => {
      this.#replica = -1;
      this.#cluster.forget(topic);
    };
    return this.#cluster.retry(attempt, onFailure);
  }

  /** A broker fills an answer with what lies behind the range as well: sent, received and held for nothing. */
  #bytesToAsk(fetchOffset: number): number {
    if (this.#bytesPerOffset === null) return this.#maxBytes;
    const expected = (this.#range.endOffset - fetchOffset) * this.#bytesPerOffset;
    return Math.min(this.#maxBytes, Math.ceil(expected) + SPARE_BYTES);
  }

  async #source(): Promise<Leader> {
    const leader = await this.#cluster.leader(this.#range.topic, this.#range.partition);
    if (this.#replica < 0) return leader;
    return { connection: await this.#cluster.broker(this.#replica), leaderEpoch: leader.leaderEpoch };
  }

  /** After a change of leader the end may lie further back for a while than it was when the range was planned (KIP-207). */
  #checkEnd(response: FetchResponse, fetchOffset: number): void {
    const { topic, partition, endOffset } = this.#range;
    const committed = this.#options.fetch.isolationLevel === 'read_committed';
    const end = committed ? response.lastStableOffset : response.highWatermark;
    if (end >= endOffset || response.preferredReadReplica >= 0) return;
    const name = committed ? 'last stable offset' : 'high watermark';
    throw new OffloadError(
      'LEADER_MOVED',
      `cannot read ${topic}/${partition} at offset ${fetchOffset} up to ${endOffset}: its ${name} is ${end} now`,
    );
  }

  async #emptyAnswer(response: FetchResponse): Promise<void> {
    const { deadlineMs, retryBackoffMs } = this.#cluster.settings;
    if (response.preferredReadReplica >= 0 && response.preferredReadReplica !== this.#replica) {
      const isFirst = this.#heldSinceMs === null;
      this.#checkHeld(deadlineMs, 'LEADER_MOVED', 'brokers send the reader to one another');
      if (!isFirst) await sleep(retryBackoffMs);
      this.#replica = response.preferredReadReplica;
    } else if (response.throttleMs > 0) {
      this.#checkHeld(
        THROTTLED_DEADLINES * deadlineMs,
        'BROKER_TIMEOUT',
        'a quota of the brokers lets nothing through',
      );
      await sleep(Math.min(response.throttleMs, MAX_THROTTLE_MS, deadlineMs));
    } else if (++this.#emptyAnswers === EMPTY_ANSWERS_ARE_A_GAP) {
      this.#position = this.#range.endOffset;
    }
  }

  #checkHeld(mostMs: number, code: 'LEADER_MOVED' | 'BROKER_TIMEOUT', why: string): void {
    const { topic, partition } = this.#range;
    this.#heldSinceMs ??= performance.now();
    const heldMs = performance.now() - this.#heldSinceMs;
    if (heldMs <= mostMs) return;
    throw new OffloadError(
      code,
      `cannot read ${topic}/${partition} at offset ${this.#position}: ${why}, for ${(heldMs / 1000).toFixed(1)} s now`,
      { context: { topic, partition, position: this.#position } },
    );
  }

  /** Brokers before KIP-74 cut even the first batch short; ask for more until it fits. */
  #growFetch(received: number): void {
    const { topic, partition } = this.#range;
    const limit = this.#options.fetch.maxBatchBytes;
    if (this.#maxBytes >= limit) {
      throw new OffloadError(
        'BATCH_TOO_LARGE',
        `the record batch of ${topic}/${partition} at offset ${this.#position} did not fit into ${received} bytes; maxBatchBytes allows ${limit}: raise it`,
      );
    }
    this.#maxBytes = Math.min(limit, this.#maxBytes * 2);
    this.#bytesPerOffset = null;
  }

  async #skipLost(): Promise<void> {
    const { topic, partition, endOffset } = this.#range;
    const { failOnDataLoss, fetch } = this.#options;
    const listed = await this.#cluster.listOffsets(topic, [partition], EARLIEST_TIMESTAMP, fetch.isolationLevel);
    const logStart = listed.get(partition) ?? 0;
    const gone = Math.min(logStart, endOffset) - this.#position;
    if (gone <= 0 || failOnDataLoss) {
      const why =
        gone > 0
          ? `the log now starts at ${logStart}, so ${gone} offsets are gone; set failOnDataLoss to false to go on without them`
          : 'the log now ends before it: it was truncated, or the topic was made again';
      throw new OffloadError('OFFSET_LOST', `cannot read ${topic}/${partition} at offset ${this.#position}: ${why}`, {
        context: { topic, partition, position: this.#position, logStart },
      });
    }
    this.#lostOffsets += gone;
    this.#position += gone;
  }
}
