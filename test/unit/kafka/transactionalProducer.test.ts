import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkCrc, readBatchHeader } from '../../../src/decode/batchHeader.ts';
import { assembleBatch, type EncodedRecordBatch } from '../../../src/encode/records/recordBatch.ts';
import { OffloadError } from '../../../src/errors.ts';
import { Cluster } from '../../../src/kafka/cluster.ts';
import { TransactionalProducer } from '../../../src/kafka/transactionalProducer.ts';
import { API, ScriptedBroker } from './scriptedBroker.ts';

let broker: ScriptedBroker;
let cluster: Cluster;

beforeEach(async () => {
  broker = await ScriptedBroker.start();
  cluster = new Cluster({
    bootstrap: [{ host: '127.0.0.1', port: broker.port }],
    clientId: 'test',
    tls: null,
    sasl: null,
    connectTimeoutMs: 2_000,
    requestTimeoutMs: 2_000,
    deadlineMs: 400,
    retryBackoffMs: 5,
    retryBackoffMaxMs: 20,
  });
});

afterEach(() => {
  cluster.close();
  broker.stop();
});

function open(signal?: AbortSignal): Promise<TransactionalProducer> {
  const options = { transactionalId: 'load-1', transactionTimeoutMs: 60_000 };
  return TransactionalProducer.open(cluster, signal ? { ...options, signal } : options);
}

/** The producer does not look into records: any bytes do. */
function batch(partition: number, rows = 10, bytes = 100): EncodedRecordBatch {
  const content = { codec: 0, rows, baseTimestampMs: 0, maxTimestampMs: 0 };
  return { topic: 'orders', partition, rows, bytes: assembleBatch(Buffer.alloc(bytes), content), maxTimestampMs: 0 };
}

const sequences = (): number[][] =>
  broker.of(API.produce).map(({ batches }) => (batches ?? []).map(({ baseSequence }) => baseSequence));

const ends = (): (boolean | undefined)[] => broker.of(API.end).map(({ committed }) => committed);

async function failureOf(promise: Promise<unknown>): Promise<OffloadError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(OffloadError);
  return error as OffloadError;
}

test('numbers the records of each partition across batches and transactions, and stamps what the broker checks', async () => {
  const producer = await open();
  for (const rows of [10, 5]) {
    await producer.begin();
    await producer.send([batch(3, rows), batch(3, 7), batch(4, 2)]);
    await producer.commit();
  }
  const sent = broker.of(API.produce).flatMap(({ batches }) => batches ?? []);
  const ofPartition = (number: number) =>
    sent.filter(({ partition }) => partition === number).map(({ baseSequence }) => baseSequence);
  expect(ofPartition(3)).toEqual([0, 10, 17, 22]);
  expect(ofPartition(4)).toEqual([0, 2]);
  for (const { bytes, producerId, producerEpoch } of sent) {
    expect({ producerId, producerEpoch }).toEqual({ producerId: 2 ** 40 + 5, producerEpoch: 1 });
    const header = readBatchHeader(bytes, 0, 'orders', 0);
    expect(header?.transactional).toBe(true);
    if (header) checkCrc(bytes, 0, header, 'orders', 0);
  }
  expect(broker.of(API.add).map(({ partitions }) => partitions)).toEqual([
    [3, 4],
    [3, 4],
  ]);
  expect(ends()).toEqual([true, true]);
});

test('goes on at 0 after the highest sequence number', async () => {
  const producer = await open();
  await producer.begin();
  await producer.send([batch(0, 2 ** 31 - 5), batch(0, 10), batch(0, 1)]);
  expect(sequences()).toEqual([[0], [2 ** 31 - 5], [5]]);
});

test('asks nothing of the coordinator for a transaction without batches', async () => {
  const producer = await open();
  await producer.begin();
  await producer.send([]);
  await producer.commit();
  await producer.begin();
  await producer.abort();
  expect(ends()).toEqual([]);
});

test('puts one batch of a partition in a request and bounds its bytes', async () => {
  const producer = await open();
  await producer.begin();
  const batches = Array.from({ length: 48 }, (_, i) => batch(i % 16, 1, 900_000));
  await producer.send(batches);
  const requests = broker.of(API.produce).map(({ batches: sent }) => sent ?? []);
  for (const sent of requests) {
    expect(new Set(sent.map(({ partition }) => partition)).size).toBe(sent.length);
    expect(sent.length).toBeLessThanOrEqual(4);
  }
  expect(requests.flat().length).toBe(48);
});

