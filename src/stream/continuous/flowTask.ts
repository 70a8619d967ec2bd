/** What a thread does with the partitions it is given: read as they grow, decode, transform, encode, hand over. */
import type { MessagePort } from 'node:worker_threads';
import type { RecordBatch } from 'apache-arrow';
import type { BadRecord } from '../../coordinator/badRecords/badRecord.ts';
import { NO_BAD_RECORDS, sumBadRecords } from '../../coordinator/badRecords/counts.ts';
import type { DeadLetterMaker } from '../../coordinator/badRecords/deadLetters.ts';
import { RecordMaker } from '../../coordinator/load/recordMaker.ts';
import { type RowChunk, TopicChunks } from '../../coordinator/load/topicChunks.ts';
import { RowTransform } from '../../coordinator/rowTransform.ts';
import { MessageColumns, roomFor } from '../../decode/columns.ts';
import { DecodeKernel } from '../../decode/kernel.ts';
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import { toPlainError } from '../../errors.ts';
import { Cluster } from '../../kafka/cluster.ts';
import { TableCollector } from '../../sinks/console.ts';
import type { FetchedRecords } from '../../sources/kafkaRange.ts';
import type { TopicPartition } from '../types.ts';
import { FlowReader } from './flowReader.ts';
import {
  type FlowMessage,
  type FlowPart,
  type FlowRequest,
  type FlowSettings,
  type FlowTask,
  MESSAGES_IN_HAND,
} from './messages.ts';

/** A range without an end. */
const NO_END = Number.MAX_SAFE_INTEGER;

type MadeRows = Pick<FlowPart, 'batches' | 'table'>;

/** Runs until it is told to stop. Never throws: an error is said through the port. */
export async function runFlow({ settings, port }: FlowTask): Promise<void> {
  const runner = new FlowRunner(settings, port);
  await runner.stopped;
  await runner.close();
}

class FlowRunner {
  readonly stopped: Promise<void>;
  readonly #settings: FlowSettings;
  readonly #port: MessagePort;
  readonly #stop = new AbortController();
  readonly #cluster: Cluster;
  readonly #reader: FlowReader;
  readonly #columns: MessageColumns;
  readonly #kernel = new DecodeKernel();
  readonly #transform: RowTransform;
  readonly #maker: RecordMaker | null;
  #deadLetters: DeadLetterMaker | null = null;
  /** Answers of several leaders take turns: there is one set of columns. */
  #turn: Promise<void> = Promise.resolve();
  #parts: FlowPart[] = [];
  #counts = { bytesRead: 0, invalidUtf8: 0, bad: NO_BAD_RECORDS };
  #credit = MESSAGES_IN_HAND;
  #wake: (() => void) | null = null;

