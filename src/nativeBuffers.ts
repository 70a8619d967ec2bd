/**
 * Gives back the memory of what native codecs return.
 *
 * Each result is a buffer of its own. V8 sees no need to collect such garbage before 64 MiB of it have piled up in a
 * thread (buffers that JavaScript allocated: 32 MiB), and its memory is freed only when the event loop turns after that.
 * A collection of the young objects alone takes a fraction of a millisecond. With one every 4 MiB the allocator hands out
 * the same pages again, still in the processor's cache: inflating 800 MiB of lz4 in sections of 1 MiB then takes 0.2 s of CPU
 * instead of 0.5 s, and 9 MiB instead of 97 MiB (November 2026).
 */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const RELEASE_EVERY_BYTES = 4 * 1024 * 1024;

/** Node passes V8's options to no thread by itself; a context that is made after the option was set has the function. */
type Collect = (options: { readonly type: 'minor' }) => void;

let collect: Collect | undefined;
let unreleasedBytes = 0;

/**
 * Counts what a codec has read or returned, whichever is larger.
 *
 * @returns Now and then a promise to wait for: until it settles, what is garbage by now keeps its memory.
 */
export function countNativeBytes(bytes: number): Promise<void> | undefined {
  unreleasedBytes += bytes;
  if (unreleasedBytes < RELEASE_EVERY_BYTES) return undefined;
  unreleasedBytes = 0;
  collect ??= exposeCollector();
  collect({ type: 'minor' });
  return setImmediate();
}

function exposeCollector(): Collect {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}
