import { formatSize } from '../config/sizes.ts';

/** What was done since the last call: differences, not totals. */
export interface ProgressStep {
  readonly rows: number;
  /** Message bytes, as decoded. */
  readonly bytes: number;
  /** Offsets moved past, with or without a row. */
  readonly offsets: number;
}

/** Where a run tells how far it is. Cheap: it may be called for every record batch. */
export interface ProgressSink {
  /** @param totalBytesEstimate Message bytes to expect; shown as they are, the bar goes by offsets. */
  start(totalOffsets: number, totalBytesEstimate: number): void;
  advance(step: ProgressStep): void;
  /** Ends the display and its timer; safe to call twice, and without `start`. */
  stop(): void;
}

export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const PLAIN_LINE_EVERY_MS = 5_000;
const BAR_REDRAWS_PER_SECOND = 5;

/** Shows nothing: `--report json`, `--dry-run`. */
export const SILENT_PROGRESS: ProgressSink = { start() {}, advance() {}, stop() {} };

/**
 * One bar over all partitions on a terminal, else a plain line every few seconds.
 *
 * @param stderr Where it is shown; never stdout, which belongs to the report.
 */
export async function createProgress(stderr: ProgressOutput & NodeJS.WritableStream): Promise<ProgressSink> {
  if (stderr.isTTY !== true) return createPlainProgress(stderr);
  const { default: cliProgress } = await import('cli-progress');
  const meter = new Meter();
  const bar = new cliProgress.SingleBar({
    stream: stderr,
    fps: BAR_REDRAWS_PER_SECOND,
    barsize: 24,
    clearOnComplete: true,
    hideCursor: null,
    // The library's own signal handlers would end the run's orderly stop.
    gracefulExit: false,
    // A log line in between wipes the bar: draw it again even when nothing moved.
    forceRedraw: true,
    linewrap: true,
    format: (options, params) => {
      const done = Math.round(params.progress * (options.barsize ?? 0));
      return `[${'='.repeat(done)}${' '.repeat((options.barsize ?? 0) - done)}] ${meter.describe()}`;
    },
  });
  return {
    start(totalOffsets, totalBytesEstimate) {
      meter.start(totalOffsets, totalBytesEstimate);
      bar.start(Math.max(1, totalOffsets), 0);
    },
    advance(step) {
      meter.advance(step);
      bar.update(meter.offsets);
    },
    stop() {
      bar.stop();
    },
  };
}

/** A line every few seconds, none at the end: the summary follows. */
export function createPlainProgress(stderr: ProgressOutput, everyMs: number = PLAIN_LINE_EVERY_MS): ProgressSink {
  const meter = new Meter();
  let timer: NodeJS.Timeout | undefined;
  return {
    start(totalOffsets, totalBytesEstimate) {
      meter.start(totalOffsets, totalBytesEstimate);
      clearInterval(timer);
      timer = setInterval(() => stderr.write(`${meter.describe()}\n`), everyMs);
      timer.unref();
    },
    advance(step) {
      meter.advance(step);
    },
    stop() {
      clearInterval(timer);
    },
  };
}

/** Adds up steps and puts them into words. */
class Meter {
  rows = 0;
  bytes = 0;
  offsets = 0;
  #totalOffsets = 0;
  #totalBytesEstimate = 0;
  #startedAtMs = performance.now();

  start(totalOffsets: number, totalBytesEstimate: number): void {
    this.rows = 0;
    this.bytes = 0;
    this.offsets = 0;
    this.#totalOffsets = totalOffsets;
    this.#totalBytesEstimate = totalBytesEstimate;
    this.#startedAtMs = performance.now();
  }

  advance(step: ProgressStep): void {
    this.rows += step.rows;
    this.bytes += step.bytes;
    this.offsets += step.offsets;
  }

  describe(): string {
    const seconds = Math.max(0.001, (performance.now() - this.#startedAtMs) / 1000);
    const share = this.#totalOffsets > 0 ? Math.min(1, this.offsets / this.#totalOffsets) : 1;
    const expected = this.#totalBytesEstimate > 0 ? ` of about ${formatSize(this.#totalBytesEstimate)}` : '';
    return [
      `${Math.floor(share * 100)}%`,
      `${this.rows.toLocaleString('en-US')} rows`,
      `${formatSize(this.bytes)}${expected}`,
      `${(this.bytes / 1e6 / seconds).toFixed(1)} MB/s`,
      `${Math.round(this.rows / seconds).toLocaleString('en-US')} rows/s`,
      `ETA ${share > 0 ? formatDuration((seconds / share) * (1 - share)) : '-'}`,
    ].join(' | ');
  }
}

/** `45s`, `3m05s`, `2h07m`. */
function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
  return `${Math.floor(whole / 3600)}h${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')}m`;
}
