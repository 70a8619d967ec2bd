/**
 * The trigger `Continuous`: rows are passed on as they are read, into a transaction that is open, and at the interval the
 * loop has it committed with the positions that it reaches.
 *
 *     threads: long-polling Fetch of all partitions of a leader -> decode -> transform -> record batches
 *     here:    -> Produce into the open transaction            interval: -> offsets of the group -> EndTxn
 *
 * Where the outlet can, rows flow on into the next transaction while the last is being committed. One that fails takes
 * the next with it: nothing of that can be committed before its turn, and it is aborted then.
 */
import { type BadRecordCounts, NO_BAD_RECORDS, sumBadRecords } from '../../coordinator/badRecords/counts.ts';
import type { ProgressStep } from '../../coordinator/progress.ts';
import { OffloadError, toOffloadError } from '../../errors.ts';
import { offsetKey } from '../../plan/places.ts';
import type { OffsetRange } from '../../tasks.ts';
import type { FlowedBatch, GroupOffset, Position, StreamFlow, TopicPartition } from '../types.ts';
import { FlowThreads, type RowsMessage } from './flowThreads.ts';
import type { FlowSettings } from './messages.ts';
import type { FlowOutlet } from './outlets.ts';

/** How often a transaction is looked at that the interval leaves open for long. */
const LOOK_AT_DUE_MS = 1_000;

export interface FlowOptions {
  readonly outlet: FlowOutlet;
  readonly threads: number;
  /**
   * What threads do with partitions; called when the first are there, and again once it is outdated. Waits until user code
   * can be tried on rows.
   */
  readonly settle: (positions: readonly Position[], signal: AbortSignal) => Promise<FlowSettings>;
  /** Whether what was settled is so no more. */
  readonly isOutdated: () => Promise<boolean>;
  /** What to say of values and records that were not as they should be. */
  readonly report: (counts: Pick<Flowed, 'invalidUtf8' | 'bad'>) => { badRecords: number; warnings: readonly string[] };
  readonly onProgress?: (step: ProgressStep) => void;
}

/** What flowed since the last commit. */
interface Flowed {
  /** By `offsetKey`. */
  readonly ranges: Map<string, OffsetRange>;
  rows: number;
  bytes: number;
  bytesRead: number;
  invalidUtf8: number;
  bad: BadRecordCounts;
}

/** A commit that is under way, or why there can be none. */
interface BegunCommit {
  readonly batch: FlowedBatch['batch'];
  readonly flowed: Flowed;
  readonly ended: Promise<void>;
}

export class Flow implements StreamFlow {
  readonly #options: FlowOptions;
  readonly #threads: FlowThreads;
  /** Next offset to pass on, of every partition that is read. */
  readonly #positions = new Map<string, Position>();
  #settings: Promise<FlowSettings> | null = null;
  #isOutdated: boolean = false;
  #broken = new AbortController();
  #flowed: Flowed = nothing();
  /** What is done with the outlet, one after the other. */
  #queue: Promise<unknown> = Promise.resolve();
  #isPassing: boolean = false;
  /** The newest commit; never rejects, for its caller hears of that. */
  #ending: Promise<void> = Promise.resolve();
  #commits = 0;
  readonly #dueTimer: NodeJS.Timeout;

