/** The public exports and nothing else. */
export type { Job } from './config/job.ts';
export type { OffloadReport } from './coordinator/report.ts';
export { runJob } from './coordinator/runJob.ts';
export type { RunUi } from './coordinator/ui.ts';
export { type ErrorCode, OffloadError } from './errors.ts';
export type {
  DeserializeContext,
  Deserializer,
  TransformContext,
  TransformFunction,
} from './transform/module/userModule.ts';
