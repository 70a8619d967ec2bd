/** Which partitions are this member's, and what its listener has been told of that: calls are made one after the other. */
import type { AssignmentListener, Observe, TopicPartition } from './types.ts';

export class Ownership {
  readonly #listener: AssignmentListener;
  readonly #observe: Observe;
  /** Called with what the listener throws. */
  readonly #onFailure: (error: unknown) => void;
  /** Those we may commit. */
  readonly #owned = new Map<string, TopicPartition>();
  /** Those the listener counts as its own: it learns of a loss only when its last call has returned. */
  readonly #told = new Set<string>();
  #calls: Promise<void> = Promise.resolve();

  constructor(listener: AssignmentListener, observe: Observe, onFailure: (error: unknown) => void) {
    this.#listener = listener;
    this.#observe = observe;
    this.#onFailure = onFailure;
  }

  get partitions(): readonly TopicPartition[] {
    return [...this.#owned.values()];
  }

  has(partition: TopicPartition): boolean {
    return this.#owned.has(keyOf(partition));
  }

  /** From now on ours; the listener is told in its turn. */
  assign(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#owned.set(keyOf(partition), partition);
    void this.#call('assigned', () => {
      // Without those that were lost before their turn came.
      const ours = partitions.filter((partition) => this.has(partition));
      for (const partition of ours) this.#told.add(keyOf(partition));
      return ours;
    });
  }

  /** Ours until the listener has let them go, which this waits for. */
  async revoke(partitions: readonly TopicPartition[]): Promise<void> {
    const isTold = (partition: TopicPartition): boolean => this.has(partition) && this.#told.has(keyOf(partition));
    await this.#call('revoked', () => partitions.filter(isTold));
    for (const partition of partitions) {
      this.#owned.delete(keyOf(partition));
      this.#told.delete(keyOf(partition));
    }
  }

  /** Not ours any more, from this moment; waits for the listener. */
  lose(partitions: readonly TopicPartition[]): Promise<void> {
    for (const partition of partitions) this.#owned.delete(keyOf(partition));
    return this.#call('lost', () => partitions.filter((partition) => this.#told.delete(keyOf(partition))));
  }

  #call(kind: 'assigned' | 'revoked' | 'lost', which: () => readonly TopicPartition[]): Promise<void> {
    const call = async (): Promise<void> => {
      const partitions = [...which()].sort(byPlace);
      if (partitions.length === 0) return;
      this.#observe({ kind, partitions });
      try {
        await this.#listener[kind](partitions);
      } catch (error) {
        this.#onFailure(error);
      }
    };
    this.#calls = this.#calls.then(call);
    return this.#calls;
  }
}

export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function byPlace(a: TopicPartition, b: TopicPartition): number {
  return a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1;
}
