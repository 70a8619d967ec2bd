import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { RECORD_COMPRESSIONS, type RecordCompression } from '../../src/encode/records/compress.ts';
import type { EncodedRecordBatch } from '../../src/encode/records/recordBatch.ts';
import { DEFAULT_MAX_BATCH_BYTES, RecordEncoder } from '../../src/encode/records/recordEncoder.ts';
import { Cluster } from '../../src/kafka/cluster.ts';
import { LATEST_TIMESTAMP } from '../../src/kafka/protocol.ts';
import { TransactionalProducer } from '../../src/kafka/transactionalProducer.ts';
import { type KafkaCluster, startKafka } from '../helpers/broker.ts';
import { temporaryFolder } from '../helpers/command.ts';
import { connectionSettings } from '../helpers/connectionSettings.ts';
import { type JavaMessage, produce, readTopic, readTopicWithJava, type TopicMessage } from '../helpers/producers.ts';
import { ScriptWriter } from '../helpers/script.ts';
import { countStoredCodecs } from '../helpers/segments.ts';
import { randomName, TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import { type RecordRow, recordTable } from '../unit/encode/records/tables.ts';

/** Record batches of ours on a real broker: written in transactions, read by the clients of others. */

const NOW_MS = 1_790_000_000_000;
/** By default a broker takes no time that is more than an hour ahead. */
const ANY_TIME = { 'message.timestamp.after.max.ms': '9223372036854775807' };
const bootstrapServers = inject('bootstrapServers');
const brokerDataFolder = inject('brokerDataFolder');

let topics: TestTopics;
let cluster: Cluster;
const producers: TransactionalProducer[] = [];

beforeAll(() => {
  topics = new TestTopics(bootstrapServers);
  cluster = new Cluster(connectionSettings(bootstrapServers));
});

afterEach(async () => {
  for (const producer of producers.splice(0)) await producer.close();
});

afterAll(async () => {
  cluster.close();
  await topics.cleanUp();
});

describe('a transaction', () => {
  test.each(RECORD_COMPRESSIONS)('%s: every byte is read back by the Java client and by librdkafka', async (codec) => {
    const topic = await topics.create(`produce-${codec}`, { partitions: 3, properties: ANY_TIME });
    const rows = mixedRows(6_000);
    const producer = await open();
    // Small batches: several of a partition in each transaction.
    for (const half of [rows.slice(0, 3_500), rows.slice(3_500)]) {
      await producer.begin();
      await producer.send(await encode(half, { topic, partitions: 3, codec, maxBatchBytes: 30_000 }));
      await producer.commit();
    }
    const byJava = (await readTopicWithJava(bootstrapServers, topic)).sort(byPlace);
    const byLibrdkafka = (await readTopic(bootstrapServers, topic)).sort(byPlace);
    const position = ({ partition, offset }: TopicMessage): string => `${partition} ${offset}`;
    expect(byLibrdkafka.map(position)).toEqual(byJava.map(position));
    expect(byLibrdkafka.map((message) => asText({ ...message, headers: [] }))).toEqual(
      byJava.map((message) => asText({ ...message, headers: [] })),
    );
    for (const partition of [0, 1, 2]) {
      const expected = rows.filter((row) => row.partition === partition);
      expect(byJava.filter((message) => message.partition === partition).map(asText)).toEqual(
        expected.map((row) =>
          asText({ ...row, timestamp: Number(row.timestamp ?? NOW_MS), headers: row.headers ?? [] }),
        ),
      );
    }
    if (brokerDataFolder !== '') {
      const stored = await countStoredCodecs(brokerDataFolder, topic);
      expect(stored.get(codec), JSON.stringify([...stored])).toBeGreaterThan(20);
    }
  });

  test('is not seen before its commit, and never after an abort', async () => {
    const topic = await topics.create('produce-abort', { partitions: 2 });
    const producer = await open();
    await producer.begin();
    await producer.send(await encode(values('aborted', 500), { topic, partitions: 2 }));
    expect(await read(topic)).toEqual([]);
    await producer.abort();
    await producer.begin();
    await producer.send(await encode(values('kept', 300), { topic, partitions: 2 }));
    await producer.send(await encode(values('more', 300), { topic, partitions: 2 }));
    await producer.commit();
    await producer.begin();
    await producer.commit();
    await producer.begin();
    await producer.abort();
    expect(await read(topic)).toEqual([...named('kept', 300), ...named('more', 300)].sort(byText));
  });

  test('left open by a process that died is aborted by the next one of its id, and a living one is fenced', async () => {
    const topic = await topics.create('produce-fence');
    const transactionalId = randomName('produce');
    const first = await open({ transactionalId });
    await first.begin();
    await first.send(await encode(values('first', 100), { topic }));
    const second = await open({ transactionalId });
    await second.begin();
    await second.send(await encode(values('second', 100), { topic }));
    await second.commit();
    const fenced = expect.objectContaining({ code: 'FENCED', message: expect.stringContaining(transactionalId) });
    await expect(first.commit()).rejects.toThrow(fenced);
    await expect(first.begin()).rejects.toThrow(fenced);
    expect(await read(topic)).toEqual(named('second', 100));
    const third = await open({ transactionalId });
    await second.begin();
    await expect(second.send(await encode(values('late', 100), { topic }))).rejects.toThrow(fenced);
    await third.close();
    expect(await read(topic)).toEqual(named('second', 100));
  });

  test('calls made at once are carried out in their order', async () => {
    const topic = await topics.create('produce-order');
    const producer = await open();
    const parts = await Promise.all(
      ['a', 'b', 'c'].map((name) => encode(values(name, 200), { topic, maxBatchBytes: 900 })),
    );
    const calls = [producer.begin(), ...parts.map((part) => producer.send(part)), producer.commit()];
    await Promise.all(calls);
    const found = (await readTopic(bootstrapServers, topic)).sort(byPlace).map(({ value }) => String(value));
    expect(found).toEqual(['a', 'b', 'c'].flatMap((name) => named(name, 200)));
  });
});

describe('refused', () => {
  test('a record larger than the topic takes: size and setting are named, and the transaction is gone', async () => {
    const topic = await topics.create('produce-large', { properties: { 'max.message.bytes': '1000' } });
    const producer = await open();
    await producer.begin();
    await producer.send(await encode(values('small', 3), { topic, codec: 'none', maxBatchBytes: 1_000 }));
    const batches = await encode([{ value: Buffer.alloc(2_000) }], { topic, codec: 'none' });
    const failure = expect.objectContaining({
      code: 'BATCH_TOO_LARGE',
      message: expect.stringMatching(
        /^cannot write a record to \S+\/0 at broker \S+ as transactional id \S+: MESSAGE_TOO_LARGE \(the record has 2\d{3} bytes as sent; raise max\.message\.bytes of topic /,
      ),
    });
    await expect(producer.send(batches)).rejects.toThrow(failure);
    await expect(producer.commit()).rejects.toThrow(failure);
    await producer.abort();
    await producer.begin();
    await producer.send(await encode(values('after', 3), { topic, codec: 'none', maxBatchBytes: 1_000 }));
    await producer.commit();
    expect(await read(topic)).toEqual(named('after', 3));
  });

  test('a record without a key in a compacted topic, with the words of the broker', async () => {
    const topic = await topics.create('produce-compact', { properties: { 'cleanup.policy': 'compact' } });
    const producer = await open();
    await producer.begin();
    await expect(producer.send(await encode([{ value: Buffer.from('v') }], { topic }))).rejects.toThrow(
      expect.objectContaining({
        code: 'BROKER_REFUSED',
        message: expect.stringMatching(/INVALID_RECORD \(.*[Cc]ompacted topic/),
      }),
    );
  });

  test('a time far ahead, with the setting of the topic', async () => {
    const topic = await topics.create('produce-future');
    const producer = await open();
    await producer.begin();
    const batches = await encode([{ key: Buffer.from('k'), timestamp: 4_000_000_000_000n }], { topic });
    await expect(producer.send(batches)).rejects.toThrow(
      expect.objectContaining({
        code: 'BROKER_REFUSED',
        message: expect.stringContaining(`message.timestamp.after.max.ms of topic ${topic}`),
      }),
    );
  });

  test('a time-out above the limit of the broker, with its setting', async () => {
    await expect(open({ transactionTimeoutMs: 1_000_000_000 })).rejects.toThrow(
      expect.objectContaining({
        code: 'BROKER_REFUSED',
        message: expect.stringContaining('transaction.max.timeout.ms'),
      }),
    );
  });
});

test('keys go to the partitions that the Java producer sends them to', async () => {
  const folder = await temporaryFolder();
  try {
    const partitions = 7;
    const topic = await topics.create('produce-murmur', { partitions });
    const rows = Array.from({ length: 2_000 }, (_, i) => ({ key: keyOf(i), value: Buffer.from(String(i)) }));
    const paths = { scriptPath: join(folder.path, 'script.jsonl'), recordPath: join(folder.path, 'record.csv') };
    const script = new ScriptWriter(paths.scriptPath);
    script.open('plain', false, 16_384);
    for (const { key, value } of rows) {
      const [keyText, valueText] = [key.toString('hex'), value.toString('hex')];
      script.send('plain', { partition: -1, timestamp: NOW_MS, key: keyText, value: valueText, headers: [] });
    }
    await script.close();
    await produce('java', { bootstrapServers, topic, codec: 'none', ...paths });
    const lines = (await readFile(paths.recordPath, 'utf8')).trim().split('\n').slice(1);
    const placedByJava = new Map(lines.map((line) => line.split(',').map(Number) as [number, number]));
    const placedByUs = new Map<number, number>();
    for (const row of rows.keys()) {
      const [batch] = await encode(rows.slice(row, row + 1), { topic, partitions });
      placedByUs.set(row, batch?.partition ?? -1);
    }
    expect(placedByUs).toEqual(placedByJava);
  } finally {
    await folder.remove();
  }
});

describe('three brokers', () => {
  let brokers: KafkaCluster;
  let replicated: TestTopics;
  let own: Cluster;

  beforeAll(async () => {
    // How often a coordinator looks for transactions that are open for too long.
    const sweep = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '300' };
    brokers = await startKafka({ brokers: 3, properties: sweep });
    replicated = new TestTopics(brokers.bootstrapServers);
    own = new Cluster(connectionSettings(brokers.bootstrapServers));
  });

  afterAll(async () => {
    own.close();
    await replicated.cleanUp().catch(() => {});
    await brokers.stop();
  });

  test('that end a transaction open for too long fence its producer', async () => {
    const topic = await replicated.create('produce-slow', { replicas: 3 });
    const options = { transactionalId: randomName('produce'), transactionTimeoutMs: 1_000 };
    const producer = await TransactionalProducer.open(own, options);
    await producer.begin();
    await producer.send(await encode(values('slow', 10), { topic }));
    await waitFor('the end of the transaction', async () => {
      const stable = await own.listOffsets(topic, [0], LATEST_TIMESTAMP, 'read_committed');
      return stable.get(0) === 11;
    });
    await expect(producer.send(await encode(values('late', 10), { topic }))).rejects.toThrow(
      expect.objectContaining({
        code: 'FENCED',
        message: expect.stringContaining('open for longer than its time-out'),
      }),
    );
    await producer.close();
    expect(await readTopic(brokers.bootstrapServers, topic)).toEqual([]);
  });

  test('of which one crashes and comes back while batches are written have each record once', async () => {
    const partitions = 6;
    const topic = await replicated.create('produce-crash', {
      partitions,
      replicas: 3,
      properties: { 'min.insync.replicas': '2' },
    });
    const options = { transactionalId: randomName('produce'), transactionTimeoutMs: 60_000 };
    const producer = await TransactionalProducer.open(own, options);
    const expected: string[] = [];
    let disturbed: Promise<void> = Promise.resolve();
    for (let chunk = 0; chunk < 8; chunk++) {
      const rows = values(`chunk-${chunk}`, 2_000);
      expected.push(...named(`chunk-${chunk}`, 2_000));
      await producer.begin();
      const sent = producer.send(await encode(rows, { topic, partitions, maxBatchBytes: 2_000 }));
      if (chunk % 4 === 1) {
        await disturbed;
        const id = 1 + (chunk >> 2);
        disturbed = brokers.kill(id).then(() => brokers.restart(id));
      }
      await sent;
      await producer.commit();
    }
    await disturbed;
    await producer.close();
    const found = (await readTopic(brokers.bootstrapServers, topic)).map(({ value }) => String(value));
    expect(found.sort(byText)).toEqual(expected.sort(byText));
  });
});

async function open(options: { transactionalId?: string; transactionTimeoutMs?: number } = {}) {
  const transactionalId = options.transactionalId ?? randomName('produce');
  const transactionTimeoutMs = options.transactionTimeoutMs ?? 60_000;
  const producer = await TransactionalProducer.open(cluster, { transactionalId, transactionTimeoutMs });
  producers.push(producer);
  return producer;
}

function encode(
  rows: readonly RecordRow[],
  options: { topic: string; partitions?: number; codec?: RecordCompression; maxBatchBytes?: number },
): Promise<EncodedRecordBatch[]> {
  const encoder = new RecordEncoder({
    defaultTopic: options.topic,
    partitionCounts: new Map([[options.topic, options.partitions ?? 1]]),
    compression: options.codec ?? 'lz4',
    maxBatchBytes: options.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES,
    headers: [],
  });
  return encoder.encode(recordTable(rows), { defaultTimestampMs: NOW_MS, rowName: (row) => `row ${row}` });
}

/** Every kind of null, empty and binary content, in three partitions. */
function mixedRows(count: number): Required<RecordRow>[] {
  const binary = Buffer.from([0, 0xff, 0xfe, 0x80, 0x00, 0xc3, 0x28]);
  const bytes = (i: number, step: number): Buffer | null => {
    const kind = Math.floor(i / step) % 5;
    if (kind === 0) return null;
    if (kind === 1) return Buffer.alloc(0);
    return kind === 2 ? binary : Buffer.from(`${'content '.repeat(kind * step)} Größe ${i}`);
  };
  return Array.from({ length: count }, (_, i) => ({
    key: bytes(i, 1),
    value: bytes(i, 3),
    topic: null,
    partition: (i * 7 + (i >> 5)) % 3,
    timestamp: [null, 0n, 1_700_000_000_000n + BigInt(i), 2n ** 41n + BigInt(i), 4_000_000_000_000n][i % 5] ?? null,
    headers:
      ([
        null,
        [],
        [
          ['a', null],
          ['a', Buffer.alloc(0)],
          ['a', binary],
          ['', bytes(i, 2)],
        ],
        [['schlüssel', Buffer.from('x'.repeat(i % 400))]],
      ][i % 4] as RecordRow['headers']) ?? null,
  }));
}

/** A message in one line: arrays of text compare much faster than arrays of buffers. */
function asText({
  key,
  value,
  timestamp,
  headers,
}: Pick<JavaMessage, 'key' | 'value' | 'timestamp' | 'headers'>): string {
  const hex = (bytes: Buffer | null): string => bytes?.toString('hex') ?? 'null';
  const pairs = headers.map(([name, content]) => `${name}=${hex(content)}`);
  return `${timestamp} ${hex(key)} ${hex(value)} ${pairs.join()}`;
}

function keyOf(i: number): Buffer {
  if (i === 0) return Buffer.alloc(0);
  return i % 3 === 0
    ? Buffer.from(Array.from({ length: i % 41 }, (_, at) => (i * 31 + at * 97) & 0xff))
    : Buffer.from(`ключ-${i}`);
}

function named(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${name} ${String(i).padStart(6, '0')}`);
}

function values(name: string, count: number): RecordRow[] {
  return named(name, count).map((value, i) => ({ key: Buffer.from(`k${i % 100}`), value: Buffer.from(value) }));
}

async function read(topic: string): Promise<string[]> {
  return (await readTopic(bootstrapServers, topic)).map(({ value }) => String(value)).sort(byText);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byPlace(a: { partition: number; offset: number }, b: { partition: number; offset: number }): number {
  return a.partition - b.partition || a.offset - b.offset;
}
