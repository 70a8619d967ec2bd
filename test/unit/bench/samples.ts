/** Results as benches leave them, with round figures. */
import type { Input, Result, Results, Series } from '../../../bench/core/results.ts';

export const INPUT: Input = { rows: 4_000_000, messageBytes: 760_000_000, partitions: 8, codec: 'lz4' };

export function resultOf(contender: string, seconds: number, more: Partial<Result> = {}): Result {
  return {
    contender,
    isOurs: contender.startsWith('kafkaload'),
    rowsPerSecond: INPUT.rows / seconds,
    mebibytesPerSecond: 100,
    seconds,
    cpuSeconds: seconds * 2,
    peakRssBytes: 400 * 1024 ** 2,
    ...more,
  };
}

export function seriesOf(name: string, results: readonly Result[], input = INPUT): Series {
  return { name, input, rounds: 3, results };
}

export function resultsOf(bench: string, series: readonly Series[], cores = 2): Results {
  return {
    schemaVersion: 1,
    bench,
    startedAt: '2026-11-23T04:00:00.000Z',
    machine: { cpu: 'Some <CPU>', cores, memoryBytes: 16 * 1024 ** 3, system: 'Linux 6.1' },
    versions: { kafkaload: '0.1.0', node: 'v20.20.2' },
    series,
  };
}

/** A point of a sweep, with the rows that it read. */
export function pointOf(label: string, rows: number, dataSeconds: number, peakMebibytes = 400): Result {
  const input = { ...INPUT, rows, messageBytes: rows * 190 };
  return {
    ...resultOf(label, dataSeconds + 1),
    isOurs: true,
    input,
    dataSeconds,
    peakRssBytes: peakMebibytes * 1024 ** 2,
  };
}
