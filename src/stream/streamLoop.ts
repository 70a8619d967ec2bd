/**
 * The loop of a stream: at each trigger what is new in our partitions becomes a micro-batch, the sink makes its rows and
 * positions one, and the group is told.
 *
 *     assigned -> resume (sink, group) -> look -> plan -> write -> commit to the group -> wait for the trigger
 *
 * What fails and passes by itself is tried again for as long as it takes. After any failure it is open whether the
 * micro-batch counts, so positions are looked up again from where the sink keeps them: nothing is assumed.
 */
import type { Job, StreamSettings, TopicSource } from '../config/job.ts';
import type { Log } from '../coordinator/log.ts';
import { toOffloadError } from '../errors.ts';
import type { Cluster } from '../kafka/cluster.ts';
import type { PartitionBounds } from '../plan/ranges.ts';
import { passStep } from '../steps.ts';
import type { Assignment } from './assignment.ts';
import type { Looker } from './looker.ts';
import { Outage } from './outage.ts';
import { type BatchPlan, planBatch } from './planBatch.ts';
import { repeatSteps } from './repeat.ts';
import { resumePartitions } from './resume.ts';
import type { TopicCatalog } from './topicCatalog.ts';
import { type TopicState, TopicWatch } from './topicWatch.ts';
import { StreamTotals } from './totals.ts';
import type { Turns } from './turns.ts';
import type { BatchOutcome, GroupMember, MicroBatch, Observe, Position, StreamSink } from './types.ts';
import type { Waker } from './waker.ts';

/** Between triggers the ends of logs are looked at so often: for lag, and for files that are due before their trigger. */
const LOOK_EVERY_MS = 5_000;
const LOOK_FOR_FILES_EVERY_MS = 500;
/** Other members of the group let go of partitions within this time, or are taken to need them all. */
const EMPTY_HANDED_MS = 10_000;
/**
 * Bytes as fetched in a micro-batch for which nothing else sets a limit: some seconds of work, so that a rebalance need
 * not wait long, and larger than what pays for its own commit many times over.
 */
const BATCH_BYTES = 512 * 1024 ** 2;

export interface LoopOptions {
  readonly job: Job & { readonly source: TopicSource; readonly stream: StreamSettings };
  readonly groupId: string;
  readonly member: GroupMember;
  readonly sink: StreamSink;
  readonly cluster: Cluster;
  readonly catalog: TopicCatalog;
  readonly looker: Looker;
  readonly assignment: Assignment;
  readonly turns: Turns;
  readonly waker: Waker;
  /** False: one micro-batch takes all there is, however much: one file that must be exactly that. */
  readonly isBounded: boolean;
  readonly observe: Observe;
  readonly log: Log;
  /** Ends the loop after the micro-batch that is under way. */
  readonly stop: AbortSignal;
  /** Ends it at once: what is under way is abandoned. */
  readonly abandon: AbortSignal;
}

/** What a look came to: whether the next micro-batch is due now, at its trigger, or never. */
type Next = 'now' | 'atTrigger' | 'never';

export class StreamLoop {
  readonly #options: LoopOptions;
  readonly #outage: Outage;
  readonly #topics: TopicWatch;
  readonly totals = new StreamTotals();
  #batches = 0;
  /** Where a stream with an end ends, by `offsetKey`: as the logs ended when a partition became ours for the first time. */
  readonly #ends: Map<string, number> | null;
  /** Since when rows wait that no micro-batch has taken; null: none do. */
  #waitingSinceMs: number | null = null;
  #isPublishAsked: boolean = false;
  /** When the next micro-batch begins. */
  #dueAtMs = performance.now();
  #topicsVersion: number;

  constructor(options: LoopOptions) {
    this.#topicsVersion = options.catalog.version;
    this.#options = options;
    this.#outage = new Outage(options.observe, options.job.stream.trigger.kind !== 'availableNow');
    this.#topics = new TopicWatch(options.catalog, options.job.source, options.groupId);
    this.#ends = options.job.stream.trigger.kind === 'availableNow' ? new Map() : null;
  }

  /** Has the next micro-batch begin now. */
  publishNow(): void {
    this.#isPublishAsked = true;
    this.#options.waker.wake();
  }

  /**
   * Runs until all there was is taken (`Once`, `AvailableNow`), or until it is told to stop.
   *
   * @throws OffloadError that does not pass by itself; why the member left the group.
   */
  async run(): Promise<void> {
    const { assignment } = this.#options;
    await repeatSteps({
      ...this.#options,
      outage: this.#outage,
      onFailure: () => assignment.forget(),
      step: async (signal) => {
        const beganAtMs = performance.now();
        const isDue = beganAtMs >= this.#dueAtMs || this.#isPublishAsked;
        const next = await this.#step(isDue, signal);
        if (next === 'never') return null;
        // Whoever has no partitions yet is woken by the first; until then no trigger passes.
        if (!assignment.wasAssigned) return this.#lookEveryMs;
        if (next === 'now') this.#dueAtMs = performance.now();
        else if (isDue) this.#dueAtMs = beganAtMs + this.#intervalMs;
        return Math.min(this.#dueAtMs - performance.now(), this.#lookEveryMs);
      },
    });
  }

  get #intervalMs(): number {
    const { trigger } = this.#options.job.stream;
    return trigger.kind === 'availableNow' ? 0 : trigger.intervalMs;
  }

