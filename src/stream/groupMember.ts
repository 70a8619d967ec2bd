/**
 * This process as a member of a consumer group. A generation of the group goes like this:
 *
 *     look at the topics -> join -> (the leader assigns) -> sync -> let go of what another one gets, and join again
 *                                                                -> or rest: heartbeats, until something changes
 *
 * Partitions that stay ours are read on all the while; only commits wait from join to sync, and the next join waits for
 * commits. Whatever becomes of the group, brokers refuse what a member commits that the group went on without.
 */
import type { ConnectionSettings, GroupSettings } from '../config/kafkaSettings.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { isMemberFenced } from '../kafka/brokerErrors.ts';
import type { Cluster } from '../kafka/cluster.ts';
import { GroupCoordinator } from '../kafka/groupCoordinator.ts';
import { passStep } from '../steps.ts';
import { Condition } from './condition.ts';
import { GroupCommits } from './groupCommits.ts';
import { Heartbeats } from './heartbeats.ts';
import { keyOf, Ownership } from './ownership.ts';
import { persist } from './persist.ts';
import { Readable } from './readable.ts';
import { rebalance } from './rebalance.ts';
import type { Assignment, GroupTopic } from './subscription.ts';
import type {
  AssignmentListener,
  GroupMember,
  GroupOffset,
  MemberIdentity,
  Observe,
  Position,
  TopicPartition,
} from './types.ts';
import { Waker } from './waker.ts';

const UNKNOWN_MEMBER_ID = 25;
const REBALANCE_IN_PROGRESS = 27;
const FENCED_INSTANCE_ID = 82;

/** As `metadata.max.age.ms`, but shorter: a new partition is read soon. */
const TOPICS_MAX_AGE_MS = 30_000;
const LEAVE_DEADLINE_MS = 5_000;

export interface GroupMemberOptions {
  /** How to reach the brokers; the member has connections of its own. */
  readonly cluster: Cluster;
  readonly settings: GroupSettings;
  /**
   * What this process can read, as the cluster has it now. Asked from time to time, never twice at once. What it throws
   * ends the membership unless it is retriable.
   */
  readonly topics: () => Promise<readonly GroupTopic[]>;
  readonly listener: AssignmentListener;
  /** Ends the wait of `openGroupMember`, with its reason. */
  readonly signal: AbortSignal;
  readonly observe?: Observe;
  /** Default: 30 s. */
  readonly topicsMaxAgeMs?: number;
}

/**
 * Joins a group. The listener is called for the first time after this has resolved.
 *
 * @throws OffloadError what `topics` throws; NOT_AUTHORIZED naming the permission; BROKER_REFUSED for a group that is in
 *   use by another kind of consumer, or for settings that the broker does not accept; FORMAT_UNSUPPORTED for a static
 *   member and a broker older than Kafka 2.3; a retriable one after the cluster's deadline; the signal's reason.
 */
