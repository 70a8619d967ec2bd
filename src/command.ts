/** The process around the command: signals, streams and the exit status. */
import { OffloadError } from './errors.ts';
import { describeError, main } from './main.ts';

/** @param afterJob Called when a job has come to its end, just before the process ends. */
export async function runCommand(afterJob: () => void = () => {}): Promise<void> {
  // The first signal asks the run to stop in order; a second Ctrl-C ends the process: the commit survives crashes.
  const controller = new AbortController();
  process.on('SIGINT', () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(
      new OffloadError('INTERRUPTED', 'stopped by Ctrl-C; the next run goes on where the last one ended'),
    );
  });
  process.on('SIGTERM', () => {
    controller.abort(
      new OffloadError('TERMINATED', 'stopped by SIGTERM; the next run goes on where the last one ended'),
    );
  });

  // A reader that has seen enough, as `head`, is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  // Whatever nobody awaited: a crash like any other, but said in one line.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${describeError(error, process.argv.includes('--verbose'))}\n`);
    process.exit(1);
  });

  // A thread that nothing but a promise waits for does not keep a process alive: it would end half-way with status 13 or 0.
  const alive = setInterval(() => {}, 60_000);
  let hasRunJob = false;
  process.exitCode = await main(process.argv.slice(2), {
    environment: { env: process.env, cwd: process.cwd(), now: new Date() },
    stdout: process.stdout,
    stderr: process.stderr,
    signal: controller.signal,
    loadOffsets: async () => (await import('./coordinator/offsetsCommand.ts')).runOffsetsCommand,
    loadOffload: async () => {
      hasRunJob = true;
      return (await import('./coordinator/runJob.ts')).runJob;
    },
  });
  clearInterval(alive);
  if (hasRunJob && process.exitCode === 0) afterJob();
}
