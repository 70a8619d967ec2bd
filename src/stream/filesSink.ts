/**
 * Topics -> files: workers stage the rows of a micro-batch as in a run of batch, and the chain of the group makes files
 * and positions one.
 */

import type { DeadLetterPlan } from '../coordinator/badRecords/badRecord.ts';
import { lettersOf, planDeadLetters } from '../coordinator/badRecords/deadLetterTopic.ts';
import { deadLetterOffice } from '../coordinator/badRecords/office.ts';
import type { TaskResult, WorkerSettings } from '../coordinator/fetchTypes.ts';
import { contentOf } from '../coordinator/fileContent.ts';
import { checkFolders } from '../coordinator/folders.ts';
import { countGaps } from '../coordinator/gaps.ts';
import type { OffloadJob, StreamJob } from '../coordinator/jobs.ts';
import { WorkerPool } from '../coordinator/pool.ts';
import { settleTopicJob } from '../coordinator/settleJob.ts';
import { type FetchPool, loadSchema, type StagedRows, stageRows } from '../coordinator/stageRows.ts';
import { checkTarget, rootOf } from '../coordinator/target.ts';
import { OffloadError } from '../errors.ts';
import { nodeFileSystem as fs } from '../io.ts';
import type { FetchTask } from '../plan/tasks.ts';
import { cutTasks, DIVIDED_TASK_BYTES, type TaskPlan, TURN_TASK_BYTES } from '../plan/tasks.ts';
import { isUnsettled } from '../transform/settle.ts';
import { openChain, type StreamChain } from './chain/chain.ts';
import type { StagedBatch } from './chain/entry.ts';
import type { ChainBatch } from './chain/ownBatches.ts';
import type { SinkContext } from './openSink.ts';
import { countProgress, writtenOutcome } from './stagedBatch.ts';
import type { BatchOutcome, GroupOffset, MicroBatch, Position, StreamSink, TopicPartition } from './types.ts';

export type FilesJob = StreamJob & OffloadJob;
type FilesContext = SinkContext & { readonly job: FilesJob };

/** @throws OffloadError TARGET_UNSUITABLE; USAGE for columns to divide by that are not there; IO_FAILED. */
export async function openFilesSink(context: FilesContext): Promise<StreamSink> {
  const { job, ui, member } = context;
  const { target } = job.sink;
  await checkTarget(fs, target);
  if (!isUnsettled(job.transform)) await checkFolders(target, () => loadSchema(job));
  const chain = await openChain({
    root: rootOf(target),
    group: member.identity.groupId,
    config: job.config,
    log: (line) => ui.log.info(line),
    deadLetters: deadLetterOffice(job.source.kafka),
  });
  const letters = await planDeadLetters(job, context.cluster, job.source.kafka);
  const pool = new WorkerPool<FetchTask, WorkerSettings, TaskResult>('offload', job.workers, [
    JSON.stringify(target.output),
  ]);
  return new FilesStreamSink(context, chain, pool, letters);
}

class FilesStreamSink implements StreamSink {
  readonly #context: FilesContext;
  readonly #chain: StreamChain;
  readonly #pool: FetchPool;
  /** Where bad records go; null: nowhere. */
  readonly #letters: DeadLetterPlan | null;
  /** With the columns of user code, once the first rows are there. */
  #job: FilesJob | null = null;
  #topicIds: Readonly<Record<string, string>> = {};

  constructor(context: FilesContext, chain: StreamChain, pool: FetchPool, letters: DeadLetterPlan | null) {
    this.#context = context;
    this.#chain = chain;
    this.#pool = pool;
    this.#letters = letters;
  }

  claim(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#chain.claim(partitions);
  }

