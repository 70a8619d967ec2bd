import { describe, expect, it } from 'vitest';
import { endsRowGroup } from '../../../src/coordinator/rowGroupEnd.ts';

/** Row groups of a task, in batches: rows of each. */
function cut(batches: readonly { rows: number; bytes: number; offsets?: number }[], rows: number, bytes: number) {
  const groups: { rows: number; bytes: number }[] = [];
  let held = { rows: 0, bytes: 0, offsets: 0 };
  let left = batches.reduce((sum, batch) => sum + (batch.offsets ?? batch.rows), 0);
  for (const batch of batches) {
    if (endsRowGroup(held, batch, left, { rows, bytes })) {
      groups.push({ rows: held.rows, bytes: held.bytes });
      held = { rows: 0, bytes: 0, offsets: 0 };
    }
    const offsets = batch.offsets ?? batch.rows;
    held = { rows: held.rows + batch.rows, bytes: held.bytes + batch.bytes, offsets: held.offsets + offsets };
    left -= offsets;
  }
  return [...groups, { rows: held.rows, bytes: held.bytes }];
}

const same = (count: number, rows: number, bytes: number) => Array.from({ length: count }, () => ({ rows, bytes }));

describe('endsRowGroup', () => {
  it('leaves a task that fits into one row group whole', () => {
    expect(cut(same(10, 100, 1000), 1_000_000, 11_000)).toEqual([{ rows: 1000, bytes: 10_000 }]);
  });

  it('cuts row groups of one size rather than full ones and a small one', () => {
    for (const count of [12, 21, 33, 50]) {
      const groups = cut(same(count, 100, 1000), 1_000_000, 10_000);
      const sizes = groups.map(({ bytes }) => bytes);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(10_000);
      expect(Math.min(...sizes)).toBeGreaterThanOrEqual(Math.max(...sizes) / 2);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(count * 1000);
    }
  });

  it('keeps to the limit of rows as well', () => {
    expect(cut(same(30, 100, 10), 1_100, 1_000_000).map(({ rows }) => rows)).toEqual([1000, 1000, 1000]);
  });

  it('takes a batch beyond the limits alone', () => {
    const batches = [{ rows: 10, bytes: 5000 }, ...same(3, 10, 100), { rows: 10, bytes: 5000 }];
    expect(cut(batches, 1_000_000, 1000).map(({ bytes }) => bytes)).toEqual([5000, 300, 5000]);
  });

  it('never passes a limit, whatever the batches are like', () => {
    let seed = 1;
    const random = (most: number): number => {
      seed = (seed * 48_271) % 0x7fffffff;
      return 1 + (seed % most);
    };
    const batches = Array.from({ length: 500 }, () => ({
      rows: random(50),
      bytes: random(900),
      offsets: 50 + random(9),
    }));
    for (const { rows, bytes } of cut(batches, 700, 5000)) {
      expect(rows).toBeLessThanOrEqual(700);
      expect(bytes).toBeLessThanOrEqual(5000);
    }
  });
});
