import { OffloadError } from '../errors.ts';
import { defaultMaxMemoryBytes, MIN_WORKER_BYTES, thisMachine } from './defaults.ts';
import type { Job } from './job.ts';
import { didYouMean } from './nearest.ts';
import type { CliOptions, Environment } from './options.ts';
import { formatSize, parseSize, SIZE_EXAMPLES } from './sizes.ts';

type RunOptions = Pick<Job, 'workers' | 'maxMemoryBytes' | 'dryRun' | 'report' | 'verbose'>;

/**
 * How a run behaves, whatever it reads and writes.
 *
 * @throws OffloadError USAGE naming the option and what would be right.
 */
export function resolveRunOptions(
  options: Pick<CliOptions, 'workers' | 'maxMemory' | 'dryRun' | 'report' | 'verbose'>,
  environment: Environment,
): RunOptions {
  const machine = environment.machine ?? thisMachine();
  const workers = options.workers === undefined ? machine.cores : parseWorkers(options.workers);
  return {
    workers,
    maxMemoryBytes:
      options.maxMemory === undefined
        ? defaultMaxMemoryBytes(workers, machine)
        : parseMaxMemory(options.maxMemory, workers),
    dryRun: options.dryRun ?? false,
    report: parseReport(options.report),
    verbose: options.verbose ?? false,
  };
}

/** @throws OffloadError USAGE */
export function parseReport(text: string | undefined): Job['report'] {
  const report = text?.toLowerCase() ?? 'text';
  if (report === 'text' || report === 'json') return report;
  throw usage(`unknown --report ${text}; one of text, json${didYouMean(report, ['text', 'json'])}`);
}

/**
 * A whole number of at least 1, or null where the option is not given.
 *
 * @throws OffloadError USAGE
 */
export function parseCount(text: string | undefined, what: string): number | null {
  if (text === undefined) return null;
  const count = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw usage(`${what.replace('%', text)}`);
}

function parseWorkers(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1) return Number(text);
  throw usage(`--workers ${text} is no number of threads from 1 to 999`);
}

function parseMaxMemory(text: string, workers: number): number {
  const bytes = parseSize(text);
  if (bytes === null) throw usage(`--max-memory ${text} is no size; write it as ${SIZE_EXAMPLES}`);
  const least = workers * MIN_WORKER_BYTES;
  if (bytes >= least) return bytes;
  throw usage(
    `--max-memory ${text} is too little for ${workers} worker${workers === 1 ? '' : 's'}: each needs ` +
      `${formatSize(MIN_WORKER_BYTES)}, so at least ${formatSize(least)}; or use fewer --workers`,
  );
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
