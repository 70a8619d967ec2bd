import { randomBytes } from 'node:crypto';
import {
  Admin,
  ClientQuotaEntityTypes,
  ClientQuotaKeys,
  ConfigResourceTypes,
  IncrementalAlterConfigOperationTypes,
  ListOffsetTimestamps,
} from '@platformatic/kafka';
import { waitFor } from './wait.ts';

export interface TopicOptions {
  readonly partitions?: number;
  readonly replicas?: number;
  /** Topic properties, such as `cleanup.policy`. */
  readonly properties?: Readonly<Record<string, string>>;
}

/** Retention goes by the producer's timestamps: messages from a fixed past would be gone at the broker's next look. */
const KEEP_ALL = { 'retention.ms': '-1' };

/** A name no other test uses, also on a broker that is shared. */
export function randomName(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}

/** Makes topics with random names for one test file and removes them afterwards. */
export class TestTopics {
  readonly #admin: Admin;
  readonly #made = new Set<string>();

  constructor(bootstrapServers: string) {
    this.#admin = new Admin({ clientId: 'kafkaload-tests', bootstrapBrokers: bootstrapServers.split(','), retries: 5 });
  }

  /** Reserves a name: the topic, if something creates it, is removed by `cleanUp`. */
  reserve(prefix: string): string {
    const name = randomName(prefix);
    this.#made.add(name);
    return name;
  }

  /** Creates a topic under a random name and returns when all of its partitions have leaders. */
  async create(prefix: string, options: TopicOptions = {}): Promise<string> {
    const name = this.reserve(prefix);
    await this.createNamed(name, options);
    return name;
  }

  async createNamed(name: string, options: TopicOptions = {}): Promise<void> {
    this.#made.add(name);
    const partitions = options.partitions ?? 1;
    await this.#admin.createTopics({
      topics: [name],
      partitions,
      replicas: options.replicas ?? 1,
      configs: Object.entries({ ...KEEP_ALL, ...options.properties }).map(([key, value]) => ({ name: key, value })),
    });
    await this.#partitionsLed(name, partitions);
  }

  /** Raises the number of partitions to `count`. */
  async addPartitions(name: string, count: number): Promise<void> {
    await this.#admin.createPartitions({ topics: [{ name, count }] });
    await this.#partitionsLed(name, count);
  }

  /** Deletes a topic and returns when its name is free again. */
  async delete(name: string): Promise<void> {
    await this.#admin.deleteTopics({ topics: [name] });
    await waitFor(`topic ${name} to be deleted`, async () => !(await this.exists(name)));
    this.#made.delete(name);
  }

  async exists(name: string): Promise<boolean> {
    return (await this.#admin.listTopics({ includeInternals: true })).includes(name);
  }

  /** Sets topic properties and returns when the broker shows them. */
  async alter(name: string, properties: Readonly<Record<string, string>>): Promise<void> {
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: name };
    const configs = Object.entries(properties).map(([key, value]) => {
      return { name: key, value, configOperation: IncrementalAlterConfigOperationTypes.SET };
    });
    await this.#admin.incrementalAlterConfigs({ resources: [{ ...resource, configs }] });
    await waitFor(`the new properties of topic ${name}`, async () => {
      const [description] = await this.#admin.describeConfigs({ resources: [resource] });
      const shown = new Map(description?.configs.map((config) => [config.name, config.value]));
      return configs.every((config) => shown.get(config.name) === config.value);
    });
  }

  /** Deletes the records below `offset`, as retention does: the log start moves up to it. */
  async deleteBefore(name: string, partition: number, offset: number): Promise<void> {
    await this.#admin.deleteRecords({ topics: [{ name, partitions: [{ partition, offset: BigInt(offset) }] }] });
  }

  /** What an operator does with `kafka-consumer-groups --reset-offsets`, while the group has no members. */
  async setGroupOffset(groupId: string, topic: string, partition: number, offset: number): Promise<void> {
    const partitionOffsets = [{ partition, offset: BigInt(offset) }];
    await this.#admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets }] });
  }

  /** What a group has committed, by partition; -1: nothing. */
  async groupOffsets(groupId: string, topic: string, partitions: number): Promise<number[]> {
    const partitionIndexes = Array.from({ length: partitions }, (_, partition) => partition);
    const groups = [{ groupId, topics: [{ name: topic, partitionIndexes }] }];
    const [listed] = await this.#admin.listConsumerGroupOffsets({ groups });
    const offsets = new Array<number>(partitions).fill(-1);
    for (const found of listed?.topics ?? []) {
      for (const { partitionIndex, committedOffset } of found.partitions)
        offsets[partitionIndex] = Number(committedOffset);
    }
    return offsets;
  }

  /**
   * Lets clients of this id fetch at most `bytesPerSecond`, or without limit when null. The broker itself slows a run
   * down, so that it is alive for as long as a test needs it to be.
   */
  async limitFetch(clientId: string, bytesPerSecond: number | null): Promise<void> {
    const key = ClientQuotaKeys.CONSUMER_BYTE_RATE;
    const limit =
      bytesPerSecond === null ? { key, remove: true as const } : { key, value: bytesPerSecond, remove: false as const };
    const entities = [{ entityType: ClientQuotaEntityTypes.CLIENT_ID, entityName: clientId }];
    await this.#admin.alterClientQuotas({ entries: [{ entities, ops: [limit] }] });
  }

  /** State of a consumer group, in capitals: `STABLE`, `PREPARINGREBALANCE`, `DEAD`. */
  async groupState(groupId: string): Promise<string> {
    const groups = await this.#admin.describeGroups({ groups: [groupId] });
    return groups.get(groupId)?.state ?? 'DEAD';
  }

  /** High watermarks, by partition. */
  async endOffsets(name: string): Promise<number[]> {
    const metadata = await this.#admin.metadata({ topics: [name], forceUpdate: true });
    const count = metadata.topics.get(name)?.partitionsCount ?? 0;
    const partitions = Array.from({ length: count }, (_, partitionIndex) => {
      return { partitionIndex, timestamp: ListOffsetTimestamps.LATEST };
    });
    const listed = await this.#admin.listOffsets({ topics: [{ name, partitions }] });
    const ends = new Array<number>(count).fill(0);
    for (const topic of listed) {
      for (const partition of topic.partitions) ends[partition.partitionIndex] = Number(partition.offset);
    }
    return ends;
  }

  /** Removes every topic made or reserved here that is still there, and disconnects. */
  async cleanUp(): Promise<void> {
    const all = new Set(await this.#admin.listTopics({ includeInternals: true }));
    const left = [...this.#made].filter((name) => all.has(name));
    if (left.length > 0) await this.#admin.deleteTopics({ topics: left });
    await this.#admin.close();
  }

  async #partitionsLed(name: string, count: number): Promise<void> {
    await waitFor(`leaders of the ${count} partitions of ${name}`, async () => {
      const metadata = await this.#admin.metadata({ topics: [name], forceUpdate: true }).catch(() => null);
      const topic = metadata?.topics.get(name);
      if (!topic || topic.partitionsCount !== count) return false;
      return topic.partitions.every((partition) => partition !== undefined && partition.leader >= 0);
    });
  }
}
