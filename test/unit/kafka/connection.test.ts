import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConnectionSettings } from '../../../src/config/kafkaSettings.ts';
import { OffloadError } from '../../../src/errors.ts';
import { BrokerConnection } from '../../../src/kafka/connection.ts';
import { type Api, metadataApi } from '../../../src/kafka/protocol.ts';
import { WireWriter } from '../../../src/kafka/wire.ts';

/** A server that answers as the test says: faults of a broker that no real broker shows on demand. */
const servers: Server[] = [];

async function serve(
  answer: (correlationId: number, apiKey: number, socket: Socket, request: Buffer) => void,
): Promise<number> {
  const server = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const length = received.readInt32BE(0);
        const frame = received.subarray(4, 4 + length);
        received = received.subarray(4 + length);
        answer(frame.readInt32BE(4), frame.readInt16BE(0), socket, frame);
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function frame(correlationId: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + body.length, 0);
  head.writeInt32BE(correlationId, 4);
  return Buffer.concat([head, body]);
}

/** ApiVersions v0: no error, Metadata 7 to 8. */
const VERSIONS = Buffer.from('0000' + '00000001' + '0003' + '0007' + '0008', 'hex');

function settings(overrides: Partial<ConnectionSettings> = {}): ConnectionSettings {
  return {
    bootstrap: [],
    clientId: 'test',
    tls: null,
    sasl: null,
    connectTimeoutMs: 2000,
    requestTimeoutMs: 300,
    deadlineMs: 1000,
    retryBackoffMs: 10,
    retryBackoffMaxMs: 50,
    ...overrides,
  };
}

async function failureOf(promise: Promise<unknown>): Promise<OffloadError> {
  return promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error) => {
      expect(error).toBeInstanceOf(OffloadError);
      return error as OffloadError;
    },
  );
}

