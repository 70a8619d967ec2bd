import { expect, test } from 'vitest';
import type { TransactionalProducer } from '../../../src/kafka/transactionalProducer.ts';
import { TransactionLane } from '../../../src/stream/transactionLane.ts';

/** The order in which a lane uses its producers, told by ones that only note what they are asked. */
function makeLane(turns: number) {
  const calls: string[] = [];
  let opened = 0;
  const lane = new TransactionLane(turns, async (turn) => {
    const name = `${turn}.${opened++}`;
    const note = (call: string) => async (): Promise<void> => void calls.push(`${name} ${call}`);
    const producer = { begin: note('begin'), send: note('send'), addPartitions: note('add'), abort: note('abort') };
    return { ...producer, close: note('close') } as unknown as TransactionalProducer;
  });
  lane.place = { topic: 'in', partition: 0 };
  const batch = { topic: 'out', partition: 0, rows: 1, bytes: new Uint8Array(1) };
  const send = (next: number) => lane.send([{ topic: 'in', partition: 0, batches: [batch as never], next }]);
  const commit = () => lane.commit(async () => void calls.push('end'));
  return { lane, calls, send, commit };
}

test('rows that are sent while a transaction ends go into the one that was opened for them', async () => {
  const { lane, calls, send } = makeLane(2);
  await send(1);
  await lane.prepare();
  let sentMeanwhile = false;
  const positions = await lane.commit(async () => {
    await send(2);
    sentMeanwhile = true;
  });
  expect(positions).toEqual([{ topic: 'in', partition: 0, offset: 1 }]);
  expect(sentMeanwhile).toBe(true);
  expect(calls).toEqual(['0.0 begin', '0.0 send', '1.1 begin', '1.1 add', '1.1 send']);
});

test('nothing is opened ahead without rows, nor with one producer', async () => {
  const two = makeLane(2);
  await two.lane.prepare();
  expect(two.calls).toEqual([]);
  const one = makeLane(1);
  await one.send(1);
  await one.lane.prepare();
  await one.commit();
  await one.send(2);
  expect(one.calls).toEqual(['0.0 begin', '0.0 send', 'end', '0.0 begin', '0.0 send']);
});

test('after its ids are gone it begins anew, whatever was open', async () => {
  const { lane, calls, send, commit } = makeLane(2);
  await send(1);
  await lane.prepare();
  await commit();
  // The transaction that was opened ahead is open, and nothing was sent into it.
  lane.discard();
  await send(2);
  expect(calls.slice(-2)).toEqual(['1.2 begin', '1.2 send']);
});

test('what is open is taken back, that which was opened ahead as well', async () => {
  const { lane, calls, send } = makeLane(2);
  await send(1);
  await lane.prepare();
  expect(await lane.abort()).toBe(true);
  expect(calls.slice(-2)).toEqual(['0.0 abort', '1.1 abort']);
  expect(lane.isOpen).toBe(false);
});
