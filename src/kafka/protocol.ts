/**
 * The few requests that reading takes, each with the versions we speak: encoders and parsers of the wire format.
 *
 * Versions below the flexible ones are used where they carry all we need: every broker that has the newer version also
 * answers the older. Metadata is the exception: only version 10 and above tells topic ids.
 *
 * @see https://kafka.apache.org/protocol
 */
import { type WireReader, WireWriter } from './wire.ts';

/** One kind of request: how to write it and how to read the answer, for any version in the range. */
export interface Api<Request, Response> {
  readonly name: string;
  readonly key: number;
  readonly minVersion: number;
  readonly maxVersion: number;
  /** From this version on, headers carry tagged fields. */
  readonly flexibleFrom: number;
  encode(request: Request, version: number): WireWriter;
  parse(reader: WireReader, version: number): Response;
}

/** In place of a time: the log start, and the end. */
export const EARLIEST_TIMESTAMP = -2;
export const LATEST_TIMESTAMP = -1;
const ANY_REPLICA = -1;
const NO_LEADER_EPOCH = -1;
const NIL_UUID = '00000000-0000-0000-0000-000000000000';

export interface ApiVersions {
  readonly errorCode: number;
  readonly ranges: ReadonlyMap<number, { readonly min: number; readonly max: number }>;
}

export const apiVersionsApi: Api<null, ApiVersions> = {
  name: 'ApiVersions',
  key: 18,
  minVersion: 0,
  maxVersion: 0,
  flexibleFrom: 3,
  encode: () => new WireWriter(),
  parse(reader) {
    const errorCode = reader.int16();
    const ranges = reader.array(() => [reader.int16(), { min: reader.int16(), max: reader.int16() }] as const);
    return { errorCode, ranges: new Map(ranges) };
  },
};

export interface PartitionMetadata {
  readonly errorCode: number;
  readonly partition: number;
  readonly leader: number;
  readonly leaderEpoch: number;
}

export interface TopicMetadata {
  readonly errorCode: number;
  readonly topic: string;
  /** UUID; null where the broker has none. */
  readonly topicId: string | null;
  /** Kept by the brokers for themselves: `__consumer_offsets`. */
  readonly isInternal: boolean;
  readonly partitions: readonly PartitionMetadata[];
}

export interface ClusterMetadata {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly clusterId: string | null;
  readonly topics: readonly TopicMetadata[];
}

/** `topics` null: all there are, as far as the user may see them. */
export const metadataApi: Api<{ topics: readonly string[] | null }, ClusterMetadata> = {
  name: 'Metadata',
  key: 3,
  minVersion: 7,
  maxVersion: 12,
  flexibleFrom: 9,
  encode({ topics }, version) {
    const flexible = version >= 9;
    const writer = new WireWriter();
    const writeTopic = (topic: string): void => {
      if (version >= 10) writer.nilUuid();
      writer.string(topic, flexible);
      if (flexible) writer.noTaggedFields();
    };
    if (topics !== null) writer.array(topics, writeTopic, flexible);
    else if (flexible) writer.uvarint(0);
    else writer.int32(-1);
    writer.boolean(false); // allow_auto_topic_creation: looking must not create
    if (version >= 8 && version <= 10) writer.boolean(false); // include_cluster_authorized_operations
    if (version >= 8) writer.boolean(false); // include_topic_authorized_operations
    if (flexible) writer.noTaggedFields();
    return writer;
  },
  parse(reader, version) {
    const flexible = version >= 9;
    reader.int32(); // throttle_time_ms
    const brokers = reader.array(() => {
      const broker = { nodeId: reader.int32(), host: readHost(reader, flexible), port: reader.int32() };
      reader.nullableString(flexible); // rack
      if (flexible) reader.skipTaggedFields();
      return broker;
    }, flexible);
    const clusterId = reader.nullableString(flexible);
    reader.int32(); // controller_id
    const topics = reader.array(() => readTopicMetadata(reader, version), flexible);
    return { brokers, clusterId, topics };
  },
};

/** What it is goes into messages, and those are one line. */
function readHost(reader: WireReader, flexible: boolean): string {
  const host = reader.string(flexible);
  if (/[\s\p{Cc}]/u.test(host)) throw new RangeError(`it names the host ${JSON.stringify(host)}`);
  return host;
}

