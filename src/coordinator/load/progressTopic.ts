/**
 * The compacted topic on the target cluster that says how far a load is. A record of progress is written in the
 * transaction of the records it speaks of, so it is the truth. Keys:
 *
 *     _kafkaload.progress/CONFIG                           a load of files, see fileProgress.ts
 *     _kafkaload.progress/CONFIG/TARGET/TOPIC/PARTITION    from topic to topic, see topicProgress.ts
 *
 * The last record of a key counts, null is a tombstone. A key can be in several partitions, when the topic was given
 * more: then the newest timestamp counts.
 */
import { Int32, Table, Utf8, vectorFromArray } from 'apache-arrow';
import { partitionForKey } from '../../encode/records/partitioner.ts';
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import { DEFAULT_MAX_BATCH_BYTES, RecordEncoder } from '../../encode/records/recordEncoder.ts';
import { LOAD_TRANSACTION_TIMEOUT_MS, TRANSACTION_SWEEP_MS } from '../../kafka/client.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import { type ReadOptions, readTopicCommitted, type TopicRecord } from '../../kafka/topicReader.ts';

const PREFIX = '_kafkaload.progress/';
/** Another config's load that died holds readers up until its coordinator notices; some seconds more for the trip. */
const WAIT_FOR_STABLE: ReadOptions = {
  waitForStableMs: LOAD_TRANSACTION_TIMEOUT_MS + TRANSACTION_SWEEP_MS + 5_000,
};
/**
 * Before the own producer is opened. What holds readers up for longer than this is a load that died, most likely the one
 * that is about to be taken over: then what stands before it is enough, since all is read again after that.
 */
const FIRST_LOOK: ReadOptions = { waitForStableMs: 3_000, orStopThere: true };

export interface ProgressRecord {
  readonly value: string;
  /** Place of the record: another one each time it is written. */
  readonly mark: string;
}

export interface ProgressWrite {
  readonly key: string;
  /** Null: a tombstone. */
  readonly value: string | null;
}

export function progressKey(...parts: readonly (string | number)[]): string {
  return PREFIX + parts.join('/');
}

export class ProgressTopic {
  readonly #topic: string;
  readonly #partitions: number;
  readonly #encoder: RecordEncoder;
  /** Partitions in which a key has a value: a tombstone goes to each, or compaction would bring an old value back. */
  readonly #places = new Map<string, Set<number>>();

  /** @param partitions Number of partitions of the topic. */
  constructor(topic: string, partitions: number) {
    this.#topic = topic;
    this.#partitions = partitions;
    this.#encoder = new RecordEncoder({
      defaultTopic: topic,
      partitionCounts: new Map([[topic, partitions]]),
      compression: 'none',
      maxBatchBytes: DEFAULT_MAX_BATCH_BYTES,
      headers: [],
    });
  }

  /** Records of these keys that have a value, by key. To be called once the producer is open, and none before is. */
  async read(cluster: Cluster, isWanted: (key: string) => boolean): Promise<Map<string, ProgressRecord>> {
    const { found, places } = await readProgress(cluster, this.#topic, isWanted, WAIT_FOR_STABLE);
    for (const [key, partitions] of places) this.#places.set(key, new Set(partitions));
    return found;
  }

  /** Keys that have a value somewhere. */
  keys(): string[] {
    return [...this.#places].filter(([, partitions]) => partitions.size > 0).map(([key]) => key);
  }

  async encode(writes: readonly ProgressWrite[]): Promise<EncodedRecordBatch[]> {
    const rows = writes.flatMap(({ key, value }): (ProgressWrite & { partition: number })[] => {
      const places = this.#places.get(key) ?? new Set<number>();
      this.#places.set(key, places);
      const own = partitionForKey(key, this.#partitions);
      if (value !== null) {
        places.add(own);
        return [{ key, value, partition: own }];
      }
      const tombstones = [...new Set([own, ...places])];
      places.clear();
      return tombstones.map((partition) => ({ key, value, partition }));
    });
    const table = new Table({
      key: vectorFromArray(
        rows.map(({ key }) => key),
        new Utf8(),
      ),
      value: vectorFromArray(
        rows.map(({ value }) => value),
        new Utf8(),
      ),
      partition: vectorFromArray(
        rows.map(({ partition }) => partition),
        new Int32(),
      ),
    });
    return this.#encoder.encode(table, { defaultTimestampMs: Date.now(), rowName: (row) => `progress ${row}` });
  }
}

/** As `ProgressTopic.read`, for a first look: a topic that is not there holds nothing. */
export async function readProgress(
  cluster: Cluster,
  topic: string,
  isWanted: (key: string) => boolean,
  options: ReadOptions = FIRST_LOOK,
): Promise<{ found: Map<string, ProgressRecord>; places: Map<string, number[]> }> {
  const records = (await readTopicCommitted(cluster, topic, options)) ?? [];
  const newest = new Map<string, Map<number, TopicRecord>>();
  for (const record of records) {
    const key = record.key?.toString('utf8') ?? '';
    if (!key.startsWith(PREFIX) || !isWanted(key)) continue;
    const byPartition = newest.get(key) ?? new Map<number, TopicRecord>();
    // Records come in offset order within a partition.
    newest.set(key, byPartition.set(record.partition, record));
  }
  const found = new Map<string, ProgressRecord>();
  const places = new Map<string, number[]>();
  for (const [key, byPartition] of newest) {
    const all = [...byPartition.values()].sort((a, b) => a.timestampMs - b.timestampMs || a.partition - b.partition);
    const last = all.at(-1);
    const valued = all.filter(({ value }) => value !== null);
    places.set(
      key,
      valued.map(({ partition }) => partition),
    );
    if (last?.value) {
      found.set(key, { value: last.value.toString('utf8'), mark: `${last.partition}/${last.offset}` });
    }
  }
  return { found, places };
}
