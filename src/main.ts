import { readFileSync } from 'node:fs';
import { parseCommandLine, type Request } from './config/commandLine.ts';
import type { Job, OffsetsJob, VerifyJob } from './config/job.ts';
import type { Environment } from './config/options.ts';
import type { SampleJob } from './config/sampleJob.ts';
import type { Log } from './coordinator/log.ts';
import type { OffsetsReport } from './coordinator/offsetsReport.ts';
import type { OffloadReport } from './coordinator/report.ts';
import type { RunUi } from './coordinator/ui.ts';
import { messageOf, OffloadError, toOffloadError } from './errors.ts';
import { oneLine } from './printable.ts';

/** Does what a job says; `signal` aborts with an OffloadError INTERRUPTED or TERMINATED as reason. */
export type Offload = (job: Job, ui: RunUi, signal: AbortSignal) => Promise<OffloadReport>;

/** Does what a sub-command of `offsets` says. */
export type OffsetsCommand = (job: OffsetsJob, log: Log, signal: AbortSignal) => Promise<OffsetsReport>;

/** The process around a command. */
export interface Surroundings {
  readonly environment: Environment;
  readonly stdout: NodeJS.WritableStream & { readonly columns?: number };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly signal: AbortSignal;
  readonly loadOffload: () => Promise<Offload>;
  readonly loadOffsets: () => Promise<OffsetsCommand>;
}

/**
 * The whole command. What it needs is imported when it is needed: `--help` loads the argument parser alone.
 *
 * @returns The exit status, after everything was said: the report or plan on stdout, the rest on stderr.
 */
export async function main(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  const { stdout, stderr } = surroundings;
  // The command line may be what is wrong: look for the word itself.
  const verbose = argv.includes('--verbose');
  try {
    const request = parseCommandLine(argv, readVersion);
    if (request.kind === 'print') {
      stdout.write(request.text);
      return 0;
    }
    return await answer(request, surroundings);
  } catch (error) {
    const failure = surroundings.signal.aborted ? stopped(surroundings.signal, error) : toOffloadError(error);
    stderr.write(`${describeError(failure, verbose)}\n`);
    return failure.exitStatus;
  }
}

/** Does what needs more than the command line. @returns The exit status. */
async function answer(request: Exclude<Request, { kind: 'print' }>, surroundings: Surroundings): Promise<number> {
  const { environment, stdout } = surroundings;
  switch (request.kind) {
    case 'run': {
      const { resolveJob } = await import('./config/resolveJob.ts');
      await runJob(await resolveJob(request.options, environment), surroundings);
      return 0;
    }
    case 'offsets': {
      const { resolveOffsetsJob } = await import('./config/resolveJob.ts');
      await runOffsets(await resolveOffsetsJob(request.action, request.options, environment), surroundings);
      return 0;
    }
    case 'verify': {
      const { resolveVerifyJob } = await import('./config/resolveJob.ts');
      return runVerify(await resolveVerifyJob(request.options, environment), surroundings);
    }
    case 'sample': {
      const { resolveSampleJob } = await import('./config/sampleJob.ts');
      await runSample(await resolveSampleJob(request.options, environment), surroundings);
      return 0;
    }
    case 'check': {
      const { checkConfig } = await import('./config/checkConfig.ts');
      stdout.write(await checkConfig(request.options, environment));
      return 0;
    }
    case 'completion': {
      const { completionScript } = await import('./completion/scripts.ts');
      stdout.write(completionScript(request.shell));
      return 0;
    }
    case 'candidates': {
      const { completeWords } = await import('./completion/candidates.ts');
      const lines = await completeWords(request.words, environment);
      stdout.write(lines.map((line) => `${line}\n`).join(''));
      return 0;
    }
  }
}

