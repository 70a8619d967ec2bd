import type { Job } from '../config/job.ts';
import { OffloadError } from '../errors.ts';
import { isOffload } from './jobs.ts';
import type { OffloadReport } from './report.ts';
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
  if (isOffload(job)) return (await import('./offload.ts')).offload(job, ui, signal);
  throw new OffloadError('INTERNAL', `no way from ${job.source.kind} to ${job.sink.kind}`);
}
