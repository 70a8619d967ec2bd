/** Which topic and partition each row goes to, and the rows in the order in which they are written. */
import { OffloadError } from '../../errors.ts';
import { type ByteColumn, type InputColumns, isNull, type PartitionColumn } from './inputColumns.ts';
import { murmur2, partitionOfHash } from './partitioner.ts';

/** Names a row for people, given its number in the input: `line 17 of /data/orders.csv`. */
export type RowName = (row: number) => string;

/** Rows of one target: `order[start] ... order[end - 1]`, ascending. */
export interface PlacedRows {
  readonly topic: string;
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

export interface Placement {
  readonly order: Int32Array;
  /** Those with rows, in the order in which topics were met, then by partition. */
  readonly targets: readonly PlacedRows[];
}

/** A run of rows without a key, in one partition, has so many bytes at least: the Java client's `batch.size`. */
const MIN_KEYLESS_RUN_BYTES = 16 * 1024;

/** A topic met in the input; its partitions are the targets from `firstTarget` on. */
interface Slot {
  readonly index: number;
  readonly topic: string;
  readonly partitions: number;
  readonly firstTarget: number;
  keylessRows: number;
  keylessBytes: number;
}

/**
 * Places rows as the Java client does: in the partition that the row names, else by murmur2 of the key. Rows without a
 * key are spread evenly, in runs, beginning at a random partition.
 */
export class Placer {
  readonly #defaultTopic: string | null;
  readonly #partitionCounts: ReadonlyMap<string, number>;

  /** @param partitionCounts Number of partitions of each topic; looked at anew in each call. */
  constructor(defaultTopic: string | null, partitionCounts: ReadonlyMap<string, number>) {
    this.#defaultTopic = defaultTopic;
    this.#partitionCounts = partitionCounts;
  }

  /**
   * @throws OffloadError ROW_INVALID naming the row for a partition that the topic does not have, or no topic;
   *   TOPIC_UNKNOWN for a topic that `partitionCounts` has not.
   */
  place(batches: readonly InputColumns[], rows: number, rowName: RowName): Placement {
    // Target of each row; of a row without a key -1 - slot, until all of them are counted.
    const targets = new Int32Array(rows);
    const slots = new Slots(this.#defaultTopic, this.#partitionCounts, rowName);
    for (const columns of batches) placeByKey(columns, targets, slots, rowName);
    spreadKeyless(targets, slots.all);
    return sortByTarget(targets, slots.all);
  }
}

/** Every topic that a row names, and the default one if a row names none. */
export function topicNames(batches: readonly InputColumns[], defaultTopic: string | null): Set<string> {
  const names = new Set<string>();
  for (const { topic, rows } of batches) {
    for (let row = 0; row < rows; row++) {
      if (row > 0 && (topic === null || sameAsBefore(topic, row))) continue;
      const name = nameAt(topic, row) ?? defaultTopic;
      if (name !== null) names.add(name);
    }
  }
  return names;
}

class Slots {
  readonly all: Slot[] = [];
  readonly #defaultTopic: string | null;
  readonly #partitionCounts: ReadonlyMap<string, number>;
  readonly #rowName: RowName;
  readonly #byTopic = new Map<string, Slot>();
  #targets = 0;

  constructor(defaultTopic: string | null, partitionCounts: ReadonlyMap<string, number>, rowName: RowName) {
    this.#defaultTopic = defaultTopic;
    this.#partitionCounts = partitionCounts;
    this.#rowName = rowName;
  }

  /** @param topic Null: the row names none. */
  find(topic: string | null, row: number): Slot {
    const name = topic ?? this.#defaultTopic;
    if (name === null) {
      const message = `cannot write ${this.#rowName(row)} to Kafka: its column topic is null, and no topic is configured`;
      throw new OffloadError('ROW_INVALID', message, { context: { row } });
    }
    return this.#byTopic.get(name) ?? this.#add(name, row);
  }