  get #lookEveryMs(): number {
    const { maxFileBytes, maxFileAgeMs } = this.#options.job.stream;
    return maxFileBytes === null && maxFileAgeMs === null ? LOOK_EVERY_MS : LOOK_FOR_FILES_EVERY_MS;
  }

  async #step(isDue: boolean, signal: AbortSignal): Promise<Next> {
    const { assignment, observe } = this.#options;
    if (!assignment.wasAssigned) return this.#isEmptyHanded() ? 'never' : 'atTrigger';
    const { pending } = assignment;
    if (pending.length > 0) {
      assignment.moveTo(await resumePartitions({ ...this.#options, source: this.#options.job.source }, pending));
      passStep('stream.resumed');
    }
    const { looker } = this.#options;
    const places = assignment.positions;
    const bounds = await looker.bounds(places);
    this.#noteTopics();
    const state = this.#topics.check(places);
    if (state !== 'same') return this.#beginAgain(state);
    this.#rememberEnds(bounds);
    const plan = await this.#plan(places, bounds);
    observe({ kind: 'lag', partitions: plan.lag });
    if (plan.beyond.length > 0) return this.#returnFrom(plan.beyond);
    this.#noteWaiting(plan);
    if (plan.ranges.length === 0) {
      if (isDue) this.#isPublishAsked = false;
      return this.#ends === null ? 'atTrigger' : 'never';
    }
    if (!isDue && !this.#areFilesDue(plan)) return 'atTrigger';
    this.#isPublishAsked = false;
    for (const warning of plan.warnings) this.#options.log.warn(warning);
    await this.#move({ number: ++this.#batches, ranges: plan.ranges }, signal);
    this.#waitingSinceMs = null;
    return plan.isCutBySize || this.#ends !== null ? 'now' : 'atTrigger';
  }

  async #plan(positions: readonly Position[], bounds: ReadonlyMap<string, PartitionBounds>): Promise<BatchPlan> {
    const { job, groupId, looker, isBounded } = this.#options;
    return planBatch({
      group: groupId,
      positions,
      bounds,
      ends: this.#ends,
      bytesPerOffset: await looker.bytesPerOffset(bounds),
      maxOffsets: job.stream.maxOffsetsPerTrigger,
      maxBytes: isBounded ? BATCH_BYTES : null,
      failOnDataLoss: job.source.failOnDataLoss,
    });
  }

  async #move(batch: MicroBatch, signal: AbortSignal): Promise<void> {
    const { sink, observe, assignment, log } = this.#options;
    const beganAtMs = performance.now();
    observe({ kind: 'begun', batch });
    let outcome: BatchOutcome;
    try {
      outcome = await sink.write(batch, signal);
    } catch (error) {
      observe({ kind: 'abandoned', batch, why: toOffloadError(error).message });
      throw error;
    }
    if (outcome.kind === 'overtaken') {
      observe({ kind: 'abandoned', batch, why: outcome.why });
      await this.#commit(outcome.positions);
      assignment.moveTo(outcome.positions);
      return;
    }
    passStep('stream.written');
    for (const warning of outcome.warnings) log.warn(warning);
    const positions = batch.ranges.map(({ topic, partition, endOffset }) => ({ topic, partition, offset: endOffset }));
    if (!outcome.isGroupCommitted) await this.#commit(positions);
    assignment.moveTo(positions);
    this.totals.add(batch, outcome);
    observe({ kind: 'written', batch, outcome, seconds: (performance.now() - beganAtMs) / 1000 });
  }

  async #commit(positions: readonly Position[]): Promise<void> {
    const { member, sink } = this.#options;
    await member.commit(positions);
    passStep('stream.groupCommitted');
    await sink.groupCommitted?.(positions);
  }

  /** A topic was made again: what was known of it means nothing. */
  async #beginAgain(state: Extract<TopicState, { kind: 'madeAgain' }>): Promise<Next> {
    const { log, assignment } = this.#options;
    log.warn(state.warning);
    assignment.forget();
    return 'now';
  }

  /** The log ends before our position: after a change of leader for a while (KIP-207), else since it is another log. */
  async #returnFrom(beyond: BatchPlan['beyond']): Promise<Next> {
    const { log, assignment } = this.#options;
    const warning = this.#topics.judgeBeyond(beyond);
    log.warn(warning);
    await this.#commit(beyond.map(({ topic, partition, logStart }) => ({ topic, partition, offset: logStart })));
    // The sink finds another offset in the group than it left there, as if a person had set it, and goes on from that.
    assignment.forget();
    return 'now';
  }

  /** A stream that ends by itself does not wait for work that others have. */
  #isEmptyHanded(): boolean {
    return this.#ends !== null && performance.now() - this.#options.assignment.waitsSinceMs > EMPTY_HANDED_MS;
  }

  #rememberEnds(bounds: ReadonlyMap<string, PartitionBounds>): void {
    if (this.#ends === null) return;
    for (const [key, { readableEnd }] of bounds) if (!this.#ends.has(key)) this.#ends.set(key, readableEnd);
  }

  /** The group learns of other topics and partitions as soon as we do. */
  #noteTopics(): void {
    const { catalog, member } = this.#options;
    if (catalog.version === this.#topicsVersion) return;
    this.#topicsVersion = catalog.version;
    member.topicsChanged();
  }

  #noteWaiting({ ranges }: BatchPlan): void {
    if (ranges.length === 0) this.#waitingSinceMs = null;
    else this.#waitingSinceMs ??= performance.now();
  }

  #areFilesDue({ waitingBytes }: BatchPlan): boolean {
    const { maxFileBytes, maxFileAgeMs } = this.#options.job.stream;
    if (maxFileBytes !== null && waitingBytes >= maxFileBytes) return true;
    return maxFileAgeMs !== null && performance.now() - (this.#waitingSinceMs ?? Infinity) >= maxFileAgeMs;
  }
}