describe('writing', () => {
  test.each([3, 5, 6, 7, 9, 14, 19, 20, 51, 56, 'lost' as const])(
    'sends the same bytes again after error %s',
    async (fault) => {
      const producer = await open();
      await producer.begin();
      broker.script(API.produce, fault, fault);
      await producer.send([batch(0)]);
      await producer.send([batch(0)]);
      await producer.commit();
      const sent = broker.of(API.produce).flatMap(({ batches }) => batches ?? []);
      expect(sent.map(({ baseSequence }) => baseSequence)).toEqual([0, 0, 0, 10]);
      expect(sent[1]?.bytes).toEqual(sent[0]?.bytes);
      expect(sent[2]?.bytes).toEqual(sent[0]?.bytes);
      expect(ends()).toEqual([true]);
    },
  );

  test('again leaves out what was acknowledged', async () => {
    const producer = await open();
    await producer.begin();
    broker.refusePartition(API.produce, 1, 6);
    const sending = producer.send([batch(1), batch(2)]);
    const error = await failureOf(sending);
    expect(error.code).toBe('LEADER_MOVED');
    expect(error.message).toMatch(
      /^cannot write 10 records to orders\/1 at broker .* NOT_LEADER_OR_FOLLOWER \(tried \d+ times/,
    );
    const placed = broker.of(API.produce).flatMap(({ batches }) => (batches ?? []).map(({ partition }) => partition));
    expect(placed.filter((partition) => partition === 2)).toEqual([2]);
    expect(ends()).toEqual([false]);
  });

  test('takes a duplicate for written', async () => {
    const producer = await open();
    await producer.begin();
    broker.script(API.produce, 'lost', 46);
    await producer.send([batch(0)]);
    expect(sequences()).toEqual([[0], [0]]);
    await producer.commit();
  });

  test.each([
    [47, 'FENCED', 'INVALID_PRODUCER_EPOCH; a newer run has taken over, or the transaction was open for longer than'],
    [90, 'FENCED', 'PRODUCER_FENCED; a newer run'],
  ])('ends for good after error %i', async (fault, code, message) => {
    const producer = await open();
    await producer.begin();
    broker.script(API.produce, fault);
    const error = await failureOf(producer.send([batch(0)]));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    // The transaction belongs to another now: it is not ours to abort.
    expect(ends()).toEqual([]);
    for (const call of [producer.abort(), producer.begin(), producer.send([]), producer.commit()]) {
      expect(await failureOf(call)).toBe(error);
    }
  });

  test.each([
    [29, 'NOT_AUTHORIZED', 'the user needs the permission Write on topic orders (kafka-acls)'],
    [53, 'NOT_AUTHORIZED', 'the user needs the permission Write on transactional id load-1 (kafka-acls)'],
    [10, 'BATCH_TOO_LARGE', 'the batch has 161 bytes as sent; raise max.message.bytes of topic orders'],
    [18, 'BATCH_TOO_LARGE', 'raise segment.bytes of topic orders'],
    [45, 'BROKER_REFUSED', 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
    [48, 'BROKER_REFUSED', 'INVALID_TXN_STATE'],
    [59, 'BROKER_REFUSED', 'UNKNOWN_PRODUCER_ID'],
    [76, 'FORMAT_UNSUPPORTED', 'UNSUPPORTED_COMPRESSION_TYPE'],
    [87, 'BROKER_REFUSED', 'INVALID_RECORD'],
    [120, 'BROKER_REFUSED', 'TRANSACTION_ABORTABLE'],
    [999, 'BROKER_REFUSED', 'error 999 of the Kafka protocol'],
  ])('aborts after error %i, and the next transaction has a new epoch', async (fault, code, message) => {
    const producer = await open();
    await producer.begin();
    broker.script(API.produce, null, fault);
    const error = await failureOf(producer.send([batch(0), batch(0), batch(0)]));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(ends()).toEqual([false]);
    expect(await failureOf(producer.send([batch(0)]))).toBe(error);
    expect(await failureOf(producer.commit())).toBe(error);
    await producer.abort();
    await producer.begin();
    await producer.send([batch(0)]);
    await producer.commit();
    expect(broker.of(API.initProducerId).map(({ currentEpoch }) => currentEpoch)).toEqual([-1, 1]);
    expect(broker.of(API.produce).at(-1)?.batches?.[0]).toMatchObject({ producerEpoch: 2, baseSequence: 0 });
    expect(ends()).toEqual([false, true]);
  });

  test('is given up when the signal says so, and the transaction is aborted', async () => {
    const stop = new AbortController();
    const producer = await open(stop.signal);
    await producer.begin();
    broker.refusePartition(API.produce, 0, 6);
    const sending = producer.send([batch(0)]);
    setTimeout(() => stop.abort(new OffloadError('INTERRUPTED', 'stopped')), 20);
    expect((await failureOf(sending)).code).toBe('INTERRUPTED');
    expect(ends()).toEqual([false]);
  });
});

describe('the coordinator', () => {
  test.each([
    [API.findCoordinator, 15],
    [API.initProducerId, 14],
    [API.initProducerId, 16],
    [API.initProducerId, 51],
    [API.initProducerId, 'lost' as const],
    [API.add, 14],
    [API.add, 16],
    [API.add, 51],
    [API.add, 3],
    [API.add, 'lost' as const],
    [API.end, 14],
    [API.end, 15],
    [API.end, 16],
    [API.end, 51],
    [API.end, 'lost' as const],
  ])('is asked again: request %i after error %s', async (api, fault) => {
    broker.script(api, fault, fault);
    const producer = await open();
    await producer.begin();
    await producer.send([batch(0)]);
    await producer.commit();
    expect(sequences()).toEqual([[0]]);
    expect(broker.of(api).length).toBeGreaterThanOrEqual(3);
    expect(ends().every((committed) => committed)).toBe(true);
  });

  test.each([
    [50, 'BROKER_REFUSED', "the transaction time-out of 60000 ms is above the broker's transaction.max.timeout.ms"],
    [53, 'NOT_AUTHORIZED', 'the user needs the permission Write on transactional id load-1 (kafka-acls)'],
    [90, 'FENCED', 'cannot begin as transactional id load-1'],
  ])('refuses to begin with error %i', async (fault, code, message) => {
    broker.script(API.initProducerId, fault);
    const error = await failureOf(open());
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  test('refuses partitions: the one that is the reason is named', async () => {
    const producer = await open();
    await producer.begin();
    for (const partition of [0, 2]) broker.refusePartition(API.add, partition, 55);
    broker.refusePartition(API.add, 1, 29);
    const error = await failureOf(producer.send([batch(0), batch(1), batch(2)]));
    expect(error.message).toMatch(
      /^cannot add orders\/1 to the transaction as transactional id load-1 at broker \S+: TOPIC_AUTHORIZATION_FAILED; the user needs the permission Write on topic orders/,
    );
    expect(sequences()).toEqual([]);
  });

  test('that never answers leaves the outcome of a commit unknown', async () => {
    const producer = await open();
    await producer.begin();
    await producer.send([batch(0)]);
    broker.script(API.end, ...Array<'lost'>(1_000).fill('lost'));
    const error = await failureOf(producer.commit());
    expect(error.code).toBe('OUTCOME_UNKNOWN');
    expect(error.message).toContain('it is not known whether the transaction of load-1 was committed');
    expect(await failureOf(producer.begin())).toBe(error);
    expect(await failureOf(producer.abort())).toBe(error);
    expect(ends()).not.toContain(false);
  });

  test('that fences after an answer was lost leaves it unknown too; at once, nothing was committed', async () => {
    for (const [faults, code] of [
      [['lost', 90], 'OUTCOME_UNKNOWN'],
      [[90], 'FENCED'],
    ] as const) {
      const producer = await open();
      await producer.begin();
      await producer.send([batch(0)]);
      broker.script(API.end, ...faults);
      expect((await failureOf(producer.commit())).code).toBe(code);
    }
  });

  test('that refuses a commit is told to abort', async () => {
    const producer = await open();
    await producer.begin();
    await producer.send([batch(0)]);
    broker.script(API.end, 48);
    expect((await failureOf(producer.commit())).code).toBe('BROKER_REFUSED');
    expect(ends()).toEqual([true, false]);
  });
});

test('close aborts what is open, and can be called twice', async () => {
  const producer = await open();
  await producer.begin();
  await producer.send([batch(0)]);
  await producer.close();
  await producer.close();
  expect(ends()).toEqual([false]);
  expect((await failureOf(producer.begin())).message).toBe('begin of producer load-1 while it is ended');
});
