/**
 * The requests of a member of a consumer group (the classic protocol of groups, KIP-62, KIP-345, KIP-394), in versions
 * that brokers from Kafka 2.1 to 4.x answer. Static members take Kafka 2.3.
 */
import type { Api } from './protocol.ts';
import { WireWriter } from './wire.ts';

/** Who asks, as brokers know a member. */
export interface GroupIdentity {
  readonly groupId: string;
  /** Empty before the group has given one. */
  readonly memberId: string;
  /** -1 outside of a generation. */
  readonly generationId: number;
  /** `group.instance.id` of a static member; null: a dynamic one. */
  readonly instanceId: string | null;
}

/** From this version on, requests name the static member (KIP-345). */
const STATIC_FROM = 3;
const STATIC_JOIN_FROM = 5;

export interface JoinGroupRequest extends GroupIdentity {
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  /** Assignors that this member knows, with what it tells to each of them. */
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[];
}

export interface JoinedGroup {
  readonly errorCode: number;
  readonly generationId: number;
  readonly protocolName: string;
  readonly leader: string;
  readonly memberId: string;
  /** The leader is told of all; the others of none. */
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly metadata: Buffer;
  }[];
}

/** Answered when the members of the next generation are known: as late as the rebalance time-out. */
export const joinGroupApi: Api<JoinGroupRequest, JoinedGroup> = {
  name: 'JoinGroup',
  key: 11,
  minVersion: 2,
  maxVersion: 5,
  flexibleFrom: 6,
  encode(request, version) {
    const writer = new WireWriter().string(request.groupId);
    writer.int32(request.sessionTimeoutMs).int32(request.rebalanceTimeoutMs).string(request.memberId);
    if (version >= STATIC_JOIN_FROM) writer.nullableString(request.instanceId);
    return writer.string(request.protocolType).array(request.protocols, ({ name, metadata }) => {
      writer.string(name).bytes(metadata);
    });
  },
  parse(reader, version) {
    reader.int32(); // throttle_time_ms
    return {
      errorCode: reader.int16(),
      generationId: reader.int32(),
      protocolName: reader.string(),
      leader: reader.string(),
      memberId: reader.string(),
      members: reader.array(() => ({
        memberId: reader.string(),
        instanceId: version >= STATIC_JOIN_FROM ? reader.nullableString() : null,
        metadata: reader.bytes(),
      })),
    };
  },
};

export interface SyncGroupRequest extends GroupIdentity {
  /** Of the leader: what each member gets. The others give none. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[];
}

export const syncGroupApi: Api<SyncGroupRequest, { readonly errorCode: number; readonly assignment: Buffer }> = {
  name: 'SyncGroup',
  key: 14,
  minVersion: 1,
  maxVersion: 3,
  flexibleFrom: 4,
  encode(request, version) {
    const writer = identify(new WireWriter(), request, version);
    return writer.array(request.assignments, ({ memberId, assignment }) => {
      writer.string(memberId).bytes(assignment);
    });
  },
  parse(reader) {
    reader.int32(); // throttle_time_ms
    return { errorCode: reader.int16(), assignment: reader.bytes() };
  },
};

export const heartbeatApi: Api<GroupIdentity, { readonly errorCode: number }> = {
  name: 'Heartbeat',
  key: 12,
  minVersion: 1,
  maxVersion: 3,
  flexibleFrom: 4,
  encode: (identity, version) => identify(new WireWriter(), identity, version),
  parse(reader) {
    reader.int32(); // throttle_time_ms
    return { errorCode: reader.int16() };
  },
};

export const leaveGroupApi: Api<Pick<GroupIdentity, 'groupId' | 'memberId'>, { readonly errorCode: number }> = {
  name: 'LeaveGroup',
  key: 13,
  minVersion: 1,
  maxVersion: 2,
  flexibleFrom: 4,
  encode: ({ groupId, memberId }) => new WireWriter().string(groupId).string(memberId),
  parse(reader) {
    reader.int32(); // throttle_time_ms
    return { errorCode: reader.int16() };
  },
};

export interface DescribedGroup {
  readonly errorCode: number;
  readonly state: string;
  readonly protocolType: string;
  /** Name of the assignor that its members have agreed on. */
  readonly protocol: string;
  readonly members: readonly { readonly clientId: string; readonly clientHost: string }[];
}

/** Asked for one group, and so answered for one. */
export const describeGroupsApi: Api<{ readonly groupId: string }, readonly DescribedGroup[]> = {
  name: 'DescribeGroups',
  key: 15,
  minVersion: 1,
  maxVersion: 2,
  flexibleFrom: 5,
  encode: ({ groupId }) => new WireWriter().int32(1).string(groupId),
  parse(reader) {
    reader.int32(); // throttle_time_ms
    return reader.array(() => {
      const errorCode = reader.int16();
      reader.string(); // group_id
      const [state, protocolType, protocol] = [reader.string(), reader.string(), reader.string()];
      const members = reader.array(() => {
        reader.string(); // member_id
        const member = { clientId: reader.string(), clientHost: reader.string() };
        reader.bytes(); // member_metadata
        reader.bytes(); // member_assignment
        return member;
      });
      return { errorCode, state, protocolType, protocol, members };
    });
  },
};

/** True if the broker tells static members from others in all that a member asks. */
export function knowsStaticMembers(connection: { supports(api: Api<never, unknown>): boolean }): boolean {
  return connection.supports({ ...joinGroupApi, minVersion: STATIC_JOIN_FROM });
}

function identify(writer: WireWriter, identity: GroupIdentity, version: number): WireWriter {
  writer.string(identity.groupId).int32(identity.generationId).string(identity.memberId);
  return version >= STATIC_FROM ? writer.nullableString(identity.instanceId) : writer;
}
