/**
 * Topic -> topic by micro-batches: the rows of one, and where their partitions go on, are one transaction. Workers make
 * the record batches, as in a batch run (coordinator/load/), and each chunk is in the open transaction before its worker
 * may send another: memory is bounded however large a micro-batch is. One that takes long is committed in several
 * transactions, each with its positions.
 *
 * Who may commit, and under which transactional id, is told in topicTransactions.ts.
 */
import type { DeadLetterPlan } from '../coordinator/badRecords/badRecord.ts';
import { reportBadRecords } from '../coordinator/badRecords/counts.ts';
import { planDeadLetters } from '../coordinator/badRecords/deadLetterTopic.ts';
import { warnOfInvalidUtf8 } from '../coordinator/invalidValues.ts';
import type { TopicToTopicJob } from '../coordinator/jobs.ts';
import type { TopicUnit, UnitEnd } from '../coordinator/load/chunks.ts';
import { Lanes } from '../coordinator/load/lanes.ts';
import type { LoadTask } from '../coordinator/load/loadTask.ts';
import { ensureTopic } from '../coordinator/load/targetTopic.ts';
import { checkNoLoop } from '../coordinator/load/topicLoop.ts';
import { loadSettings } from '../coordinator/load/topicSettings.ts';
import type { Log } from '../coordinator/log.ts';
import type { ProgressStep } from '../coordinator/progress.ts';
import { settleTopicJob } from '../coordinator/settleJob.ts';
import { WorkerThreads } from '../coordinator/threads.ts';
import { toOffloadError } from '../errors.ts';
import { Cluster } from '../kafka/cluster.ts';
import type { OffsetRange } from '../tasks.ts';
import { GroupLedger, ProgressLedger } from './topicLedgers.ts';
import { TopicTransactions } from './topicTransactions.ts';
import type {
  BatchOutcome,
  GroupMember,
  GroupOffset,
  MicroBatch,
  Position,
  StreamSink,
  TopicPartition,
} from './types.ts';

/** How often the target is asked whether it has more partitions. */
const LOOK_AT_TARGET_MS = 60_000;
const WAIT_FOR_CHUNKS_MS = 1_000;

export interface TopicSinkOptions {
  readonly job: TopicToTopicJob;
  readonly member: GroupMember;
  /** Cluster that is read; stays the caller's. */
  readonly source: Cluster;
  /** Topics that are read, as far as they are known now. */
  readonly topics: readonly { readonly topic: string }[];
  readonly log: Log;
  /** Told while a micro-batch is written. */
  readonly onProgress?: (step: ProgressStep) => void;
  /** Ends whatever is under way. */
  readonly signal: AbortSignal;
}

/**
 * Makes the target topic if it is not there.
 *
 * @throws OffloadError USAGE where a row would go back to the topic it came from; NOT_AUTHORIZED, BROKER_REFUSED.
 */
export async function openTopicSink(options: TopicSinkOptions): Promise<StreamSink> {
  const { job, signal } = options;
  const threads = new WorkerThreads<LoadTask, void>('load', job.workers);
  const target = new Cluster(job.sink.kafka.connection, signal);
  try {
    const readTopics = await checkNoLoop(job, options.topics, options.source, target);
    const transactions = await openTransactions(options, target, { overlap: false });
    const partitions = await ensureTopic(target, job.sink.kafka, { ...job.sink.create, topic: job.sink.topic });
    const deadLetters = await planDeadLetters(job, target, job.sink.kafka);
    return new TopicStreamSink({ ...options, threads, target, transactions, readTopics, deadLetters }, partitions);
  } catch (error) {
    target.close();
    await threads.close();
    throw error;
  }
}

/** As the source and target of the job have it: on one cluster, or on two. */
export async function openTransactions(
  { job, member, source, log, signal }: Omit<TopicSinkOptions, 'topics'>,
  target: Cluster,
  { overlap }: { readonly overlap: boolean },
): Promise<TopicTransactions> {
  const { groupId } = member.identity;
  const [clusterId, targetId] = await Promise.all([source.clusterId(), target.clusterId()]);
  const warn = (line: string): void => log.warn(line);
  const ledger =
    clusterId === targetId
      ? new GroupLedger(member)
      : await ProgressLedger.open({ source, target, sink: job.sink, groupId, warn });
  return new TopicTransactions({ target, ledger, clusterId, groupId, overlap, signal });
}

interface SinkContext extends TopicSinkOptions {
  readonly threads: WorkerThreads<LoadTask, void>;
  readonly target: Cluster;
  readonly transactions: TopicTransactions;
  readonly readTopics: readonly string[];
  readonly deadLetters: DeadLetterPlan | null;
}

/** What a micro-batch came to, so far. */
interface Counts {
  rows: number;
  bytes: number;
  readonly ends: UnitEnd[];
}

class TopicStreamSink implements StreamSink {
  readonly #context: SinkContext;
  /** With the columns of user code, once the first rows are there. */
  #job: TopicToTopicJob | null = null;
  #partitions: number;
  #lookedAtMs = performance.now();
  #version = 0;

