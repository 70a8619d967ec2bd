/** One rebalance, as one member goes through it: join, assign if the group has made it its leader, sync. */
import type { GroupSettings } from '../config/kafkaSettings.ts';
import { messageOf, OffloadError } from '../errors.ts';
import type { GroupCoordinator } from '../kafka/groupCoordinator.ts';
import type { JoinedGroup } from '../kafka/groupProtocol.ts';
import { assignPartitions } from './assignor.ts';
import {
  type Assignment,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  PROTOCOL_NAME,
  PROTOCOL_TYPE,
} from './subscription.ts';
import type { MemberIdentity, TopicPartition } from './types.ts';

export interface RebalanceRequest {
  /** As of the last generation. */
  readonly identity: MemberIdentity;
  /** As `encodeSelection` makes it. */
  readonly selection: Buffer;
  readonly owned: readonly TopicPartition[];
  /** Told as soon as the group has given one: what asks again has to name it. */
  readonly onMemberId: (memberId: string) => void;
  /** Ends the probes. */
  readonly signal: AbortSignal;
}

/** @throws OffloadError as `GroupCoordinator`; FORMAT_UNSUPPORTED for members of another version. */
export async function rebalance(
  coordinator: GroupCoordinator,
  settings: GroupSettings,
  { identity, selection, owned, onMemberId, signal }: RebalanceRequest,
): Promise<{ readonly generationId: number; readonly assignment: Assignment }> {
  const metadata = encodeSubscription({ selection, owned, ownedGeneration: identity.generationId });
  const probed = <T>(request: Promise<T>, memberId: string): Promise<T> =>
    withProbes(request, signal, settings.heartbeatIntervalMs, () => coordinator.probe({ ...identity, memberId }));
  const join = (memberId: string): Promise<JoinedGroup> => {
    const asked = { memberId, protocolType: PROTOCOL_TYPE, protocolName: PROTOCOL_NAME, metadata };
    return probed(coordinator.join(asked), memberId);
  };
  let joined = await join(identity.memberId);
  onMemberId(joined.memberId);
  if (joined.generationId < 0) joined = await join(joined.memberId);
  onMemberId(joined.memberId);
  const { memberId, generationId, leader } = joined;
  const assignments = leader === memberId ? assign(settings.groupId, joined) : [];
  const bytes = await probed(coordinator.sync({ ...identity, memberId, generationId, assignments }), memberId);
  const assignment = bytes.length === 0 ? { partitions: [], selection: bytes } : read(settings.groupId, bytes);
  // Ours repeat what they were made for; a broker that assigns by itself (KIP-848) does not know our user data.
  if (bytes.length > 0 && assignment.selection.length === 0) throw await coordinator.inUseByOthers();
  return { generationId, assignment };
}

function assign(groupId: string, { members }: JoinedGroup): { memberId: string; assignment: Buffer }[] {
  const candidates = members.map(({ memberId, metadata }) => {
    try {
      return decodeSubscription(memberId, metadata);
    } catch (error) {
      throw notUnderstood(groupId, `what member ${memberId} says it can read`, error);
    }
  });
  const given = assignPartitions(candidates);
  return candidates.map(({ memberId, userData }) => {
    const partitions = given.get(memberId) ?? [];
    return { memberId, assignment: encodeAssignment({ partitions, selection: userData }) };
  });
}

function read(groupId: string, bytes: Buffer): Assignment {
  try {
    return decodeAssignment(bytes);
  } catch (error) {
    throw notUnderstood(groupId, 'what this member is to read', error);
  }
}

function notUnderstood(groupId: string, what: string, cause: unknown): OffloadError {
  return new OffloadError(
    'FORMAT_UNSUPPORTED',
    `${what} in group ${groupId} is not understood (${messageOf(cause)}); run one version of kafkaload in the group`,
    { context: { groupId }, cause },
  );
}

async function withProbes<T>(
  request: Promise<T>,
  signal: AbortSignal,
  everyMs: number,
  probe: () => Promise<void>,
): Promise<T> {
  let isUnderWay = false;
  const timer = setInterval(() => {
    if (isUnderWay || signal.aborted) return;
    isUnderWay = true;
    void probe().finally(() => {
      isUnderWay = false;
    });
  }, everyMs);
  try {
    return await request;
  } finally {
    clearInterval(timer);
  }
}
