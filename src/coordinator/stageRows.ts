/** Stages the messages of a plan. */
import type { Schema } from 'apache-arrow';
import type { Job, TopicSource } from '../config/job.ts';
import { loadFileFormat } from '../encode/fileFormat.ts';
import { encoderMemory } from '../encode/memory.ts';
import { batchLimits, planMemory } from '../plan/memory.ts';
import type { FetchTask, TaskPlan } from '../plan/tasks.ts';
import type { StagedLayout } from '../stage/segments.ts';
import { createTurns, takeTurns } from '../stage/turns.ts';
import { transformMemory } from '../transform/memory.ts';
import type { DeadLetterPlan } from './badRecords/badRecord.ts';
import type { TaskResult, WorkerSettings } from './fetchTypes.ts';
import type { WorkerPool } from './pool.ts';
import type { ProgressSink } from './progress.ts';
import { resultSchema, transformPlan } from './rowTransform.ts';
import { createSharedState } from './sharedState.ts';
import { type StagedFiles, type StagingPlace, type StagingTarget, stageFiles } from './staging.ts';

/** Threads that fetch. */
export type FetchPool = WorkerPool<FetchTask, WorkerSettings, TaskResult>;

export type StagedRows = StagedFiles<TaskResult>;

/** Which messages are staged, and how. */
export interface StagingJob extends Pick<Job, 'config' | 'transform' | 'workers' | 'maxMemoryBytes'> {
  readonly source: TopicSource;
  readonly sink: { readonly target: StagingTarget };
}

/**
 * @param deadLetters Where bad records go, once the intent is that names them; null: nowhere.
 * @param whenWritten Called when the pool has done its part, before the files are closed.
 * @throws OffloadError: whatever a worker met; TARGET_UNSUITABLE if the target cannot take these columns.
 */
export async function stageRows(
  job: StagingJob,
  session: StagingPlace,
  plan: TaskPlan,
  pool: FetchPool,
  progress: ProgressSink,
  signal: AbortSignal,
  deadLetters: DeadLetterPlan | null,
  whenWritten?: () => void,
): Promise<StagedRows> {
  const { target } = job.sink;
  const schema = await loadSchema(job);
  const format = await loadFileFormat(target.output);
  // What a transform makes of a few rows may cost as much as what it makes of many.
  const isWhole = target.partitionBy.length > 0 || job.transform !== null;
  const takesParts = !isWhole && (format.takesParts?.(schema) ?? false);
  return stageFiles<TaskResult>({
    ...{ target, session, config: job.config, schema },
    fileCount: plan.tasks.length === 0 ? 0 : plan.fileCount,
    write: async ({ layout, mark, isOrdered }) => {
      const tasks = isOrdered ? takeTurns(plan.tasks) : plan.tasks;
      const turns = isOrdered ? createTurns(tasks.length) : null;
      const letters = deadLetters && { plan: deadLetters, folder: session.stagingPath };
      const settings = { ...workerSettings(job, layout, takesParts), deadLetters: letters, mark, turns };
      const restOf = (task: FetchTask, { rest }: TaskResult) => rest && { ...task, range: rest };
      const results = await pool.run({ tasks, settings, restOf, progress, signal });
      whenWritten?.();
      return results;
    },
  });
}

/** Of all that is staged in this process: threads that outlive one stage tell it from the next by it. */
let stages = 0;

function workerSettings(
  job: StagingJob,
  layout: StagedLayout,
  takesParts: boolean,
): Omit<WorkerSettings, 'mark' | 'turns' | 'deadLetters'> {
  const { source } = job;
  const { output, partitionBy } = job.sink.target;
  const limits = batchLimits(output, partitionBy.length > 0);
  const memory = planMemory({
    maxMemoryBytes: job.maxMemoryBytes,
    workers: job.workers,
    rowGroupBytes: limits.bytes,
    fetchBytes: source.kafka.fetch.maxBytes,
    takesParts,
    encoder: encoderMemory(output.format, partitionBy.length > 0),
    transform: transformMemory(job.transform),
  });
  return {
    connection: source.kafka.connection,
    fetch: { ...source.kafka.fetch, maxBytes: memory.fetchBytes },
    failOnDataLoss: source.failOnDataLoss,
    fields: source.fields,
    invalidUtf8: source.invalidUtf8,
    leavesOutBad: source.onBadRecord.kind !== 'fail',
    transform: transformPlan(job.transform),
    output,
    partitionBy,
    rowGroupRows: limits.rows,
    rowGroupBytes: memory.rowGroupBytes,
    partBytes: memory.partBytes,
    takesParts,
    layout,
    stage: ++stages,
    shared: createSharedState(job.workers),
  };
}

/** Imported here: planning needs no Arrow, and loading it takes time. */
export async function loadSchema(job: Pick<StagingJob, 'source' | 'transform'>): Promise<Schema> {
  const { arrowSchema } = await import('../transform/schema.ts');
  return resultSchema(job.transform, arrowSchema(job.source.fields));
}
