/**
 * Dead letters of a stream to a table. They are staged with the rows, wait in the database from the commit of the
 * micro-batch on (outbox.ts), and are written to their topic by whoever finds them there: the process itself at once,
 * or another, or a later start, before it goes on from what the table says (office.ts says how, and why once).
 *
 * How far they are is kept by process. That is enough: a process whose letters could not be written looks up its positions
 * again before the next micro-batch, and writes them then, so it has those of one micro-batch at a time that wait.
 */
import type { DeadLetterPlan } from '../../coordinator/badRecords/badRecord.ts';
import { lettersOf, planDeadLetters } from '../../coordinator/badRecords/deadLetterTopic.ts';
import { deliverLetters } from '../../coordinator/badRecords/office.ts';
import type { TableJob } from '../../coordinator/jobs.ts';
import type { StagedRows } from '../../coordinator/stageRows.ts';
import { OffloadError } from '../../errors.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import { type RetryPolicy, withRetry } from '../../retry.ts';
import { passStep } from '../../steps.ts';
import type { AppendRequest } from './database.ts';
import type { BatchLetters, Outbox, WaitingFile } from './outbox.ts';

export interface TableLettersOptions {
  readonly job: TableJob;
  /** Of the topics that are read, and of that of dead letters. */
  readonly cluster: Cluster;
  readonly outbox: Outbox;
  /** Id of this process. */
  readonly process: string;
  /** For the database. */
  readonly retry: RetryPolicy;
}

/** Makes the topic of dead letters, where the job has one. @throws OffloadError as `ensureTopic`. */
export async function openTableLetters(options: TableLettersOptions): Promise<TableLetters> {
  const { job, cluster } = options;
  return new TableLetters(options, await planDeadLetters(job, cluster, job.source.kafka));
}

export class TableLetters {
  readonly #options: TableLettersOptions;
  /** Where bad records go; null: nowhere. */
  readonly plan: DeadLetterPlan | null;

  constructor(options: TableLettersOptions, plan: DeadLetterPlan | null) {
    this.#options = options;
    this.plan = plan;
  }

  /** Makes their table, where there may be some: who must not is told before the first of them. */
  async makeOutbox(): Promise<void> {
    if (this.plan !== null) await this.#options.outbox.make();
  }

  /** Those of a micro-batch that is staged; null: none. */
  of(staged: StagedRows, run: string): AppendRequest['letters'] {
    const { deadLetters } = lettersOf(this.#options.job, staged);
    if (deadLetters === undefined) return null;
    const { topic, progress, files } = deadLetters;
    return { process: this.#options.process, run, topic, progressTopic: progress.topic, files };
  }

  /** Writes those of a micro-batch that is in the table. */
  async deliver(letters: NonNullable<AppendRequest['letters']>): Promise<void> {
    await this.#deliver({ ...letters, files: letters.files.map(({ bytes }, number) => ({ number, bytes })) });
  }

  /** Writes all that wait, of whichever process, also where the job itself has none any more. */
  async deliverWaiting(): Promise<void> {
    const { outbox, retry } = this.#options;
    for (const letters of await withRetry(() => outbox.waiting(), retry)) await this.#deliver(letters);
  }

  async #deliver(letters: BatchLetters<WaitingFile>): Promise<void> {
    const { job, outbox, retry } = this.#options;
    const { process, run, topic, progressTopic, files } = letters;
    const read = async ({ number }: WaitingFile): Promise<Buffer> => {
      const content = await outbox.read(run, number);
      if (content !== null) return content;
      throw new OffloadError('FENCED', `dead letters of micro-batch ${run} do not wait any more: another wrote them`);
    };
    const { replicationFactor } = job.offsets;
    const progress = { topic: progressTopic, partitions: 1, replicationFactor, createOptions: {} };
    const toDeliver = { topic, progress, config: `${job.config}/${process}`, run, files };
    if (!(await deliverLetters(job.source.kafka, toDeliver, read, () => outbox.isWaiting(run)))) return;
    passStep('table.deadLettersWritten');
    await withRetry(() => outbox.remove(run), retry);
    passStep('table.deadLettersRemoved');
  }
}
