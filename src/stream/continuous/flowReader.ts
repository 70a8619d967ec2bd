/**
 * Reads partitions as they grow: one request under way to each leader, for all of its partitions, which the broker answers
 * as soon as one of them has a record. A partition whose leader moves is asked of the next one; the others go on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FetchSettings } from '../../config/kafkaSettings.ts';
import { OffloadError, toOffloadError } from '../../errors.ts';
import { brokerError } from '../../kafka/brokerErrors.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import type { BrokerConnection } from '../../kafka/connection.ts';
import { type FetchResponse, fetchManyFrom } from '../../kafka/fetch.ts';
import { EARLIEST_TIMESTAMP } from '../../kafka/protocol.ts';
import { offsetKey } from '../../plan/places.ts';
import { countRetry } from '../../retryCounts.ts';
import type { FetchedRecords } from '../../sources/kafkaRange.ts';
import { scanBatches } from '../../sources/scanBatches.ts';
import type { Position, TopicPartition } from '../types.ts';

const OFFSET_OUT_OF_RANGE = 1;
/** A partition that is added waits for the answer that is under way. */
const MAX_WAIT_MS = 200;
/** Asked again at least this often, whatever a broker says of its quota. */
const MAX_THROTTLE_MS = 10_000;

interface ReadPartition extends TopicPartition {
  position: number;
  /** Since when it could not be read; null: it can. */
  failingSinceMs: number | null;
  failures: number;
}

/** One leader, and what is asked of it, in the order in which it fills its answers. */
interface Pump {
  readonly connection: BrokerConnection;
  partitions: { readonly read: ReadPartition; readonly leaderEpoch: number }[];
}

