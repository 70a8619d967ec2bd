/**
 * The requests for the offsets of a consumer group. What a member commits is refused once the group has gone on without
 * it; within a transaction brokers look at the member since Kafka 2.5 (KIP-447), and older ones are not asked.
 */
import type { GroupIdentity } from './groupProtocol.ts';
import type { Api } from './protocol.ts';
import { byTopic, type ProducerIdentity, type TopicPartition } from './transactionProtocol.ts';
import { type WireReader, WireWriter } from './wire.ts';

const NO_LEADER_EPOCH = -1;
const NO_METADATA = '';

/** The next offset to read of one partition. */
export interface PartitionOffset extends TopicPartition {
  readonly offset: number;
}

export interface PartitionResult extends TopicPartition {
  readonly errorCode: number;
}

export interface FetchedOffset extends PartitionResult {
  /** -1: none is committed. */
  readonly offset: number;
}

export interface FetchedOffsets {
  readonly errorCode: number;
  readonly offsets: readonly FetchedOffset[];
}

/** An open transaction that holds an offset is told as an error of its partition, from version 7 on. */
export const offsetFetchApi: Api<
  { readonly groupId: string; readonly partitions: readonly TopicPartition[] },
  FetchedOffsets
> = {
  name: 'OffsetFetch',
  key: 9,
  minVersion: 5,
  maxVersion: 7,
  flexibleFrom: 6,
  encode({ groupId, partitions }, version) {
    const flexible = version >= 6;
    const writer = new WireWriter().string(groupId, flexible);
    const writeTopic = ([topic, together]: [string, TopicPartition[]]): void => {
      writer.string(topic, flexible).array(together, ({ partition }) => writer.int32(partition), flexible);
      if (flexible) writer.noTaggedFields();
    };
    writer.array(byTopic(partitions), writeTopic, flexible);
    if (version >= 7) writer.boolean(true); // require_stable
    return flexible ? writer.noTaggedFields() : writer;
  },
  parse(reader, version) {
    const flexible = version >= 6;
    reader.int32(); // throttle_time_ms
    const readPartition = (topic: string): FetchedOffset => {
      const [partition, offset] = [reader.int32(), reader.int64()];
      reader.int32(); // committed_leader_epoch
      reader.nullableString(flexible); // metadata
      const errorCode = reader.int16();
      if (flexible) reader.skipTaggedFields();
      return { topic, partition, offset, errorCode };
    };
    const topics = reader.array(() => {
      const topic = reader.string(flexible);
      const partitions = reader.array(() => readPartition(topic), flexible);
      if (flexible) reader.skipTaggedFields();
      return partitions;
    }, flexible);
    return { errorCode: reader.int16(), offsets: topics.flat() };
  },
};

export interface OffsetCommitRequest {
  readonly identity: GroupIdentity;
  readonly positions: readonly PartitionOffset[];
}

export const offsetCommitApi: Api<OffsetCommitRequest, readonly PartitionResult[]> = {
  name: 'OffsetCommit',
  key: 8,
  minVersion: 6,
  maxVersion: 7,
  flexibleFrom: 8,
  encode({ identity, positions }, version) {
    const writer = new WireWriter().string(identity.groupId).int32(identity.generationId).string(identity.memberId);
    if (version >= 7) writer.nullableString(identity.instanceId);
    return writePositions(writer, positions, false);
  },
  parse(reader) {
    reader.int32(); // throttle_time_ms
    return readResults(reader, false);
  },
};

export interface AddOffsetsRequest extends ProducerIdentity {
  readonly transactionalId: string;
  readonly groupId: string;
}

/** Asked of the coordinator of the transaction: makes the offsets of a group a part of it. */
export const addOffsetsToTxnApi: Api<AddOffsetsRequest, { readonly errorCode: number }> = {
  name: 'AddOffsetsToTxn',
  key: 25,
  minVersion: 0,
  maxVersion: 2,
  flexibleFrom: 3,
  encode({ transactionalId, producerId, producerEpoch, groupId }) {
    return new WireWriter().string(transactionalId).int64(producerId).int16(producerEpoch).string(groupId);
  },
  parse(reader) {
    reader.int32(); // throttle_time_ms
    return { errorCode: reader.int16() };
  },
};

export interface TxnOffsetCommitRequest extends OffsetCommitRequest, ProducerIdentity {
  readonly transactionalId: string;
}

/** Asked of the coordinator of the group. */
export const txnOffsetCommitApi: Api<TxnOffsetCommitRequest, readonly PartitionResult[]> = {
  name: 'TxnOffsetCommit',
  key: 28,
  minVersion: 3,
  maxVersion: 3,
  flexibleFrom: 3,
  encode({ transactionalId, producerId, producerEpoch, identity, positions }) {
    const writer = new WireWriter().string(transactionalId, true).string(identity.groupId, true);
    writer.int64(producerId).int16(producerEpoch);
    writer.int32(identity.generationId).string(identity.memberId, true).nullableString(identity.instanceId, true);
    return writePositions(writer, positions, true).noTaggedFields();
  },
  parse(reader) {
    reader.int32(); // throttle_time_ms
    return readResults(reader, true);
  },
};

function writePositions(writer: WireWriter, positions: readonly PartitionOffset[], flexible: boolean): WireWriter {
  const writePosition = ({ partition, offset }: PartitionOffset): void => {
    writer.int32(partition).int64(offset).int32(NO_LEADER_EPOCH).string(NO_METADATA, flexible);
    if (flexible) writer.noTaggedFields();
  };
  const writeTopic = ([topic, together]: [string, PartitionOffset[]]): void => {
    writer.string(topic, flexible).array(together, writePosition, flexible);
    if (flexible) writer.noTaggedFields();
  };
  return writer.array(byTopic(positions), writeTopic, flexible);
}

function readResults(reader: WireReader, flexible: boolean): PartitionResult[] {
  const topics = reader.array(() => {
    const topic = reader.string(flexible);
    const results = reader.array(() => {
      const result = { topic, partition: reader.int32(), errorCode: reader.int16() };
      if (flexible) reader.skipTaggedFields();
      return result;
    }, flexible);
    if (flexible) reader.skipTaggedFields();
    return results;
  }, flexible);
  return topics.flat();
}
