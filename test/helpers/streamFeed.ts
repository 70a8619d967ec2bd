/** A stream that never ran: events as a loop tells them, at times that the test sets. */
import type { Job } from '../../src/config/job.ts';
import { History, SAMPLE_EVERY_MS } from '../../src/stream/observe/history.ts';
import { StatusKeeper } from '../../src/stream/observe/status.ts';
import type { ObserverClock } from '../../src/stream/observe/types.ts';
import type { BatchOutcome, Observe, StreamEvent } from '../../src/stream/types.ts';
import type { OffsetRange } from '../../src/tasks.ts';

export class SetClock implements ObserverClock {
  #wallMs: number;
  #monotonicMs = 1_000;

  constructor(wallMs = Date.UTC(2026, 10, 30, 12)) {
    this.#wallMs = wallMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  pass(ms: number): void {
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }
}

type Written = Extract<BatchOutcome, { kind: 'written' }>;

/** As much of a job as is shown; `stream` with ports of its own. */
export function streamJob(stream: object = {}, rest: object = {}): Job {
  return {
    config: 'orders',
    source: { kind: 'topic', selection: { kind: 'topics', topics: ['orders'] } },
    sink: { kind: 'files', target: { path: '/data/orders', kind: 'folder' }, output: { format: 'parquet' } },
    maxMemoryBytes: 320 * 1024 ** 2,
    stream: {
      trigger: { kind: 'processingTime', intervalMs: 10_000 },
      group: { groupId: 'orders-to-lake', instanceId: null },
      ...{ metricsPort: null, uiPort: null, listenHost: '127.0.0.1', ...stream },
    },
    ...rest,
  } as unknown as Job;
}

export function joined(groupId = 'orders-to-lake', rebalances = 1): StreamEvent {
  const identity = { groupId, memberId: 'kafkaload-1', generationId: 7, instanceId: null };
  return { kind: 'joined', identity, rebalances };
}

export function written(
  number: number,
  ranges: readonly OffsetRange[],
  outcome: Partial<Written> = {},
  seconds = 0.5,
): Extract<StreamEvent, { kind: 'written' }> {
  const none = { rows: 0, bytes: 0, files: [], name: null, bytesRead: 0, badRecords: 0, warnings: [] };
  const whole: Written = { kind: 'written', ...none, isGroupCommitted: false, ...outcome };
  return { kind: 'written', batch: { number, ranges }, outcome: whole, seconds };
}

/** A keeper and the samples of its page, fed with some minutes of a stream that writes files each second trigger. */
export class StreamFeed {
  readonly keeper: StatusKeeper;
  readonly history = new History();
  readonly clock: SetClock;
  readonly #partitions: { readonly topic: string; readonly partition: number; position: number; end: number }[];
  #seconds = 0;
  #batch = 0;

  constructor(job: Job, partitions: number, clock = new SetClock()) {
    this.clock = clock;
    this.keeper = new StatusKeeper(job, clock);
    this.#partitions = Array.from({ length: partitions }, (_, partition) => ({
      ...{ topic: 'orders', partition, position: 1_000_000 * (partition + 1), end: 1_000_000 * (partition + 1) },
    }));
    this.observe(joined(job.stream?.group?.groupId));
    this.observe({ kind: 'assigned', partitions: this.#partitions });
  }

  readonly observe: Observe = (event) => this.keeper.apply(event);

  /** Goes on: messages come all the time, and every 10 seconds a micro-batch takes what is there, but the hot partition's. */
  run(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      this.clock.pass(1_000);
      this.#seconds += 1;
      for (const each of this.#partitions) each.end += this.#arrivals(each.partition);
      if (this.#seconds % 10 === 0) this.#writeBatch();
      this.observe({ kind: 'lag', partitions: this.#partitions });
      if ((this.#seconds * 1_000) % SAMPLE_EVERY_MS === 0) this.history.add(this.keeper.snapshot());
    }
  }

  #arrivals(partition: number): number {
    const wave = 1 + 0.6 * Math.sin(this.#seconds / 40 + partition);
    return Math.round((20_000 / this.#partitions.length) * wave * (partition % 7 === 2 ? 3 : 1));
  }

  #writeBatch(): void {
    this.#batch += 1;
    const ranges = this.#partitions.map((each) => {
      const { topic, partition, position } = each;
      // The hot ones keep a rest.
      each.position = partition % 7 === 2 ? Math.floor((position + each.end) / 2) : each.end;
      return { topic, partition, startOffset: position, endOffset: each.position };
    });
    const rows = ranges.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
    const bytes = rows * 42;
    this.observe({ kind: 'begun', batch: { number: this.#batch, ranges } });
    this.observe({ kind: 'progress', rows, bytes: rows * 180, offsets: rows });
    const file = (at: number) => `/data/orders/part-0000${at}-20261130T1200${this.#batch}.parquet`;
    const files = [0, 1].map((at) => ({ path: file(at), rows: Math.floor(rows / 2), bytes: Math.floor(bytes / 2) }));
    const outcome = { rows, bytes, files, name: `${this.#batch + 41}`, bytesRead: rows * 180 };
    this.observe(written(this.#batch, ranges, outcome, 0.8 + (this.#batch % 5) / 10));
  }
}
