/**
 * What the parts of a stream say to one another. The loop (`streamLoop.ts`) asks the group which partitions are ours,
 * cuts what is new in them into micro-batches, and hands those to a sink, which alone knows how rows and positions
 * become one.
 *
 *     group -> positions -> micro-batch -> sink: stage, publish, commit -> group commit
 */
import type { OffsetRange } from '../tasks.ts';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** The next offset to read of one partition. */
export interface Position extends TopicPartition {
  readonly offset: number;
}

/** What the group has committed of one partition; null: nothing. */
export interface GroupOffset extends TopicPartition {
  readonly offset: number | null;
}

/** Who commits: brokers refuse a member of an older generation. */
export interface MemberIdentity {
  readonly groupId: string;
  readonly memberId: string;
  readonly generationId: number;
  readonly instanceId: string | null;
}

/** Called one after the other, never two at once; what they throw ends the membership. */
export interface AssignmentListener {
  /** Partitions that became ours. */
  assigned(partitions: readonly TopicPartition[]): Promise<void>;
  /** Partitions that go to another member when this returns: what is under way is finished or abandoned first. */
  revoked(partitions: readonly TopicPartition[]): Promise<void>;
  /** Partitions that went already: the group went on without us. Nothing can be committed for them. */
  lost(partitions: readonly TopicPartition[]): Promise<void>;
}

/** This process as a member of a consumer group. */
export interface GroupMember {
  /** Of the newest generation. */
  readonly identity: MemberIdentity;
  /** How often the group was rebalanced while we were in it. */
  readonly rebalances: number;
  /** Aborts, with an OffloadError as reason, when membership has failed for good. */
  readonly signal: AbortSignal;
  /** What the group has committed. Waits out open transactions that hold offsets (`require_stable`). */
  committed(partitions: readonly TopicPartition[]): Promise<readonly GroupOffset[]>;
  /**
   * Commits positions to the group. Waits for the end of a rebalance that is under way.
   *
   * @throws OffloadError FENCED if the group went on without this member; a retriable one after the deadline.
   */
  commit(positions: readonly Position[]): Promise<void>;
  /**
   * Carries out a commit in the name of this member (`TransactionalProducer.sendOffsets`): waits for the end of a rebalance
   * that is under way, and the next one waits for `commit`, so that its generation is not outdated meanwhile.
   *
   * @throws OffloadError FENCED if one of the partitions is not ours any more, or what `commit` throws.
   */
  commitAs<T>(partitions: readonly TopicPartition[], commit: (identity: MemberIdentity) => Promise<T>): Promise<T>;
  /** Looks again which topics and partitions there are; a change makes the leader of the group rebalance it. */
  topicsChanged(): void;
  /** Leaves the group (a static member only stops). Safe to call twice. */
  close(): Promise<void>;
}

/** Ranges that are read, written and committed together. None is empty. */
export interface MicroBatch {
  /** From 1, in this process. */
  readonly number: number;
  readonly ranges: readonly OffsetRange[];
}

/** What became of a micro-batch. */
export type BatchOutcome =
  | {
      readonly kind: 'written';
      readonly rows: number;
      /** Of files or record batches as written. */
      readonly bytes: number;
      /** Visible now. */
      readonly files: readonly { readonly path: string; readonly rows: number; readonly bytes: number }[];
      /** Its name where one is recorded: number of the chain's entry, id of the run; null: none. */
      readonly name: string | null;
      /** Message bytes that were read, as decoded. */
      readonly bytesRead: number;
      /** Records that were left out or sent elsewhere since they could not be used. */
      readonly badRecords: number;
      readonly warnings: readonly string[];
      /** True: the sink has committed to the group as well (in its transaction). */
      readonly isGroupCommitted: boolean;
    }
  /** Somebody else has moved these partitions on meanwhile: nothing was written, and reading goes on at `positions`, which the loop commits to the group. */
  | { readonly kind: 'overtaken'; readonly why: string; readonly positions: readonly Position[] };

