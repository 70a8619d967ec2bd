import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createTurns, endTurn, takeTurns, waitForTurn } from '../../../src/stage/turns.ts';

const task = (partition: number) => ({ range: { topic: 't', partition, startOffset: 0, endOffset: 1 } });

test('tasks of a partition write one after the other, those of others at any time', async () => {
  const tasks = takeTurns([task(0), task(0), task(0), task(1), task(1)]);
  expect(tasks.map((each) => each.turn.first)).toEqual([0, 0, 0, 3, 3]);
  const flags = createTurns(tasks.length);
  const written: number[] = [];
  const write = async (index: number): Promise<void> => {
    const own = (tasks[index] as (typeof tasks)[number]).turn;
    await waitForTurn(flags, own, () => {});
    written.push(index);
    await turn();
    endTurn(flags, own);
  };
  await Promise.all([write(2), write(1), write(4), write(3), write(0)]);
  expect(written.filter((index) => index < 3)).toEqual([0, 1, 2]);
  expect(written.filter((index) => index >= 3)).toEqual([3, 4]);
});

test('who waits for nothing any more is told', async () => {
  const [, second] = takeTurns([task(0), task(0)]);
  if (!second) throw new Error('no task');
  const stopped = new Error('the run is stopping');
  await expect(
    waitForTurn(createTurns(2), second.turn, () => {
      throw stopped;
    }),
  ).rejects.toBe(stopped);
});