  #add(topic: string, row: number): Slot {
    const partitions = this.#partitionCounts.get(topic);
    if (partitions === undefined || partitions < 1) {
      const message = `cannot write ${this.#rowName(row)} to topic ${topic}: there is no such topic`;
      throw new OffloadError('TOPIC_UNKNOWN', message, { context: { row, topic } });
    }
    const slot = { topic, partitions, index: this.all.length, firstTarget: this.#targets };
    const found = { ...slot, keylessRows: 0, keylessBytes: 0 };
    this.#targets += partitions;
    this.all.push(found);
    this.#byTopic.set(topic, found);
    return found;
  }
}

function placeByKey(columns: InputColumns, targets: Int32Array, slots: Slots, rowName: RowName): void {
  const { firstRow, rows, key, value, topic, partition } = columns;
  const [keyData, keyOffsets, keyNulls] = [key?.data ?? null, key?.offsets ?? null, key?.nulls ?? null];
  const valueOffsets = value?.offsets ?? null;
  let slot = slots.find(nameAt(topic, 0), firstRow);
  for (let row = 0; row < rows; row++) {
    if (topic !== null && row > 0 && !sameAsBefore(topic, row)) {
      slot = slots.find(nameAt(topic, row), firstRow + row);
    }
    if (partition !== null && !isNull(partition.nulls, row)) {
      const asked = partitionAt(partition, row);
      if (asked < 0 || asked >= slot.partitions) throw noSuchPartition(asked, slot, firstRow + row, rowName);
      targets[firstRow + row] = slot.firstTarget + asked;
    } else if (keyData !== null && keyOffsets !== null && !isNull(keyNulls, row)) {
      const hash = murmur2(keyData, keyOffsets[row] as number, keyOffsets[row + 1] as number);
      targets[firstRow + row] = slot.firstTarget + partitionOfHash(hash, slot.partitions);
    } else {
      targets[firstRow + row] = -1 - slot.index;
      slot.keylessRows += 1;
      if (valueOffsets !== null) slot.keylessBytes += (valueOffsets[row + 1] as number) - (valueOffsets[row] as number);
    }
  }
}

function nameAt(topic: ByteColumn | null, row: number): string | null {
  if (topic === null || isNull(topic.nulls, row)) return null;
  return topic.data.toString('utf8', topic.offsets[row], topic.offsets[row + 1]);
}

/** Rows of one topic mostly follow one another: comparing is cheaper than making a string of each. */
function sameAsBefore({ data, offsets, nulls }: ByteColumn, row: number): boolean {
  const [before, start, end] = [offsets[row - 1] as number, offsets[row] as number, offsets[row + 1] as number];
  if (isNull(nulls, row) || isNull(nulls, row - 1) || start - before !== end - start) return false;
  for (let i = 0; i < end - start; i++) if (data[before + i] !== data[start + i]) return false;
  return true;
}

function partitionAt({ values, isLong }: PartitionColumn, row: number): number {
  if (!isLong) return values[row] as number;
  return (values[2 * row + 1] as number) * 0x1_0000_0000 + ((values[2 * row] as number) >>> 0);
}

function spreadKeyless(targets: Int32Array, slots: readonly Slot[]): void {
  if (!slots.some(({ keylessRows }) => keylessRows > 0)) return;
  const runs = slots.map(({ partitions, keylessRows, keylessBytes }) => {
    const bytesPerRow = Math.max(1, keylessBytes / Math.max(1, keylessRows));
    const runRows = Math.max(Math.ceil(keylessRows / partitions), Math.ceil(MIN_KEYLESS_RUN_BYTES / bytesPerRow));
    return { partition: Math.floor(Math.random() * partitions), runRows, left: runRows };
  });
  for (let row = 0; row < targets.length; row++) {
    const target = targets[row] as number;
    if (target >= 0) continue;
    const slot = slots[-1 - target] as Slot;
    const run = runs[-1 - target] as (typeof runs)[number];
    if (run.left === 0) {
      run.partition = (run.partition + 1) % slot.partitions;
      run.left = run.runRows;
    }
    run.left -= 1;
    targets[row] = slot.firstTarget + run.partition;
  }
}

/** Counting sort, which keeps the order of rows within a target. */
function sortByTarget(targets: Int32Array, slots: readonly Slot[]): Placement {
  const count = slots.reduce((sum, { partitions }) => sum + partitions, 0);
  const starts = new Int32Array(count + 1);
  for (let row = 0; row < targets.length; row++) {
    const next = (targets[row] as number) + 1;
    starts[next] = (starts[next] as number) + 1;
  }
  for (let target = 0; target < count; target++) starts[target + 1] = at(starts, target + 1) + at(starts, target);
  const order = new Int32Array(targets.length);
  const filled = starts.slice();
  for (let row = 0; row < targets.length; row++) {
    const target = targets[row] as number;
    const place = filled[target] as number;
    order[place] = row;
    filled[target] = place + 1;
  }
  const placed = slots.flatMap(({ topic, partitions, firstTarget }) =>
    Array.from({ length: partitions }, (_, partition) => {
      const target = firstTarget + partition;
      return { topic, partition, start: at(starts, target), end: at(starts, target + 1) };
    }),
  );
  return { order, targets: placed.filter(({ start, end }) => end > start) };
}

function at(values: Int32Array, index: number): number {
  return values[index] as number;
}

function noSuchPartition(asked: number, slot: Slot, row: number, rowName: RowName): OffloadError {
  const { topic, partitions } = slot;
  const has = partitions === 1 ? 'it has partition 0 alone' : `it has partitions 0 to ${partitions - 1}`;
  return new OffloadError(
    'ROW_INVALID',
    `cannot write ${rowName(row)} to partition ${asked} of topic ${topic}: ${has}; correct the column partition, or ` +
      'leave it null to place the row by its key',
    { context: { row, topic, partition: asked, partitions } },
  );
}
