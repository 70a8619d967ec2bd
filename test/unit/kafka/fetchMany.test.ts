import { createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { BrokerConnection } from '../../../src/kafka/connection.ts';
import { fetchManyFrom } from '../../../src/kafka/fetch.ts';
import { WireReader, WireWriter } from '../../../src/kafka/wire.ts';
import { scanBatches } from '../../../src/sources/scanBatches.ts';
import { writeBatch } from '../decode/batchWriter.ts';

const FETCH = 1;
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** Answers ApiVersions, and Fetch as it is told. */
async function connect(answer: (request: WireReader) => WireWriter): Promise<BrokerConnection> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const request = new WireReader(bytes);
      request.int32();
      const isFetch = request.int16() === FETCH;
      request.int16();
      const correlationId = request.int32();
      request.string();
      const versions = new WireWriter().int16(0).int32(1).int16(FETCH).int16(4).int16(16);
      const body = (isFetch ? answer(request) : versions).toBuffer();
      const frame = new WireWriter()
        .int32(body.length + 4)
        .int32(correlationId)
        .toBuffer();
      socket.write(Buffer.concat([frame, body]));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const connection = await BrokerConnection.open('127.0.0.1', port, {
    bootstrap: [],
    clientId: 'test',
    tls: null,
    sasl: null,
    connectTimeoutMs: 2_000,
    requestTimeoutMs: 2_000,
    deadlineMs: 400,
    retryBackoffMs: 5,
    retryBackoffMaxMs: 20,
  });
  closing.push(() => {
    connection.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return connection;
}

interface Part {
  readonly partition: number;
  readonly errorCode?: number;
  readonly records?: Buffer;
}

/** Version 10. */
function response(topics: readonly (readonly [topic: string, parts: readonly Part[]])[]): WireWriter {
  const writer = new WireWriter().int32(0).int16(0).int32(0);
  return writer.array(topics, ([topic, parts]) => {
    writer.string(topic).array(parts, ({ partition, errorCode = 0, records = Buffer.alloc(0) }) => {
      writer.int32(partition).int16(errorCode).int64(900).int64(800).int64(100);
      writer.array([{ producerId: 7, firstOffset: 120 }], (aborted) => {
        writer.int64(aborted.producerId).int64(aborted.firstOffset);
      });
      writer.bytes(records);
    });
  });
}

const asked = (topic: string, partition: number, fetchOffset: number) => {
  return { topic, partition, fetchOffset, leaderEpoch: 3, maxBytes: 1_000 };
};
const LIMITS = { maxBytes: 5_000, maxWaitMs: 50, isolationLevel: 1 } as const;

test('asks for partitions of several topics at once, and tells their records apart', async () => {
  const record = (text: string) => [{ key: null, value: Buffer.from(text) }];
  const [a, b] = [await writeBatch(record('a'), { baseOffset: 40 }), await writeBatch(record('b'), { baseOffset: 70 })];
  let seen: unknown = null;
  const connection = await connect((request) => {
    const [replica, wait, least, most] = [request.int32(), request.int32(), request.int32(), request.int32()];
    const isolation = request.int8();
    const session = [request.int32(), request.int32()];
    const topics = request.array(() => [
      request.string(),
      request.array(() => {
        const [partition, epoch] = [request.int32(), request.int32()];
        return [partition, epoch, request.int64(), request.int64(), request.int32()];
      }),
    ]);
    seen = {
      replica,
      wait,
      least,
      most,
      isolation,
      session,
      topics,
      forgotten: request.int32(),
      left: request.remaining,
    };
    return response([
      [
        'orders',
        [
          { partition: 2, records: Buffer.concat([a, b.subarray(0, 30)]) },
          { partition: 0, errorCode: 6 },
        ],
      ],
      ['items', [{ partition: 0, records: b }]],
    ]);
  });
  const { partitions, errorCode } = await fetchManyFrom(connection, {
    partitions: [asked('orders', 0, 10), asked('items', 0, 70), asked('orders', 2, 40)],
    ...LIMITS,
  });
  const orders = [
    [0, 3, 10, -1, 1_000],
    [2, 3, 40, -1, 1_000],
  ];
  const topics = [
    ['orders', orders],
    ['items', [[0, 3, 70, -1, 1_000]]],
  ];
  const request = { replica: -1, wait: 50, least: 1, most: 5_000, isolation: 1, session: [0, -1], topics };
  expect(seen).toEqual({ ...request, forgotten: 0, left: 0 });
  expect(errorCode).toBe(0);
  const found = partitions.map(({ topic, partition, records, ...rest }) => {
    return { place: `${topic}/${partition}`, ...rest, ...scanBatches(records) };
  });
  const log = {
    highWatermark: 900,
    lastStableOffset: 800,
    logStartOffset: 100,
    aborted: [{ producerId: 7, firstOffset: 120 }],
  };
  expect(found).toMatchObject([
    { place: 'orders/2', end: a.length, nextOffset: 41, ...log },
    { place: 'orders/0', errorCode: 6, end: 0 },
    { place: 'items/0', end: b.length, nextOffset: 71 },
  ]);
});

test.each([
  ['that was not asked for', 1],
  ['twice', 0],
])('refuses an answer that has a partition %s', async (_, partition) => {
  const connection = await connect(() => response([['orders', [{ partition: 0 }, { partition }]]]));
  const failure = fetchManyFrom(connection, { partitions: [asked('orders', 0, 0)], ...LIMITS });
  await expect(failure).rejects.toMatchObject({
    code: 'BROKER_UNREACHABLE',
    message: expect.stringContaining(`answered for orders/${partition}`),
  });
});