  constructor(options: FlowOptions) {
    this.#options = options;
    this.#threads = new FlowThreads({
      threads: options.threads,
      onRows: () => this.#passOn(),
      onFailure: (error) => this.#break(error),
    });
    this.#dueTimer = setInterval(() => this.#commitDue(), LOOK_AT_DUE_MS);
    this.#dueTimer.unref();
  }

  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  claim(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#options.outlet.claim(partitions);
  }

  resume(committed: readonly GroupOffset[], topicIds: Readonly<Record<string, string>>): Promise<readonly Position[]> {
    return this.#options.outlet.resume(committed, topicIds);
  }

  async isOutdated(): Promise<boolean> {
    this.#isOutdated ||= await this.#options.isOutdated();
    return this.#isOutdated;
  }

  async start(positions: readonly Position[]): Promise<void> {
    if (this.#broken.signal.aborted || this.#isOutdated) {
      await this.#inTurn(() => this.#clear());
      if (this.#broken.signal.aborted) this.#broken = new AbortController();
      if (this.#isOutdated) this.#settings = null;
      this.#isOutdated = false;
    }
    for (const position of positions) this.#positions.set(offsetKey(position), position);
    const { signal } = this.#broken;
    this.#settings ??= this.#options.settle([...this.#positions.values()], signal);
    const settled = this.#settings.then(
      (settings) => {
        if (signal.aborted) return;
        // Those that were taken away meanwhile are not begun.
        this.#threads.add(
          positions.filter((position) => this.#positions.get(offsetKey(position)) === position),
          settings,
        );
      },
      (error: unknown) => {
        this.#settings = null;
        this.#break(error);
      },
    );
    settled.catch(() => {});
  }

  async commit(): Promise<FlowedBatch | null> {
    if (!this.#broken.signal.aborted)
      await this.#options.outlet.prepare().catch((error: unknown) => this.#break(error));
    const { begun, done } = await this.#inTurn(async () => {
      const begun = await this.#beginCommit();
      const canOverlap = begun !== null && this.#options.outlet.canOverlap;
      return { begun, done: canOverlap ? null : await this.#endCommit(begun) };
    });
    return done ?? this.#endCommit(begun, (work) => this.#inTurn(work));
  }

  async stop(partitions: readonly TopicPartition[]): Promise<FlowedBatch | null> {
    if (!this.#broken.signal.aborted) await this.#threads.remove(partitions);
    return this.#inTurn(async () => {
      try {
        await this.#passReady().catch((error: unknown) => this.#break(error));
        return await this.#endCommit(await this.#beginCommit());
      } finally {
        // In this very turn: the next one may begin a transaction under an id that goes with them.
        this.#release(partitions);
      }
    });
  }

  async drop(partitions: readonly TopicPartition[]): Promise<void> {
    await this.#inTurn(async () => {
      await this.#clear();
      this.#release(partitions);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#dueTimer);
    this.#break(new OffloadError('INTERNAL', 'the flow is closed'));
    await this.#inTurn(() => this.#clear());
    await this.#threads.close();
    await this.#options.outlet.close();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  /** Rows that come while others are on their way go together, next. */
  #passOn(): void {
    if (this.#isPassing) return;
    this.#isPassing = true;
    this.#inTurn(async () => {
      this.#isPassing = false;
      await this.#passReady();
    }).catch((error: unknown) => this.#break(error));
  }

  async #passReady(): Promise<void> {
    if (this.#broken.signal.aborted || !this.#threads.isReady) return;
    const { messages, done } = this.#threads.take();
    await this.#options.outlet.send(messages.flatMap(({ parts }) => parts));
    done();
    for (const message of messages) this.#count(message);
  }

  #count({ parts, bytesRead, invalidUtf8, bad }: RowsMessage): void {
    const flowed = this.#flowed;
    flowed.bytesRead += bytesRead;
    flowed.invalidUtf8 += invalidUtf8;
    flowed.bad = sumBadRecords([flowed.bad, bad]);
    for (const { topic, partition, next, rows, batches } of parts) {
      const key = offsetKey({ topic, partition });
      const from = this.#positions.get(key)?.offset ?? next;
      const startOffset = flowed.ranges.get(key)?.startOffset ?? from;
      flowed.ranges.set(key, { topic, partition, startOffset, endOffset: next });
      this.#positions.set(key, { topic, partition, offset: next });
      const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
      flowed.rows += rows;
      flowed.bytes += bytes;
      this.#options.onProgress?.({ rows, bytes, offsets: next - from });
    }
  }

  /** To be called in a turn. @returns Null if nothing flowed. */
  async #beginCommit(): Promise<BegunCommit | null> {
    await this.#ending;
    const flowed = this.#flowed;
    const batch = { number: this.#commits + 1, ranges: [...flowed.ranges.values()] };
    const { signal } = this.#broken;
    if (!signal.aborted && batch.ranges.length === 0) return null;
    this.#flowed = nothing();
    const ended = signal.aborted ? Promise.reject(signal.reason) : this.#options.outlet.commit();
    this.#ending = ended.catch((error: unknown) => this.#break(error));
    return { batch, flowed, ended };
  }

  /** @param inTurn How a failure is cleared up; default: at once, in a turn. */
  async #endCommit(
    begun: BegunCommit | null,
    inTurn: <T>(work: () => Promise<T>) => Promise<T> = (work) => work(),
  ): Promise<FlowedBatch | null> {
    if (begun === null) return null;
    const { batch, flowed, ended } = begun;
    try {
      await ended;
    } catch (error) {
      return inTurn(() => this.#giveUp(batch, error));
    }
    this.#commits += 1;
    const { rows, bytes, bytesRead } = flowed;
    const written = { kind: 'written', rows, bytes, bytesRead, ...this.#options.report(flowed) } as const;
    return { batch, outcome: { ...written, files: [], name: null, isGroupCommitted: true } };
  }

  /** @throws The error, unless others went on in our place. */
  async #giveUp(batch: FlowedBatch['batch'], error: unknown): Promise<FlowedBatch> {
    const places = [...this.#positions.values()];
    await this.#clear();
    const failure = toOffloadError(error);
    if (failure.code !== 'FENCED') throw failure;
    const positions = await this.#options.outlet.look(places);
    return { batch, outcome: { kind: 'overtaken', why: failure.message, positions } };
  }

  #commitDue(): void {
    if (this.#broken.signal.aborted || !this.#options.outlet.isDue) return;
    this.#inTurn(async () => {
      await this.#ending;
      if (!this.#broken.signal.aborted && this.#options.outlet.isDue) await this.#options.outlet.commit();
    }).catch((error: unknown) => this.#break(error));
  }

  #release(partitions: readonly TopicPartition[]): void {
    for (const place of partitions) this.#positions.delete(offsetKey(place));
    this.#options.outlet.release(partitions);
  }

  #break(error: unknown): void {
    if (this.#broken.signal.aborted) return;
    this.#broken.abort(toOffloadError(error));
  }

  /** Reads nothing any more, and takes back what is not committed. */
  async #clear(): Promise<void> {
    await this.#ending;
    this.#positions.clear();
    this.#flowed = nothing();
    await this.#threads.clear();
    await this.#options.outlet.abort();
  }
}

function nothing(): Flowed {
  return { ranges: new Map(), rows: 0, bytes: 0, bytesRead: 0, invalidUtf8: 0, bad: NO_BAD_RECORDS };
}
