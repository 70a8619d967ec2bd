/**
 * Which partitions are ours, and where we are in them. The group gives and takes partitions at any time; positions are
 * looked up in the loop's own time, since that may have to wait for a broker or a database while the group must not.
 */
import { OffloadError } from '../errors.ts';
import { offsetKey } from '../plan/places.ts';
import type { Turns } from './turns.ts';
import type { AssignmentListener, Position, TopicPartition } from './types.ts';
import type { Waker } from './waker.ts';

/** What is under way may use so much of the time that a rebalance waits; then it is abandoned. */
const SHARE_OF_REBALANCE = 0.5;

export interface AssignmentOptions {
  readonly turns: Turns;
  /** Woken when there is something new. */
  readonly waker: Waker;
  readonly rebalanceTimeoutMs: number;
  /** Called in a turn of its own, before a revoked partition goes to another member. */
  readonly onRevoked: (partitions: readonly TopicPartition[]) => Promise<void>;
  /** The same for partitions that went already. */
  readonly onLost: (partitions: readonly TopicPartition[]) => Promise<void>;
}

export class Assignment implements AssignmentListener {
  readonly #options: AssignmentOptions;
  /** Ours; null: it is not known yet where to go on. */
  readonly #positions = new Map<string, Position | null>();
  readonly #places = new Map<string, TopicPartition>();
  #wasAssigned: boolean = false;
  #waitsSinceMs = performance.now();

  constructor(options: AssignmentOptions) {
    this.#options = options;
  }

  /** Something was ours at least once, and since all of it was lost, if it was. */
  get wasAssigned(): boolean {
    return this.#wasAssigned;
  }

  /** Since when the group has not said what is ours, where nothing was assigned. */
  get waitsSinceMs(): number {
    return this.#waitsSinceMs;
  }

  /** Ours, with unknown positions. */
  get pending(): TopicPartition[] {
    return [...this.#places].filter(([key]) => !this.#positions.get(key)).map(([, place]) => place);
  }

  get positions(): Position[] {
    return [...this.#positions.values()].filter((position) => position !== null);
  }

  /** Takes note of positions, as far as the partitions are still ours. */
  moveTo(positions: readonly Position[]): void {
    for (const position of positions) {
      const key = offsetKey(position);
      if (this.#places.has(key)) this.#positions.set(key, position);
    }
  }

  /** Has the positions of all looked up again: what was under way failed, and may have been written or not. */
  forget(): void {
    for (const key of this.#places.keys()) this.#positions.set(key, null);
  }

  async assigned(partitions: readonly TopicPartition[]): Promise<void> {
    for (const { topic, partition } of partitions) {
      const key = offsetKey({ topic, partition });
      this.#places.set(key, { topic, partition });
      this.#positions.set(key, null);
    }
    this.#wasAssigned = true;
    this.#options.waker.wake();
  }

  async revoked(partitions: readonly TopicPartition[]): Promise<void> {
    const { turns, rebalanceTimeoutMs, onRevoked } = this.#options;
    const reason = new OffloadError(
      'FENCED',
      `the group gives ${partitions.map(offsetKey).join(', ')} to another member, and waits no longer for what is under way`,
    );
    const timer = setTimeout(() => turns.abandon(reason), rebalanceTimeoutMs * SHARE_OF_REBALANCE);
    try {
      await turns.take(async () => {
        await onRevoked(partitions);
        this.#remove(partitions);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async lost(partitions: readonly TopicPartition[]): Promise<void> {
    const { turns, onLost } = this.#options;
    turns.abandon(new OffloadError('FENCED', `the group went on without ${partitions.map(offsetKey).join(', ')}`));
    await turns.take(async () => {
      await onLost(partitions);
      this.#remove(partitions);
      if (this.#places.size > 0) return;
      // Nobody else was given them in order: they may well be ours again.
      this.#wasAssigned = false;
      this.#waitsSinceMs = performance.now();
    });
  }

  #remove(partitions: readonly TopicPartition[]): void {
    for (const place of partitions) {
      this.#places.delete(offsetKey(place));
      this.#positions.delete(offsetKey(place));
    }
    this.#options.waker.wake();
  }
}