  constructor(settings: FlowSettings, port: MessagePort) {
    const { source, outlet, transform, chunkRows, chunkBytes } = settings;
    this.#settings = settings;
    this.#port = port;
    const { signal } = this.#stop;
    this.stopped = new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    this.#cluster = new Cluster(source.connection, signal);
    this.#columns = new MessageColumns(
      source.fields.map(({ column }) => column),
      roomFor({ rows: chunkRows, bytes: chunkBytes }),
    );
    this.#transform = new RowTransform(transform);
    this.#maker = outlet.kind === 'topic' ? new RecordMaker(outlet.target) : null;
    this.#reader = new FlowReader(this.#cluster, {
      fetch: source.fetch,
      failOnDataLoss: source.failOnDataLoss,
      onFetched: (place, records) => this.#inTurn(() => this.#decode(place, records)),
      onAnswered: () => this.#inTurn(() => this.#post()),
      onFailure: (error) => this.#fail(error),
      signal,
    });
    port.on('message', (request: FlowRequest) => this.#carryOut(request));
  }

  async close(): Promise<void> {
    this.#cluster.close();
    await this.#turn;
    this.#maker?.close();
    await this.#transform.close();
    this.#port.close();
  }

  #carryOut(request: FlowRequest): void {
    switch (request.kind) {
      case 'add':
        this.#reader.add(request.positions);
        return;
      case 'remove':
        this.#reader.remove(request.places).then(
          () => this.#send({ kind: 'removed', request: request.request }),
          (error: unknown) => this.#fail(error),
        );
        return;
      case 'credit':
        this.#credit += 1;
        this.#wake?.();
        return;
      case 'stop':
        this.#stop.abort();
        this.#wake?.();
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #decode(place: TopicPartition, fetched: FetchedRecords): Promise<void> {
    const { source, chunkRows, chunkBytes } = this.#settings;
    const context = {
      source,
      limits: { chunkRows, chunkBytes },
      columns: this.#columns,
      kernel: this.#kernel,
      transform: this.#transform,
      signal: this.#stop.signal,
    };
    const range = { ...place, startOffset: fetched.startOffset, endOffset: NO_END };
    this.#columns.clear();
    const chunks = new TopicChunks<MadeRows>(context, range, {
      make: (batch, rowName) => this.#make(batch, rowName),
      take: (chunk) => this.#take(place, chunk),
    });
    await chunks.add(fetched);
    await chunks.flush(fetched.nextOffset);
    this.#counts.bytesRead += chunks.counts.bytesRead;
    this.#counts.invalidUtf8 += chunks.counts.invalidUtf8;
    this.#counts.bad = sumBadRecords([this.#counts.bad, chunks.counts.bad]);
    // Records that gave no row move the position all the same.
    const last = this.#parts.at(-1);
    const isTold = last?.topic === place.topic && last.partition === place.partition && last.next >= fetched.nextOffset;
    if (!isTold) this.#parts.push({ ...place, next: fetched.nextOffset, rows: 0, batches: [], table: null });
  }

  async #make(batch: RecordBatch, rowName: (row: number) => string): Promise<MadeRows> {
    const { outlet } = this.#settings;
    if (outlet.kind === 'console') {
      const collector = new TableCollector(outlet.numRows);
      collector.add(batch);
      return { batches: [], table: collector.table };
    }
    return { batches: (await this.#maker?.encode(batch, rowName)) ?? [], table: null };
  }

  async #take(place: TopicPartition, { made, rows, bad, next }: RowChunk<MadeRows>): Promise<void> {
    const { chunkBytes } = this.#settings;
    const letters = bad.length === 0 ? [] : await this.#deadLettersOf(place, bad);
    if (made === null && letters.length === 0) return;
    const { batches, table } = made ?? { batches: [], table: null };
    this.#parts.push({ ...place, next, rows, batches: [...batches, ...letters], table });
    const waiting = this.#parts.flatMap(({ batches }) => batches).reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (waiting >= chunkBytes) await this.#post();
  }

  async #deadLettersOf(place: TopicPartition, bad: readonly BadRecord[]): Promise<readonly EncodedRecordBatch[]> {
    const { deadLetters: plan, source } = this.#settings;
    if (plan === null) return [];
    const { DeadLetterMaker } = await import('../../coordinator/badRecords/deadLetters.ts');
    this.#deadLetters ??= new DeadLetterMaker(plan, this.#cluster, source.fetch);
    return this.#deadLetters.encode(place, bad);
  }

  /** Waits until the coordinator takes one more message. */
  async #post(): Promise<void> {
    if (this.#parts.length === 0) return;
    while (this.#credit === 0 && !this.#stop.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#stop.signal.throwIfAborted();
    this.#credit -= 1;
    const parts = this.#parts;
    const counts = this.#counts;
    this.#parts = [];
    this.#counts = { bytesRead: 0, invalidUtf8: 0, bad: NO_BAD_RECORDS };
    const buffers = parts.flatMap(({ batches }) => batches.map(({ bytes }) => bytes.buffer));
    this.#send({ kind: 'rows', parts, ...counts }, buffers);
  }

  #fail(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#send({ kind: 'failed', error: toPlainError(error) });
  }

  #send(message: FlowMessage, buffers: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, buffers);
  }
}
