/**
 * Topics -> table: workers stage the rows of a micro-batch as in a run of batch, and one transaction of the database takes
 * them in and moves the positions. So the table alone says what is in it, whatever dies when:
 *
 *     stage -> begin -> move positions -> copy rows -> keep dead letters -> commit
 *           -> write dead letters to their topic -> (the loop) commit to the group
 *
 * Before the commit nothing of it counts. After it, a group that has not been told yet holds the start of what the table
 * says, and whoever comes next goes on from the table (`claims.ts`), once it has written dead letters that wait there.
 */
import type { StagedFormat } from '../../config/writerOptions.ts';
import type { TaskResult, WorkerSettings } from '../../coordinator/fetchTypes.ts';
import type { TableJob } from '../../coordinator/jobs.ts';
import { WorkerPool } from '../../coordinator/pool.ts';
import { settleTopicJob } from '../../coordinator/settleJob.ts';
import { type FetchPool, loadSchema, type StagedRows, stageRows } from '../../coordinator/stageRows.ts';
import type { StagingPlace } from '../../coordinator/staging.ts';
import type { RunUi } from '../../coordinator/ui.ts';
import { OffloadError, toOffloadError } from '../../errors.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import { cutTasks, type FetchTask } from '../../plan/tasks.ts';
import { type RetryPolicy, withRetry } from '../../retry.ts';
import { passStep } from '../../steps.ts';
import { isUnsettled } from '../../transform/settle.ts';
import { countProgress, writtenOutcome } from '../stagedBatch.ts';
import type {
  BatchOutcome,
  GroupMember,
  GroupOffset,
  MicroBatch,
  Observe,
  Position,
  StreamSink,
  TopicPartition,
} from '../types.ts';
import { Claims } from './claims.ts';
import type { AppendRequest, Move, TableDatabase, TablePosition } from './database.ts';
import { databaseRetry, openDatabase } from './openDatabase.ts';
import { TableStaging } from './staging.ts';
import { openTableLetters, type TableLetters } from './tableLetters.ts';

export interface TableContext {
  readonly job: TableJob;
  readonly ui: Pick<RunUi, 'log'>;
  readonly member: Pick<GroupMember, 'identity'>;
  readonly cluster: Cluster;
  /** Bytes that an offset takes, by `offsetKey`, as far as it is known. */
  readonly looker: { readonly estimates: ReadonlyMap<string, number> };
  readonly observe: Observe;
}

/**
 * A database that is away is no error yet: the first `resume` tries again.
 *
 * @throws OffloadError DATABASE_REFUSED, NOT_AUTHORIZED; CONFIG_INVALID if a package is missing; TARGET_UNSUITABLE if the
 *   table does not take the columns.
 */
export async function openTableSink(context: TableContext): Promise<StreamSink> {
  const { job, member, cluster } = context;
  const name = { config: job.config, groupId: member.identity.groupId };
  const database = await openDatabase(job, name);
  const staging = new TableStaging(job.sink.staging);
  const retry = databaseRetry(job);
  const { outbox } = database;
  const letters = await openTableLetters({ job, cluster, outbox, process: staging.process, retry });
  const sink = new TableStreamSink(context, { database, staging, letters, retry });
  try {
    await sink.open();
  } catch (error) {
    if (!toOffloadError(error).retriable) {
      await sink.close();
      throw error;
    }
  }
  return sink;
}

interface SinkParts {
  readonly database: TableDatabase;
  readonly staging: TableStaging;
  readonly letters: TableLetters;
  /** For the database. */
  readonly retry: RetryPolicy;
}

class TableStreamSink implements StreamSink {
  readonly #context: TableContext;
  readonly #database: TableDatabase;
  readonly #staging: TableStaging;
  readonly #letters: TableLetters;
  readonly #claims = new Claims();
  readonly #retry: RetryPolicy;
  #pool: FetchPool | null = null;
  #isOpen: boolean = false;
  /** With the columns of user code, once the first rows are there; and how its rows are staged. */
  #settled: { readonly job: TableJob; readonly output: StagedFormat } | null = null;

  constructor(context: TableContext, { database, staging, letters, retry }: SinkParts) {
    this.#context = context;
    this.#database = database;
    this.#staging = staging;
    this.#letters = letters;
    this.#retry = retry;
  }

