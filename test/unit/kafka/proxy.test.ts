import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ConnectionSettings } from '../../../src/config/kafkaSettings.ts';
import type { OffloadError } from '../../../src/errors.ts';
import { BrokerConnection } from '../../../src/kafka/connection.ts';
import { findCoordinatorApi } from '../../../src/kafka/coordinatorProtocol.ts';
import { KafkaProxy } from '../../helpers/proxy.ts';
import { API } from '../../helpers/proxyFrames.ts';
import { ScriptedBroker } from './scriptedBroker.ts';

/** The proxy of the fault tests, and what a connection makes of each of its faults. */
let broker: ScriptedBroker;
let proxy: KafkaProxy;

beforeEach(async () => {
  broker = await ScriptedBroker.start();
  proxy = await KafkaProxy.start({ brokerPort: broker.port });
});

afterEach(async () => {
  await proxy.stop();
  broker.stop();
});

function open(requestTimeoutMs = 5_000): Promise<BrokerConnection> {
  const settings: ConnectionSettings = {
    bootstrap: [],
    clientId: 'test',
    tls: null,
    sasl: null,
    connectTimeoutMs: 5_000,
    requestTimeoutMs,
    deadlineMs: 5_000,
    retryBackoffMs: 5,
    retryBackoffMaxMs: 20,
  };
  return BrokerConnection.open('127.0.0.1', proxy.port, settings);
}

const ask = (connection: BrokerConnection) =>
  connection.request(findCoordinatorApi, { kind: 'transactional id', id: 'load-1' });

async function failureOf(connection: BrokerConnection): Promise<OffloadError> {
  return ask(connection).then(
    () => expect.unreachable('it was answered'),
    (error: OffloadError) => error,
  );
}

const asked = (): number => broker.of(API.findCoordinator).length;

test('passes everything on, late and slowly too', async () => {
  const connection = await open();
  expect(await ask(connection)).toMatchObject({ errorCode: 0, port: broker.port });
  proxy.delay('both', 20);
  proxy.throttle('answers', 500);
  expect(await ask(connection)).toMatchObject({ errorCode: 0, port: broker.port });
  expect(proxy.cuts).toBe(0);
});

test.each([
  ['cut in place of its answer', 'cut'],
  ['cut in the middle of its answer', { truncateTo: 9 }],
] as const)('a request that was carried out: the connection is %s', async (_, fate) => {
  const connection = await open();
  proxy.setRules({ onAnswer: ({ api, count }) => (api === API.findCoordinator && count === 2 ? fate : 'pass') });
  await ask(connection);
  expect(await failureOf(connection)).toMatchObject({ code: 'BROKER_UNREACHABLE' });
  expect([asked(), proxy.cuts]).toEqual([2, 1]);
  expect(await ask(await open())).toMatchObject({ errorCode: 0 });
});

test('a request is cut before the broker has it', async () => {
  const connection = await open();
  proxy.setRules({ onRequest: ({ api }) => (api === API.findCoordinator ? 'cut' : 'pass') });
  expect(await failureOf(connection)).toMatchObject({ code: 'BROKER_UNREACHABLE' });
  expect([asked(), proxy.cuts]).toEqual([0, 1]);
});

test('answers that are withheld and half-open connections end by the time-out', async () => {
  const connection = await open(100);
  proxy.setRules({ onAnswer: () => 'withhold' });
  expect(await failureOf(connection)).toMatchObject({ code: 'BROKER_TIMEOUT' });
  proxy.setRules({});
  proxy.halfOpen(true);
  await expect(open(100)).rejects.toMatchObject({ code: 'BROKER_TIMEOUT' });
  proxy.calm();
  expect(await ask(await open())).toMatchObject({ errorCode: 0 });
});

test('cuts connections at random, and all at once', async () => {
  proxy.cutAtRandom(1, 5);
  expect(await failureOf(await cutWhileAsking())).toMatchObject({ code: 'BROKER_UNREACHABLE' });
  proxy.stopCutting();
  const connection = await open();
  proxy.cutAll();
  expect(await failureOf(connection)).toMatchObject({ code: 'BROKER_UNREACHABLE' });
});

/** A connection that has met its end. */
async function cutWhileAsking(): Promise<BrokerConnection> {
  for (;;) {
    const connection = await open().catch(() => null);
    while (connection?.isUsable) await ask(connection).catch(() => {});
    if (connection) return connection;
  }
}
