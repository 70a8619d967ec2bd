/**
 * The way into Kafka: rows to record batches by codec (one thread, no broker), and the same with the transaction that
 * writes them to a broker started for it.
 */
import { randomBytes } from 'node:crypto';
import { Field, makeData, RecordBatch, Schema, Struct, Utf8 } from 'apache-arrow';
import rdkafka from 'node-rdkafka';
import type { ConnectionSettings } from '../../src/config/kafkaSettings.ts';
import { RECORD_COMPRESSIONS, type RecordCompression } from '../../src/encode/records/compress.ts';
import { stampBatch } from '../../src/encode/records/recordBatch.ts';
import { DEFAULT_MAX_BATCH_BYTES, RecordEncoder } from '../../src/encode/records/recordEncoder.ts';
import { Cluster } from '../../src/kafka/cluster.ts';
import { LATEST_TIMESTAMP } from '../../src/kafka/protocol.ts';
import { TransactionalProducer } from '../../src/kafka/transactionalProducer.ts';
import { startKafka } from '../../test/helpers/broker.ts';
import { waitFor } from '../../test/helpers/wait.ts';
import { median } from '../core/medians.ts';
import type { Input, Result, Series } from '../core/results.ts';
import { microResult } from './series.ts';

const ROWS = 100_000;
const PARTITIONS = 12;
const TOPIC = 'bench-produce';
const TRANSACTIONS = 20;
const ENCODE_MS = 2_000;
const OPTIONS = { defaultTimestampMs: Date.now(), rowName: (row: number): string => `row ${row}` };

/** Placing, encoding and compressing by codec, then the same with sending and committing. */
export async function benchProduce(): Promise<Series> {
  const rows = makeRows();
  const results: Result[] = [];
  for (const compression of RECORD_COMPRESSIONS) results.push(await benchEncoder(rows, compression));
  const servers = process.env.KAFKA_BOOTSTRAP_SERVERS;
  const broker = servers ? null : await startKafka({ jvm: 'tuned' });
  try {
    const bootstrapServers = broker?.bootstrapServers ?? servers ?? '';
    for (const compression of ['lz4', 'snappy', 'none'] as const)
      results.push(await benchSend(rows, compression, bootstrapServers));
  } finally {
    await broker?.stop();
  }
  return { name: `produce, transactions ${TRANSACTIONS}`, input: rows.input, rounds: 1, results };
}

interface Rows {
  readonly batch: RecordBatch;
  readonly input: Input;
}

function makeEncoder(topic: string, compression: RecordCompression): RecordEncoder {
  return new RecordEncoder({
    defaultTopic: topic,
    partitionCounts: new Map([[topic, PARTITIONS]]),
    compression,
    maxBatchBytes: DEFAULT_MAX_BATCH_BYTES,
    headers: [],
  });
}

/** Placing, encoding, compressing, and the checksum that the producer adds. */
async function benchEncoder({ batch, input }: Rows, compression: RecordCompression): Promise<Result> {
  const encoder = makeEncoder(TOPIC, compression);
  let outputBytes = 0;
  const encode = async (): Promise<void> => {
    const batches = await encoder.encode(batch, OPTIONS);
    for (const { bytes } of batches) stampBatch(bytes, { producerId: 1, producerEpoch: 0, baseSequence: 0 });
    outputBytes = batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
    if (rows !== ROWS) throw new Error(`${rows} rows came out of ${ROWS}`);
  };
  for (let warmUp = 0; warmUp < 3; warmUp++) await encode();
  const times: number[] = [];
  for (const endMs = performance.now() + ENCODE_MS; performance.now() < endMs; ) {
    const startedAtMs = performance.now();
    await encode();
    times.push(performance.now() - startedAtMs);
  }
  return microResult(`encode ${compression}`, input, median(times) / 1000, outputBytes);
}

