import { afterAll, describe, expect, test } from 'vitest';
import { assembleBatch, type EncodedRecordBatch } from '../../src/encode/records/recordBatch.ts';
import { OffloadError } from '../../src/errors.ts';
import { Cluster } from '../../src/kafka/cluster.ts';
import { TransactionalProducer } from '../../src/kafka/transactionalProducer.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { API, ScriptedBroker } from '../unit/kafka/scriptedBroker.ts';

/**
 * A transaction against a broker that refuses, with every error code there is, each of the requests that it takes: once,
 * and always. A commit that is reported was answered; all else is one error of ours, and says if it is not known.
 */
const CODES = Array.from({ length: 132 }, (_, index) => index - 1).filter((code) => code !== 0);
const ALWAYS = 500;
const AT_ONCE = 12;
const REQUESTS = {
  FindCoordinator: API.findCoordinator,
  InitProducerId: API.initProducerId,
  AddPartitionsToTxn: API.add,
  Produce: API.produce,
  EndTxn: API.end,
};
/** The broker has the batch already: another try of the same one. */
const DUPLICATE_SEQUENCE_NUMBER = 46;

let faults = 0;
afterAll(() => countFaults({ kind: 'hostile broker', layout: 'topic' }, { faults }));

interface Ending {
  readonly code: number;
  /** Null: committed. */
  readonly error: OffloadError | null;
  /** The commit was answered without an error. */
  readonly isAnswered: boolean;
}

async function transact(api: number, code: number, times: number): Promise<Ending> {
  const broker = await ScriptedBroker.start();
  const cluster = new Cluster({
    bootstrap: [{ host: '127.0.0.1', port: broker.port }],
    clientId: 'test',
    tls: null,
    sasl: null,
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 10_000,
    deadlineMs: 60,
    retryBackoffMs: 5,
    retryBackoffMaxMs: 20,
  });
  broker.script(api, ...Array<number>(times).fill(code));
  faults += 1;
  let producer: TransactionalProducer | null = null;
  try {
    producer = await TransactionalProducer.open(cluster, { transactionalId: 'load-1', transactionTimeoutMs: 60_000 });
    await producer.begin();
    await producer.send([batch(3), batch(4)]);
    await producer.commit();
    return { code, error: null, isAnswered: isAnswered(broker, api, times) };
  } catch (error) {
    if (!(error instanceof OffloadError)) throw error;
    return { code, error, isAnswered: isAnswered(broker, api, times) };
  } finally {
    await producer?.close();
    cluster.close();
    broker.stop();
  }
}

function isAnswered(broker: ScriptedBroker, api: number, times: number): boolean {
  const commits = broker.of(API.end).filter(({ committed }) => committed).length;
  return commits > (api === API.end ? times : 0);
}

function batch(partition: number): EncodedRecordBatch {
  const content = { codec: 0, rows: 10, baseTimestampMs: 0, maxTimestampMs: 0 };
  return { topic: 'orders', partition, rows: 10, bytes: assembleBatch(Buffer.alloc(100), content), maxTimestampMs: 0 };
}

async function everyCode(api: number, times: number): Promise<Ending[]> {
  const endings: Ending[] = [];
  for (let start = 0; start < CODES.length; start += AT_ONCE) {
    const some = CODES.slice(start, start + AT_ONCE);
    endings.push(...(await Promise.all(some.map((code) => transact(api, code, times)))));
  }
  return endings;
}

describe.each(Object.entries(REQUESTS))('%s', (name, api) => {
  test('always refused: every code is a clear error', async () => {
    for (const { code, error, isAnswered } of await everyCode(api, ALWAYS)) {
      const what = `${name}, code ${code}: ${error?.message}`;
      if (api === API.produce && code === DUPLICATE_SEQUENCE_NUMBER) {
        expect(error, what).toBeNull();
        continue;
      }
      expect(error, what).toBeInstanceOf(OffloadError);
      expect(error?.code, what).not.toBe('INTERNAL');
      expect(error?.message, what).toMatch(/: ([A-Z_]{9,}|error -?\d+ of the Kafka protocol)/);
      expect(error?.message, what).not.toContain('\n');
      expect(isAnswered, what).toBe(false);
    }
  });

  test('refused once: committed as a whole, or a clear error', async () => {
    let committed = 0;
    for (const { code, error, isAnswered } of await everyCode(api, 1)) {
      const what = `${name}, code ${code}: ${error?.message}`;
      if (error === null) committed += 1;
      // Never the one without the other, in either way.
      expect(error === null, what).toBe(isAnswered);
      expect(error?.code, what).not.toBe('INTERNAL');
    }
    expect(committed).toBeGreaterThan(10);
  });
});
