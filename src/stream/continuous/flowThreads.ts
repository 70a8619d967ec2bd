/** The coordinator's end of the threads that read partitions as they grow. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { STOP_WITHIN_MS, withinMs } from '../../coordinator/stopping.ts';
import { WorkerThreads } from '../../coordinator/threads.ts';
import { fromPlainError } from '../../errors.ts';
import { offsetKey } from '../../plan/places.ts';
import type { Position, TopicPartition } from '../types.ts';
import type { FlowMessage, FlowRequest, FlowSettings, FlowTask } from './messages.ts';

export type RowsMessage = Extract<FlowMessage, { kind: 'rows' }>;

export interface FlowThreadsOptions {
  readonly threads: number;
  /** Rows are there to be taken. */
  readonly onRows: () => void;
  readonly onFailure: (error: unknown) => void;
}

interface Lane {
  readonly port: MessagePort;
  readonly ended: Promise<void>;
  readonly partitions: Set<string>;
  readonly removals: Map<number, () => void>;
}

export class FlowThreads {
  readonly #options: FlowThreadsOptions;
  readonly #threads: WorkerThreads<FlowTask, void>;
  #lanes: Lane[] = [];
  #ready: { readonly lane: Lane; readonly message: RowsMessage }[] = [];
  #requests = 0;

  /** They start when this is made, and read nothing yet. */
  constructor(options: FlowThreadsOptions) {
    this.#options = options;
    this.#threads = new WorkerThreads<FlowTask, void>('flow', options.threads);
  }

  /** Gives partitions to the threads that have the fewest. */
  add(positions: readonly Position[], settings: FlowSettings): void {
    while (this.#lanes.length < this.#threads.count) this.#lanes.push(this.#open(settings));
    const shares = new Map<Lane, Position[]>();
    for (const position of positions) {
      const lane = this.#lanes.reduce((least, other) =>
        other.partitions.size < least.partitions.size ? other : least,
      );
      lane.partitions.add(offsetKey(position));
      shares.set(lane, [...(shares.get(lane) ?? []), position]);
    }
    for (const [lane, own] of shares) tell(lane, { kind: 'add', positions: own });
  }

  /** All rows that were read of these partitions are ready when it returns, and no more come. */
  async remove(places: readonly TopicPartition[]): Promise<void> {
    const request = ++this.#requests;
    const asked = this.#lanes.flatMap((lane) => {
      const own = places.filter((place) => lane.partitions.delete(offsetKey(place)));
      if (own.length === 0) return [];
      tell(lane, { kind: 'remove', request, places: own });
      const removed = new Promise<void>((resolve) => lane.removals.set(request, resolve));
      return [Promise.race([removed, lane.ended])];
    });
    await Promise.all(asked);
  }

  get isReady(): boolean {
    return this.#ready.length > 0;
  }

  /** What is ready, in order. @returns With `done`, to be called when it is passed on: threads may send as much again. */
  take(): { readonly messages: readonly RowsMessage[]; readonly done: () => void } {
    const taken = this.#ready;
    this.#ready = [];
    const done = (): void => {
      for (const { lane } of taken) tell(lane, { kind: 'credit' });
    };
    return { messages: taken.map(({ message }) => message), done };
  }

  /** Reads nothing any more, and forgets what was not taken. Threads stay. */
  async clear(): Promise<void> {
    const lanes = this.#lanes;
    this.#lanes = [];
    this.#ready = [];
    for (const lane of lanes) tell(lane, { kind: 'stop' });
    await withinMs(Promise.all(lanes.map(({ ended }) => ended)), STOP_WITHIN_MS);
  }

  async close(): Promise<void> {
    await this.clear();
    await this.#threads.close();
  }

  #open(settings: FlowSettings): Lane {
    const { port1, port2 } = new MessageChannel();
    const ended = this.#threads.run({ settings, port: port2 }, [port2]).then(
      () => port1.close(),
      (error: unknown) => {
        port1.close();
        if (this.#lanes.includes(lane)) this.#options.onFailure(error);
      },
    );
    const lane: Lane = { port: port1, ended, partitions: new Set(), removals: new Map() };
    port1.on('message', (message: FlowMessage) => {
      // Of one that was stopped.
      if (!this.#lanes.includes(lane)) return;
      if (message.kind === 'failed') return this.#options.onFailure(fromPlainError(message.error));
      if (message.kind === 'removed') {
        lane.removals.get(message.request)?.();
        lane.removals.delete(message.request);
        return;
      }
      this.#ready.push({ lane, message });
      this.#options.onRows();
    });
    return lane;
  }
}

function tell({ port }: Lane, request: FlowRequest): void {
  port.postMessage(request);
}
