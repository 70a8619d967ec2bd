/** `--deep` with `--config`: the messages that the topic still holds, looked up among the rows of the files. */
import type { FetchSettings } from '../config/kafkaSettings.ts';
import { MessageColumns } from '../decode/columns.ts';
import { DecodeKernel } from '../decode/kernel.ts';
import { RecordSet } from '../decode/recordSet.ts';
import type { Cluster } from '../kafka/cluster.ts';
import { EARLIEST_TIMESTAMP } from '../kafka/protocol.ts';
import { offsetKey } from '../plan/places.ts';
import { KafkaRangeReader } from '../sources/kafkaRange.ts';
import type { OffsetRange } from '../tasks.ts';
import { describe } from './coveredRanges.ts';
import { groupBy } from './groupBy.ts';
import type { OffsetCounts } from './offsetCounts.ts';
import type { Finding } from './types.ts';

const FOUND_BY_PARTITION = 10;

/**
 * Offsets alone are decoded, and only of the ranges given.
 *
 * @param read.ranges Read whole into the files; each once.
 * @param read.bad Records of them that were left out as bad, by `offsetKey`: which ones is not recorded, and rows are
 *   counted elsewhere, so that many messages may be in no file.
 * @param counts Offsets of the rows in the files.
 * @param topicIds Of the runs: a topic that was made again has other messages.
 */
export async function compareWithTopic(
  config: string,
  cluster: Cluster,
  fetch: FetchSettings,
  { ranges, bad }: { readonly ranges: readonly OffsetRange[]; readonly bad: ReadonlyMap<string, number> },
  counts: ReadonlyMap<string, OffsetCounts>,
  topicIds: Readonly<Record<string, string>>,
): Promise<{ findings: Finding[]; remarks: string[]; messages: number }> {
  const findings: Finding[] = [];
  const remarks: string[] = [];
  let messages = 0;
  for (const [topic, own] of groupBy(ranges, (range) => range.topic)) {
    const info = await cluster.findTopic(topic);
    const id = topicIds[topic];
    if (!info || (id !== undefined && info.topicId !== null && info.topicId !== id)) {
      remarks.push(`the rows of ${topic} were not compared with the topic: it was ${info ? 'made again' : 'deleted'}`);
      continue;
    }
    const partitions = [...new Set(own.map(({ partition }) => partition))];
    const starts = await cluster.listOffsets(topic, partitions, EARLIEST_TIMESTAMP, 'read_uncommitted');
    for (const partition of partitions) {
      const key = offsetKey({ topic, partition });
      const missing = new MissingOffsets({ topic, partition });
      for (const range of own.filter((entry) => entry.partition === partition)) {
        const startOffset = Math.max(range.startOffset, starts.get(partition) ?? 0);
        if (startOffset >= range.endOffset) continue;
        messages += await readOffsets(cluster, fetch, { ...range, startOffset }, (offset) => {
          if (!counts.get(key)?.has(offset)) missing.add(offset);
        });
      }
      if (missing.count > (bad.get(key) ?? 0)) findings.push(...missing.describe(config));
    }
  }
  return { findings, remarks, messages };
}

/** Offsets that hold a message. What is deleted meanwhile is passed over. */
async function readOffsets(
  cluster: Cluster,
  fetch: FetchSettings,
  range: OffsetRange,
  onOffset: (offset: number) => void,
): Promise<number> {
  const reader = new KafkaRangeReader(cluster, range, { fetch, failOnDataLoss: false });
  const columns = new MessageColumns(['offset']);
  const kernel = new DecodeKernel();
  let messages = 0;
  for (let fetched = await reader.next(); fetched !== null; fetched = await reader.next()) {
    const { isolationLevel, checkCrcs, maxBatchBytes } = fetch;
    const { topic, partition, endOffset } = range;
    const { startOffset } = fetched;
    const about = { topic, partition, startOffset, endOffset, isolationLevel, checkCrcs, maxBatchBytes, kernel };
    const set = new RecordSet(fetched.records, fetched.aborted, about);
    while ((await set.peek()) !== null) {
      columns.clear();
      await set.next(columns);
      for (let row = 0; row < columns.rows; row++) onOffset(columns.offsetAt(row));
      messages += columns.rows;
    }
  }
  return messages;
}

/** Offsets come in order; those that follow one another are one finding. */
class MissingOffsets {
  readonly #place: { readonly topic: string; readonly partition: number };
  readonly #ranges: { startOffset: number; endOffset: number }[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  constructor(place: { readonly topic: string; readonly partition: number }) {
    this.#place = place;
  }

  add(offset: number): void {
    this.#count += 1;
    const last = this.#ranges.at(-1);
    if (last?.endOffset === offset) last.endOffset += 1;
    else if (this.#ranges.length <= FOUND_BY_PARTITION)
      this.#ranges.push({ startOffset: offset, endOffset: offset + 1 });
  }

  describe(config: string): Finding[] {
    const key = offsetKey(this.#place);
    const shown = this.#ranges.slice(0, FOUND_BY_PARTITION).map((range): Finding => {
      const message = `no file has ${describe(key, range.startOffset, range.endOffset)}, which the topic holds`;
      return { kind: 'hole', config, message, range: { ...this.#place, ...range } };
    });
    if (this.#ranges.length <= FOUND_BY_PARTITION) return shown;
    const message = `no file has ${this.#count} messages of ${key} that the topic holds, those above among them`;
    return [...shown, { kind: 'hole', config, message }];
  }
}
