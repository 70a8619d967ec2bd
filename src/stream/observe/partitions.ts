import type { PartitionLag, TopicPartition } from '../types.ts';
import { SlidingRate } from './slidingRate.ts';
import type { PartitionStatus } from './types.ts';

interface Known extends TopicPartition {
  position: number | null;
  end: number | null;
  readonly moved: SlidingRate;
}

export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** The partitions of ours, how far we are in each, and how fast that moves. */
export class KnownPartitions {
  readonly #known = new Map<string, Known>();
  readonly #windowMs: number;
  #version = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Changes when there are other partitions than before. */
  get version(): number {
    return this.#version;
  }

  add(partitions: readonly TopicPartition[], nowMs: number): void {
    this.#version += 1;
    for (const { topic, partition } of partitions) {
      const moved = new SlidingRate(this.#windowMs, nowMs);
      this.#known.set(partitionKey({ topic, partition }), { topic, partition, position: null, end: null, moved });
    }
  }

  remove(partitions: readonly TopicPartition[]): void {
    this.#version += 1;
    for (const partition of partitions) this.#known.delete(partitionKey(partition));
  }

  /** What is told of a partition that is not ours any more is late, and is left out. */
  see(lags: readonly PartitionLag[]): void {
    for (const lag of lags) {
      const known = this.#known.get(partitionKey(lag));
      if (!known) continue;
      known.position = lag.position;
      known.end = lag.end;
    }
  }

  /** Commits moved the position of a partition. */
  move(partition: TopicPartition, from: number, to: number, nowMs: number): void {
    const known = this.#known.get(partitionKey(partition));
    if (!known) return;
    known.moved.add(to - from, nowMs);
    known.position = to;
    known.end = Math.max(known.end ?? 0, to);
  }

  list(nowMs: number): PartitionStatus[] {
    const list = [...this.#known.values()].map(({ topic, partition, position, end, moved }) => {
      const lag = lagOf(position, end);
      return { topic, partition, position, end, lag, offsetsPerSecond: moved.perSecond(nowMs) };
    });
    return list.sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
  }

  totalLag(): number {
    let total = 0;
    for (const { position, end } of this.#known.values()) total += lagOf(position, end) ?? 0;
    return total;
  }
}

function lagOf(position: number | null, end: number | null): number | null {
  return position === null || end === null ? null : Math.max(0, end - position);
}