/** One thread encodes and sends in turn: nothing overlaps but what the broker does by itself. */
async function benchSend(
  { batch, input }: Rows,
  compression: RecordCompression,
  bootstrapServers: string,
): Promise<Result> {
  const topic = `${TOPIC}-${randomBytes(6).toString('hex')}`;
  const admin = rdkafka.AdminClient.create({ 'bootstrap.servers': bootstrapServers });
  const cluster = new Cluster(connectionSettings(bootstrapServers));
  try {
    await new Promise<void>((resolve, reject) => {
      admin.createTopic({ topic, num_partitions: PARTITIONS, replication_factor: 1 }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
    const options = { transactionalId: topic, transactionTimeoutMs: 60_000 };
    const producer = await TransactionalProducer.open(cluster, options);
    const encoder = makeEncoder(topic, compression);
    let outputBytes = 0;
    const transact = async (): Promise<void> => {
      await producer.begin();
      const batches = await encoder.encode(batch, OPTIONS);
      outputBytes = batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
      await producer.send(batches);
      await producer.commit();
    };
    for (let warmUp = 0; warmUp < 3; warmUp++) await transact();
    const startedAtMs = performance.now();
    for (let count = 0; count < TRANSACTIONS; count++) await transact();
    const seconds = (performance.now() - startedAtMs) / 1000 / TRANSACTIONS;
    await producer.close();
    await checkEnds(cluster, topic, TRANSACTIONS + 3);
    await new Promise<void>((resolve) => admin.deleteTopic(topic, () => resolve()));
    return microResult(`encode ${compression}, send, commit`, input, seconds, outputBytes);
  } finally {
    admin.disconnect();
    cluster.close();
  }
}

/** Each transaction leaves its records and a marker in each partition; the last markers follow the commit. */
async function checkEnds(cluster: Cluster, topic: string, transactions: number): Promise<void> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  const expected = transactions * (ROWS + PARTITIONS);
  await waitFor(`${expected} offsets in ${topic}`, async () => {
    const ends = await cluster.listOffsets(topic, partitions, LATEST_TIMESTAMP, 'read_committed');
    return [...ends.values()].reduce((sum, end) => sum + end, 0) === expected;
  });
}

/** JSON events of about 200 bytes, a quarter of which does not compress, with a key of a user. */
function makeRows(): Rows {
  const keys: string[] = [];
  const values: string[] = [];
  for (let row = 0; row < ROWS; row++) {
    const user = `user-${(row * 7919) % 50_000}`;
    keys.push(user);
    values.push(
      JSON.stringify({
        id: row,
        user,
        event: ['click', 'view', 'buy', 'scroll', 'login'][row % 5],
        at: new Date(1_790_000_000_000 + row * 3).toISOString(),
        amount: ((row * 137) % 99_991) / 100,
        session: randomBytes(20).toString('hex'),
        path: `/shop/items/${(row * 31) % 977}`,
      }),
    );
  }
  const [key, value] = [strings(keys), strings(values)];
  const fields = [new Field('key', new Utf8(), true), new Field('value', new Utf8(), true)];
  const data = makeData({ type: new Struct(fields), length: ROWS, nullCount: 0, children: [key.data, value.data] });
  const input = { rows: ROWS, messageBytes: key.bytes + value.bytes };
  return { batch: new RecordBatch(new Schema(fields), data), input };
}

function strings(values: readonly string[]) {
  const valueOffsets = new Int32Array(values.length + 1);
  for (const [index, value] of values.entries()) valueOffsets[index + 1] = (valueOffsets[index] ?? 0) + value.length;
  const bytes = Buffer.from(values.join(''), 'latin1');
  return {
    data: makeData({ type: new Utf8(), length: values.length, nullCount: 0, valueOffsets, data: bytes }),
    bytes: bytes.length,
  };
}

function connectionSettings(bootstrapServers: string): ConnectionSettings {
  const bootstrap = bootstrapServers.split(',').map((address) => {
    const [host = '', port] = address.split(':');
    return { host, port: Number(port) };
  });
  return {
    bootstrap,
    clientId: 'kafkaload-bench',
    tls: null,
    sasl: null,
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 30_000,
    deadlineMs: 60_000,
    retryBackoffMs: 100,
    retryBackoffMaxMs: 1_000,
  };
}