function readTopicMetadata(reader: WireReader, version: number): TopicMetadata {
  const flexible = version >= 9;
  const errorCode = reader.int16();
  const topic = reader.string(flexible);
  const topicId = version >= 10 ? reader.uuid() : NIL_UUID;
  const isInternal = reader.boolean();
  const partitions = reader.array(() => {
    const found = {
      errorCode: reader.int16(),
      partition: reader.int32(),
      leader: reader.int32(),
      leaderEpoch: reader.int32(),
    };
    for (let list = 0; list < 3; list++) reader.array(() => reader.int32(), flexible); // replicas, isr, offline
    if (flexible) reader.skipTaggedFields();
    return found;
  }, flexible);
  checkPartitions(topic, partitions);
  if (version >= 8) reader.int32(); // topic_authorized_operations
  if (flexible) reader.skipTaggedFields();
  return { errorCode, topic, topicId: topicId === NIL_UUID ? null : topicId, isInternal, partitions };
}

/** One that is named twice would be read twice. */
function checkPartitions(topic: string, partitions: readonly PartitionMetadata[]): void {
  const numbers = new Set(partitions.map(({ partition }) => partition));
  if (numbers.size < partitions.length) throw new RangeError(`it names a partition of ${topic} twice`);
  for (const partition of numbers) {
    if (partition < 0) throw new RangeError(`it names the partition ${topic}/${partition}`);
  }
}

export interface ListOffsetsRequest {
  readonly topic: string;
  readonly isolationLevel: 0 | 1;
  readonly partitions: readonly { readonly partition: number; readonly timestampMs: number }[];
}

export interface ListedOffset {
  readonly partition: number;
  readonly errorCode: number;
  /** -1: no record at or after the time asked for. */
  readonly offset: number;
}

export const listOffsetsApi: Api<ListOffsetsRequest, readonly ListedOffset[]> = {
  name: 'ListOffsets',
  key: 2,
  minVersion: 2,
  maxVersion: 5,
  flexibleFrom: 6,
  encode({ topic, isolationLevel, partitions }, version) {
    const writer = new WireWriter().int32(ANY_REPLICA).int8(isolationLevel).int32(1).string(topic);
    return writer.array(partitions, ({ partition, timestampMs }) => {
      writer.int32(partition);
      if (version >= 4) writer.int32(NO_LEADER_EPOCH);
      writer.int64(timestampMs);
    });
  },
  parse(reader, version) {
    reader.int32(); // throttle_time_ms
    const topics = reader.array(() => {
      reader.string();
      return reader.array(() => {
        const partition = reader.int32();
        const errorCode = reader.int16();
        reader.int64(); // timestamp
        const offset = reader.int64();
        if (version >= 4) reader.int32(); // leader_epoch
        return { partition, errorCode, offset };
      });
    });
    return topics.flat();
  },
};

export interface LogSizes {
  /** One for each log folder of the broker. */
  readonly errorCodes: readonly number[];
  readonly sizes: readonly { readonly partition: number; readonly bytes: number }[];
}

export const describeLogDirsApi: Api<{ topic: string; partitions: readonly number[] }, LogSizes> = {
  name: 'DescribeLogDirs',
  key: 35,
  minVersion: 0,
  maxVersion: 1,
  flexibleFrom: 2,
  encode({ topic, partitions }) {
    const writer = new WireWriter().int32(1).string(topic);
    return writer.array(partitions, (partition) => writer.int32(partition));
  },
  parse(reader) {
    reader.int32(); // throttle_time_ms
    const errorCodes: number[] = [];
    const sizes: { partition: number; bytes: number }[] = [];
    reader.array(() => {
      errorCodes.push(reader.int16());
      reader.string(); // log_dir
      reader.array(() => {
        reader.string(); // topic
        reader.array(() => {
          const found = { partition: reader.int32(), bytes: reader.int64() };
          reader.int64(); // offset_lag
          const isFuture = reader.boolean();
          if (!isFuture) sizes.push(found);
        });
      });
    });
    return { errorCodes, sizes };
  },
};
