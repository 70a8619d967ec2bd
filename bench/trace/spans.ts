/** Spans as the recorder wrote them, and what they add up to. */
import type { SpanName } from '../../src/spans.ts';
import type { CoreSample } from './cores.ts';

/** Times in seconds since the command was started. */
export interface Trace {
  readonly seconds: number;
  readonly threads: readonly ThreadTrace[];
  /** Cores of the machine in use, by whatever runs on it. */
  readonly cores: readonly (readonly [seconds: number, cores: number])[];
}

export interface ThreadTrace {
  /** `coordinator`, `worker 1`. */
  readonly name: string;
  readonly spans: readonly TracedSpan[];
}

export type TracedSpan = readonly [name: SpanName, start: number, end: number];

/** In the order of the legend; a worker works in the first three. */
export const WORKER_SPANS = ['decode', 'encode', 'write', 'fetch', 'turn'] as const satisfies readonly SpanName[];

/** @param text Lines of the recorder. @param startMs When the command was started, @param endMs when it had ended. */
export function readTrace(text: string, samples: readonly CoreSample[], startMs: number, endMs: number): Trace {
  const seconds = (ms: number): number => (ms - startMs) / 1000;
  const byThread = new Map<number, TracedSpan[]>();
  for (const line of text.split('\n').filter(Boolean)) {
    const [thread, name, from, to] = JSON.parse(line) as [number, SpanName, number, number];
    const spans = byThread.get(thread) ?? [];
    byThread.set(thread, spans);
    spans.push([name, seconds(from), seconds(to)]);
  }
  const threads = [...byThread].sort(([a], [b]) => a - b);
  return {
    seconds: seconds(endMs),
    threads: threads.map(([, spans], index) => ({
      name: index === 0 ? 'coordinator' : `worker ${index}`,
      spans: spans.toSorted((a, b) => a[1] - b[1]),
    })),
    cores: samples.filter(([atMs]) => atMs >= startMs && atMs <= endMs).map(([atMs, used]) => [seconds(atMs), used]),
  };
}

export interface Utilisation {
  readonly thread: string;
  /** Between its first fetch and its last write. */
  readonly seconds: number;
  /** Parts of that time, by span; what is in none is between two tasks, or the collector's. */
  readonly shares: Readonly<Record<(typeof WORKER_SPANS)[number], number>>;
}

/** Of each worker. */
export function utilisationOf({ threads }: Trace): Utilisation[] {
  return threads.slice(1).map(({ name, spans }) => {
    const seconds = (spans.at(-1)?.[2] ?? 0) - (spans[0]?.[1] ?? 0);
    const share = (wanted: SpanName): number =>
      spans.reduce((sum, [span, start, end]) => sum + (span === wanted ? end - start : 0), 0) / (seconds || 1);
    const shares = Object.fromEntries(WORKER_SPANS.map((span) => [span, share(span)])) as Utilisation['shares'];
    return { thread: name, seconds, shares };
  });
}

/** Mean of the cores in use from the first fetch until a worker had nothing left to do; NaN without a sample. */
export function coresWhileWorkWasLeft({ threads, cores }: Trace): number {
  const workers = threads.slice(1).filter(({ spans }) => spans.length > 0);
  const start = Math.max(...workers.map(({ spans }) => spans[0]?.[1] ?? 0));
  const end = Math.min(...workers.map(({ spans }) => spans.at(-1)?.[2] ?? 0));
  const used = cores.filter(([at]) => at >= start && at <= end).map(([, count]) => count);
  return used.reduce((sum, count) => sum + count, 0) / used.length;
}
