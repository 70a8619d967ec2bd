/**
 * The loop of a continuous stream: rows flow by themselves, here partitions are begun and ended, and what flowed is
 * committed at the interval.
 *
 *     assigned -> resume (target, group) -> start -> commit, commit, ...        revoked -> stop        lost -> drop
 */
import { offsetKey } from '../plan/places.ts';
import { passStep } from '../steps.ts';
import type { Assignment } from './assignment.ts';
import { Outage } from './outage.ts';
import { repeatSteps } from './repeat.ts';
import { resumePartitions } from './resume.ts';
import type { LoopOptions } from './streamLoop.ts';
import { StreamTotals } from './totals.ts';
import type { FlowedBatch, PartitionLag, StreamFlow, TopicPartition } from './types.ts';

/** How often the ends of logs are looked at, for lag. */
const LOOK_EVERY_MS = 2_000;
/** How often the target is asked whether it has more partitions. */
const LOOK_AT_TARGET_MS = 30_000;

export interface FlowOptions extends Omit<LoopOptions, 'sink' | 'isBounded'> {
  readonly flow: StreamFlow;
  readonly intervalMs: number;
}

export class FlowLoop {
  readonly #options: FlowOptions;
  readonly #outage: Outage;
  readonly totals = new StreamTotals();
  #dueAtMs = performance.now();
  #looksAtMs = performance.now();
  #looksAtTargetMs = performance.now() + LOOK_AT_TARGET_MS;
  #lastCommitMs = performance.now();

  constructor(options: FlowOptions) {
    this.#options = options;
    this.#outage = new Outage(options.observe, true);
  }

  /** Commits now. */
  publishNow(): void {
    this.#dueAtMs = performance.now();
    this.#options.waker.wake();
  }

  /**
   * Runs until it is told to stop.
   *
   * @throws OffloadError that does not pass by itself; why the member left the group.
   */
  async run(): Promise<void> {
    const { assignment, turns, flow, abandon } = this.#options;
    await repeatSteps({
      ...this.#options,
      outage: this.#outage,
      onFailure: () => assignment.forget(),
      step: () => this.#step(),
    });
    if (!abandon.aborted) await turns.take(async () => this.#take(await flow.stop(assignment.positions)));
  }

  /** In a turn of its own: what flowed of partitions that go to another member is committed before they do. */
  async revoked(partitions: readonly TopicPartition[]): Promise<void> {
    this.#take(await this.#options.flow.stop(partitions));
  }

  /** The same for partitions that went already: nothing of them may be committed, and all begin again. */
  async lost(partitions: readonly TopicPartition[]): Promise<void> {
    await this.#options.flow.drop(partitions);
    this.#options.assignment.forget();
  }

  async #step(): Promise<number> {
    const { assignment, flow, intervalMs } = this.#options;
    const { pending } = assignment;
    if (pending.length > 0) await this.#begin(pending);
    if (performance.now() >= this.#dueAtMs || flow.broken.aborted) {
      this.#take(await flow.commit());
      this.#dueAtMs = performance.now() + intervalMs;
    }
    if (performance.now() >= this.#looksAtMs) {
      await this.#tellLag(assignment);
      this.#looksAtMs = performance.now() + LOOK_EVERY_MS;
    }
    if (performance.now() >= this.#looksAtTargetMs) {
      this.#looksAtTargetMs = performance.now() + LOOK_AT_TARGET_MS;
      if (await flow.isOutdated()) {
        this.#take(await flow.stop(assignment.positions));
        assignment.forget();
        return 1;
      }
    }
    return Math.max(1, Math.min(this.#dueAtMs, this.#looksAtMs) - performance.now());
  }

  async #begin(partitions: readonly TopicPartition[]): Promise<void> {
    const { assignment, flow, waker, job } = this.#options;
    const positions = await resumePartitions({ ...this.#options, sink: flow, source: job.source }, partitions);
    await flow.start(positions);
    flow.broken.addEventListener('abort', () => waker.wake(), { once: true });
    assignment.moveTo(positions);
    passStep('stream.resumed');
  }

  #take(flowed: FlowedBatch | null): void {
    const { assignment, observe, log } = this.#options;
    const nowMs = performance.now();
    const seconds = (nowMs - this.#lastCommitMs) / 1000;
    this.#lastCommitMs = nowMs;
    if (flowed === null) return;
    const { batch, outcome } = flowed;
    if (outcome.kind === 'overtaken') {
      observe({ kind: 'abandoned', batch, why: outcome.why });
      assignment.forget();
      return;
    }
    for (const warning of outcome.warnings) log.warn(warning);
    assignment.moveTo(batch.ranges.map(({ topic, partition, endOffset }) => ({ topic, partition, offset: endOffset })));
    this.totals.add(batch, outcome);
    observe({ kind: 'written', batch, outcome, seconds });
  }

  async #tellLag({ positions }: Assignment): Promise<void> {
    const { looker, observe, catalog, member } = this.#options;
    const before = catalog.version;
    const bounds = await looker.bounds(positions);
    if (catalog.version !== before) member.topicsChanged();
    const partitions = positions.flatMap((position): PartitionLag[] => {
      const { topic, partition, offset } = position;
      const end = bounds.get(offsetKey(position))?.readableEnd;
      return end === undefined ? [] : [{ topic, partition, position: offset, end: Math.max(offset, end) }];
    });
    observe({ kind: 'lag', partitions });
  }
}
