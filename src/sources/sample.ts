import type { FetchSettings } from '../config/kafkaSettings.ts';
import type { Cluster } from '../kafka/cluster.ts';
import { offsetKey } from '../plan/places.ts';
import type { OffsetRange } from '../tasks.ts';
import { KafkaRangeReader } from './kafkaRange.ts';

const SAMPLED_PARTITIONS = 8;
const SAMPLE_BYTES = 256 * 1024;

/**
 * Bytes that one offset takes, by `offsetKey`, from one Fetch at the start of some partitions; the others take the average.
 * For clusters that do not tell the size of a log.
 */
export async function sampleBytesPerOffset(
  cluster: Cluster,
  ranges: readonly OffsetRange[],
  fetch: FetchSettings,
): Promise<Map<string, number>> {
  const sampled = await Promise.all(
    ranges.slice(0, SAMPLED_PARTITIONS).map(async (range) => {
      // Retention may remove the start of a log at any time: that is no loss of what is read later.
      const options = { fetch: { ...fetch, maxBytes: SAMPLE_BYTES }, failOnDataLoss: false };
      const fetched = await new KafkaRangeReader(cluster, range, options).next();
      return {
        key: offsetKey(range),
        bytes: fetched?.records.length ?? 0,
        offsets: fetched ? fetched.nextOffset - fetched.startOffset : 1,
      };
    }),
  );
  const bytes = sampled.reduce((sum, sample) => sum + sample.bytes, 0);
  const offsets = sampled.reduce((sum, sample) => sum + sample.offsets, 0);
  const average = bytes / Math.max(1, offsets);
  const own = new Map(sampled.map((sample) => [sample.key, sample.bytes / Math.max(1, sample.offsets)]));
  return new Map(ranges.map((range) => [offsetKey(range), own.get(offsetKey(range)) ?? average]));
}
