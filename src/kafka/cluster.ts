/**
 * What is known of a cluster in one thread: brokers, leaders and one connection to each broker that is used. Reading
 * goes through here in every thread, and writing finds its brokers here; nothing is created.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionSettings } from '../config/kafkaSettings.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { withRetry } from '../retry.ts';
import { brokerError } from './brokerErrors.ts';
import { BrokerConnection } from './connection.ts';
import { type CoordinatorKey, findCoordinatorApi } from './coordinatorProtocol.ts';
import {
  type ClusterMetadata,
  describeLogDirsApi,
  type ListedOffset,
  listOffsetsApi,
  metadataApi,
  type TopicMetadata,
} from './protocol.ts';

const UNKNOWN_TOPIC_OR_PARTITION = 3;
/** A topic made a moment ago may be unknown to the broker that is asked. */
const UNKNOWN_TOPIC_LOOKS = 3;
const UNKNOWN_TOPIC_PAUSE_MS = 200;

export interface Leader {
  readonly connection: BrokerConnection;
  readonly leaderEpoch: number;
}

export interface TopicInfo {
  readonly topic: string;
  /** UUID; null where the broker has none. */
  readonly topicId: string | null;
  /** Partition numbers, ascending. */
  readonly partitions: readonly number[];
}

export class Cluster {
  readonly settings: ConnectionSettings;
  readonly #signal: AbortSignal | undefined;
  readonly #connections = new Map<string, Promise<BrokerConnection>>();
  readonly #topics = new Map<string, TopicMetadata>();
  #brokers: ClusterMetadata['brokers'] = [];
  #clusterId: string | null = null;
  #isClosed: boolean = false;

  /** @param signal Ends every wait between attempts, with its reason. */
  constructor(settings: ConnectionSettings, signal?: AbortSignal) {
    this.settings = settings;
    this.#signal = signal;
  }

