/** Runs a command and measures it from outside, so that every contender is measured alike. Linux only: reads /proc. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { MemorySample } from './results.ts';

export interface Measurement {
  /** Milliseconds since 1970 by the clock that does not jump. */
  readonly startedAtMs: number;
  readonly seconds: number;
  /** User and system time of the process and its children. */
  readonly cpuSeconds: number;
  /** Highest resident set of the process and its children, each at its peak. */
  readonly peakRssBytes: number;
  /** Resident set of all of them together, at most MOST_SAMPLES points in order of time. */
  readonly memory: readonly MemorySample[];
  readonly stdout: string;
}

const POLL_MS = 20;
const MOST_SAMPLES = 150;

/** @throws Error with the command's own words if it fails. */
export async function measure(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Promise<Measurement> {
  // The shell's `times` knows the CPU time of the whole tree after it has ended; nothing that polls does.
  const script = '"$@"; status=$?; times >&3; exit $status';
  const child = spawn('bash', ['-c', script, 'bash', command, ...args], {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const startedAtMs = performance.now();
  const elapsed = (): number => (performance.now() - startedAtMs) / 1000;
  const peaks = new Map<number, number>();
  const samples: MemorySample[] = [];
  const poll = setInterval(
    () => samples.push([Math.round(elapsed() * 1000) / 1000, pollMemory(child.pid as number, peaks)]),
    POLL_MS,
  );
  const [stdout, stderr, times] = [collect(child.stdout), collect(child.stderr), collect(child.stdio[3])];
  const status = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  ).finally(() => clearInterval(poll));
  const seconds = elapsed();
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${lastLines(stderr())}`);
  const peakRssBytes = [...peaks.values()].reduce((sum, bytes) => sum + bytes, 0);
  const cpuSeconds = childrenSeconds(times());
  return {
    startedAtMs: performance.timeOrigin + startedAtMs,
    seconds,
    cpuSeconds,
    peakRssBytes,
    memory: thinOut(samples, MOST_SAMPLES),
    stdout: stdout(),
  };
}

/** Keeps the highest sample of each of `most` stretches of equal length: a peak is not lost. */
export function thinOut(samples: readonly MemorySample[], most: number): MemorySample[] {
  if (samples.length <= most) return [...samples];
  return Array.from({ length: most }, (_, index) => {
    const edge = (place: number): number => Math.floor((place * samples.length) / most);
    const stretch = samples.slice(edge(index), edge(index + 1));
    return stretch.reduce((highest, sample) => (sample[1] > highest[1] ? sample : highest));
  });
}

function collect(stream: unknown): () => string {
  const chunks: Buffer[] = [];
  (stream as NodeJS.ReadableStream).on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}

/** The end, without the frames of Java, which would hide what is wrong. */
function lastLines(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !/^\s+at /.test(line));
  return lines.slice(-30).join('\n');
}

/** The second line of `times` is user and system time of the children, as `0m1.234s 0m0.567s`. */
function childrenSeconds(times: string): number {
  const line = times.trim().split('\n').at(-1) ?? '';
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest),
    0,
  );
}

/** @returns Bytes that the children of the shell have resident now. */
function pollMemory(shell: number, peaks: Map<number, number>): number {
  let resident = 0;
  for (const pid of childrenOf(shell)) {
    const status = read(`/proc/${pid}/status`);
    const peak = bytesOf(status, 'VmHWM');
    if (peak > 0) peaks.set(pid, peak);
    resident += bytesOf(status, 'VmRSS');
  }
  return resident;
}

function bytesOf(status: string, name: string): number {
  return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
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