export async function openGroupMember(options: GroupMemberOptions): Promise<GroupMember> {
  const { signal } = options;
  signal.throwIfAborted();
  const member = new Membership(options);
  const abort = (): void => member.fail(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    await member.joined;
    return member;
  } catch (error) {
    await member.close();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

class Membership implements GroupMember {
  readonly #options: GroupMemberOptions;
  readonly #observe: Observe;
  readonly #settings: ConnectionSettings;
  readonly #coordinator: GroupCoordinator;
  readonly #ownership: Ownership;
  /** It has failed. */
  readonly #failed = new AbortController();
  /** It has failed or was closed: ends whatever waits. */
  readonly #ended = new AbortController();
  readonly #joined: { readonly promise: Promise<void>; resolve(): void; reject(error: unknown): void };
  /** Wakes the rest between two rebalances. */
  readonly #rest = new Waker();
  readonly #state = new Condition(this.#ended.signal);
  readonly #readable: Readable;
  readonly #commits: GroupCommits;
  #heartbeats: Heartbeats | null = null;
  #memberId = '';
  #generationId = -1;
  #joins = 0;
  #isClosed: boolean = false;
  #wantsRebalance: boolean = false;
  /** Why the group went on without us; taken back when we join again. */
  #loss: OffloadError | null = null;

  constructor(options: GroupMemberOptions) {
    this.#options = options;
    this.#observe = options.observe ?? (() => {});
    this.#settings = options.cluster.settings;
    this.#coordinator = new GroupCoordinator(this.#settings, options.settings);
    this.#ownership = new Ownership(options.listener, this.#observe, (error) => this.fail(error));
    this.#readable = new Readable({
      topics: options.topics,
      persist: (attempt) => this.#persist(attempt),
      isFirst: () => this.#joins === 0,
    });
    this.#commits = new GroupCommits({
      coordinator: this.#coordinator,
      settings: options.settings,
      connection: this.#settings,
      ownership: this.#ownership,
      condition: this.#state,
      signal: this.#ended.signal,
      loss: () => this.#loss,
      onFenced: (generationId) => {
        // The heartbeat brings the same news, and what follows from it.
        if (generationId === this.#generationId) this.#heartbeats?.poke();
      },
      onRebalance: () => this.#rebalance(),
    });
    let [resolve, reject]: [() => void, (error: unknown) => void] = [() => {}, () => {}];
    const promise = new Promise<void>((...settle) => {
      [resolve, reject] = settle;
    });
    // It may fail before anybody waits for it.
    promise.catch(() => {});
    this.#joined = { promise, resolve, reject };
    void this.#run();
  }

  get joined(): Promise<void> {
    return this.#joined.promise;
  }

  get identity(): MemberIdentity {
    const { groupId, instanceId } = this.#options.settings;
    return { groupId, memberId: this.#memberId, generationId: this.#generationId, instanceId };
  }

  get rebalances(): number {
    return Math.max(0, this.#joins - 1);
  }

  get signal(): AbortSignal {
    return this.#failed.signal;
  }

  committed(partitions: readonly TopicPartition[]): Promise<readonly GroupOffset[]> {
    return this.#commits.committed(partitions);
  }

  commit(positions: readonly Position[]): Promise<void> {
    return this.#commits.commit(positions);
  }

  commitAs<T>(partitions: readonly TopicPartition[], commit: (identity: MemberIdentity) => Promise<T>): Promise<T> {
    return this.#commits.commitAs(partitions, commit);
  }

  topicsChanged(): void {
    this.#readable.isDue = true;
    this.#rest.wake();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const isMember = this.#memberId !== '' && this.#loss === null && this.#options.settings.instanceId === null;
    this.#end(new OffloadError('INTERNAL', `membership of group ${this.#options.settings.groupId} has been closed`));
    if (isMember) await this.#leave();
    this.#coordinator.close();
  }

  /** Ends the membership for good. */
  fail(error: unknown): void {
    if (this.#ended.signal.aborted) return;
    const reason = toOffloadError(error);
    this.#failed.abort(reason);
    this.#joined.reject(error);
    this.#end(reason);
  }

  #end(reason: OffloadError): void {
    this.#ended.abort(reason);
    this.#heartbeats?.stop();
    this.#coordinator.abandonRebalance();
    this.#rest.wake();
  }

  async #run(): Promise<void> {
    try {
      while (!this.#ended.signal.aborted) {
        const assignment = await this.#join();
        if (assignment !== null) await this.#live(assignment);
        if (this.#loss !== null) await this.#startAgain(this.#loss);
      }
    } catch (error) {
      this.fail(error);
    }
    if (this.#isClosed) return;
    // It has failed: others get our partitions at once, and the listener learns that they are gone.
    const { instanceId } = this.#options.settings;
    if (this.#memberId !== '' && this.#loss === null && instanceId === null) await this.#leave();
    await this.#ownership.lose(this.#ownership.partitions);
  }

  /** One rebalance. Null: the group went on without us, or wants us to join again. */
  async #join(): Promise<Assignment | null> {
    await this.#lookAtTopics();
    this.#commits.hold();
    await this.#state.until(() => this.#commits.areDone || this.#loss !== null);
    if (this.#loss !== null) return null;
    this.#heartbeats?.stop();
    this.#wantsRebalance = false;
    const { settings } = this.#options;
    const result = await this.#passing(() =>
      this.#persist(() =>
        rebalance(this.#coordinator, settings, {
          identity: this.identity,
          selection: this.#readable.selection,
          owned: this.#ownership.partitions,
          onMemberId: (memberId) => {
            this.#memberId = memberId;
          },
          signal: this.#ended.signal,
        }),
      ),
    );
    if (result === null) return null;
    this.#generationId = result.generationId;
    this.#joins += 1;
    this.#keepAlive();
    this.#commits.resume(this.identity);
    this.#observe({ kind: 'joined', identity: this.identity, rebalances: this.rebalances });
    passStep('group.joined');
    if (this.#joins === 1) {
      this.#joined.resolve();
      // Whoever waits for the member has it before its listener is called.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return result.assignment;
  }

  /** From an assignment to the moment at which the group has to be joined again. */
  async #live({ partitions, selection }: Assignment): Promise<void> {
    // Of an older selection, which a static member may be given: what it cannot read any more.
    const isKnown = selection.equals(this.#readable.selection);
    const readable = partitions.filter((one) => this.#readable.has(one));
    const given = new Map(readable.map((one) => [keyOf(one), one]));
    const removed = this.#ownership.partitions.filter((partition) => !given.has(keyOf(partition)));
    const added = [...given.values()].filter((partition) => !this.#ownership.has(partition));
    if (removed.length > 0) await this.#release(removed);
    if (this.#loss !== null || this.#ended.signal.aborted) return;
    if (added.length > 0) this.#ownership.assign(added);
    // Others wait for what has been let go.
    if (removed.length > 0 || !isKnown) return;
    const { topicsMaxAgeMs = TOPICS_MAX_AGE_MS } = this.#options;
    while (!this.#wantsRebalance && this.#loss === null && !this.#ended.signal.aborted) {
      if (!this.#readable.isDue) await this.#rest.sleep(topicsMaxAgeMs);
      if (this.#wantsRebalance || this.#loss !== null || this.#ended.signal.aborted) return;
      if (await this.#readable.hasChanged()) return;
    }
  }

  /** The listener has as long as a rebalance may take; after that the group goes on without this member. */
  async #release(partitions: readonly TopicPartition[]): Promise<void> {
    const { groupId, instanceId, rebalanceTimeoutMs } = this.#options.settings;
    let isReleased: boolean = false;
    const released = this.#ownership.revoke(partitions).then(() => {
      isReleased = true;
      this.#state.changed();
    });
    await this.#state.until(() => isReleased || this.#loss !== null, rebalanceTimeoutMs);
    if (isReleased || this.#loss !== null || this.#ended.signal.aborted) return;
    this.#heartbeats?.stop();
    if (instanceId === null) await this.#leave();
    this.#lost(
      new OffloadError(
        'FENCED',
        `member ${this.#memberId} of group ${groupId} did not let go of ${partitions.length} partitions within ` +
          `${rebalanceTimeoutMs} ms (max.poll.interval.ms), and left the group`,
        { context: { groupId, rebalanceTimeoutMs, errorCode: UNKNOWN_MEMBER_ID } },
      ),
    );
    await released;
  }

  async #startAgain(loss: OffloadError): Promise<void> {
    this.#commits.hold();
    this.#heartbeats?.stop();
    await this.#ownership.lose(this.#ownership.partitions);
    if (loss.context.errorCode === UNKNOWN_MEMBER_ID) this.#memberId = '';
    this.#generationId = -1;
    this.#loss = null;
  }

  /** Commits of what was ours fail from now on, and so do those that wait. */
  #lost(reason: OffloadError): void {
    if (reason.context.errorCode === FENCED_INSTANCE_ID || !isMemberFenced(reason)) {
      this.fail(reason);
      return;
    }
    this.#loss = reason;
    this.#rest.wake();
    this.#state.changed();
  }

  /** What the group refuses since it went on without us is no failure: null. */
  async #passing<T>(attempt: () => Promise<T>): Promise<T | null> {
    try {
      return await attempt();
    } catch (error) {
      const failure = toOffloadError(error);
      if (failure.context.errorCode === REBALANCE_IN_PROGRESS) return null;
      if (!isMemberFenced(failure) || failure.context.errorCode === FENCED_INSTANCE_ID) throw failure;
      this.#lost(failure);
      return null;
    }
  }

  #rebalance(): void {
    this.#wantsRebalance = true;
    this.#rest.wake();
  }

  #keepAlive(): void {
    const { heartbeatIntervalMs } = this.#options.settings;
    this.#heartbeats?.stop();
    this.#heartbeats = new Heartbeats({
      coordinator: this.#coordinator,
      identity: this.identity,
      intervalMs: heartbeatIntervalMs,
      persist: (attempt) => this.#persist(attempt),
      onRebalance: () => this.#rebalance(),
      onFailure: (error) => this.#lost(error),
    });
  }

  async #lookAtTopics(): Promise<void> {
    const remade = await this.#readable.look(() => this.#ownership.partitions);
    if (remade.length === 0) return;
    const losing = this.#ownership.lose(remade);
    this.#state.changed();
    await losing;
  }

  /** Only the first join gives up. */
  #persist<T>(attempt: () => Promise<T>): Promise<T> {
    return persist(attempt, {
      settings: this.#settings,
      signal: this.#ended.signal,
      condition: this.#state,
      observe: this.#observe,
      givesUp: () => this.#joins === 0,
    });
  }

  /** As far as it can be done: a member that does not say so is missed when its session is over. */
  async #leave(): Promise<void> {
    const left = this.#coordinator.leave(this.#memberId).catch(() => {});
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LEAVE_DEADLINE_MS);
    });
    await Promise.race([left, late]);
    clearTimeout(timer);
  }
}