/** Where a stream's rows go, and what makes them and their positions one. */
export interface StreamSink {
  /**
   * Before the group is asked what is committed of partitions that became ours: ends what their last owner left open and
   * fences it, if it only sleeps. Without it `committed` waits until that times out.
   */
  claim?(partitions: readonly TopicPartition[]): Promise<void>;
  /**
   * Where reading goes on for partitions that became ours; first finishes what a process that died has left.
   *
   * @param committed One entry for each partition.
   * @param topicIds Of their topics now; a topic whose id the broker does not tell is absent.
   * @returns Positions of those for which there is one; the others begin at `startingOffsets`. What differs from
   *   `committed` is committed to the group before the first micro-batch.
   */
  resume(committed: readonly GroupOffset[], topicIds: Readonly<Record<string, string>>): Promise<readonly Position[]>;
  /**
   * Moves the rows of a micro-batch: when it returns `written`, they are visible, once, and survive any crash.
   *
   * @param signal Abandons it: nothing of it becomes visible that was not committed, and the reason is thrown.
   */
  write(batch: MicroBatch, signal: AbortSignal): Promise<BatchOutcome>;
  /** After each commit to the group that succeeded. */
  groupCommitted?(positions: readonly Position[]): Promise<void>;
  /** Partitions that are not ours any more. Called before a revoked one goes to another member. */
  release?(partitions: readonly TopicPartition[]): void;
  /** Removes what a micro-batch that was abandoned left. Safe to call twice. */
  close(): Promise<void>;
}

/** What flowed since the last commit, as a micro-batch. */
export interface FlowedBatch {
  readonly batch: MicroBatch;
  readonly outcome: BatchOutcome;
}

/**
 * Rows that are passed on within milliseconds and committed at the interval (trigger `Continuous`, to a topic and to the
 * console). Calls are made one after another, but for `close`.
 *
 *     assigned: claim -> committed -> resume -> start        interval: commit
 *     revoked:  stop                                         lost:     drop
 */
export interface StreamFlow {
  /** As those of a sink. */
  claim?(partitions: readonly TopicPartition[]): Promise<void>;
  resume(committed: readonly GroupOffset[], topicIds: Readonly<Record<string, string>>): Promise<readonly Position[]>;
  /** Begins to read partitions at these positions, beside those that it reads already. */
  start(positions: readonly Position[]): Promise<void>;
  /**
   * Commits what flowed since the last time, to the group as well.
   *
   * @returns Null: nothing flowed. `overtaken`: nothing was committed since; no partition is read any more.
   * @throws OffloadError what broke the flow; then nothing that is not committed is left in the target, and no partition is read any more.
   *   If it is retriable: `claim`, `resume` and `start` begin again.
   */
  commit(): Promise<FlowedBatch | null>;
  /** Ends the reading of partitions and commits what flowed; as `commit`. */
  stop(partitions: readonly TopicPartition[]): Promise<FlowedBatch | null>;
  /** Partitions that went already: takes back what is not committed. No partition is read any more: begin again with those that are left. */
  drop(partitions: readonly TopicPartition[]): Promise<void>;
  /**
   * Whether the target has other partitions than rows are shared out to. Then: `stop` all, and begin again with `claim`,
   * `resume` and `start`.
   *
   * @throws OffloadError if the target cannot be asked.
   */
  isOutdated(): Promise<boolean>;
  /** Aborts, with the error as reason, when the flow breaks between two commits; `commit` throws it then. Another one after `start`. */
  readonly broken: AbortSignal;
  /** Takes back what is not committed and ends the threads. Safe to call twice. */
  close(): Promise<void>;
}

/** Log of one partition as it was seen last, and how far we are. */
export interface PartitionLag extends TopicPartition {
  readonly position: number;
  /** Last stable offset under `read_committed`, else the high watermark. */
  readonly end: number;
}

/** What happens in a stream, for logs, progress, metrics and the page. Plain data; never a secret. */
export type StreamEvent =
  | { readonly kind: 'joined'; readonly identity: MemberIdentity; readonly rebalances: number }
  | { readonly kind: 'assigned' | 'revoked' | 'lost'; readonly partitions: readonly TopicPartition[] }
  | { readonly kind: 'lag'; readonly partitions: readonly PartitionLag[] }
  | { readonly kind: 'begun'; readonly batch: MicroBatch }
  /** Rows, message bytes and offsets since the last such event, while a micro-batch is read. */
  | { readonly kind: 'progress'; readonly rows: number; readonly bytes: number; readonly offsets: number }
  | {
      readonly kind: 'written';
      readonly batch: MicroBatch;
      readonly outcome: Extract<BatchOutcome, { kind: 'written' }>;
      /** From its begin to the group commit. */
      readonly seconds: number;
    }
  | { readonly kind: 'abandoned'; readonly batch: MicroBatch; readonly why: string }
  /** Cannot go on for now, and tries again: a broker, a disk, a database. Membership and data wait each on their own. */
  | {
      readonly kind: 'waiting';
      readonly of?: 'group';
      readonly code: string;
      readonly message: string;
      readonly attempt: number;
      readonly retryInMs: number;
    }
  | { readonly kind: 'resumed'; readonly of?: 'group'; readonly afterMs: number }
  | { readonly kind: 'stopping'; readonly why: string };

export type Observe = (event: StreamEvent) => void;
