/** User code is loaded, and its columns are learnt, before a run writes anything. */
import type { RecordBatch } from 'apache-arrow';
import type { FileSource, Job, TopicSource } from '../config/job.ts';
import type { Cluster } from '../kafka/cluster.ts';
import type { FileSchema } from '../sources/files/fileReader.ts';
import type { OffsetRange } from '../tasks.ts';
import type { BadRow, PlacedRows } from '../transform/badRows.ts';
import type { TransformSettings } from '../transform/batchTransform.ts';
import { isUnsettled, settleTransform } from '../transform/settle.ts';
import { RowTransform, transformPlan } from './rowTransform.ts';

/**
 * Loads the modules of a job in this thread, before anything else is touched.
 *
 * @throws OffloadError TRANSFORM_INVALID for one that is missing or has nothing to call.
 */
export async function checkModules(transform: TransformSettings | null): Promise<void> {
  if (transform === null || transform.kind === 'sql') return;
  const { loadUserModule } = await import('../transform/module/userModule.ts');
  const modules = transform.kind === 'module' ? [transform] : [...transform.columns, transform.next];
  for (const module of modules) if (module !== null) await loadUserModule(module.url, module.where);
}

/** The job with a transform whose columns are known. @param ranges That are to be read. */
export async function settleTopicJob<TopicJob extends Job & { readonly source: TopicSource }>(
  job: TopicJob,
  cluster: Cluster,
  ranges: readonly OffsetRange[],
): Promise<TopicJob> {
  if (!isUnsettled(job.transform)) return job;
  const [{ arrowSchema }, { sampleTopics }] = await Promise.all([
    import('../transform/schema.ts'),
    import('./sampleRows.ts'),
  ]);
  const samples = () => sampleTopics(cluster, ranges, job.source);
  const input = arrowSchema(job.source.fields);
  return {
    ...job,
    transform: await settleTransform(job.transform, input, samples, job.source.onBadRecord.kind !== 'fail'),
  };
}

/** The same for rows of files. */
export async function settleFileJob<FileJob extends Job & { readonly source: FileSource }>(
  job: FileJob,
  files: readonly string[],
  schema: FileSchema,
  signal: AbortSignal,
): Promise<FileJob> {
  if (!isUnsettled(job.transform)) return job;
  const [{ toArrowSchema }, { sampleFiles }] = await Promise.all([
    import('../sources/files/fileReader.ts'),
    import('./sampleRows.ts'),
  ]);
  const samples = () => sampleFiles(job.source, files, schema, signal);
  return { ...job, transform: await settleTransform(job.transform, toArrowSchema(schema.columns), samples) };
}

/** For a look at the first rows: the first batch tells the columns. */
export class FirstRowsTransform {
  readonly #settings: TransformSettings | null;
  readonly #leavesOutBad: boolean;
  #rows: RowTransform | null = null;

  constructor(settings: TransformSettings | null, leavesOutBad: boolean) {
    this.#settings = settings;
    this.#leavesOutBad = leavesOutBad;
  }

  /** @returns Null: no row is left; and the bad ones. */
  async apply(rows: PlacedRows): Promise<{ batch: RecordBatch | null; bad: readonly BadRow[] }> {
    if (rows.batch.numRows === 0) return { batch: null, bad: [] };
    this.#rows ??= new RowTransform(
      transformPlan(await settleTransform(this.#settings, rows.batch.schema, async () => [rows], this.#leavesOutBad)),
    );
    return this.#rows.applyToGood(rows, this.#leavesOutBad);
  }

  async close(): Promise<void> {
    await this.#rows?.close();
  }
}