async function runJob(job: Job, { stdout, stderr, signal, loadOffload }: Surroundings): Promise<void> {
  const [{ createLog }, { createProgress, SILENT_PROGRESS }, { formatJson, formatSummary }, offload] =
    await Promise.all([
      import('./coordinator/log.ts'),
      import('./coordinator/progress.ts'),
      import('./coordinator/report.ts'),
      loadOffload(),
    ]);
  const log = createLog({ verbose: job.verbose, stderr });
  for (const note of job.notes) log.debug(note);
  const isSilent = job.report === 'json' || job.dryRun || job.stream !== null;
  const progress = isSilent ? SILENT_PROGRESS : await createProgress(stderr);
  let report: OffloadReport;
  try {
    signal.throwIfAborted();
    report = await offload(job, { progress, log, stdout, stderr }, signal);
  } finally {
    progress.stop();
  }
  stdout.write(job.report === 'json' ? formatJson(report) : `${formatSummary(report, stdout.columns)}\n`);
}

async function runOffsets(job: OffsetsJob, { stdout, stderr, signal, loadOffsets }: Surroundings): Promise<void> {
  const [{ createLog }, { formatOffsetsJson, formatOffsetsReport }, command] = await Promise.all([
    import('./coordinator/log.ts'),
    import('./coordinator/offsetsReport.ts'),
    loadOffsets(),
  ]);
  const log = createLog({ verbose: job.verbose, stderr });
  for (const note of job.notes) log.debug(note);
  signal.throwIfAborted();
  const report = await command(job, log, signal);
  stdout.write(job.report === 'json' ? formatOffsetsJson(report) : `${formatOffsetsReport(report)}\n`);
}

/** @returns 3 where anything is lost, doubled or damaged. */
async function runVerify(job: VerifyJob, { stdout, stderr, signal }: Surroundings): Promise<number> {
  const [{ createLog }, { formatVerifyJson, formatVerifyReport }, { verify }] = await Promise.all([
    import('./coordinator/log.ts'),
    import('./verify/report.ts'),
    import('./verify/verify.ts'),
  ]);
  const log = createLog({ verbose: job.verbose, stderr });
  for (const note of job.notes) log.debug(note);
  signal.throwIfAborted();
  const report = await verify(job, signal);
  stdout.write(job.report === 'json' ? formatVerifyJson(report) : `${formatVerifyReport(report)}\n`);
  return report.findings.length === 0 ? 0 : 3;
}

async function runSample(job: SampleJob, { stdout, stderr, signal }: Surroundings): Promise<void> {
  const [{ createLog }, { formatSample, formatSampleJson }, { sample }] = await Promise.all([
    import('./coordinator/log.ts'),
    import('./coordinator/sampleReport.ts'),
    import('./coordinator/sample.ts'),
  ]);
  const log = createLog({ verbose: job.verbose, stderr });
  for (const note of job.notes) log.debug(note);
  signal.throwIfAborted();
  const report = await sample(job, log, signal);
  stdout.write(job.report === 'json' ? formatSampleJson(report) : `${formatSample(report)}\n`);
}

/** Whatever broke while a signal was obeyed, the signal is why; the rest is for `--verbose`. */
function stopped(signal: AbortSignal, error: unknown): OffloadError {
  const reason = toOffloadError(signal.reason);
  return error === reason ? reason : new OffloadError(reason.code, reason.message, { cause: error });
}

/**
 * An error in one line; with `--verbose` every cause below it, and the stack of what nobody foresaw.
 */
export function describeError(error: unknown, verbose: boolean): string {
  const own = toOffloadError(error);
  const isInternal = own.code === 'INTERNAL';
  const prefix = isInternal ? 'unexpected error: ' : '';
  const hint = isInternal && !verbose ? ' (--verbose shows more)' : '';
  const lines = [`kafkaload: ${prefix}${oneLine(own.message)}${hint}`];
  if (!verbose) return lines[0] ?? '';
  lines.push(`  code ${own.code}, exit status ${own.exitStatus}`);
  const seen = new Set<unknown>([own]);
  for (let cause = own.cause; cause !== undefined && !seen.has(cause); cause = (cause as Error | null)?.cause) {
    seen.add(cause);
    lines.push(`  caused by: ${oneLine(messageOf(cause))}`);
  }
  const root = own.cause instanceof Error ? own.cause : own;
  if (isInternal && root.stack !== undefined) lines.push(root.stack);
  return lines.join('\n');
}

/** From the package this file belongs to, whether it runs from `src` or from `dist/src`. */
function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const manifest = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string };
      return manifest.version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new OffloadError('INTERNAL', 'package.json of kafkaload is missing');
}
