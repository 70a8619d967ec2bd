/**
 * The coordinator's end of the workers: units are handed out in order, one to each worker at a time, and their chunks are
 * collected until somebody takes them. What is ahead of its turn waits, with its worker, for the credit that is given
 * back when a transaction is committed.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { fromPlainError, OffloadError } from '../../errors.ts';
import { STOP_WITHIN_MS, withinMs } from '../stopping.ts';
import type { WorkerThreads } from '../threads.ts';
import {
  CHUNKS_IN_HAND,
  type Chunk,
  type CreditMessage,
  type LoadSettings,
  type LoadUnit,
  type UnitEnd,
  type UnitMessage,
} from './chunks.ts';
import type { LoadTask } from './loadTask.ts';

/** One worker: how many of its chunks are not committed yet, and whom to tell when they are. */
interface Lane {
  inHand: number;
  port: MessagePort | null;
  wake: (() => void) | null;
}

interface Stream<Unit> {
  readonly unit: Unit;
  readonly lane: Lane;
  readonly ready: Chunk[];
  end: UnitEnd | null;
}

/** A chunk of a unit, or its end. */
export type Taken<Unit> =
  | { readonly unit: Unit; readonly chunk: Chunk; readonly end: null }
  | { readonly unit: Unit; readonly chunk: null; readonly end: UnitEnd };

export interface LanesOptions<Unit extends LoadUnit> {
  readonly threads: WorkerThreads<LoadTask, void>;
  /** In the order in which they are handed out. */
  readonly units: AsyncIterable<Unit>;
  readonly settings: LoadSettings;
  /** True: no chunk of a unit is given before the end of the unit before it. */
  readonly isOrdered: boolean;
  readonly signal: AbortSignal;
}

export class Lanes<Unit extends LoadUnit> {
  readonly #options: LanesOptions<Unit>;
  readonly #units: AsyncIterator<Unit>;
  readonly #lanes: readonly Lane[];
  /** Begun and not taken to their end, in the order of units. */
  readonly #streams: Stream<Unit>[] = [];
  /** Lanes of the chunks that were taken and are not committed. */
  #taken: Lane[] = [];
  #working: number;
  readonly #work: Promise<void>[];
  #failure: { readonly error: unknown } | null = null;
  readonly #ended = new AbortController();
  #wake: (() => void) | null = null;

  /** Workers begin at once. */
  constructor(options: LanesOptions<Unit>) {
    const { threads, units, signal } = options;
    this.#options = options;
    this.#units = units[Symbol.asyncIterator]();
    this.#working = threads.count;
    // Not longer than the lanes: one signal may outlive many of them.
    const ended = this.#ended.signal;
    signal.addEventListener('abort', () => this.#fail(signal.reason), { once: true, signal: ended });
    if (signal.aborted) this.#fail(signal.reason);
    this.#lanes = Array.from({ length: threads.count }, () => ({ inHand: 0, port: null, wake: null }));
    this.#work = this.#lanes.map(async (lane) => {
      await this.#runUnits(lane).catch((error: unknown) => this.#fail(error));
      this.#working -= 1;
      this.#wake?.();
    });
  }

  /**
   * What is ready, in order, up to a number of rows or a little more; waits for the first.
   *
   * @param waitMs An empty list is given after so long.
   * @returns Null when every unit has been taken to its end.
   * @throws What the first worker failed with, or the signal's reason.
   */
  async take(maxRows: number, waitMs: number): Promise<Taken<Unit>[] | null> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      const taken = this.#takeReady(maxRows);
      if (taken.length > 0) return taken;
      if (this.#working === 0 && this.#streams.length === 0) return null;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return [];
      await this.#news(leftMs);
    }
  }

  /** What was taken so far is committed, or the target's: its workers may send as much again. */
  committed(): void {
    for (const lane of this.#taken) {
      lane.inHand -= 1;
      if (lane.port) lane.port.postMessage({ kind: 'credit', credit: 1 } satisfies CreditMessage);
      lane.wake?.();
    }
    this.#taken = [];
  }

  /**
   * Tells workers to leave what they are doing, and waits until they have. A thread that is ended while it reads a file
   * takes the whole process with it (DuckDB, seen with 1.5.5): so this comes before, whatever happened.
   */
  async stop(): Promise<void> {
    this.#ended.abort();
    this.#fail(new OffloadError('INTERNAL', 'the run is stopping'));
    for (const { port } of this.#lanes) port?.postMessage({ kind: 'stop' } satisfies CreditMessage);
    await withinMs(Promise.all(this.#work), STOP_WITHIN_MS);
  }

  #takeReady(maxRows: number): Taken<Unit>[] {
    const taken: Taken<Unit>[] = [];
    let rows = 0;
    for (let place = 0; place < this.#streams.length && rows < maxRows; ) {
      const stream = this.#streams[place] as Stream<Unit>;
      const { unit, ready, lane, end } = stream;
      while (ready.length > 0 && rows < maxRows) {
        const chunk = ready.shift() as Chunk;
        taken.push({ unit, chunk, end: null });
        this.#taken.push(lane);
        rows += chunk.rows;
      }
      if (ready.length === 0 && end !== null) {
        taken.push({ unit, chunk: null, end });
        this.#streams.splice(place, 1);
      } else if (this.#options.isOrdered) {
        break;
      } else {
        place += 1;
      }
    }
    return taken;
  }

  async #runUnits(lane: Lane): Promise<void> {
    for (;;) {
      while (lane.inHand >= CHUNKS_IN_HAND && !this.#failure) {
        await new Promise<void>((resolve) => {
          lane.wake = resolve;
        });
        lane.wake = null;
      }
      if (this.#failure) return;
      // An iterator answers in the order in which it is asked: streams stand in the order of their units.
      const next = await this.#units.next();
      if (next.done || this.#failure) return;
      const stream: Stream<Unit> = { unit: next.value, lane, ready: [], end: null };
      this.#streams.push(stream);
      await this.#run(stream);
    }
  }

  async #run(stream: Stream<Unit>): Promise<void> {
    const { threads, settings } = this.#options;
    const { port1, port2 } = new MessageChannel();
    const { lane, unit } = stream;
    const ended = new Promise<void>((resolve, reject) => {
      port1.on('message', (message: UnitMessage) => {
        if (message.kind === 'failed') return reject(fromPlainError(message.error));
        if (message.kind === 'end') {
          stream.end = message.end;
          resolve();
        } else {
          lane.inHand += 1;
          stream.ready.push(message.chunk);
        }
        this.#wake?.();
      });
    });
    ended.catch(() => {});
    lane.port = port1;
    try {
      const credit = CHUNKS_IN_HAND - lane.inHand;
      // The thread answers when all was posted; the last message may still be on its way then.
      await Promise.all([threads.run({ unit, settings, port: port2, credit }, [port2]), ended]);
    } finally {
      lane.port = null;
      port1.close();
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const lane of this.#lanes) lane.wake?.();
    this.#wake?.();
  }

  #news(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
