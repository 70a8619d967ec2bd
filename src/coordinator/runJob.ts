import type { Job } from '../config/job.ts';
import { OffloadError } from '../errors.ts';
import { readRetryCounts } from '../retryCounts.ts';
import { isConvert, isFileLoad, isFileStream, isOffload, isShow, isStream, isTopicToTopic } from './jobs.ts';
import type { OffloadReport } from './report.ts';
import { checkModules } from './settleJob.ts';
import type { RunUi } from './ui.ts';

/**
 * Runs a job to its end, whatever it moves.
 *
 * @param signal Stops the run: nothing is published that was not prepared, and its reason is thrown.
 * @returns What was done; for a dry run, what would be done.
 * @throws OffloadError, always; after one, saved offsets and target are as before or as after, never between, or the
 *   next run finishes what this one prepared.
 */
export async function runJob(job: Job, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  for (const warning of job.warnings) ui.log.warn(warning);
  await checkModules(job.transform);
  const before = readRetryCounts();
  const report = await carryOut(job, ui, signal);
  const retryCauses = readRetryCounts(before);
  const retries = Object.values(retryCauses).reduce((sum, count) => sum + count, 0);
  return { ...report, retries, retryCauses };
}

async function carryOut(job: Job, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  if (isStream(job)) return (await import('../stream/runStream.ts')).runStream(job, ui, signal);
  if (isFileStream(job)) return (await import('../stream/watchFiles.ts')).watchFiles(job, ui, signal);
  if (isOffload(job)) return (await import('./offload.ts')).offload(job, ui, signal);
  if (isConvert(job)) return (await import('./convert/convert.ts')).convert(job, ui, signal);
  if (isTopicToTopic(job)) return (await import('./load/topicToTopic.ts')).copyTopics(job, ui, signal);
  if (isFileLoad(job)) return (await import('./load/filesToTopic.ts')).loadFiles(job, ui, signal);
  if (isShow(job)) return (await import('./show.ts')).show(job, ui, signal);
  throw new OffloadError('INTERNAL', `no way from ${job.source.kind} to ${job.sink.kind}`);
}
