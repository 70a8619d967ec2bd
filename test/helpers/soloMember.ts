/** What tests of sinks need of a group: offsets of one without members, which anybody may commit to. */
import type { Cluster } from '../../src/kafka/cluster.ts';
import type { GroupMember, GroupOffset, MemberIdentity, Position, TopicPartition } from '../../src/stream/types.ts';
import { built } from './built.ts';

export class SoloMember implements GroupMember {
  readonly rebalances = 0;
  readonly signal = new AbortController().signal;
  readonly #cluster: Cluster;
  readonly #groupId: string;
  #identity: MemberIdentity;

  constructor(cluster: Cluster, groupId: string) {
    this.#cluster = cluster;
    this.#groupId = groupId;
    this.#identity = { groupId, memberId: '', generationId: -1, instanceId: null };
  }

  get identity(): MemberIdentity {
    return this.#identity;
  }

  /** From now on this is a member of a generation that the group has left behind. */
  outdate(): void {
    this.#identity = { ...this.#identity, memberId: 'nobody', generationId: 1 };
  }

  async committed(partitions: readonly TopicPartition[]): Promise<readonly GroupOffset[]> {
    const { fetchGroupOffsets } = await built<typeof import('../../src/kafka/groupOffsets.ts')>('kafka/groupOffsets');
    const offsets = await fetchGroupOffsets(await this.#link(), this.#groupId, partitions);
    return partitions.map(({ topic, partition }, index) => {
      const offset = offsets[index] ?? -1;
      return { topic, partition, offset: offset < 0 ? null : offset };
    });
  }

  async commit(positions: readonly Position[]): Promise<void> {
    const { commitGroupOffsets } = await built<typeof import('../../src/kafka/groupOffsets.ts')>('kafka/groupOffsets');
    const link = await this.#link();
    await link.ask((coordinator) => commitGroupOffsets(coordinator, { identity: this.#identity, positions }));
  }

  commitAs<T>(_partitions: readonly TopicPartition[], commit: (identity: MemberIdentity) => Promise<T>): Promise<T> {
    return commit(this.#identity);
  }

  topicsChanged(): void {}

  async close(): Promise<void> {}

  async #link() {
    const { CoordinatorLink } =
      await built<typeof import('../../src/kafka/coordinatorLink.ts')>('kafka/coordinatorLink');
    return new CoordinatorLink(this.#cluster, { kind: 'group', id: this.#groupId });
  }
}