  /** Tries again what is retriable, until the cluster's deadline. */
  retry<T>(attempt: () => Promise<T>, onFailure?: () => void): Promise<T> {
    return withRetry(attempt, this.settings, {
      ...(onFailure ? { onFailure } : {}),
      ...(this.#signal ? { signal: this.#signal } : {}),
    });
  }

  /** Id of the cluster; `unknown` where the broker has none. Asks once, then remembers. */
  async clusterId(): Promise<string> {
    if (this.#brokers.length === 0) await this.retry(() => this.#refresh([]));
    return this.#clusterId ?? 'unknown';
  }

  /** The topic as the cluster has it now, or null if there is none of that name. Never creates it. */
  async findTopic(topic: string): Promise<TopicInfo | null> {
    for (let look = 1; ; look++) {
      const found = await this.retry(() => this.#topicMetadata(topic));
      if (found) return toInfo(found);
      if (look === UNKNOWN_TOPIC_LOOKS) return null;
      await sleep(UNKNOWN_TOPIC_PAUSE_MS);
    }
  }

  /** Topics whose names match, without those that brokers keep for themselves. */
  async findTopics(matches: (topic: string) => boolean): Promise<TopicInfo[]> {
    const { topics } = await this.retry(async () => {
      const connection = await this.#refresh([]);
      return connection.request(metadataApi, { topics: null });
    });
    const found = topics.filter(({ topic, isInternal }) => !isInternal && matches(topic));
    // Asked for again by name: an error of one of them is told, and leaders are remembered.
    if (found.length > 0) await this.retry(() => this.#refresh(found.map(({ topic }) => topic)));
    return found.flatMap(({ topic }) => {
      const known = this.#topics.get(topic);
      return known ? [toInfo(known)] : [];
    });
  }

  /**
   * Connection to the leader of a partition, from what is known; asks the cluster only when nothing is.
   *
   * @throws OffloadError LEADER_MOVED (retriable) while there is no leader.
   */
  async leader(topic: string, partition: number): Promise<Leader> {
    let known = this.#topics.get(topic);
    if (!known) {
      await this.#refresh([topic]);
      known = this.#topics.get(topic);
    }
    const found = known?.partitions.find((entry) => entry.partition === partition);
    if (!found || found.leader < 0) {
      this.forget(topic);
      throw new OffloadError('LEADER_MOVED', `${topic}/${partition} has no leader at the moment`);
    }
    return { connection: await this.broker(found.leader), leaderEpoch: found.leaderEpoch };
  }

  /** Connection to a broker by its node id. */
  async broker(nodeId: number): Promise<BrokerConnection> {
    const broker = this.#brokers.find((entry) => entry.nodeId === nodeId);
    if (!broker) throw new OffloadError('LEADER_MOVED', `broker ${nodeId} is not known to the cluster at the moment`);
    return this.#connect(broker.host, broker.port);
  }

  /**
   * Connection to the coordinator of a transactional id or of a group, asked for anew each time.
   *
   * @throws OffloadError LEADER_MOVED (retriable) while there is none; NOT_AUTHORIZED.
   */
  async coordinator(key: CoordinatorKey): Promise<BrokerConnection> {
    const connection = await this.#refresh([]);
    const found = await connection.request(findCoordinatorApi, key);
    if (found.errorCode !== 0) {
      const name = `${key.kind} ${key.id}`;
      const attempt = `cannot find the coordinator of ${name}`;
      // What is asked next of a group takes Read, which includes Describe.
      const permission = `${key.kind === 'group' ? 'Read' : 'Describe'} on ${name}`;
      throw brokerError(found.errorCode, attempt, permission, found.errorMessage ?? undefined);
    }
    return this.#connect(found.host, found.port);
  }

  /** Makes the next look at the topic's leaders ask the cluster again. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /**
   * Offsets by time: EARLIEST_TIMESTAMP gives log starts; LATEST_TIMESTAMP high watermarks, or last stable offsets under
   * `read_committed`; else the first offset at or after that time, -1 if there is none.
   */
  async listOffsets(
    topic: string,
    partitions: readonly number[],
    timestampMs: number,
    isolationLevel: 'read_committed' | 'read_uncommitted',
  ): Promise<Map<number, number>> {
    const offsets = new Map<number, number>();
    const attempt = async (): Promise<void> => {
      const byBroker = new Map<BrokerConnection, number[]>();
      for (const partition of partitions.filter((entry) => !offsets.has(entry))) {
        const { connection } = await this.leader(topic, partition);
        const together = byBroker.get(connection);
        if (together) together.push(partition);
        else byBroker.set(connection, [partition]);
      }
      const answers = [...byBroker].map(async ([connection, asked]) => {
        const listed = await connection.request(listOffsetsApi, {
          topic,
          isolationLevel: isolationLevel === 'read_committed' ? 1 : 0,
          partitions: asked.map((partition) => ({ partition, timestampMs })),
        });
        return { listed, asked, address: connection.address };
      });
      for (const { listed, asked, address } of await Promise.all(answers)) {
        take(listed, address);
        const missing = asked.find((partition) => !offsets.has(partition));
        if (missing !== undefined) {
          const message = `broker ${address} was asked for offsets of ${topic}/${missing} and gave none`;
          throw new OffloadError('BROKER_UNREACHABLE', message, { context: { topic, partition: missing } });
        }
      }
    };
    const take = (listed: readonly ListedOffset[], address: string): void => {
      for (const { partition, errorCode, offset } of listed) {
        if (errorCode !== 0) {
          const attempt = `cannot ask ${address} for offsets of ${topic}/${partition}`;
          throw brokerError(errorCode, attempt, `Describe on topic ${topic}`);
        }
        offsets.set(partition, offset);
      }
    };
    await this.retry(attempt, () => this.forget(topic));
    return offsets;
  }

  /**
   * Bytes of each partition's log on its leader's disk (compressed, as fetched), or null if we may not ask: this needs
   * the Describe permission on the cluster.
   */
  async logSizes(topic: string, partitions: readonly number[]): Promise<Map<number, number> | null> {
    const sizes = new Map<number, number>();
    try {
      const byBroker = new Map<BrokerConnection, number[]>();
      for (const partition of partitions) {
        const { connection } = await this.leader(topic, partition);
        byBroker.set(connection, [...(byBroker.get(connection) ?? []), partition]);
      }
      for (const [connection, led] of byBroker) {
        if (!connection.supports(describeLogDirsApi)) return null;
        const answer = await connection.request(describeLogDirsApi, { topic, partitions: led });
        if (answer.errorCodes.some((errorCode) => errorCode !== 0)) return null;
        for (const { partition, bytes } of answer.sizes) sizes.set(partition, bytes);
      }
    } catch (error) {
      if (toOffloadError(error).retriable) return null; // an estimate is not worth waiting for
      throw error;
    }
    return sizes.size === partitions.length ? sizes : null;
  }

  /** Whoever still tries to reach a broker fails: a connection opened now would keep the process alive for ever. */
  close(): void {
    this.#isClosed = true;
    for (const opening of this.#connections.values()) {
      opening.then(
        (connection) => connection.close(),
        () => {},
      );
    }
    this.#connections.clear();
  }

  async #topicMetadata(topic: string): Promise<TopicMetadata | null> {
    await this.#refresh([topic]);
    return this.#topics.get(topic) ?? null;
  }

  /** Asks the first broker that answers: those of the last answer first, then the bootstrap addresses. */
  async #refresh(topics: readonly string[]): Promise<BrokerConnection> {
    const { bootstrap } = this.settings;
    const candidates = [...this.#brokers, ...bootstrap];
    const failures: OffloadError[] = [];
    for (const { host, port } of candidates) {
      try {
        const connection = await this.#connect(host, port);
        this.#remember(await connection.request(metadataApi, { topics }));
        return connection;
      } catch (error) {
        const failure = toOffloadError(error);
        if (!failure.retriable) throw failure;
        failures.push(failure);
      }
    }
    const only = failures.length === 1 ? failures[0] : undefined;
    if (only) throw only;
    const reasons = [...new Set(failures.map(({ message }) => message))].join('; ');
    throw new OffloadError('BROKER_UNREACHABLE', `no broker of the cluster answers: ${reasons}`);
  }

  #remember(metadata: ClusterMetadata): void {
    this.#brokers = metadata.brokers;
    this.#clusterId = metadata.clusterId;
    for (const entry of metadata.topics) {
      if (entry.errorCode === UNKNOWN_TOPIC_OR_PARTITION) this.#topics.delete(entry.topic);
      else if (entry.errorCode !== 0) {
        const permission = `Describe on topic ${entry.topic}`;
        throw brokerError(entry.errorCode, `cannot look up topic ${entry.topic}`, permission);
      } else this.#topics.set(entry.topic, entry);
    }
  }

  async #connect(host: string, port: number): Promise<BrokerConnection> {
    const address = `${host}:${port}`;
    if (this.#isClosed)
      throw new OffloadError('INTERNAL', `a connection to broker ${address} was asked for after the end`);
    const known = this.#connections.get(address);
    if (known) {
      const connection = await known;
      if (connection.isUsable) return connection;
      // Of several callers that find it broken, one opens the next; the others share it.
      if (this.#connections.get(address) !== known) return this.#connect(host, port);
      connection.close();
    }
    const opening = BrokerConnection.open(host, port, this.settings);
    this.#connections.set(address, opening);
    opening.catch(() => {
      if (this.#connections.get(address) === opening) this.#connections.delete(address);
    });
    return opening;
  }
}

function toInfo({ topic, topicId, partitions }: TopicMetadata): TopicInfo {
  return { topic, topicId, partitions: partitions.map(({ partition }) => partition).sort((a, b) => a - b) };
}