export interface FlowReaderOptions {
  readonly fetch: FetchSettings;
  readonly failOnDataLoss: boolean;
  /** Complete record batches of one partition; valid until the promise settles. One call at a time for a leader. */
  readonly onFetched: (place: TopicPartition, records: FetchedRecords) => Promise<void>;
  /** After each answer that had records. */
  readonly onAnswered: () => Promise<void>;
  /** Called once. */
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export class FlowReader {
  readonly #cluster: Cluster;
  readonly #options: FlowReaderOptions;
  readonly #read = new Map<string, ReadPartition>();
  readonly #pumps = new Map<string, Pump>();
  /** Answers that are being taken apart. */
  readonly #busy = new Set<Promise<void>>();
  #hasFailed: boolean = false;

  constructor(cluster: Cluster, options: FlowReaderOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  add(positions: readonly Position[]): void {
    for (const { topic, partition, offset } of positions) {
      const read = { topic, partition, position: offset, failingSinceMs: null, failures: 0 };
      this.#read.set(offsetKey(read), read);
      this.#inBackground(this.#route(read));
    }
  }

  /** Nothing of these partitions is given any more when it returns. */
  async remove(places: readonly TopicPartition[]): Promise<void> {
    for (const place of places) this.#read.delete(offsetKey(place));
    await Promise.all([...this.#busy]);
  }

  #isRead(read: ReadPartition): boolean {
    return this.#read.get(offsetKey(read)) === read && !this.#hasFailed && !this.#options.signal.aborted;
  }

  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (this.#hasFailed || this.#options.signal.aborted) return;
      this.#hasFailed = true;
      this.#options.onFailure(error);
    });
  }

  /** Finds the leader of a partition and has it asked; tries again until the cluster's deadline. */
  async #route(read: ReadPartition): Promise<void> {
    while (this.#isRead(read)) {
      try {
        const { connection, leaderEpoch } = await this.#cluster.leader(read.topic, read.partition);
        if (!this.#isRead(read)) return;
        const known = this.#pumps.get(connection.address);
        if (known?.connection === connection) known.partitions.push({ read, leaderEpoch });
        else this.#start({ connection, partitions: [{ read, leaderEpoch }] });
        return;
      } catch (error) {
        await this.#wait(read, error);
      }
    }
  }

  /** @throws OffloadError if it is not retriable, or has been going on for too long. */
  async #wait(read: ReadPartition, error: unknown): Promise<void> {
    const failure = toOffloadError(error);
    const { deadlineMs, retryBackoffMs, retryBackoffMaxMs } = this.#cluster.settings;
    if (!failure.retriable) throw failure;
    read.failingSinceMs ??= performance.now();
    if (performance.now() - read.failingSinceMs > deadlineMs) throw failure;
    countRetry(failure.code);
    this.#cluster.forget(read.topic);
    const backoffMs = Math.min(retryBackoffMaxMs, retryBackoffMs * 2 ** Math.min(read.failures, 20));
    read.failures += 1;
    await sleep(backoffMs * (0.8 + 0.4 * Math.random()), undefined, { signal: this.#options.signal }).catch(() => {});
  }

  #start(pump: Pump): void {
    const { address } = pump.connection;
    this.#pumps.set(address, pump);
    const run = async (): Promise<void> => {
      try {
        await this.#run(pump);
      } finally {
        if (this.#pumps.get(address) === pump) this.#pumps.delete(address);
      }
    };
    this.#inBackground(run());
  }

  async #run(pump: Pump): Promise<void> {
    for (;;) {
      pump.partitions = pump.partitions.filter(({ read }) => this.#isRead(read));
      if (pump.partitions.length === 0) return;
      const asked = [...pump.partitions];
      let throttleMs = 0;
      try {
        const { partitions, ...answer } = await this.#ask(pump.connection, asked);
        throttleMs = answer.throttleMs;
        const work = this.#takeApart(pump, partitions);
        const settled = work.then(
          () => {},
          () => {},
        );
        this.#busy.add(settled);
        await work.finally(() => this.#busy.delete(settled));
        pump.connection.recycle(partitions[0]?.records ?? Buffer.alloc(0));
      } catch (error) {
        const failure = toOffloadError(error);
        if (!failure.retriable) throw failure;
        const left = pump.partitions;
        pump.partitions = [];
        for (const { read } of left) this.#inBackground(this.#wait(read, failure).then(() => this.#route(read)));
        return;
      }
      if (throttleMs > 0) await sleep(Math.min(throttleMs, MAX_THROTTLE_MS));
    }
  }

  async #ask(connection: BrokerConnection, asked: Pump['partitions']) {
    const { maxBytes, maxWaitMs, isolationLevel } = this.#options.fetch;
    const response = await fetchManyFrom(connection, {
      partitions: asked.map(({ read, leaderEpoch }) => {
        const { topic, partition, position } = read;
        return { topic, partition, leaderEpoch, fetchOffset: position, maxBytes };
      }),
      maxBytes,
      maxWaitMs: Math.min(maxWaitMs, MAX_WAIT_MS),
      isolationLevel: isolationLevel === 'read_committed' ? 1 : 0,
    });
    if (response.errorCode !== 0) {
      throw brokerError(response.errorCode, `cannot read from broker ${connection.address}`, 'Read on the topics');
    }
    return response;
  }

  async #takeApart(pump: Pump, responses: readonly FetchResponse[]): Promise<void> {
    const given = new Set<ReadPartition>();
    const moved = new Set<ReadPartition>();
    for (const response of responses) {
      const read = this.#read.get(`${response.topic}/${response.partition}`);
      if (!read || !pump.partitions.some((entry) => entry.read === read)) continue;
      if (response.errorCode === OFFSET_OUT_OF_RANGE) await this.#skipLost(read);
      else if (response.errorCode !== 0) {
        moved.add(read);
        this.#moveOn(read, response.errorCode, pump.connection.address);
      } else if (await this.#give(read, response)) given.add(read);
    }
    // Who gave much comes last: a broker fills its answers from the front.
    const stay = pump.partitions.filter(({ read }) => !moved.has(read));
    pump.partitions = [...stay.filter(({ read }) => !given.has(read)), ...stay.filter(({ read }) => given.has(read))];
    if (given.size > 0) await this.#options.onAnswered();
  }

  #moveOn(read: ReadPartition, errorCode: number, address: string): void {
    const { topic, partition, position } = read;
    const attempt = `cannot read ${topic}/${partition} at offset ${position} from broker ${address}`;
    const failure = brokerError(errorCode, attempt, `Read on topic ${topic}`);
    this.#inBackground(this.#wait(read, failure).then(() => this.#route(read)));
  }

  async #give(read: ReadPartition, { records, aborted }: FetchResponse): Promise<boolean> {
    read.failingSinceMs = null;
    read.failures = 0;
    const { end, nextOffset } = scanBatches(records);
    // One that is cut short is asked for first the next time, and then comes whole (KIP-74).
    if (end === 0) return false;
    const { topic, partition, position } = read;
    if (nextOffset <= position) return false;
    read.position = nextOffset;
    const place = { topic, partition };
    const given = { records: records.subarray(0, end), aborted, startOffset: position, nextOffset };
    await this.#options.onFetched(place, given);
    return true;
  }

  async #skipLost(read: ReadPartition): Promise<void> {
    const { topic, partition, position } = read;
    const listed = await this.#cluster.listOffsets(topic, [partition], EARLIEST_TIMESTAMP, 'read_uncommitted');
    const logStart = listed.get(partition) ?? 0;
    if (logStart > position && !this.#options.failOnDataLoss) {
      read.position = logStart;
      return;
    }
    const why =
      logStart > position
        ? `the log now starts at ${logStart}, so ${logStart - position} offsets are gone; set failOnDataLoss to false to go on without them`
        : 'the log now ends before it: it was truncated, or the topic was made again';
    throw new OffloadError('OFFSET_LOST', `cannot read ${topic}/${partition} at offset ${position}: ${why}`, {
      context: { topic, partition, position, logStart },
    });
  }
}
