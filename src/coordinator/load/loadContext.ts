/** What the steps of a load of files share. */
import type { Cluster } from '../../kafka/cluster.ts';
import { readSchema, toArrowSchema } from '../../sources/files/fileReader.ts';
import type { FileLoadJob } from '../jobs.ts';
import { resultSchema } from '../rowTransform.ts';
import { settleFileJob } from '../settleJob.ts';
import type { RunUi } from '../ui.ts';
import type { FileChoice } from './fileChoice.ts';

/** For the reader that looks at the columns of files before the load begins. */
const CHECK_BYTES = 64 * 1024 ** 2;

export interface LoadContext {
  readonly job: FileLoadJob;
  readonly ui: RunUi;
  readonly target: Cluster;
  readonly signal: AbortSignal;
}

/** The columns of user code; and a statement that does not go with the files is refused before anything is written. */
export async function settle(context: LoadContext, { files }: FileChoice): Promise<LoadContext> {
  const { job, signal } = context;
  const paths = files.flatMap(({ path, loadedBy }) => (loadedBy === null ? [path] : []));
  const schema = await readSchema(job.source.input, paths, { memoryLimitBytes: CHECK_BYTES, signal });
  if (schema.columns.length === 0) return context;
  const settled = await settleFileJob(job, paths, schema, signal);
  await resultSchema(settled.transform, toArrowSchema(schema.columns));
  return { ...context, job: settled };
}