  /** Makes the tables, as far as the columns are known before the first row. */
  async open(): Promise<void> {
    if (this.#isOpen) return;
    const { job } = this.#context;
    await this.#database.open();
    await this.#letters.makeOutbox();
    if (!isUnsettled(job.transform)) await this.#prepare(job);
    this.#isOpen = true;
  }

  async claim(partitions: readonly TopicPartition[]): Promise<void> {
    await withRetry(async () => {
      await this.open();
      this.#claims.take(partitions, await this.#positions(partitions));
    }, this.#retry);
    // After that: what is committed later is a move that `resume` sees, and then they are claimed again.
    await this.#letters.deliverWaiting();
  }

  async resume(
    committed: readonly GroupOffset[],
    topicIds: Readonly<Record<string, string>>,
  ): Promise<readonly Position[]> {
    const resume = async (): Promise<readonly Position[]> => {
      let positions: readonly Position[] = [];
      let warnings: readonly string[] = [];
      await this.#database.settle(committed, (found) => {
        const resumed = this.#claims.resume(committed, found, topicIds);
        this.#refuseLoss(resumed.madeAgain);
        ({ positions, warnings } = resumed);
        return resumed.corrections;
      });
      for (const warning of warnings) this.#context.ui.log.warn(warning);
      return positions;
    };
    // What others moved is no failure of the database: the group is to be asked again.
    const isOvertaken = (error: unknown): boolean => toOffloadError(error).code === 'OVERTAKEN';
    const attempt = () =>
      resume().catch((error) => (isOvertaken(error) ? toOffloadError(error) : Promise.reject(error)));
    const resumed = await withRetry(attempt, this.#retry);
    if (resumed instanceof OffloadError) throw resumed;
    return resumed;
  }

  async write(batch: MicroBatch, signal: AbortSignal): Promise<BatchOutcome> {
    const place = await this.#staging.begin();
    try {
      const { staged, bytesRead } = await this.#stage(batch, place, signal);
      signal.throwIfAborted();
      const moves = this.#claims.moves(batch.ranges);
      const letters = this.#letters.of(staged, place.run);
      if (!(await this.#append({ moves, files: staged.files, letters, signal }))) return await this.#overtaken(moves);
      passStep('table.committed');
      this.#claims.moved(moves);
      if (letters !== null) await this.#letters.deliver(letters);
      return writtenOutcome(staged, this.#context.job.source, bytesRead, null);
    } finally {
      await this.#staging.remove(place).catch(() => {});
    }
  }

  async groupCommitted(positions: readonly Position[]): Promise<void> {
    this.#claims.groupHolds(positions);
  }

  release(partitions: readonly TopicPartition[]): void {
    this.#claims.release(partitions);
  }

  async close(): Promise<void> {
    // Before the staging goes: a thread may still be writing to it.
    await this.#pool?.close();
    await this.#database.close();
    await this.#staging.close();
  }

  async #prepare(job: TableJob): Promise<{ readonly job: TableJob; readonly output: StagedFormat }> {
    this.#settled ??= { job, output: await this.#database.prepare(await loadSchema(job)) };
    return this.#settled;
  }

  #refuseLoss(madeAgain: readonly string[]): void {
    const { job } = this.#context;
    if (madeAgain.length === 0 || !job.source.failOnDataLoss) return;
    throw new OffloadError(
      'OFFSET_LOST',
      `topic ${madeAgain.join(', ')} was made again since rows of it were written to the table ${job.sink.table}, and what ` +
        'was not read of the old one is gone; set failOnDataLoss to false to go on with the new one',
      { context: { topics: madeAgain.join(',') } },
    );
  }

  async #stage(
    { ranges }: MicroBatch,
    place: StagingPlace,
    signal: AbortSignal,
  ): Promise<{ staged: StagedRows; bytesRead: number }> {
    const { cluster, looker, observe } = this.#context;
    const { job, output } =
      this.#settled ??
      (await withRetry(
        async () => this.#prepare(await settleTopicJob(this.#context.job, cluster, ranges)),
        this.#retry,
        { signal },
      ));
    const { progress, bytesRead } = countProgress(observe);
    this.#pool ??= new WorkerPool<FetchTask, WorkerSettings, TaskResult>('offload', job.workers, [
      JSON.stringify(output),
    ]);
    const plan = cutTasks(ranges, looker.estimates, job.workers, null, { minTasks: job.source.minPartitions ?? 0 });
    const target = {
      path: place.stagingPath,
      kind: 'folder',
      mode: 'Append',
      coalesce: null,
      partitionBy: [],
      output,
    } as const;
    const rows = { ...job, sink: { target } };
    const staged = await stageRows(rows, place, plan, this.#pool, progress, signal, this.#letters.plan);
    return { staged, bytesRead: bytesRead() };
  }

  /** @returns False: somebody else has moved one of the positions. */
  async #append(request: Omit<AppendRequest, 'onCommit'>): Promise<boolean> {
    const { moves, signal } = request;
    let isInDoubt = false;
    const attempt = async (): Promise<boolean> => {
      try {
        const onCommit = (): void => {
          isInDoubt = true;
        };
        if (await this.#database.append({ ...request, onCommit })) return true;
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      }
      // The commit whose answer was lost may be the one that moved them.
      return isInDoubt && isDone(moves, await this.#positions(moves));
    };
    return withRetry(attempt, this.#retry, { signal });
  }

  async #positions(partitions: readonly TopicPartition[]): Promise<readonly TablePosition[]> {
    let positions: readonly TablePosition[] = [];
    await this.#database.settle(partitions, (found) => {
      positions = found;
      return [];
    });
    return positions;
  }

  async #overtaken(moves: readonly Move[]): Promise<BatchOutcome> {
    const found = await withRetry(() => this.#positions(moves), this.#retry);
    const why = `the positions of this group in the table ${this.#context.job.sink.table} were moved by another process`;
    return { kind: 'overtaken', why, positions: this.#claims.overtaken(moves, found) };
  }
}

/** Whether the table says that exactly this was written. */
function isDone(moves: readonly Move[], found: readonly TablePosition[]): boolean {
  return moves.every((move) =>
    found.some(
      (position) =>
        position.topic === move.topic &&
        position.partition === move.partition &&
        position.start === move.start &&
        position.next === move.next,
    ),
  );
}
