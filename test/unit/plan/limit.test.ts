import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limitRanges } from '../../../src/plan/limit.ts';

const range = (partition: number, size: number) => ({
  topic: 't',
  partition,
  startOffset: 10,
  endOffset: 10 + size,
});

describe('limitRanges', () => {
  it('takes from every partition in proportion to what it has', () => {
    const limited = limitRanges([range(0, 100), range(1, 300), range(2, 0)], 40);
    expect(limited.map(({ startOffset, endOffset }) => endOffset - startOffset)).toEqual([10, 30, 0]);
  });

  it('takes a single offset where the limit is one', () => {
    const limited = limitRanges([range(0, 5), range(1, 5)], 1);
    expect(limited.map(({ startOffset, endOffset }) => endOffset - startOffset)).toEqual([1, 0]);
  });

  it('reaches the limit exactly, never more, and never passes the end of a range', () => {
    const sizes = fc.array(fc.nat(10_000), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 50_000 }), (lengths, limit) => {
        const ranges = lengths.map((size, partition) => range(partition, size));
        const taken = limitRanges(ranges, limit).map(({ startOffset, endOffset }) => endOffset - startOffset);
        const total = lengths.reduce((sum, size) => sum + size, 0);
        expect(taken.reduce((sum, size) => sum + size, 0)).toBe(Math.min(limit, total));
        for (const [index, size] of taken.entries()) expect(size).toBeLessThanOrEqual(lengths[index] ?? 0);
      }),
    );
  });
});
