import { beforeEach, describe, expect, test } from 'vitest';
import type { FileSystem } from '../../../../src/io.ts';
import { failure, MemoryDisk } from '../../../helpers/memoryDisk.ts';
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

  test('an exact file is made from what entries that were read have made of it, published or not', async () => {
    const exact = { ...options, file: 'all.txt' };
    const onStep = (name: string): void => {
      if (name === 'chain.synced') throw new Error('died');
    };
    const dying = await StreamProcess.start({ ...exact, onStep }, [0]);
    const other = await StreamProcess.start(exact, []);
    const partition = { topic: 'orders', partition: 1 };
    await other.chain.claim([partition]);
    await expect(dying.write({ 0: 2 })).rejects.toThrow('died');
    await other.chain.resume([{ ...partition, offset: 0 }]);
    other.positions.set(1, 0);
    await other.write({ 1: 2 });
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 2, 1: 2 }));
  });
});

describe('where there are no hard links', () => {
  const noLinks = (fs: FileSystem): FileSystem => {
    const refuse = (from: string, to: string) => Promise.reject(failure('EPERM', 'link', from, to));
    return new Proxy(fs, {
      get: (target, name) => {
        const own: unknown = name === 'link' ? refuse : Reflect.get(target, name);
        return typeof own === 'function' ? own.bind(target) : own;
      },
    });
  };

  test('an entry is a folder, which stands in the way of a file and of a folder as well', async () => {
    const one = await StreamProcess.start({ ...options, fs: noLinks(disk), foldEntries: 3 }, [0]);
    const two = await StreamProcess.start({ ...options, foldEntries: 3 }, [1]);
    const three = await StreamProcess.start({ ...options, fs: noLinks(disk), foldEntries: 3 }, [2]);
    for (const end of [2, 4, 6]) {
      const staged = [await one.stage({ 0: end }), await two.stage({ 1: end }), await three.stage({ 2: end })] as const;
      expect(await one.append(staged[0])).toMatchObject({ kind: 'written' });
      expect(await two.append(staged[1])).toMatchObject({ kind: 'written' });
      expect(await three.append(staged[2])).toMatchObject({ kind: 'written' });
      await one.commit([[0, end]]);
      await two.commit([[1, end]]);
      await three.commit([[2, end]]);
    }
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 6, 1: 6, 2: 6 }));
    expect(await entries()).toEqual(['7.json', '8.json', '9.json']);
    expect((await disk.stat(`${CHAIN}/7.json`)).isDirectory()).toBe(true);
    expect((await disk.stat(`${CHAIN}/8.json`)).isFile()).toBe(true);
  });

  test('a sleeper loses the number of a folder', async () => {
    const sleeper = await StreamProcess.start({ ...options, fs: noLinks(disk) }, [0]);
    const staged = await sleeper.stage({ 0: 4 });
    await (await StreamProcess.start({ ...options, fs: noLinks(disk) }, [0])).write({ 0: 6 });
    expect(await sleeper.append(staged)).toMatchObject({ kind: 'overtaken' });
    expect(await visibleRows(disk, ROOT)).toEqual(expectedRows({ 0: 6 }));
  });
});

describe('what cannot go on', () => {
  test.each([
    { what: 'an entry that is none', act: () => write('2.json', '{}\n'), said: /2\.json is damaged/ },
    {
      what: 'an entry that is missing',
      act: () => disk.unlink(`${CHAIN}/2.json`),
      said: /2\.json is damaged: it is missing, while entry 3 is there/,
    },
    {
      what: 'an entry that was changed',
      act: async () => write('2.json', (await disk.readFile(`${CHAIN}/2.json`)).toString().replace('1970', '1971')),
      said: /3\.json is damaged: it does not follow entry 2/,
    },
  ])('$what', async ({ act, said }) => {
    const process = await StreamProcess.start(options, [0]);
    for (const end of [2, 4, 6]) await process.write({ 0: end });
    await act();
    await expect(StreamProcess.start(options, [0])).rejects.toMatchObject({
      code: 'SAVED_OFFSETS_INVALID',
      message: expect.stringMatching(said),
    });
  });

  async function write(name: string, text: string): Promise<void> {
    const file = await disk.open(`${CHAIN}/${name}`, 'w');
    await file.write(Buffer.from(text), 0, Buffer.byteLength(text), null);
  }
});

test('a topic that was made again begins anew, and is told', async () => {
  const process = await StreamProcess.start(options, [0]);
  await process.write({ 0: 4 });
  await process.close();
  group.clear();
  const next = await StreamProcess.start({ ...options, topicId: 'another-id' }, []);
  await next.chain.claim([{ topic: 'orders', partition: 0 }]);
  const resumed = await next.chain.resume([{ topic: 'orders', partition: 0, offset: null }], { orders: 'another-id' });
  expect(resumed).toEqual({ positions: [], madeAgain: ['orders'], byHand: [] });
  await next.take([0]);
  await next.write({ 0: 2 });
  expect(await visibleRows(disk, ROOT)).toEqual(['0:0', '0:0', '0:1', '0:1', '0:2', '0:3']);
});

test('staging of a process that may live stays until its micro-batch is overtaken, and an hour has gone by', async () => {
  const sleeper = await StreamProcess.start(options, [0]);
  await sleeper.stage({ 0: 2 });
  const left = async (): Promise<number> =>
    (await disk.readdir(`${CHAIN}/staging/${sleeper.chain.process}`)).length - 1;
  const [run = ''] = (await disk.readdir(`${CHAIN}/staging/${sleeper.chain.process}`)).filter(
    (name) => name !== 'owner.json',
  );
  const path = `${CHAIN}/staging/${sleeper.chain.process}/${run}`;
  await disk.utimes(path, 0, Date.now() - 2 * 3_600_000);
  const other = await StreamProcess.start(options, [0]);
  expect(await left()).toBe(1);
  await other.write({ 0: 4 });
  await disk.utimes(path, 0, Date.now());
  await other.take([0]);
  expect(await left()).toBe(1);
  await disk.utimes(path, 0, Date.now() - 2 * 3_600_000);
  await other.take([0]);
  expect(await left()).toBe(0);
});
