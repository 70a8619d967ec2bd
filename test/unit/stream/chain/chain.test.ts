import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../helpers/memoryDisk.ts';
import {
  byRow,
  expectedRows,
  type Group,
  type ProcessOptions,
  rowsOf,
  StreamProcess,
  visibleRows,
} from '../../../helpers/streamProcess.ts';

const ROOT = '/target';
const CHAIN = `${ROOT}/_kafkaload/streams/nightly`;
let disk: MemoryDisk;
let group: Group;
let options: ProcessOptions;

beforeEach(() => {
  disk = new MemoryDisk();
  disk.makeFolders(ROOT);
  group = new Map();
  options = { fs: disk, root: ROOT, group };
});

async function entries(): Promise<string[]> {
  return (await disk.readdir(CHAIN))
    .filter((name) => /^\d+\.json$/.test(name))
    .sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
}

describe('one process', () => {
  test('writes micro-batches, each an entry that names the one before', async () => {
    const process = await StreamProcess.start(options, [0, 1]);
    for (const end of [3, 5, 9]) expect(await process.write({ 0: end, 1: end })).toMatchObject({ kind: 'written' });
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 9, 1: 9 }));
    expect(await entries()).toEqual(['1.json', '2.json', '3.json']);
    await process.close();
    expect(await disk.readdir(`${CHAIN}/staging`)).toEqual([]);
    const next = await StreamProcess.start(options, [0, 1]);
    expect([...next.positions]).toEqual([
      [0, 9],
      [1, 9],
    ]);
    expect(next.log).toEqual([]);
  });

  test('that did not commit to the group goes on from the chain', async () => {
    const process = await StreamProcess.start(options, [0]);
    await process.append(await process.stage({ 0: 4 }));
    const next = await StreamProcess.start(options, [0]);
    expect(next.positions.get(0)).toBe(4);
    expect(group.get(0)).toBe(4);
    await next.write({ 0: 6 });
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 6 }));
  });

  test('cannot append before the group commit', async () => {
    const process = await StreamProcess.start(options, [0]);
    await process.append(await process.stage({ 0: 4 }));
    await expect(process.append(await process.stage({ 0: 6 }))).rejects.toThrow('commit first');
    await process.commit([[0, 4]]);
    await process.append(await process.stage({ 0: 6 }));
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 6 }));
  });

  test.each([
    {
      to: 2,
      rows: [
        ...rowsOf({ partition: 0, startOffset: 0, endOffset: 8 }),
        ...rowsOf({ partition: 0, startOffset: 2, endOffset: 8 }),
      ],
    },
    {
      to: 12,
      rows: [
        ...rowsOf({ partition: 0, startOffset: 0, endOffset: 8 }),
        ...rowsOf({ partition: 0, startOffset: 12, endOffset: 14 }),
      ],
    },
  ])('obeys a group offset that a person set to $to', async ({ to, rows }) => {
    const process = await StreamProcess.start(options, [0]);
    await process.write({ 0: 4 });
    await process.write({ 0: 8 });
    await process.close();
    group.set(0, to);
    const next = await StreamProcess.start(options, [0]);
    expect(next.log.join()).toContain(`set to ${to} by hand`);
    await next.write({ 0: to < 8 ? 8 : 14 });
    expect(await visibleRows(disk, ROOT)).toEqual(rows.toSorted(byRow));
    const entry = JSON.parse((await disk.readFile(`${CHAIN}/3.json`)).toString());
    expect(entry.byHand).toEqual([{ topic: 'orders', partition: 0, chain: 8, group: to }]);
    expect((await StreamProcess.start(options, [0])).log).toEqual([]);
  });
});

describe('two processes', () => {
  test('share the numbers', async () => {
    const one = await StreamProcess.start(options, [0]);
    const two = await StreamProcess.start(options, [1]);
    for (const end of [2, 4, 6]) {
      const staged = [await one.stage({ 0: end }), await two.stage({ 1: end })] as const;
      expect(await one.append(staged[0])).toMatchObject({ kind: 'written' });
      expect(await two.append(staged[1])).toMatchObject({ kind: 'written' });
      await one.commit([[0, end]]);
      await two.commit([[1, end]]);
    }
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 6, 1: 6 }));
    expect(await entries()).toHaveLength(6);
  });

  test('one that slept over a rebalance is overtaken', async () => {
    const sleeper = await StreamProcess.start(options, [0]);
    const staged = await sleeper.stage({ 0: 4 });
    const other = await StreamProcess.start(options, [0]);
    await other.write({ 0: 3 });
    await other.write({ 0: 6 });
    expect(await sleeper.append(staged)).toMatchObject({
      kind: 'overtaken',
      why: 'entry 2 moved orders/0 on to 6',
      positions: [{ partition: 0, offset: 6 }],
    });
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 6 }));
  });

  test('one that slept over a fold is overtaken, and its number does not count', async () => {
    const folding = { ...options, foldEntries: 3 };
    const sleeper = await StreamProcess.start(folding, [0]);
    const staged = await sleeper.stage({ 0: 40 });
    const other = await StreamProcess.start(folding, [0]);
    for (let end = 1; end <= 8; end++) await other.write({ 0: end });
    expect(await entries()).toEqual(['7.json', '8.json']);
    expect(await sleeper.append(staged)).toMatchObject({ kind: 'overtaken', positions: [{ partition: 0, offset: 8 }] });
    expect(await entries()).toEqual(['7.json', '8.json']);
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 8 }));
    const next = await StreamProcess.start(folding, [0]);
    expect(next.positions.get(0)).toBe(8);
  });

  test('one that slept since it asked the group does not take what it heard for the wish of a person', async () => {
    const sleeper = await StreamProcess.start(options, []);
    const partition = { topic: 'orders', partition: 0 };
    await expect(sleeper.chain.resume([{ ...partition, offset: 0 }])).rejects.toThrow('orders/0: it was not claimed');
    const other = await StreamProcess.start(options, [0]);
    await other.write({ 0: 2 });
    await sleeper.chain.claim([partition]);
    const heard = group.get(0) ?? null;
    await other.write({ 0: 4 });
    await other.append(await other.stage({ 0: 6 }));
    await expect(sleeper.chain.resume([{ ...partition, offset: heard }])).rejects.toMatchObject({
      code: 'OVERTAKEN',
      message: 'orders/0 was moved on to 6 by entry 3 of another process meanwhile',
    });
    await sleeper.take([0]);
    expect(sleeper.positions.get(0)).toBe(6);
  });

  test('an exact file: a lost number is always overtaken', async () => {
    const exact = { ...options, file: 'all.txt' };
    const one = await StreamProcess.start(exact, [0]);
    const two = await StreamProcess.start(exact, [1]);
    const staged = await two.stage({ 1: 2 });
    await one.write({ 0: 2 });
    expect(await two.append(staged)).toMatchObject({
      kind: 'overtaken',
      positions: [{ partition: 1, offset: 0 }],
    });
    await two.write({ 1: 2 });
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 2, 1: 2 }));
  });
});
