import { partitionKey } from './partitions.ts';
import type { PartitionStatus, StreamStatus } from './types.ts';

/** Five minutes, as the page draws them. */
export const SAMPLE_EVERY_MS = 2_000;
const KEPT_SAMPLES = 150;

/** One moment of a stream; the lists are in the order of the partitions they were asked for, null: not ours then. */
export interface HistorySample {
  readonly sequence: number;
  readonly atMs: number;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly lag: number;
  readonly lags: readonly (number | null)[];
}

interface Kept extends Omit<HistorySample, 'lags'> {
  /** Shared by all samples of the same partitions. */
  readonly keys: ReadonlyMap<string, number>;
  readonly lags: Float64Array;
}

/** The last minutes of a stream, so that a page that is opened now shows what came before. */
export class History {
  readonly #samples: Kept[] = [];
  #sequence = 0;

  add(status: StreamStatus): void {
    this.#sequence += 1;
    this.#samples.push({
      ...{ sequence: this.#sequence, atMs: status.atMs, lag: status.lag },
      ...{ rowsPerSecond: status.rates.rows, bytesPerSecond: status.rates.bytes },
      keys: this.#keysOf(status.partitions),
      lags: Float64Array.from(status.partitions, ({ lag }) => lag ?? Number.NaN),
    });
    if (this.#samples.length > KEPT_SAMPLES) this.#samples.shift();
  }

  /** @returns Those with a higher sequence, oldest first. */
  since(sequence: number, partitions: readonly PartitionStatus[]): HistorySample[] {
    const wanted = partitions.map(partitionKey);
    return this.#samples
      .filter((sample) => sample.sequence > sequence)
      .map(({ keys, lags, ...sample }) => ({
        ...sample,
        lags: wanted.map((key) => {
          const lag = lags[keys.get(key) ?? -1];
          return lag === undefined || Number.isNaN(lag) ? null : lag;
        }),
      }));
  }

  #keysOf(partitions: readonly PartitionStatus[]): ReadonlyMap<string, number> {
    const last = this.#samples.at(-1)?.keys;
    const same =
      last?.size === partitions.length && partitions.every((each, at) => last.get(partitionKey(each)) === at);
    return same && last ? last : new Map(partitions.map((each, at) => [partitionKey(each), at]));
  }
}
