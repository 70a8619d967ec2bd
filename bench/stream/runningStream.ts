/** The command, streaming beside a bench. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { COMMAND } from '../core/paths.ts';

export interface StreamEnd {
  readonly report: { readonly rows: number; readonly stream: { readonly microBatches: number } };
  readonly peakRssBytes: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
}

const CLOCK_TICKS = 100;

export class RunningStream {
  readonly #child: ChildProcess;
  readonly #startedAtMs = performance.now();
  #stdout = '';
  #stderr = '';
  readonly #ended: Promise<number | null>;

  constructor(args: readonly string[], cwd: string) {
    this.#child = spawn(process.execPath, [COMMAND, ...args, '--stream', '--report', 'json'], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (text: Buffer) => {
      this.#stdout += text.toString();
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#stderr += text.toString();
    });
    this.#ended = new Promise((resolve, reject) => this.#child.once('error', reject).once('close', resolve));
  }

  /** Waits for words in its log. */
  async says(words: string): Promise<void> {
    while (!this.#stderr.includes(words)) {
      if (this.#child.exitCode !== null) throw new Error(`the stream ended: ${this.#stderr.slice(-2_000)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Lines of its log that hold data, so far. */
  get log(): readonly Record<string, unknown>[] {
    return this.#stderr.split('\n').flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>];
      } catch {
        return [];
      }
    });
  }

  /** Stops it in order. */
  async stop(): Promise<StreamEnd> {
    const { pid } = this.#child;
    const peakRssBytes = Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
    const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
    const cpuSeconds = (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / CLOCK_TICKS;
    const seconds = (performance.now() - this.#startedAtMs) / 1000;
    this.#child.kill('SIGTERM');
    const status = await this.#ended;
    if (status !== 0) throw new Error(`the stream ended with ${status}: ${this.#stderr.slice(-2_000)}`);
    return { report: JSON.parse(this.#stdout) as StreamEnd['report'], peakRssBytes, cpuSeconds, seconds };
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
