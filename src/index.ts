/** The public exports and nothing else. */
export type { Job } from './config/job.ts';
export { type OffloadUi, offload } from './coordinator/offload.ts';
export type { OffloadReport } from './coordinator/report.ts';
export { type ErrorCode, OffloadError } from './errors.ts';
