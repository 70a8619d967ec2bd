import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OffsetCounts } from '../../../src/verify/offsetCounts.ts';

test('counts as a plain map of numbers does, also beyond 2^32 and across chunks', () => {
  const base = fc.constantFrom(0, 65_500, 2 ** 32 - 40, 2 ** 40);
  const offset = fc.tuple(base, fc.nat(100)).map(([start, more]) => start + more);
  fc.assert(
    fc.property(fc.array(offset, { maxLength: 300 }), offset, fc.nat(140), (offsets, startOffset, length) => {
      const counts = new OffsetCounts();
      const plain = new Map<number, number>();
      for (const each of offsets) {
        counts.add(each);
        plain.set(each, (plain.get(each) ?? 0) + 1);
      }
      const endOffset = startOffset + length;
      const inside = [...plain].filter(([each]) => each >= startOffset && each < endOffset);
      expect(counts.countAll(startOffset, endOffset)).toBe(inside.reduce((sum, [, times]) => sum + times, 0));
      for (const times of [0, 1, 2]) {
        const above = inside.filter(([, met]) => met > times).map(([each]) => each);
        expect(counts.countAbove(times, startOffset, endOffset)).toBe(above.length);
        expect(counts.firstAbove(times, startOffset, endOffset)).toBe(above.length === 0 ? null : Math.min(...above));
      }
      expect(counts.has(startOffset)).toBe(plain.has(startOffset));
    }),
  );
});
