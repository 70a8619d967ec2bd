import { expect, it } from 'vitest';
import { formatTable } from '../../../bench/core/table.ts';

it('aligns figures to the right and words to the left, and leaves cells empty that a row has not', () => {
  const rows = [
    { who: 'a', 'rows/s': '1,234', ratio: '0.92 x' },
    { who: 'longer', 'rows/s': '7', verdict: 'met' },
  ];
  expect(formatTable(rows).split('\n')).toEqual([
    'who     rows/s   ratio  verdict',
    '-------------------------------',
    'a        1,234  0.92 x',
    'longer       7          met',
  ]);
});