  constructor(context: SinkContext, partitions: number) {
    this.#context = context;
    this.#partitions = partitions;
  }

  claim(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#context.transactions.claim(partitions);
  }

  resume(committed: readonly GroupOffset[], topicIds: Readonly<Record<string, string>>): Promise<readonly Position[]> {
    return this.#context.transactions.resume(committed, topicIds);
  }

  async write({ ranges }: MicroBatch, signal: AbortSignal): Promise<BatchOutcome> {
    const { transactions, job, log } = this.#context;
    await transactions.settle();
    const counts: Counts = { rows: 0, bytes: 0, ends: [] };
    try {
      await this.#move(
        ranges.flatMap((range) => this.#leftOf(range)),
        counts,
        signal,
      );
    } catch (error) {
      await transactions.abort();
      signal.throwIfAborted();
      const failure = toOffloadError(error);
      if (failure.code !== 'FENCED') throw failure;
      await transactions.lookAgain();
      return { kind: 'overtaken', why: failure.message, positions: ranges.map((range) => this.#positionOf(range)) };
    }
    const bad = counts.ends.map((end) => end.bad);
    const { badRecords, warnings } = reportBadRecords(bad, job.source.onBadRecord, { log });
    return {
      kind: 'written',
      rows: counts.rows,
      bytes: counts.bytes,
      files: [],
      name: null,
      bytesRead: counts.ends.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
      badRecords: badRecords?.records ?? 0,
      warnings: [...warnOfInvalidUtf8(counts.ends, job.source, { log }), ...warnings],
      isGroupCommitted: transactions.isGroupCommitted,
    };
  }

  async groupCommitted(positions: readonly Position[]): Promise<void> {
    this.#context.transactions.groupCommitted(positions);
  }

  release(partitions: readonly TopicPartition[]): void {
    this.#context.transactions.release(partitions);
  }

  async close(): Promise<void> {
    const { threads, target, transactions } = this.#context;
    await transactions.close();
    await threads.close();
    target.close();
  }

  /** An attempt before may have committed a part of the range, or all of it. */
  #leftOf(range: OffsetRange): OffsetRange[] {
    const { offset } = this.#positionOf(range);
    return offset < range.endOffset ? [{ ...range, startOffset: offset }] : [];
  }

  #positionOf({ topic, partition, startOffset }: OffsetRange): Position {
    const committed = this.#context.transactions.positionOf({ topic, partition });
    return { topic, partition, offset: Math.max(startOffset, committed ?? startOffset) };
  }

  async #move(ranges: readonly OffsetRange[], counts: Counts, signal: AbortSignal): Promise<void> {
    if (ranges.length === 0) return;
    const { threads, source, transactions, onProgress } = this.#context;
    this.#job ??= await settleTopicJob(this.#context.job, source, ranges);
    const { chunkRecords } = this.#job.sink;
    const settings = await this.#settings(this.#job);
    const units = ranges.map((range): TopicUnit => ({ kind: 'topic', range }));
    const lanes = new Lanes({ threads, units: inOrder(units), settings, isOrdered: false, signal });
    const positions = new Map(units.map((unit) => [unit, unit.range.startOffset]));
    try {
      for (;;) {
        const taken = await lanes.take(chunkRecords, WAIT_FOR_CHUNKS_MS);
        if (taken === null) break;
        signal.throwIfAborted();
        await transactions.send(
          taken.map(({ unit, chunk, end }) => {
            const { topic, partition } = unit.range;
            return { topic, partition, batches: chunk?.batches ?? [], next: chunk?.next ?? end?.next ?? 0 };
          }),
        );
        lanes.committed();
        for (const { unit, chunk, end } of taken) {
          const next = chunk?.next ?? end?.next ?? 0;
          const step = {
            rows: chunk?.rows ?? 0,
            bytes: chunk?.bytes ?? 0,
            offsets: next - (positions.get(unit) ?? next),
          };
          positions.set(unit, next);
          counts.rows += step.rows;
          counts.bytes += step.bytes;
          if (end) counts.ends.push(end);
          onProgress?.(step);
        }
        if (transactions.isDue) await transactions.commit(signal);
      }
    } finally {
      await lanes.stop();
    }
    signal.throwIfAborted();
    await transactions.commit(signal);
  }

  async #settings(job: TopicToTopicJob) {
    const { target, threads, readTopics, deadLetters } = this.#context;
    if (performance.now() - this.#lookedAtMs > LOOK_AT_TARGET_MS) {
      const found = await target.findTopic(job.sink.topic);
      this.#lookedAtMs = performance.now();
      if (found && found.partitions.length !== this.#partitions) {
        this.#partitions = found.partitions.length;
        this.#version += 1;
      }
    }
    const place = { partitions: this.#partitions, readTopics, deadLetters };
    const settings = loadSettings(job, place, threads.count);
    return { ...settings, version: this.#version };
  }
}

async function* inOrder<T>(list: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* list;
}
