/**
 * Reads all that is committed in a small compacted topic: the saved offsets. Raw Fetch rather than a consumer, because
 * the position must be known past control records too, which a consumer does not show.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FetchSettings } from '../config/kafkaSettings.ts';
import { type BinaryColumn, MessageColumns, wordsToNumber } from '../decode/columns.ts';
import { DecodeKernel } from '../decode/kernel.ts';
import { RecordSet } from '../decode/recordSet.ts';
import { OffloadError } from '../errors.ts';
import { brokerError } from './brokerErrors.ts';
import type { Cluster } from './cluster.ts';
import { type FetchResponse, fetchFrom } from './fetch.ts';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from './protocol.ts';

export interface TopicRecord {
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

export interface ReadOptions {
  readonly waitForStableMs: number;
  readonly orStopThere?: boolean;
}

const FETCH: FetchSettings = {
  isolationLevel: 'read_committed',
  maxBytes: 1024 ** 2,
  maxWaitMs: 100,
  checkCrcs: true,
  maxBatchBytes: 64 * 1024 ** 2,
  clientRack: '',
};
const READ_COMMITTED = 1;
const OFFSET_OUT_OF_RANGE = 1;
const WAIT_FOR_STABLE_PAUSE_MS = 50;
/** Asked again at least this often, whatever a broker says of its quota. */
const MAX_THROTTLE_MS = 10_000;
/** A quota that lets nothing through for so many deadlines of requests is not waited for any longer. */
const THROTTLED_DEADLINES = 10;
/** A log whose last records were compacted away answers with nothing below its end. */
const EMPTY_ANSWERS_ARE_A_GAP = 3;

/**
 * Every committed record below the high watermark of this moment, partition by partition, in offset order.
 *
 * The last stable offset is no place to stop: another config's open transaction holds it below records that were
 * committed since. It is waited for.
 *
 * @param options.waitForStableMs How long an open transaction is waited for.
 * @param options.orStopThere True: if it stays open, what is before it is all that is given. For a first look alone.
 * @returns Null if the topic does not exist.
 * @throws OffloadError BROKER_TIMEOUT naming both offsets if the transaction stays open.
 */
export async function readTopicCommitted(
  cluster: Cluster,
  topic: string,
  options: ReadOptions,
): Promise<TopicRecord[] | null> {
  const info = await cluster.findTopic(topic);
  if (!info) return null;
  const [starts, ends] = await Promise.all([
    cluster.listOffsets(topic, info.partitions, EARLIEST_TIMESTAMP, 'read_uncommitted'),
    cluster.listOffsets(topic, info.partitions, LATEST_TIMESTAMP, 'read_uncommitted'),
  ]);
  const parts = await Promise.all(
    info.partitions.map((partition) => {
      const range = { topic, partition, startOffset: starts.get(partition) ?? 0, endOffset: ends.get(partition) ?? 0 };
      return readPartition(cluster, range, options);
    }),
  );
  return parts.flat();
}

async function readPartition(
  cluster: Cluster,
  range: { topic: string; partition: number; startOffset: number; endOffset: number },
  { waitForStableMs, orStopThere }: ReadOptions,
): Promise<TopicRecord[]> {
  const { topic, partition, endOffset } = range;
  const { deadlineMs } = cluster.settings;
  const found: TopicRecord[] = [];
  const columns = new MessageColumns(['key', 'value', 'timestamp']);
  // Of its own: partitions are read side by side.
  const kernel = new DecodeKernel();
  let position = range.startOffset;
  let emptyAnswers = 0;
  let throttledSinceMs: number | null = null;
  let heldSinceMs: number | null = null;
  while (position < endOffset) {
    const response = await fetchOnce(cluster, topic, partition, position);
    if (response.errorCode === OFFSET_OUT_OF_RANGE) {
      // Compaction or a person moved the log start meanwhile: nothing below it is there to be read.
      const starts = await cluster.listOffsets(topic, [partition], EARLIEST_TIMESTAMP, 'read_uncommitted');
      const logStart = starts.get(partition) ?? 0;
      // A log that ends before the position was cut off: what is left of it has been read.
      position = logStart > position ? logStart : endOffset;
      continue;
    }
    if (response.throttleMs > 0 && response.records.length === 0) {
      // A quota (KIP-219): such an answer says nothing of the partition, its offsets are -1.
      throttledSinceMs ??= performance.now();
      const throttledMs = performance.now() - throttledSinceMs;
      if (throttledMs > THROTTLED_DEADLINES * deadlineMs) throw throttled(range, throttledMs);
      await sleep(Math.min(response.throttleMs, MAX_THROTTLE_MS, deadlineMs));
      continue;
    }
    throttledSinceMs = null;
    const set = new RecordSet(response.records, response.aborted, {
      topic,
      partition,
      startOffset: position,
      endOffset,
      isolationLevel: FETCH.isolationLevel,
      checkCrcs: FETCH.checkCrcs,
      maxBatchBytes: FETCH.maxBatchBytes,
      kernel,
    });
    for (let size = await set.peek(); size !== null; size = await set.peek()) {
      await set.next(columns);
      found.push(...copyRecords(columns, partition));
      columns.clear();
    }
    if (set.nextOffset > position) {
      position = set.nextOffset;
      emptyAnswers = 0;
      heldSinceMs = null;
    } else if (response.records.length > 0) {
      throw withoutProgress(range, position, response.records.length);
    } else if (response.lastStableOffset < endOffset) {
      heldSinceMs ??= performance.now();
      const heldMs = performance.now() - heldSinceMs;
      if (heldMs > waitForStableMs && orStopThere) break;
      if (heldMs > waitForStableMs) throw heldBack(range, response.lastStableOffset, heldMs);
      await sleep(WAIT_FOR_STABLE_PAUSE_MS);
    } else if (++emptyAnswers === EMPTY_ANSWERS_ARE_A_GAP) {
      break;
    }
  }
  return found;
}

