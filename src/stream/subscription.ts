/**
 * What members of a group tell one another, in the format of Kafka's consumers (`ConsumerProtocolSubscription` 2,
 * `ConsumerProtocolAssignment` 1), so that tools show topics and partitions. Ours is the user data: the partitions of each
 * topic that a member can read, which `assign` may make other ones for each member, with the ids of the topics.
 *
 * An assignment repeats the user data it was made for: a static member that comes back is given its old assignment without
 * a rebalance, and sees in it whether the group knows what it can read now.
 */

import { byTopic } from '../kafka/transactionProtocol.ts';
import { WireReader, WireWriter } from '../kafka/wire.ts';
import type { Candidate } from './assignor.ts';
import type { TopicPartition } from './types.ts';

export const PROTOCOL_TYPE = 'consumer';
/** Name of the assignor: members of another kind do not know it, and brokers keep them apart. */
export const PROTOCOL_NAME = 'kafkaload-cooperative-sticky';

const SUBSCRIPTION_VERSION = 2;
const ASSIGNMENT_VERSION = 1;
const SELECTION_VERSION = 1;

/** A topic, and those of its partitions that this process reads. */
export interface GroupTopic {
  readonly topic: string;
  /** UUID; null where the broker has none. */
  readonly topicId: string | null;
  /** Ascending. */
  readonly partitions: readonly number[];
}

/** User data: partitions are ranges, since a topic has many and as a rule all are read. */
export function encodeSelection(topics: readonly GroupTopic[]): Buffer {
  const sorted = [...topics].sort((a, b) => (a.topic < b.topic ? -1 : 1));
  const writer = new WireWriter().int16(SELECTION_VERSION);
  writer.array(sorted, ({ topic, topicId, partitions }) => {
    writer.string(topic).nullableString(topicId);
    writer.array(rangesOf(partitions), ([first, count]) => writer.int32(first).int32(count));
  });
  return writer.toBuffer();
}

function decodeSelection(bytes: Buffer): GroupTopic[] {
  const reader = new WireReader(bytes);
  const version = reader.int16();
  if (version !== SELECTION_VERSION) throw new RangeError(`it speaks version ${version} of our user data`);
  return reader.array(() => {
    const [topic, topicId] = [reader.string(), reader.nullableString()];
    const ranges = reader.array(() => [reader.int32(), reader.int32()] as const);
    return { topic, topicId, partitions: ranges.flatMap(numbersOf) };
  });
}

export interface Subscription {
  /** As `encodeSelection` makes it. */
  readonly selection: Buffer;
  readonly owned: readonly TopicPartition[];
  /** -1: none. */
  readonly ownedGeneration: number;
}

export function encodeSubscription({ selection, owned, ownedGeneration }: Subscription): Buffer {
  const topics = decodeSelection(selection).map(({ topic }) => topic);
  const writer = new WireWriter().int16(SUBSCRIPTION_VERSION);
  writer.array(topics, (topic) => writer.string(topic)).bytes(selection);
  return writePartitions(writer, owned).int32(ownedGeneration).toBuffer();
}

/** @throws RangeError for what no kafkaload of this version has written. */
export function decodeSubscription(memberId: string, bytes: Buffer): Candidate & { readonly userData: Buffer } {
  const reader = new WireReader(bytes);
  const version = reader.int16();
  if (version < SUBSCRIPTION_VERSION) throw new RangeError(`it speaks version ${version} of subscriptions`);
  reader.array(() => reader.string());
  const userData = reader.bytes();
  const owned = readPartitions(reader);
  return { memberId, selection: decodeSelection(userData), owned, ownedGeneration: reader.int32(), userData };
}

export interface Assignment {
  readonly partitions: readonly TopicPartition[];
  /** What the member had said it can read. Empty: another kind of consumer gave this assignment. */
  readonly selection: Buffer;
}

export function encodeAssignment({ partitions, selection }: Assignment): Buffer {
  const writer = new WireWriter().int16(ASSIGNMENT_VERSION);
  return writePartitions(writer, partitions).bytes(selection).toBuffer();
}

/** @throws RangeError for bytes that are no assignment. */
export function decodeAssignment(bytes: Buffer): Assignment {
  const reader = new WireReader(bytes);
  reader.int16(); // version; later ones only add fields
  return { partitions: readPartitions(reader), selection: reader.bytes() };
}

function writePartitions(writer: WireWriter, partitions: readonly TopicPartition[]): WireWriter {
  return writer.array(byTopic(partitions), ([topic, together]) => {
    writer.string(topic).array(together, ({ partition }) => writer.int32(partition));
  });
}

function readPartitions(reader: WireReader): TopicPartition[] {
  const topics = reader.array(() => {
    const topic = reader.string();
    return reader.array(() => ({ topic, partition: reader.int32() }));
  });
  return topics.flat();
}

function rangesOf(partitions: readonly number[]): [first: number, count: number][] {
  const ranges: [number, number][] = [];
  for (const partition of partitions) {
    const last = ranges.at(-1);
    if (last && last[0] + last[1] === partition) last[1] += 1;
    else ranges.push([partition, 1]);
  }
  return ranges;
}

/** More partitions than any cluster has: a count that lies would hold much. */
const MOST_PARTITIONS = 1_000_000;

function numbersOf([first, count]: readonly [first: number, count: number]): number[] {
  if (first < 0 || count < 0 || count > MOST_PARTITIONS)
    throw new RangeError(`it reads ${count} partitions from ${first}`);
  return Array.from({ length: count }, (_, i) => first + i);
}
