/** The way to the coordinator of one transactional id or group: found, asked, and found again when it moves. */
import type { OffloadError } from '../errors.ts';
import { type RetryPolicy, withRetry } from '../retry.ts';
import type { Cluster } from './cluster.ts';
import type { BrokerConnection } from './connection.ts';
import type { CoordinatorKey } from './coordinatorProtocol.ts';

/** REBALANCE_IN_PROGRESS, CONCURRENT_TRANSACTIONS, UNSTABLE_OFFSET_COMMIT: it is the right one, and busy. */
const BUSY: ReadonlySet<unknown> = new Set([27, 51, 88]);

export class CoordinatorLink {
  readonly #cluster: Cluster;
  readonly #key: CoordinatorKey;
  #connection: BrokerConnection | null = null;

  constructor(cluster: Cluster, key: CoordinatorKey) {
    this.#cluster = cluster;
    this.#key = key;
  }

  /**
   * Asks once.
   *
   * @throws OffloadError LEADER_MOVED (retriable) while there is no coordinator; what `request` throws.
   */
  async ask<T>(request: (coordinator: BrokerConnection) => Promise<T>): Promise<T> {
    this.#connection ??= await this.#cluster.coordinator(this.#key);
    try {
      return await request(this.#connection);
    } catch (error) {
      if (!isBusy(error)) this.#connection = null;
      throw error;
    }
  }

  /** Asks until it succeeds, within the policy's deadline. */
  askUntilAnswered<T>(
    request: (coordinator: BrokerConnection) => Promise<T>,
    options: { readonly policy?: Partial<RetryPolicy>; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    const { policy, signal } = options;
    return withRetry(() => this.ask(request), { ...this.#cluster.settings, ...policy }, signal ? { signal } : {});
  }
}

function isBusy(error: unknown): boolean {
  return BUSY.has((error as Partial<OffloadError>).context?.errorCode);
}
