import { describe, expect, it } from 'vitest';
import { Claims } from '../../../../src/stream/table/claims.ts';
import type { TablePosition } from '../../../../src/stream/table/database.ts';

const place = { topic: 'orders', partition: 0 };
const stored = (start: number, next: number, topicId: string | null = 'id'): TablePosition => {
  return { ...place, start, next, topicId };
};
const range = (startOffset: number, endOffset: number) => ({ ...place, startOffset, endOffset });
const IDS = { orders: 'id' };

function resumed(group: number | null, found: readonly TablePosition[], ids: Readonly<Record<string, string>> = IDS) {
  const claims = new Claims();
  claims.take([place], found);
  return { claims, ...claims.resume([{ ...place, offset: group }], found, ids) };
}

describe('where a partition goes on', () => {
  it.each([
    ['nobody knows', null, [], null],
    ['the group alone knows', 7, [], 7],
    ['the group was not told of the last rows', 5, [stored(5, 9)], 9],
    ['the group was told', 9, [stored(5, 9)], 9],
    ['the group never was told, or was forgotten', null, [stored(5, 9)], 9],
    ['the broker tells no topic id', 5, [stored(5, 9, null)], 9],
  ])('%s', (_name, group, found, offset) => {
    const { positions, corrections, warnings } = resumed(group, found);
    expect({ positions, corrections, warnings }).toEqual({
      positions: offset === null ? [] : [{ ...place, offset }],
      corrections: [],
      warnings: [],
    });
  });

  it.each([
    [3, 'rows of offsets 3 to 8 may come twice'],
    [7, 'rows of offsets 7 to 8 may come twice'],
    [12, 'offsets 9 to 11 are left out'],
  ])('a person set the group to %i', (offset, effect) => {
    const { positions, corrections, warnings } = resumed(offset, [stored(5, 9)]);
    expect(positions).toEqual([{ ...place, offset }]);
    expect(corrections).toEqual([{ ...place, next: offset, topicId: 'id' }]);
    expect(warnings).toEqual([
      `the group's offset of orders/0 was set to ${offset} by hand, where the table is at 9: it is obeyed, so ${effect}`,
    ]);
  });

  it.each([
    [null, [], null],
    [0, [{ ...place, offset: 0 }], 0],
  ])('the topic was made again, and the group has %j', (group, positions, next) => {
    const found = resumed(group, [stored(5, 9, 'old')]);
    expect(found).toMatchObject({ positions, madeAgain: ['orders'] });
    expect(found.corrections).toEqual([{ ...place, next, topicId: 'id' }]);
    found.claims.groupHolds([{ ...place, offset: group ?? 0 }]);
    expect(found.claims.moves([range(0, 2)])[0]?.from).toBe(next);
  });
});

it('is not told of a group that was asked before somebody else moved the table on', () => {
  const { claims } = resumed(5, [stored(2, 5)]);
  claims.take([place], [stored(2, 5)]);
  const resume = (found: readonly TablePosition[]) => () => claims.resume([{ ...place, offset: 5 }], found, IDS);
  const why = (now: string) => `another process moved orders/0 in the table from 5 to ${now} while the group was asked`;
  expect(resume([stored(9, 12)])).toThrow(why('12'));
  expect(resume([])).toThrow(why('nothing'));
  expect(resume([stored(2, 5)])().positions).toEqual([{ ...place, offset: 5 }]);
  claims.release([place]);
  expect(resume([stored(2, 5)])).toThrow('orders/0 was not claimed');
});

describe('a micro-batch', () => {
  it('moves from where the table is, in topic and partition order', () => {
    const claims = new Claims();
    const [a1, a2] = [1, 2].map((partition) => ({ topic: 'a', partition }));
    const found = [{ topic: 'a', partition: 1, start: 0, next: 4, topicId: null }];
    claims.take([place, a1, a2] as { topic: string; partition: number }[], found);
    claims.resume(
      [
        { ...place, offset: 9 },
        { topic: 'a', partition: 2, offset: null },
        { topic: 'a', partition: 1, offset: 4 },
      ],
      found,
      IDS,
    );
    const ranges = [range(9, 10), { ...a2, startOffset: 3, endOffset: 5 }, { ...a1, startOffset: 4, endOffset: 6 }];
    expect(claims.moves(ranges as ReturnType<typeof range>[])).toEqual([
      { ...a1, start: 4, next: 6, topicId: null, from: 4 },
      { ...a2, start: 3, next: 5, topicId: null, from: null },
      { ...place, start: 9, next: 10, topicId: 'id', from: null },
    ]);
  });

  it('is refused before the group was told of the last, from elsewhere, and for what is not ours', () => {
    const { claims } = resumed(5, [stored(5, 9)]);
    expect(() => claims.moves([range(9, 12)])).toThrow('the group holds 5 of orders/0; commit 9');
    claims.groupHolds([{ ...place, offset: 9 }]);
    expect(() => claims.moves([range(8, 12)])).toThrow('orders/0 goes on at 9, not 8');
    const moves = claims.moves([range(9, 12)]);
    claims.moved(moves);
    expect(() => claims.moves([range(12, 13)])).toThrow('the group holds 9 of orders/0; commit 12');
    claims.groupHolds([{ ...place, offset: 12 }]);
    expect(claims.moves([range(12, 13)])[0]?.from).toBe(12);
    claims.release([place]);
    expect(() => claims.moves([range(12, 13)])).toThrow('orders/0 was not resumed, or released');
  });

  it('that was overtaken leaves off where the table is by now', () => {
    const { claims } = resumed(9, [stored(5, 9)]);
    const moves = claims.moves([range(9, 12)]);
    expect(claims.overtaken(moves, [stored(9, 15)])).toEqual([{ ...place, offset: 15 }]);
    claims.groupHolds([{ ...place, offset: 15 }]);
    expect(claims.moves([range(15, 16)])[0]?.from).toBe(15);
    // Somebody deleted the row.
    expect(claims.overtaken(moves, [])).toEqual([{ ...place, offset: 15 }]);
    expect(claims.moves([range(15, 16)])[0]?.from).toBeNull();
  });
});
