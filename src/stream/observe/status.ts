import type { Job } from '../../config/job.ts';
import { readRetryCounts } from '../../retryCounts.ts';
import type { StreamEvent } from '../types.ts';
import { KnownPartitions } from './partitions.ts';
import { SlidingRate } from './slidingRate.ts';
import type { CommitStatus, ObserverClock, StreamState, StreamStatus } from './types.ts';

/** Of a stream that runs for months; commits and their files stay in memory. */
const KEPT_COMMITS = 100;
const KEPT_FILES = 200;
const KEPT_RANGES = 256;
const MIN_WINDOW_MS = 10_000;
const MAX_WINDOW_MS = 600_000;

export type StreamJob = Pick<Job, 'config' | 'stream' | 'maxMemoryBytes'>;

/** Adds up the events of a stream. Cheap: it may be told of every record batch. */
export class StatusKeeper {
  readonly partitions: KnownPartitions;
  readonly #job: StreamJob;
  readonly #clock: ObserverClock;
  readonly #retriesBefore = readRetryCounts();
  readonly #startedAtMs: number;
  readonly #windowMs: number;
  readonly #rowRate: SlidingRate;
  readonly #byteRate: SlidingRate;
  readonly #commits: CommitStatus[] = [];
  readonly #totals = {
    ...{ rowsWritten: 0, bytesWritten: 0, filesWritten: 0, badRecords: 0 },
    ...{ written: 0, abandoned: 0, rebalances: 0 },
  };
  #read = { rows: 0, bytes: 0 };
  /** What of it the outcomes account for: a sink may tell nothing on the way. */
  #outcomes = { rows: 0, bytes: 0 };
  #member: { readonly id: string; readonly generation: number } | null = null;
  #isJoined: boolean;
  readonly #waitsFor: { data: string | null; group: string | null } = { data: null, group: null };
  #stopsBecause: string | null = null;
  #lastError: StreamStatus['lastError'] = null;
  #state: StreamState;
  #stateSinceMs: number;
  #heardAtMs: number;
  #lastCommit: { readonly atMs: number; readonly monotonicMs: number } | null = null;

  /** Make it before threads are started: retries of all threads are counted from here. */
  constructor(job: StreamJob, clock: ObserverClock) {
    this.#job = job;
    this.#clock = clock;
    const nowMs = clock.monotonicMs();
    this.#startedAtMs = clock.wallMs();
    // Two triggers at least: what comes in bursts has a rate, too.
    this.#windowMs = Math.min(MAX_WINDOW_MS, Math.max(MIN_WINDOW_MS, 2 * triggerMs(job)));
    this.#rowRate = new SlidingRate(this.#windowMs, nowMs);
    this.#byteRate = new SlidingRate(this.#windowMs, nowMs);
    this.partitions = new KnownPartitions(this.#windowMs);
    this.#isJoined = !job.stream?.group;
    this.#state = this.#stateNow();
    this.#stateSinceMs = nowMs;
    this.#heardAtMs = nowMs;
  }

  apply(event: StreamEvent): void {
    const nowMs = this.#clock.monotonicMs();
    this.#heardAtMs = nowMs;
    this.#take(event, nowMs);
    const state = this.#stateNow();
    if (state === this.#state) return;
    this.#state = state;
    this.#stateSinceMs = nowMs;
  }

  /** The newest last. */
  get commits(): readonly CommitStatus[] {
    return this.#commits;
  }

  snapshot(): StreamStatus {
    const nowMs = this.#clock.monotonicMs();
    const { rss, heapUsed } = process.memoryUsage();
    const commit = this.#lastCommit;
    return {
      config: this.#job.config,
      group: this.#job.stream?.group?.groupId ?? null,
      memberId: this.#member?.id ?? null,
      generation: this.#member?.generation ?? null,
      atMs: this.#clock.wallMs(),
      startedAtMs: this.#startedAtMs,
      state: this.#state,
      stateSeconds: (nowMs - this.#stateSinceMs) / 1000,
      why: this.#stopsBecause ?? this.#waitsFor.data ?? this.#waitsFor.group,
      lastError: this.#lastError,
      silentSeconds: (nowMs - this.#heardAtMs) / 1000,
      totals: {
        ...this.#totals,
        rowsRead: this.#read.rows,
        bytesRead: this.#read.bytes,
        retries: readRetryCounts(this.#retriesBefore),
      },
      rates: {
        windowSeconds: this.#windowMs / 1000,
        rows: this.#rowRate.perSecond(nowMs),
        bytes: this.#byteRate.perSecond(nowMs),
      },
      lag: this.partitions.totalLag(),
      partitions: this.partitions.list(nowMs),
      lastCommit: commit && { atMs: commit.atMs, seconds: (nowMs - commit.monotonicMs) / 1000 },
      memory: { rssBytes: rss, heapBytes: heapUsed, limitBytes: this.#job.maxMemoryBytes },
    };
  }

  #take(event: StreamEvent, nowMs: number): void {
    switch (event.kind) {
      case 'joined':
        this.#isJoined = true;
        this.#waitsFor.group = null;
        this.#member = { id: event.identity.memberId, generation: event.identity.generationId };
        this.#totals.rebalances = event.rebalances;
        break;
      case 'assigned':
        this.partitions.add(event.partitions, nowMs);
        break;
      case 'lost':
        this.#isJoined = false;
        this.partitions.remove(event.partitions);
        break;
      case 'revoked':
        this.partitions.remove(event.partitions);
        break;
      case 'lag':
        this.partitions.see(event.partitions);
        break;
      case 'begun':
        break;
      case 'progress':
        this.#countRead(event.rows, event.bytes, nowMs);
        break;
      case 'written':
        this.#takeWritten(event, nowMs);
        break;
      case 'abandoned':
        this.#totals.abandoned += 1;
        break;
      case 'waiting':
        this.#waitsFor[event.of ?? 'data'] = event.message;
        this.#lastError = { code: event.code, message: event.message, atMs: this.#clock.wallMs() };
        break;
      case 'resumed':
        this.#waitsFor[event.of ?? 'data'] = null;
        break;
      case 'stopping':
        this.#stopsBecause = event.why;
        break;
    }
  }

  #takeWritten(event: Extract<StreamEvent, { kind: 'written' }>, nowMs: number): void {
    const { batch, outcome, seconds } = event;
    const { rows, bytes, files, badRecords, name } = outcome;
    const totals = this.#totals;
    totals.rowsWritten += rows;
    totals.bytesWritten += bytes;
    totals.filesWritten += files.length;
    totals.badRecords += badRecords;
    totals.written += 1;
    this.#outcomes.rows += rows + badRecords;
    this.#outcomes.bytes += outcome.bytesRead;
    const untoldRows = Math.max(0, this.#outcomes.rows - this.#read.rows);
    this.#countRead(untoldRows, Math.max(0, this.#outcomes.bytes - this.#read.bytes), nowMs);
    for (const range of batch.ranges) this.partitions.move(range, range.startOffset, range.endOffset, nowMs);
    const atMs = this.#clock.wallMs();
    this.#lastCommit = { atMs, monotonicMs: nowMs };
    this.#commits.push({
      ...{ number: batch.number, name, atMs, seconds, rows, bytes, badRecords },
      ...{ fileCount: files.length, rangeCount: batch.ranges.length },
      files: files.slice(0, KEPT_FILES),
      ranges: batch.ranges.slice(0, KEPT_RANGES),
    });
    if (this.#commits.length > KEPT_COMMITS) this.#commits.shift();
  }

  #countRead(rows: number, bytes: number, nowMs: number): void {
    this.#read = { rows: this.#read.rows + rows, bytes: this.#read.bytes + bytes };
    this.#rowRate.add(rows, nowMs);
    this.#byteRate.add(bytes, nowMs);
  }

  #stateNow(): StreamState {
    if (this.#stopsBecause !== null) return 'stopping';
    if (this.#waitsFor.data !== null || this.#waitsFor.group !== null) return 'waiting';
    return this.#isJoined ? 'running' : 'joining';
  }
}

/** Milliseconds between two triggers; 0: there is no interval. */
export function triggerMs({ stream }: StreamJob): number {
  return stream?.trigger.kind === 'availableNow' ? 0 : (stream?.trigger.intervalMs ?? 0);
}
