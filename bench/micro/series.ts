import type { Bench } from 'tinybench';
import type { Input, Result, Series } from '../core/results.ts';

/**
 * Medians of a finished tinybench, each task of which handles all rows of the input.
 *
 * @param outputBytes Bytes that a task makes of them, by its name.
 */
export function seriesOf(
  name: string,
  bench: Bench,
  input: Input,
  outputBytes: ReadonlyMap<string, number> = new Map(),
): Series {
  const results = bench.tasks.map(({ name: task, result }): Result => {
    if (result.state !== 'completed') throw new Error(`the bench "${task}" did not complete: ${result.state}`);
    return microResult(task, input, result.latency.p50 / 1000, outputBytes.get(task));
  });
  return { name, input, rounds: 1, results };
}

/** @param seconds What one pass over all rows takes. */
export function microResult(contender: string, input: Input, seconds: number, outputBytes?: number): Result {
  return {
    contender,
    isOurs: true,
    rowsPerSecond: input.rows / seconds,
    mebibytesPerSecond: input.messageBytes / 1024 ** 2 / seconds,
    ...(outputBytes !== undefined && { outputShare: outputBytes / input.messageBytes }),
  };
}
