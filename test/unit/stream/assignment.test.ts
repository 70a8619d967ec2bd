import { expect, it } from 'vitest';
import { OffloadError } from '../../../src/errors.ts';
import { Assignment } from '../../../src/stream/assignment.ts';
import { Turns } from '../../../src/stream/turns.ts';
import type { TopicPartition } from '../../../src/stream/types.ts';
import { Waker } from '../../../src/stream/waker.ts';

const P0 = { topic: 't', partition: 0 };
const P1 = { topic: 't', partition: 1 };

function make(rebalanceTimeoutMs = 60_000) {
  const turns = new Turns();
  const letGo: (readonly TopicPartition[])[] = [];
  const assignment = new Assignment({
    turns,
    waker: new Waker(),
    rebalanceTimeoutMs,
    onRevoked: async (partitions) => void letGo.push(partitions),
    onLost: async (partitions) => void letGo.push(partitions),
  });
  return { turns, assignment, letGo };
}

it('knows positions only after they have been looked up, and forgets those of partitions that are gone', async () => {
  const { assignment } = make();
  await assignment.assigned([P0, P1]);
  expect(assignment.pending).toEqual([P0, P1]);
  assignment.moveTo([{ ...P0, offset: 7 }]);
  expect(assignment.pending).toEqual([P1]);
  expect(assignment.positions).toEqual([{ ...P0, offset: 7 }]);
  await assignment.revoked([P0]);
  assignment.moveTo([{ ...P0, offset: 9 }]);
  expect(assignment.positions).toEqual([]);
  expect(assignment.pending).toEqual([P1]);
});

it('keeps a revoked partition until the micro-batch under way has ended', async () => {
  const { turns, assignment, letGo } = make();
  await assignment.assigned([P0]);
  assignment.moveTo([{ ...P0, offset: 7 }]);
  let finish = (): void => {};
  const batch = turns.take(async () => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    assignment.moveTo([{ ...P0, offset: 8 }]);
  });
  const revoked = assignment.revoked([P0]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(letGo).toEqual([]);
  expect(assignment.positions).toEqual([{ ...P0, offset: 7 }]);
  finish();
  await Promise.all([batch, revoked]);
  expect(letGo).toEqual([[P0]]);
  expect(assignment.positions).toEqual([]);
});

it('abandons what takes longer than half of the time that a rebalance waits', async () => {
  const { turns, assignment } = make(20);
  await assignment.assigned([P0]);
  const batch = turns.take(async (signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    throw signal.reason;
  });
  const failed = expect(batch).rejects.toMatchObject({
    code: 'FENCED',
    message: 'the group gives t/0 to another member, and waits no longer for what is under way',
  });
  await assignment.revoked([P0]);
  await failed;
});

it('abandons what is under way at once when the group went on without us', async () => {
  const { turns, assignment, letGo } = make();
  await assignment.assigned([P0]);
  const batch = turns.take(async (signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    throw new OffloadError('IO_FAILED', 'left half-way');
  });
  const failed = expect(batch).rejects.toMatchObject({ code: 'IO_FAILED' });
  // The turn has begun.
  await new Promise((resolve) => setImmediate(resolve));
  await assignment.lost([P0]);
  await failed;
  expect(letGo).toEqual([[P0]]);
});

it('waits for what the group gives next once all was lost', async () => {
  const { assignment } = make();
  await assignment.assigned([P0, P1]);
  await assignment.lost([P0]);
  expect(assignment.wasAssigned).toBe(true);
  const before = assignment.waitsSinceMs;
  await assignment.lost([P1]);
  expect(assignment.wasAssigned).toBe(false);
  expect(assignment.waitsSinceMs).toBeGreaterThan(before);
  await assignment.assigned([P1]);
  expect(assignment.wasAssigned).toBe(true);
});