describe('BrokerConnection', () => {
  it('reads an answer that arrives byte by byte', async () => {
    const port = await serve((id, key, socket) => {
      const bytes = frame(
        id,
        key === 18
          ? VERSIONS
          : Buffer.from('00000000' + '00000000' + 'ffff' + '00000001' + '00000000' + '00000000', 'hex'),
      );
      let position = 0;
      const next = (): void => {
        if (position < bytes.length) socket.write(bytes.subarray(position, ++position), () => setImmediate(next));
      };
      next();
    });
    const connection = await BrokerConnection.open('127.0.0.1', port, settings({ requestTimeoutMs: 5000 }));
    expect(await connection.request(metadataApi, { topics: [] })).toEqual({ brokers: [], clusterId: null, topics: [] });
    connection.close();
  });

  it('sends large parts of a request and small ones in their order', async () => {
    const parts = [
      Buffer.alloc(3_000_000, 'ab'),
      Buffer.from('small'),
      Buffer.alloc(4096, 'c'),
      Buffer.alloc(70_000, 'd'),
    ];
    let sent = Buffer.alloc(0);
    const api: Api<readonly Buffer[], true> = {
      ...metadataApi,
      encode: (request) => request.reduce((writer, part) => writer.bytes(part).int8(7), new WireWriter()),
      parse: () => true,
    };
    const port = await serve((id, key, socket, bytes) => {
      if (key !== 18) sent = Buffer.from(bytes);
      socket.write(frame(id, key === 18 ? VERSIONS : Buffer.alloc(0)));
    });
    const connection = await BrokerConnection.open('127.0.0.1', port, settings({ requestTimeoutMs: 5000 }));
    expect(await connection.request(api, parts)).toBe(true);
    connection.close();
    const body = parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(part.length);
      return [length, part, Buffer.from([7])];
    });
    const head = 2 + 2 + 4 + 2 + 'test'.length;
    expect(sent.subarray(head).equals(Buffer.concat(body))).toBe(true);
  });

  it('fails with the address when nobody listens', async () => {
    const error = await failureOf(BrokerConnection.open('127.0.0.1', 1, settings()));
    expect(error.code).toBe('BROKER_UNREACHABLE');
    expect(error.message).toBe('cannot reach broker 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1');
  });

  it('gives up a request that is not answered in time, and is not usable afterwards', async () => {
    const port = await serve((id, key, socket) => key === 18 && socket.write(frame(id, VERSIONS)));
    const connection = await BrokerConnection.open('127.0.0.1', port, settings());
    const error = await failureOf(connection.request(metadataApi, { topics: [] }));
    expect(error.code).toBe('BROKER_TIMEOUT');
    expect(error.message).toBe(`broker 127.0.0.1:${port} did not answer Metadata within 300 ms`);
    expect(connection.isUsable).toBe(false);
  });

  it('refuses an answer to another request', async () => {
    const port = await serve((id, key, socket) => socket.write(frame(key === 18 ? id : id + 7, VERSIONS)));
    const connection = await BrokerConnection.open('127.0.0.1', port, settings());
    const error = await failureOf(connection.request(metadataApi, { topics: [] }));
    expect(error.code).toBe('BROKER_UNREACHABLE');
    expect(error.message).toContain('it answers request 9, and 2 was sent');
  });

  it.each([
    ['negative', -5],
    ['larger than any answer', 2 ** 31 - 1],
  ])('refuses a length that is %s without waiting for it', async (_name, length) => {
    const port = await serve((id, key, socket) => {
      const lie = Buffer.alloc(4);
      lie.writeInt32BE(length);
      socket.write(key === 18 ? frame(id, VERSIONS) : lie);
    });
    const connection = await BrokerConnection.open('127.0.0.1', port, settings({ requestTimeoutMs: 5000 }));
    const error = await failureOf(connection.request(metadataApi, { topics: [] }));
    expect(error.message).toContain(`an answer claims ${length} bytes`);
  });

  it('reports an answer that ends before its fields do', async () => {
    const port = await serve((id, key, socket) => socket.write(frame(id, key === 18 ? VERSIONS : Buffer.alloc(6))));
    const connection = await BrokerConnection.open('127.0.0.1', port, settings());
    const error = await failureOf(connection.request(metadataApi, { topics: [] }));
    expect(error.message).toContain('an answer cannot be read');
    expect(error.retriable).toBe(true);
  });

  it('refuses arrays that claim more items than there are bytes', async () => {
    const body = Buffer.from('00000000' + '7fffffff', 'hex');
    const port = await serve((id, key, socket) => socket.write(frame(id, key === 18 ? VERSIONS : body)));
    const connection = await BrokerConnection.open('127.0.0.1', port, settings());
    const error = await failureOf(connection.request(metadataApi, { topics: [] }));
    expect(error.message).toContain('an array claims 2147483647 items in 0 bytes');
  });

  it('names both version ranges when there is no common one', async () => {
    const old = Buffer.from('0000' + '00000001' + '0003' + '0000' + '0002', 'hex');
    const port = await serve((id, _key, socket) => socket.write(frame(id, old)));
    const connection = await BrokerConnection.open('127.0.0.1', port, settings());
    const error = await failureOf(connection.request(metadataApi, { topics: [] }));
    expect(error.code).toBe('FORMAT_UNSUPPORTED');
    expect(error.message).toBe(`broker 127.0.0.1:${port} speaks versions 0 to 2 of Metadata; kafkaload speaks 7 to 12`);
    connection.close();
  });

  it('fails every request under way when the broker hangs up', async () => {
    const port = await serve((id, key, socket) => (key === 18 ? socket.write(frame(id, VERSIONS)) : socket.destroy()));
    const connection = await BrokerConnection.open('127.0.0.1', port, settings({ requestTimeoutMs: 5000 }));
    const both = [1, 2].map(() => failureOf(connection.request(metadataApi, { topics: [] })));
    for (const error of await Promise.all(both)) expect(error.code).toBe('BROKER_UNREACHABLE');
  });

  it('uses the memory of an answer again once it was given back, and not before', async () => {
    const large = Buffer.alloc(200_000);
    const port = await serve((id, key, socket) => socket.write(frame(id, key === 18 ? VERSIONS : large)));
    const connection = await BrokerConnection.open('127.0.0.1', port, settings({ requestTimeoutMs: 5000 }));
    const rest: Api<null, Buffer> = {
      ...metadataApi,
      encode: () => new WireWriter(),
      parse: (reader) => reader.view(reader.remaining),
    };
    const first = await connection.request(rest, null);
    const second = await connection.request(rest, null);
    expect(second.buffer).not.toBe(first.buffer);
    connection.recycle(first);
    expect((await connection.request(rest, null)).buffer).toBe(first.buffer);
    connection.close();
  });
});
