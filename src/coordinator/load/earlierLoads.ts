/** Looks at what the topic of progress says of earlier loads of files, and whether the last of them is still at work. */
import { aliveError, formatOwner, type Owner } from '../../commit/owner.ts';
import { watchRun } from '../../commit/watch.ts';
import { systemClock } from '../../io.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import type { FileLoadJob } from '../jobs.ts';
import { type FileProgress, parseFileProgress } from './fileProgress.ts';
import type { LoadContext } from './loadContext.ts';
import { isLoadedFilesKey, LoadedFiles } from './loadedFiles.ts';
import { type ProgressRecord, type ProgressTopic, progressKey, readProgress } from './progressTopic.ts';

/** What earlier loads of a config left. */
export interface EarlierLoads {
  readonly progress: FileProgress;
  readonly mark: string;
  /** Files of streams. */
  readonly loaded: LoadedFiles;
}

/** Before anything is opened. */
export async function lookAtProgress({ job, target }: LoadContext): Promise<EarlierLoads | null> {
  const { found } = await readProgress(target, job.sink.progress.topic, isKeyOf(job));
  return earlierLoads(job, found);
}

/** The same once the own producer is open: nobody else can write it any more. */
export async function readFileProgress(
  topic: ProgressTopic,
  target: Cluster,
  job: FileLoadJob,
): Promise<EarlierLoads | null> {
  return earlierLoads(job, await topic.read(target, isKeyOf(job)));
}

function isKeyOf({ sink }: FileLoadJob): (key: string) => boolean {
  const own = progressKey(sink.config);
  const isLoaded = isLoadedFilesKey(sink.config);
  return (key) => key === own || isLoaded(key);
}

function earlierLoads(job: FileLoadJob, found: ReadonlyMap<string, ProgressRecord>): EarlierLoads | null {
  const key = progressKey(job.sink.config);
  const record = found.get(key);
  if (!record) return null;
  const loaded = LoadedFiles.read(job.sink.config, found);
  return { progress: parseFileProgress(key, record.value), mark: record.mark, loaded };
}

/** @throws OffloadError RUN_ALIVE if the run shows a sign of life. */
export async function checkNotAlive(context: LoadContext, before: EarlierLoads): Promise<void> {
  const { job, ui } = context;
  const { run, owner } = before.progress;
  if (job.takeOver) return;
  let known: EarlierLoads | null = before;
  const look = async (): Promise<{ mark: string; owner: Owner | null } | null> => {
    const seen = known ?? (await lookAtProgress(context));
    known = null;
    return seen?.progress.state === 'running' ? { mark: seen.mark, owner: seen.progress.owner } : null;
  };
  const verdict = await watchRun(look, job.offsets, systemClock, () => {
    const seconds = job.offsets.takeOverAfterMs / 1000;
    ui.log.info(
      `run ${run} of config ${job.sink.config} on ${formatOwner(owner)} has not ended; watching it for ${seconds} s`,
    );
  });
  if (verdict === 'alive') throw aliveError(job.sink.config, { run, owner }, 'is at work');
}
