/** Reads a topic of the hostile broker as a run does: metadata, offsets, Fetch, decode; in this process. */
import type { ConnectionSettings } from '../../src/config/kafkaSettings.ts';
import { MessageColumns } from '../../src/decode/columns.ts';
import { RecordSet } from '../../src/decode/recordSet.ts';
import { OffloadError } from '../../src/errors.ts';
import { Cluster } from '../../src/kafka/cluster.ts';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from '../../src/kafka/protocol.ts';
import { readTopicCommitted } from '../../src/kafka/topicReader.ts';
import { KafkaRangeReader } from '../../src/sources/kafkaRange.ts';
import { HOSTILE_TOPIC } from './hostileBroker.ts';

/** Of one request, and of all its retries: hostile answers are to cost no more than this, a few times over. */
const REQUEST_TIMEOUT_MS = 300;
const DEADLINE_MS = 120;
const MAX_BATCH_BYTES = 1024 ** 2;

const FETCH = {
  isolationLevel: 'read_committed',
  maxBytes: 65_536,
  maxWaitMs: 10,
  checkCrcs: true,
  maxBatchBytes: MAX_BATCH_BYTES,
  clientRack: '',
} as const;

function settingsOf(port: number, patience: number): ConnectionSettings {
  return {
    bootstrap: [{ host: '127.0.0.1', port }],
    clientId: 'test',
    tls: null,
    sasl: null,
    connectTimeoutMs: patience * REQUEST_TIMEOUT_MS,
    requestTimeoutMs: patience * REQUEST_TIMEOUT_MS,
    deadlineMs: patience * DEADLINE_MS,
    retryBackoffMs: 5,
    retryBackoffMaxMs: 20,
  };
}

/**
 * @param patience Times the time-outs, for answers that are large rather than hostile.
 * @returns Rows, or the error, which must be one of ours.
 */
export async function outcomeOf(
  read: (cluster: Cluster) => Promise<number>,
  port: number,
  patience = 1,
): Promise<number | OffloadError> {
  const cluster = new Cluster(settingsOf(port, patience));
  try {
    return await read(cluster);
  } catch (error) {
    if (error instanceof OffloadError) return error;
    throw error;
  } finally {
    cluster.close();
  }
}

/** What an offload does with a topic. */
export async function readRows(cluster: Cluster): Promise<number> {
  const info = await cluster.findTopic(HOSTILE_TOPIC);
  if (!info) return -1;
  const { topic, partitions } = info;
  const starts = await cluster.listOffsets(topic, partitions, EARLIEST_TIMESTAMP, 'read_uncommitted');
  const ends = await cluster.listOffsets(topic, partitions, LATEST_TIMESTAMP, 'read_committed');
  const columns = new MessageColumns(['value', 'offset']);
  let rows = 0;
  for (const partition of partitions) {
    const [startOffset = 0, endOffset = 0] = [starts.get(partition), ends.get(partition)];
    const range = { topic, partition, startOffset, endOffset };
    const reader = new KafkaRangeReader(cluster, range, { fetch: FETCH, failOnDataLoss: true });
    for (let part = await reader.next(); part; part = await reader.next()) {
      const set = new RecordSet(part.records, part.aborted, { ...FETCH, ...range, startOffset: part.startOffset });
      for (let size = await set.peek(); size !== null; size = await set.peek()) {
        await set.next(columns);
        rows += columns.rows;
        columns.clear();
      }
    }
  }
  return rows;
}

/** What a run does with the topic of saved offsets. */
export async function readSaved(cluster: Cluster): Promise<number> {
  return (await readTopicCommitted(cluster, HOSTILE_TOPIC, { waitForStableMs: DEADLINE_MS }))?.length ?? -1;
}