  async resume(
    committed: readonly GroupOffset[],
    topicIds: Readonly<Record<string, string>>,
  ): Promise<readonly Position[]> {
    const { job, ui } = this.#context;
    this.#topicIds = { ...this.#topicIds, ...topicIds };
    const { positions, madeAgain } = await this.#chain.resume(committed, topicIds);
    if (madeAgain.length === 0) return positions;
    const what = `topic ${madeAgain.join(', ')} was made again since files of it were written to ${job.sink.target.path}`;
    if (job.source.failOnDataLoss) {
      throw new OffloadError(
        'OFFSET_LOST',
        `${what}, and what was not read of the old one is gone; set failOnDataLoss to false to go on with the new one`,
        { context: { topics: madeAgain.join(',') } },
      );
    }
    ui.log.warn(`${what}; failOnDataLoss is false: going on with the new one`);
    return positions;
  }

  async write(batch: MicroBatch, signal: AbortSignal): Promise<BatchOutcome> {
    const own = await this.#chain.begin(batch.ranges);
    let isAppended = false;
    try {
      const { staged, bytesRead } = await this.#stage(batch, own, signal);
      signal.throwIfAborted();
      isAppended = true;
      const outcome = await this.#chain.append(own, this.#entryOf(batch, staged));
      if (outcome.kind === 'overtaken') {
        await this.#chain.abandon(own);
        return outcome;
      }
      return writtenOutcome(staged, this.#context.job.source, bytesRead, String(outcome.number));
    } catch (error) {
      // Of one that failed while it was appended the chain itself knows whether it counts.
      if (!isAppended) await this.#chain.abandon(own).catch(() => {});
      throw error;
    }
  }

  groupCommitted(positions: readonly Position[]): Promise<void> {
    return this.#chain.groupCommitted(positions);
  }

  release(partitions: readonly TopicPartition[]): void {
    this.#chain.release(partitions);
  }

  async close(): Promise<void> {
    // Before the staging goes: a thread may still be writing to it.
    await this.#pool.close();
    await this.#chain.close();
  }

  async #stage(
    { ranges }: MicroBatch,
    { run, stagingPath }: ChainBatch,
    signal: AbortSignal,
  ): Promise<{ staged: StagedRows; bytesRead: number }> {
    const { cluster, observe } = this.#context;
    this.#job ??= await settleTopicJob(this.#context.job, cluster, ranges);
    const { progress, bytesRead } = countProgress(observe);
    const place = { run, stagingPath, isTakenOver: async () => false };
    const plan = this.#plan(ranges);
    const staged = await stageRows(this.#job, place, plan, this.#pool, progress, signal, this.#letters);
    return { staged, bytesRead: bytesRead() };
  }

  #plan(ranges: MicroBatch['ranges']): TaskPlan {
    const { job, looker } = this.#context;
    const { target } = job.sink;
    const isDivided = target.partitionBy.length > 0;
    const isInTurn = target.output.format !== 'parquet' && !isDivided;
    const cut = (fileCount: number | null): TaskPlan =>
      cutTasks(ranges, looker.estimates, job.workers, fileCount, {
        ...(isInTurn && { mostBytes: TURN_TASK_BYTES }),
        ...(isDivided && { leastBytes: DIVIDED_TASK_BYTES }),
        minTasks: job.source.minPartitions ?? 0,
      });
    if (target.kind === 'file') return cut(1);
    const plan = cut(isDivided ? null : target.coalesce);
    const { maxFileBytes } = job.stream;
    if (maxFileBytes === null || isDivided || target.coalesce !== null) return plan;
    return cut(Math.max(1, Math.ceil(plan.estimatedBytes / maxFileBytes)));
  }

  #entryOf({ ranges }: MicroBatch, staged: StagedRows): StagedBatch {
    const { job } = this.#context;
    const { kind, path } = job.sink.target;
    const content = contentOf(job);
    const next = ranges.map(({ topic, partition, endOffset }) => ({ topic, partition, offset: endOffset }));
    return {
      target: kind === 'file' ? { kind, path, old: staged.replacedState } : { kind, path },
      writeMode: 'Append',
      files: staged.files,
      ...(content && { content }),
      ...lettersOf(job, staged),
      ranges,
      gaps: countGaps({ ranges, next, previous: [], lost: new Map(), warnings: [] }, staged.results),
      topicIds: this.#topicIds,
      createdAtMs: Date.now(),
    };
  }
}
