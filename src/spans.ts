/**
 * How long what takes a thread: waiting for an answer, decoding, encoding, writing. For whoever measures; a span is a piece of
 * work of milliseconds, never of a row.
 */
import { channel } from 'node:diagnostics_channel';

/**
 * The coordinator's: opening the run, planning it, staging its rows, publishing and committing them. A worker's: waiting for
 * an answer, decoding, encoding (transforms included), waiting until rows before its own are written, and writing.
 */
export type SpanName = 'open' | 'plan' | 'stage' | 'publish' | 'fetch' | 'decode' | 'encode' | 'turn' | 'write';

/** A subscriber of this channel, in the same thread, is called with a `Span` when it has ended. */
const spans = channel('kafkaload:span');

/** Times are in milliseconds since 1970 by the clock that does not jump: the same in all threads. */
export interface Span {
  readonly name: SpanName;
  readonly startMs: number;
  readonly endMs: number;
}

const nothing = (): void => {};

/** @returns Ends the span. Without a subscriber, which only a bench has, both are next to nothing. */
export function startSpan(name: SpanName): () => void {
  if (!spans.hasSubscribers) return nothing;
  const startMs = performance.timeOrigin + performance.now();
  return () => spans.publish({ name, startMs, endMs: performance.timeOrigin + performance.now() } satisfies Span);
}

/** The span of a promise, from the call to its end, whatever that is. */
export async function withinSpan<T>(name: SpanName, act: () => Promise<T>): Promise<T> {
  const end = startSpan(name);
  try {
    return await act();
  } finally {
    end();
  }
}