function fetchOnce(cluster: Cluster, topic: string, partition: number, fetchOffset: number): Promise<FetchResponse> {
  const attempt = async (): Promise<FetchResponse> => {
    const { connection, leaderEpoch } = await cluster.leader(topic, partition);
    const { maxBytes, maxWaitMs, clientRack } = FETCH;
    const request = { topic, partition, fetchOffset, leaderEpoch, maxBytes, maxWaitMs, clientRack };
    const response = await fetchFrom(connection, { ...request, isolationLevel: READ_COMMITTED }, 'leader');
    if (response.errorCode !== 0 && response.errorCode !== OFFSET_OUT_OF_RANGE) {
      const attempted = `cannot read saved offsets from ${topic}/${partition} at ${fetchOffset}`;
      throw brokerError(response.errorCode, attempted, `Read on topic ${topic}`);
    }
    return response;
  };
  return cluster.retry(attempt, () => cluster.forget(topic));
}

function heldBack(
  { topic, partition, endOffset }: { topic: string; partition: number; endOffset: number },
  lastStableOffset: number,
  heldMs: number,
): OffloadError {
  return new OffloadError(
    'BROKER_TIMEOUT',
    `cannot read the saved offsets: an open transaction holds the last stable offset of ${topic}/${partition} at ${lastStableOffset}, below its high watermark ${endOffset}, for ${(heldMs / 1000).toFixed(1)} s now; run again when it has ended or timed out`,
    { context: { topic, partition, lastStableOffset, highWatermark: endOffset } },
  );
}

function throttled({ topic, partition }: { topic: string; partition: number }, throttledMs: number): OffloadError {
  return new OffloadError(
    'BROKER_TIMEOUT',
    `cannot read the saved offsets: a quota of the brokers lets nothing of ${topic}/${partition} through, for ${(throttledMs / 1000).toFixed(1)} s now`,
    { context: { topic, partition } },
  );
}

/** To go on without them would be to take saved offsets for absent. */
function withoutProgress(
  { topic, partition }: { topic: string; partition: number },
  position: number,
  bytes: number,
): OffloadError {
  return new OffloadError(
    'BATCH_CORRUPT',
    `cannot read the saved offsets: the broker answers for ${topic}/${partition} at offset ${position} with ${bytes} bytes ` +
      'that hold no whole record batch from there on',
    { context: { topic, partition, position, bytes } },
  );
}

/** Copies rows out of the columns, which are used again. */
function copyRecords(columns: MessageColumns, partition: number): TopicRecord[] {
  const { key, value, timestampWords } = columns;
  return Array.from({ length: columns.rows }, (_, row) => ({
    partition,
    offset: columns.offsetAt(row),
    timestampMs: timestampWords ? wordsToNumber(timestampWords, row) : -1,
    key: key && copyValue(key, row),
    value: value && copyValue(value, row),
  }));
}

function copyValue(column: BinaryColumn, row: number): Buffer | null {
  if (column.isNull(row)) return null;
  return Buffer.from(column.data.subarray(column.offsets[row], column.offsets[row + 1]));
}
