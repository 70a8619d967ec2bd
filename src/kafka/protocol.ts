/**
 * The few requests that reading takes, each with the versions we speak: encoders and parsers of the wire format.
 *
 * Versions below the flexible ones are used where they carry all we need: every broker that has the newer version also
 * answers the older. Metadata is the exception: only version 10 and above tells topic ids.
 *
 * @see https://kafka.apache.org/protocol
 */
import { type Reader, Writer } from '@platformatic/kafka';

/** One kind of request: how to write it and how to read the answer, for any version in the range. */
export interface Api<Request, Response> {
  readonly name: string;
  readonly key: number;
  readonly minVersion: number;
  readonly maxVersion: number;
  /** From this version on, headers carry tagged fields. */
  readonly flexibleFrom: number;
  encode(request: Request, version: number): Writer;
  parse(reader: Reader, version: number): Response;
}

export const EARLIEST_TIMESTAMP = -2;
export const LATEST_TIMESTAMP = -1;
const ANY_REPLICA = -1;
const NO_LEADER_EPOCH = -1;
const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** 64-bit wire integers are offsets and times here: safe integers, or the answer is not to be trusted. */
export function toSafeInteger(value: bigint, what: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${what} ${value} is out of range`);
  return number;
}

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
  encode: () => Writer.create(),
  parse(reader) {
    const errorCode = reader.readInt16();
    const ranges = new Map<number, { min: number; max: number }>();
    reader.readArray(
      (r) => ranges.set(r.readInt16(), { min: r.readInt16(), max: r.readInt16() }),
      false,
      false,
    );
    return { errorCode, ranges };
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
  readonly partitions: readonly PartitionMetadata[];
}

export interface ClusterMetadata {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly clusterId: string | null;
  readonly topics: readonly TopicMetadata[];
}

export const metadataApi: Api<{ topics: readonly string[] }, ClusterMetadata> = {
  name: 'Metadata',
  key: 3,
  minVersion: 7,
  maxVersion: 12,
  flexibleFrom: 9,
  encode({ topics }, version) {
    const flexible = version >= 9;
    const writer = Writer.create().appendArray(
      [...topics],
      (w, topic) => {
        if (version >= 10) w.appendUUID(null);
        w.appendString(topic, flexible);
      },
      flexible,
      flexible,
    );
    writer.appendBoolean(false); // allow_auto_topic_creation: looking must not create
    if (version >= 8 && version <= 10) writer.appendBoolean(false); // include_cluster_authorized_operations
    if (version >= 8) writer.appendBoolean(false); // include_topic_authorized_operations
    if (flexible) writer.appendTaggedFields();
    return writer;
  },
  parse(reader, version) {
    const flexible = version >= 9;
    reader.readInt32(); // throttle_time_ms
    const brokers = reader.readArray(
      (r) => {
        const broker = { nodeId: r.readInt32(), host: r.readString(flexible), port: r.readInt32() };
        r.readNullableString(flexible); // rack
        return broker;
      },
      flexible,
      flexible,
    );
    const clusterId = reader.readNullableString(flexible);
    reader.readInt32(); // controller_id
    const topics = reader.readArray((r) => readTopicMetadata(r, version), flexible, flexible);
    return { brokers, clusterId, topics };
  },
};

function readTopicMetadata(reader: Reader, version: number): TopicMetadata {
  const flexible = version >= 9;
  const errorCode = reader.readInt16();
  const topic = reader.readNullableString(flexible) ?? '';
  const topicId = version >= 10 ? reader.readUUID() : NIL_UUID;
  reader.readBoolean(); // is_internal
  const partitions = reader.readArray(
    (r) => {
      const found = {
        errorCode: r.readInt16(),
        partition: r.readInt32(),
        leader: r.readInt32(),
        leaderEpoch: r.readInt32(),
      };
      for (let list = 0; list < 3; list++) r.readArray((id) => id.readInt32(), flexible, false); // replicas, isr, offline
      return found;
    },
    flexible,
    flexible,
  );
  if (version >= 8) reader.readInt32(); // topic_authorized_operations
  return { errorCode, topic, topicId: topicId === NIL_UUID ? null : topicId, partitions };
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
    return Writer.create()
      .appendInt32(ANY_REPLICA)
      .appendInt8(isolationLevel)
      .appendArray(
        [topic],
        (w, name) => {
          w.appendString(name, false).appendArray(
            [...partitions],
            (entry, { partition, timestampMs }) => {
              entry.appendInt32(partition);
              if (version >= 4) entry.appendInt32(NO_LEADER_EPOCH);
              entry.appendInt64(BigInt(timestampMs));
            },
            false,
            false,
          );
        },
        false,
        false,
      );
  },
  parse(reader, version) {
    reader.readInt32(); // throttle_time_ms
    return reader
      .readArray(
        (r) => {
          r.readString(false);
          return r.readArray(
            (entry) => {
              const partition = entry.readInt32();
              const errorCode = entry.readInt16();
              entry.readInt64(); // timestamp
              const offset = toSafeInteger(entry.readInt64(), 'offset');
              if (version >= 4) entry.readInt32(); // leader_epoch
              return { partition, errorCode, offset };
            },
            false,
            false,
          );
        },
        false,
        false,
      )
      .flat();
  },
};

export interface LogSize {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: number;
}

export const describeLogDirsApi: Api<
  { topic: string; partitions: readonly number[] },
  { readonly errorCodes: readonly number[]; readonly sizes: readonly LogSize[] }
> = {
  name: 'DescribeLogDirs',
  key: 35,
  minVersion: 0,
  maxVersion: 1,
  flexibleFrom: 2,
  encode({ topic, partitions }) {
    return Writer.create().appendArray(
      [topic],
      (w, name) => {
        w.appendString(name, false).appendArray([...partitions], (entry, id) => entry.appendInt32(id), false, false);
      },
      false,
      false,
    );
  },
  parse(reader) {
    reader.readInt32(); // throttle_time_ms
    const errorCodes: number[] = [];
    const sizes: LogSize[] = [];
    reader.readArray(
      (directory) => {
        errorCodes.push(directory.readInt16());
        directory.readString(false);
        directory.readArray(
          (r) => {
            const topic = r.readString(false);
            r.readArray(
              (entry) => {
                const partition = entry.readInt32();
                const bytes = toSafeInteger(entry.readInt64(), 'log size');
                entry.readInt64(); // offset_lag
                const isFuture = entry.readBoolean();
                if (!isFuture) sizes.push({ topic, partition, bytes });
              },
              false,
              false,
            );
          },
          false,
          false,
        );
      },
      false,
      false,
    );
    return { errorCodes, sizes };
  },
};
