/** Signs of life of one generation, while the group is at rest and while the next rebalance is prepared. */
import { OffloadError, toOffloadError } from '../errors.ts';
import type { GroupCoordinator } from '../kafka/groupCoordinator.ts';
import type { GroupIdentity } from '../kafka/groupProtocol.ts';
import { Waker } from './waker.ts';

const REBALANCE_IN_PROGRESS = 27;

export interface HeartbeatOptions {
  readonly coordinator: GroupCoordinator;
  readonly identity: GroupIdentity;
  readonly intervalMs: number;
  /** Tries again what passes. */
  readonly persist: (attempt: () => Promise<void>) => Promise<void>;
  /** The group is being rebalanced: called once. */
  readonly onRebalance: () => void;
  /** The last sign of life was refused, for good. */
  readonly onFailure: (error: OffloadError) => void;
}

/**
 * A process that was stopped for longer than its session learns of it at once when it goes on: its timer is overdue, and
 * the broker, whose clock alone counts, refuses the heartbeat.
 */
export class Heartbeats {
  readonly #options: HeartbeatOptions;
  readonly #waker = new Waker();
  #isStopped: boolean = false;
  #isTold: boolean = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    void this.#run();
  }

  /** Asks at once. */
  poke(): void {
    this.#waker.wake();
  }

  /** Whatever an answer that is still under way says, nobody hears it. */
  stop(): void {
    this.#isStopped = true;
    this.#waker.wake();
  }

  async #run(): Promise<void> {
    const { coordinator, identity, intervalMs, persist } = this.#options;
    for (;;) {
      await this.#waker.sleep(intervalMs);
      if (this.#isStopped) return;
      try {
        await persist(() => this.#beat(coordinator, identity));
      } catch (error) {
        if (!this.#isStopped) this.#options.onFailure(toOffloadError(error));
        return;
      }
    }
  }

  async #beat(coordinator: GroupCoordinator, identity: GroupIdentity): Promise<void> {
    if (this.#isStopped) return;
    try {
      await coordinator.heartbeat(identity);
    } catch (error) {
      if (!(error instanceof OffloadError) || error.context.errorCode !== REBALANCE_IN_PROGRESS) throw error;
      if (this.#isStopped || this.#isTold) return;
      this.#isTold = true;
      this.#options.onRebalance();
    }
  }
}
