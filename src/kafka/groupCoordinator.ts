/**
 * What a member asks of the coordinator of its group, over connections of its own: answers to JoinGroup and SyncGroup come
 * when all members have asked, and a broker answers a connection in order, so heartbeats and commits have another one.
 */
import type { ConnectionSettings, GroupSettings } from '../config/kafkaSettings.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { brokerError } from './brokerErrors.ts';
import { Cluster } from './cluster.ts';
import type { BrokerConnection } from './connection.ts';
import { CoordinatorLink } from './coordinatorLink.ts';
import { commitGroupOffsets, fetchGroupOffsets } from './groupOffsets.ts';
import type { PartitionOffset } from './groupOffsetsProtocol.ts';
import {
  describeGroupsApi,
  type GroupIdentity,
  heartbeatApi,
  type JoinedGroup,
  joinGroupApi,
  knowsStaticMembers,
  leaveGroupApi,
  type SyncGroupRequest,
  syncGroupApi,
} from './groupProtocol.ts';
import type { TopicPartition } from './transactionProtocol.ts';

const INCONSISTENT_GROUP_PROTOCOL = 23;
const INVALID_GROUP_ID = 24;
const INVALID_SESSION_TIMEOUT = 26;
const REBALANCE_IN_PROGRESS = 27;
const MEMBER_ID_REQUIRED = 79;
const GROUP_MAX_SIZE_REACHED = 81;
const FENCED_INSTANCE_ID = 82;

/** A broker answers a rebalance by its time-out; this is for the way. */
const REBALANCE_MARGIN_MS = 5_000;
/** A coordinator that does not answer is looked for again well before the session is over. */
const SESSION_SHARE = 3;
const LEAST_TIMEOUT_MS = 1_000;

export interface JoinRequest {
  /** Empty: the group gives one. */
  readonly memberId: string;
  readonly protocolType: string;
  readonly protocolName: string;
  readonly metadata: Buffer;
}

export class GroupCoordinator {
  readonly #group: GroupSettings;
  readonly #cluster: Cluster;
  readonly #link: CoordinatorLink;
  readonly #rebalanceTimeoutMs: number;
  #rebalancing: BrokerConnection | null = null;

  constructor(settings: ConnectionSettings, group: GroupSettings) {
    this.#group = group;
    const quickMs = Math.max(LEAST_TIMEOUT_MS, Math.floor(group.sessionTimeoutMs / SESSION_SHARE));
    this.#cluster = new Cluster({ ...settings, requestTimeoutMs: Math.min(settings.requestTimeoutMs, quickMs) });
    this.#link = new CoordinatorLink(this.#cluster, { kind: 'group', id: group.groupId });
    this.#rebalanceTimeoutMs = group.rebalanceTimeoutMs + REBALANCE_MARGIN_MS;
  }

