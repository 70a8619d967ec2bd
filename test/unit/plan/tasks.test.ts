import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { offsetKey } from '../../../src/plan/places.ts';
import { cutTasks } from '../../../src/plan/tasks.ts';

const MIB = 1024 ** 2;

describe('cutTasks', () => {
  it('cuts one hot partition into pieces for every worker', () => {
    const { tasks } = cutTasks(
      [{ topic: 't', partition: 3, startOffset: 0, endOffset: 1_000_000 }],
      new Map([['t/3', 100]]),
      2,
      null,
    );
    expect(tasks).toHaveLength(16);
    expect(new Set(tasks.map(({ range }) => range.endOffset - range.startOffset))).toEqual(new Set([62_500]));
  });

  it('puts small partitions of one topic into one file', () => {
    const ranges = [0, 1, 2].map((partition) => ({ topic: 't', partition, startOffset: 0, endOffset: 10 }));
    const plan = cutTasks(ranges, new Map(), 2, null);
    expect(plan.tasks.map(({ file }) => file)).toEqual([0, 0, 0]);
    expect(plan.fileCount).toBe(1);
  });

  it('begins a new file about every 128 MiB fetched', () => {
    const range = { topic: 't', partition: 0, startOffset: 0, endOffset: 1024 };
    const plan = cutTasks([range], new Map([['t/0', MIB]]), 2, null);
    expect(plan.fileCount).toBe(8);
  });

  it('leaves the choice of file to the workers when a number of files is asked for', () => {
    const plan = cutTasks([{ topic: 't', partition: 0, startOffset: 0, endOffset: 10 }], new Map(), 2, 3);
    expect(new Set(plan.tasks.map(({ file }) => file))).toEqual(new Set([null]));
    expect(plan.fileCount).toBe(3);
  });

  it('cuts even a small topic so that each of several files gets its share', () => {
    const ranges = [0, 1].map((partition) => ({ topic: 't', partition, startOffset: 0, endOffset: 30_000 }));
    const plan = cutTasks(
      ranges,
      new Map([
        ['t/0', 100],
        ['t/1', 300],
      ]),
      2,
      3,
    );
    expect(plan.tasks.length).toBe(24);
    const bytes = plan.tasks.map(
      ({ range }) => (range.endOffset - range.startOffset) * (range.partition === 0 ? 100 : 300),
    );
    expect(Math.max(...bytes)).toBeLessThan(1.1 * Math.min(...bytes));
  });

  it('sizes partitions of the same number in two topics by their own bytes', () => {
    const ranges = ['a', 'b'].map((topic) => ({ topic, partition: 0, startOffset: 0, endOffset: 1_000 }));
    const rates = new Map([
      ['a/0', 10],
      ['b/0', 90_000],
    ]);
    const plan = cutTasks(ranges, rates, 1, null);
    expect(plan.bytesByPartition).toEqual(
      new Map([
        ['a/0', 10_000],
        ['b/0', 90_000_000],
      ]),
    );
    expect(plan.tasks.filter(({ range }) => range.topic === 'a')).toHaveLength(1);
    expect(plan.tasks.filter(({ range }) => range.topic === 'b')).toHaveLength(8);
  });

  it('makes at least as many tasks as are asked for, or one for each offset', () => {
    const small = [0, 1].map((partition) => ({ topic: 't', partition, startOffset: 0, endOffset: 30 }));
    expect(cutTasks(small, new Map(), 2, null, { minTasks: 12 }).tasks.length).toBeGreaterThanOrEqual(12);
    expect(cutTasks(small, new Map(), 2, null, { minTasks: 1_000 }).tasks).toHaveLength(60);
    const skewed = new Map([
      ['t/0', MIB],
      ['t/1', 1],
    ]);
    expect(cutTasks(small, skewed, 2, null, { minTasks: 50 }).tasks.length).toBeGreaterThanOrEqual(50);
    expect(cutTasks([], new Map(), 2, null, { minTasks: 5 }).tasks).toEqual([]);
  });

  it('covers every range once, in order, with tasks that are not empty', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 5_000_000 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(
        lengths,
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 0, max: 5000 }),
        (sizes, workers, rate) => {
          const ranges = sizes.map((size, partition) => ({
            topic: 't',
            partition,
            startOffset: 7,
            endOffset: 7 + size,
          }));
          const { tasks } = cutTasks(ranges, new Map(ranges.map((range) => [offsetKey(range), rate])), workers, null);
          for (const range of ranges) {
            const own = tasks.filter((task) => task.range.partition === range.partition).map((task) => task.range);
            expect(own[0]?.startOffset).toBe(range.startOffset);
            expect(own.at(-1)?.endOffset).toBe(range.endOffset);
            for (const [index, piece] of own.entries()) {
              expect(piece.endOffset).toBeGreaterThan(piece.startOffset);
              if (index > 0) expect(piece.startOffset).toBe(own[index - 1]?.endOffset);
            }
          }
        },
      ),
    );
  });
});
