/** Offsets of a consumer group: read, and committed by one of its members, alone or as part of a transaction. */
import { OffloadError } from '../errors.ts';
import { brokerError } from './brokerErrors.ts';
import type { BrokerConnection } from './connection.ts';
import type { CoordinatorLink } from './coordinatorLink.ts';
import {
  type FetchedOffset,
  type OffsetCommitRequest,
  offsetCommitApi,
  offsetFetchApi,
  type PartitionResult,
  type TxnOffsetCommitRequest,
  txnOffsetCommitApi,
} from './groupOffsetsProtocol.ts';
import { placeOf, type TopicPartition } from './transactionProtocol.ts';

const UNKNOWN_TOPIC_OR_PARTITION = 3;
const TOPIC_AUTHORIZATION_FAILED = 29;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53;

/**
 * What the group has committed of each of the partitions. An open transaction that holds one of them is waited for.
 *
 * @returns In the order asked for; -1: nothing is committed.
 * @throws OffloadError a retriable one after the deadline; NOT_AUTHORIZED.
 */
export async function fetchGroupOffsets(
  link: CoordinatorLink,
  groupId: string,
  partitions: readonly TopicPartition[],
  signal?: AbortSignal,
): Promise<number[]> {
  if (partitions.length === 0) return [];
  const attempt = async (coordinator: BrokerConnection): Promise<number[]> => {
    const answer = await coordinator.request(offsetFetchApi, { groupId, partitions });
    const where = `of group ${groupId} at broker ${coordinator.address}`;
    if (answer.errorCode !== 0) {
      throw brokerError(answer.errorCode, `cannot read the offsets ${where}`, `Describe on group ${groupId}`);
    }
    const found = new Map(answer.offsets.map((offset) => [placeOf(offset), offset]));
    return partitions.map((partition) => {
      const offset = found.get(placeOf(partition));
      if (offset === undefined) throw leftOut(partition, groupId, coordinator);
      return offsetOf(offset, groupId, where);
    });
  };
  return link.askUntilAnswered(attempt, { signal });
}

function offsetOf({ topic, partition, offset, errorCode }: FetchedOffset, groupId: string, where: string): number {
  // Of a topic that is gone, or that the broker has not heard of, nothing is committed.
  if (errorCode === 0 || errorCode === UNKNOWN_TOPIC_OR_PARTITION) return offset;
  const permission =
    errorCode === TOPIC_AUTHORIZATION_FAILED ? `Describe on topic ${topic}` : `Describe on group ${groupId}`;
  throw brokerError(errorCode, `cannot read the offset of ${topic}/${partition} ${where}`, permission);
}

/** One attempt to commit. @throws OffloadError FENCED if the group went on without the member. */
export async function commitGroupOffsets(coordinator: BrokerConnection, request: OffsetCommitRequest): Promise<void> {
  const results = await coordinator.request(offsetCommitApi, request);
  check(results, request, 'cannot commit the offset', coordinator);
}

/**
 * Makes offsets part of an open transaction that the group's offsets were added to.
 *
 * @throws OffloadError FENCED if the group went on without the member, or another producer has taken over.
 */
export async function commitGroupOffsetsInTransaction(
  link: CoordinatorLink,
  request: TxnOffsetCommitRequest,
  signal?: AbortSignal,
): Promise<void> {
  const attempt = async (coordinator: BrokerConnection): Promise<void> => {
    const results = await coordinator.request(txnOffsetCommitApi, request);
    const what = `cannot commit as transactional id ${request.transactionalId} the offset`;
    check(results, request, what, coordinator, request.transactionalId);
  };
  await link.askUntilAnswered(attempt, { signal });
}

function check(
  results: readonly PartitionResult[],
  { identity, positions }: OffsetCommitRequest,
  attempt: string,
  coordinator: BrokerConnection,
  transactionalId?: string,
): void {
  const codes = new Map(results.map((result) => [placeOf(result), result.errorCode]));
  for (const { topic, partition, offset } of positions) {
    const errorCode = codes.get(placeOf({ topic, partition }));
    if (errorCode === undefined) throw leftOut({ topic, partition }, identity.groupId, coordinator);
    if (errorCode === 0) continue;
    const who = `of group ${identity.groupId} as its member ${identity.memberId} of generation ${identity.generationId}`;
    const permissions: Record<number, string> = {
      [TOPIC_AUTHORIZATION_FAILED]: `Read on topic ${topic}`,
      [TRANSACTIONAL_ID_AUTHORIZATION_FAILED]: `Write on transactional id ${transactionalId}`,
    };
    throw brokerError(
      errorCode,
      `${attempt} ${offset} of ${topic}/${partition} ${who} at broker ${coordinator.address}`,
      permissions[errorCode] ?? `Read on group ${identity.groupId}`,
    );
  }
}

function leftOut({ topic, partition }: TopicPartition, groupId: string, { address }: BrokerConnection): OffloadError {
  const message = `broker ${address} was asked about ${topic}/${partition} of group ${groupId} and left it out`;
  return new OffloadError('BROKER_UNREACHABLE', message, { context: { topic, partition } });
}
