/**
 * What a member commits to its group. Commits wait from join to sync, and the next join waits for those under way: none is
 * made in the name of a generation that is outdated meanwhile.
 */
import type { ConnectionSettings, GroupSettings } from '../config/kafkaSettings.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { isMemberFenced } from '../kafka/brokerErrors.ts';
import type { GroupCoordinator } from '../kafka/groupCoordinator.ts';
import type { Condition } from './condition.ts';
import { keyOf, type Ownership } from './ownership.ts';
import type { GroupOffset, MemberIdentity, Position, TopicPartition } from './types.ts';

export interface GroupCommitsOptions {
  readonly coordinator: GroupCoordinator;
  readonly settings: GroupSettings;
  readonly connection: ConnectionSettings;
  readonly ownership: Ownership;
  /** Says when ownership or loss have changed. */
  readonly condition: Condition;
  /** Ends whatever waits. */
  readonly signal: AbortSignal;
  /** Why the group went on without us; null: it has not. */
  readonly loss: () => OffloadError | null;
  /** The group has refused a commit of this generation. */
  readonly onFenced: (generationId: number) => void;
  /** It takes no commits, since it is being rebalanced. */
  readonly onRebalance: () => void;
}

export class GroupCommits {
  readonly #options: GroupCommitsOptions;
  /** In whose name; null from join to sync. */
  #identity: MemberIdentity | null = null;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(options: GroupCommitsOptions) {
    this.#options = options;
  }

  /** None is under way. */
  get areDone(): boolean {
    return this.#underWay.size === 0;
  }

  /** Those that come from now on wait. */
  hold(): void {
    this.#identity = null;
  }

  /** They go on, in the name of the new generation. */
  resume(identity: MemberIdentity): void {
    this.#identity = identity;
    this.#options.condition.changed();
  }

  /** As `GroupMember.committed`. */
  async committed(partitions: readonly TopicPartition[]): Promise<readonly GroupOffset[]> {
    const offsets = await this.#options.coordinator.fetchOffsets(partitions, this.#options.signal);
    return partitions.map(({ topic, partition }, index) => {
      const offset = offsets[index] ?? -1;
      return { topic, partition, offset: offset < 0 ? null : offset };
    });
  }

  /** As `GroupMember.commit`. */
  async commit(positions: readonly Position[]): Promise<void> {
    if (positions.length === 0) return;
    const { coordinator, settings, connection, condition, signal, onRebalance } = this.#options;
    const { deadlineMs, retryBackoffMaxMs } = connection;
    const startMs = performance.now();
    const attempt = (identity: MemberIdentity): Promise<boolean> => coordinator.commit(identity, positions, signal);
    while (!(await this.commitAs(positions, attempt))) {
      if (performance.now() - startMs > deadlineMs) throw rebalancesForLong(settings.groupId, deadlineMs);
      onRebalance();
      await condition.pause(retryBackoffMaxMs);
    }
  }

  /** As `GroupMember.commitAs`. */
  async commitAs<T>(
    partitions: readonly TopicPartition[],
    commit: (identity: MemberIdentity) => Promise<T>,
  ): Promise<T> {
    const { condition, loss, onFenced } = this.#options;
    // What was seen may have changed before this goes on.
    do await this.#untilSteady(partitions);
    while (this.#identity === null || loss() !== null);
    const identity = this.#identity;
    const committing = commit(identity);
    this.#underWay.add(committing);
    try {
      return await committing;
    } catch (error) {
      if (isMemberFenced(toOffloadError(error))) onFenced(identity.generationId);
      throw error;
    } finally {
      this.#underWay.delete(committing);
      condition.changed();
    }
  }

  /** Until no rebalance is under way. */
  async #untilSteady(partitions: readonly TopicPartition[]): Promise<void> {
    const { settings, connection, ownership, condition, signal, loss } = this.#options;
    const { groupId, rebalanceTimeoutMs } = settings;
    const isLost = (): boolean => loss() !== null || !partitions.every((one) => ownership.has(one));
    const deadlineMs = Math.max(rebalanceTimeoutMs, connection.deadlineMs);
    const isSteady = await condition.until(() => isLost() || this.#identity !== null, deadlineMs);
    signal.throwIfAborted();
    if (isLost()) throw notOurs(groupId, partitions.find((one) => !ownership.has(one)) ?? null, loss());
    if (!isSteady) throw rebalancesForLong(groupId, deadlineMs);
  }
}

function rebalancesForLong(groupId: string, forMs: number): OffloadError {
  const message = `group ${groupId} is being rebalanced for ${forMs} ms now, and takes no commits meanwhile`;
  return new OffloadError('BROKER_TIMEOUT', message, { context: { groupId, forMs } });
}

function notOurs(groupId: string, missing: TopicPartition | null, loss: OffloadError | null): OffloadError {
  const what = missing === null ? 'a commit comes too late' : `${keyOf(missing)} is not this member's any more`;
  const why = loss === null ? '' : `: ${loss.message}`;
  return new OffloadError('FENCED', `${what} in group ${groupId}${why}`, {
    context: { groupId, ...missing },
    cause: loss ?? undefined,
  });
}
