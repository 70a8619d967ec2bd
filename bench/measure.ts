/** Runs a command and measures it from outside, so that every contender is measured alike. Linux only: reads /proc. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Measurement {
  readonly seconds: number;
  /** User and system time of the process and its children. */
  readonly cpuSeconds: number;
  /** Highest resident set of the process and its children, each at its peak. */
  readonly peakRssBytes: number;
  readonly stdout: string;
}

const POLL_MS = 20;

/** @throws Error with the command's own words if it fails. */
export async function measure(command: string, args: readonly string[], cwd: string): Promise<Measurement> {
  // The shell's `times` knows the CPU time of the whole tree after it has ended; nothing that polls does.
  const script = '"$@"; status=$?; times >&3; exit $status';
  const child = spawn('bash', ['-c', script, 'bash', command, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const startedAtMs = performance.now();
  const peaks = new Map<number, number>();
  const poll = setInterval(() => pollPeaks(child.pid as number, peaks), POLL_MS);
  const [stdout, stderr, times] = [collect(child.stdout), collect(child.stderr), collect(child.stdio[3])];
  const status = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  const seconds = (performance.now() - startedAtMs) / 1000;
  clearInterval(poll);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr()}`);
  const peakRssBytes = [...peaks.values()].reduce((sum, bytes) => sum + bytes, 0);
  return { seconds, cpuSeconds: childrenSeconds(times()), peakRssBytes, stdout: stdout() };
}

function collect(stream: unknown): () => string {
  const chunks: Buffer[] = [];
  (stream as NodeJS.ReadableStream).on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}

/** The second line of `times` is user and system time of the children, as `0m1.234s 0m0.567s`. */
function childrenSeconds(times: string): number {
  const line = times.trim().split('\n').at(-1) ?? '';
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest),
    0,
  );
}

function pollPeaks(shell: number, peaks: Map<number, number>): void {
  for (const pid of childrenOf(shell)) {
    const kilobytes = /VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1];
    if (kilobytes !== undefined) peaks.set(pid, Number(kilobytes) * 1024);
  }
}

function childrenOf(pid: number): number[] {
  const own = read(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
  return [...own, ...own.flatMap(childrenOf)];
}

/** A process may end between two looks. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