  /**
   * Joins, in one attempt; answered when all members have joined, or their time is up.
   *
   * @returns Without a generation (-1) if the group has only given a member id, with which to ask again.
   * @throws OffloadError FENCED for a member id that the group does not know (any more), or one whose instance id belongs
   *   to another process now; BROKER_REFUSED if the group is in use by another kind of consumer; NOT_AUTHORIZED.
   */
  async join(request: JoinRequest): Promise<JoinedGroup> {
    const { groupId, instanceId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#group;
    return this.#askForRebalance(async (coordinator) => {
      if (instanceId !== null && !knowsStaticMembers(coordinator)) throw tooOldForStatic(instanceId, coordinator);
      const { memberId, protocolType, protocolName, metadata } = request;
      const answer = await coordinator.request(joinGroupApi, {
        ...{ groupId, memberId, generationId: -1, instanceId, sessionTimeoutMs, rebalanceTimeoutMs, protocolType },
        protocols: [{ name: protocolName, metadata }],
      });
      if (answer.errorCode === MEMBER_ID_REQUIRED) return { ...answer, generationId: -1 };
      if (answer.errorCode === INCONSISTENT_GROUP_PROTOCOL) throw await this.inUseByOthers();
      this.#check(answer.errorCode, `cannot join group ${groupId}`, coordinator);
      return answer;
    });
  }

  /** Gives what the leader has decided, and is given what this member gets; answered when the leader has asked. */
  async sync(request: SyncGroupRequest): Promise<Buffer> {
    return this.#askForRebalance(async (coordinator) => {
      const { errorCode, assignment } = await coordinator.request(syncGroupApi, request);
      this.#check(errorCode, `cannot learn what ${memberOf(request)} is to read`, coordinator);
      return assignment;
    });
  }

  /** @throws OffloadError with REBALANCE_IN_PROGRESS: join again; FENCED: the group went on without the member. */
  async heartbeat(identity: GroupIdentity): Promise<void> {
    await this.#link.ask(async (coordinator) => {
      const { errorCode } = await coordinator.request(heartbeatApi, identity);
      this.#check(errorCode, `cannot keep ${memberOf(identity)} alive`, coordinator);
    });
  }

  /** Asks while a rebalance is waited for: a broker that has gone without a word would be waited for very long. */
  async probe(identity: GroupIdentity): Promise<void> {
    try {
      await this.heartbeat(identity);
    } catch (error) {
      const { retriable, context } = toOffloadError(error);
      // Whatever else it says of the member it will say in its answer to the other request.
      if (retriable && context.errorCode !== REBALANCE_IN_PROGRESS) this.abandonRebalance();
    }
  }

  /** Requests for a rebalance that are under way fail. */
  abandonRebalance(): void {
    this.#rebalancing?.close();
    this.#rebalancing = null;
  }

  /** Gives the partitions of a dynamic member to the others at once. */
  async leave(memberId: string): Promise<void> {
    const { groupId } = this.#group;
    await this.#link.ask(async (coordinator) => {
      const { errorCode } = await coordinator.request(leaveGroupApi, { groupId, memberId });
      this.#check(errorCode, `cannot leave group ${groupId}`, coordinator);
    });
  }

  /** As `fetchGroupOffsets`. */
  fetchOffsets(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<number[]> {
    return fetchGroupOffsets(this.#link, this.#group.groupId, partitions, signal);
  }

  /**
   * Commits, and tries again what is retriable, within the cluster's deadline.
   *
   * @returns False: the group is being rebalanced, and takes commits of the next generation alone.
   * @throws OffloadError FENCED if the group went on without the member.
   */
  commit(identity: GroupIdentity, positions: readonly PartitionOffset[], signal: AbortSignal): Promise<boolean> {
    const attempt = async (coordinator: BrokerConnection): Promise<boolean> => {
      try {
        await commitGroupOffsets(coordinator, { identity, positions });
        return true;
      } catch (error) {
        if (toOffloadError(error).context.errorCode === REBALANCE_IN_PROGRESS) return false;
        throw error;
      }
    };
    return this.#link.askUntilAnswered(attempt, { signal });
  }

  /** The error for a group whose members are of another kind, with what can be learnt of them. */
  async inUseByOthers(): Promise<OffloadError> {
    const { groupId } = this.#group;
    const kind = await this.#describe().catch(() => 'of a kind that the broker does not tell');
    const message = `group ${groupId} is in use by another kind of consumer (${kind}); use another group.id`;
    return new OffloadError('BROKER_REFUSED', message, { context: { groupId, kind } });
  }

  close(): void {
    this.abandonRebalance();
    this.#cluster.close();
  }

  async #describe(): Promise<string> {
    return this.#link.ask(async (coordinator) => {
      const [group] = await coordinator.request(describeGroupsApi, { groupId: this.#group.groupId });
      if (group?.errorCode !== 0 || group.members.length === 0) return 'one of the newer protocol, KIP-848';
      const { protocolType, protocol, members } = group;
      const clients = [...new Set(members.map(({ clientId, clientHost }) => `${clientId} at ${clientHost}`))];
      const assignor = protocol === '' ? '' : `, assignor ${protocol}`;
      return `protocol ${protocolType}${assignor}, client ${clients.join(', ')}`;
    });
  }

  #askForRebalance<T>(request: (coordinator: BrokerConnection) => Promise<T>): Promise<T> {
    return this.#link.ask(async (coordinator) => {
      const own = this.#rebalancing;
      if (own?.isUsable && own.address === coordinator.address) return request(own);
      own?.close();
      const opened = await coordinator.another({ requestTimeoutMs: this.#rebalanceTimeoutMs });
      this.#rebalancing = opened;
      return request(opened);
    });
  }

  #check(errorCode: number, attempt: string, { address }: BrokerConnection): void {
    if (errorCode === 0) return;
    const { groupId } = this.#group;
    throw brokerError(
      errorCode,
      `${attempt} at broker ${address}`,
      `Read on group ${groupId}`,
      this.#detail(errorCode),
    );
  }

  #detail(errorCode: number): string | undefined {
    const { groupId, instanceId, sessionTimeoutMs } = this.#group;
    switch (errorCode) {
      case INVALID_GROUP_ID:
        return `the broker does not accept group.id "${groupId}"`;
      case INVALID_SESSION_TIMEOUT:
        return `session.timeout.ms is ${sessionTimeoutMs}; the broker has group.min.session.timeout.ms and group.max.session.timeout.ms`;
      case GROUP_MAX_SIZE_REACHED:
        return 'it has as many members as group.max.size of the broker allows';
      case FENCED_INSTANCE_ID:
        return `group.instance.id is ${instanceId}; give each process its own`;
      default:
        return undefined;
    }
  }
}

function memberOf({ groupId, memberId }: GroupIdentity): string {
  return `member ${memberId} of group ${groupId}`;
}

function tooOldForStatic(instanceId: string, { address }: BrokerConnection): OffloadError {
  return new OffloadError(
    'FORMAT_UNSUPPORTED',
    `broker ${address} does not know static members, which group.instance.id ${instanceId} asks for; it takes Kafka 2.3, or ` +
      'remove group.instance.id',
    { context: { address, instanceId } },
  );
}
