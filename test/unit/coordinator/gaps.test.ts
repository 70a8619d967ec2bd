import { expect, it } from 'vitest';
import { NO_BAD_RECORDS } from '../../../src/coordinator/badRecords/counts.ts';
import type { TaskResult } from '../../../src/coordinator/fetchTypes.ts';
import { countGaps } from '../../../src/coordinator/gaps.ts';
import type { RangePlan } from '../../../src/plan/ranges.ts';

const range = (partition: number, startOffset: number, endOffset: number) => ({
  topic: 't',
  partition,
  startOffset,
  endOffset,
});

function result(partition: number, counts: Partial<TaskResult>): TaskResult {
  return {
    ok: true,
    worker: 0,
    range: range(partition, 0, 0),
    startedAtMs: 0,
    segments: [],
    folders: [],
    rest: null,
    rows: 0,
    rowsWritten: 0,
    control: 0,
    aborted: 0,
    lost: 0,
    invalidUtf8: 0,
    bad: NO_BAD_RECORDS,
    deadLetters: [],
    encoders: [],
    ...counts,
  };
}

it('accounts for every offset that gave no row, over all tasks of a partition', () => {
  const plan: RangePlan = {
    ranges: [range(0, 0, 100), range(2, 50, 60)],
    previous: [],
    next: [0, 1, 2].map((partition) => ({ topic: 't', partition, offset: 100 })),
    lost: new Map([['t/2', 7]]),
    warnings: [],
  };
  const results = [
    result(0, { rows: 40, control: 2, aborted: 3 }),
    result(0, { rows: 45, control: 1, lost: 4, bad: { byReason: { INVALID_UTF8: 1, ROW_INVALID: 2 }, first: [] } }),
    result(2, { rows: 10 }),
  ];
  expect(countGaps(plan, results)).toEqual([
    { topic: 't', partition: 0, control: 3, aborted: 3, compacted: 5, deleted: 0, lost: 4, bad: 3 },
    { topic: 't', partition: 2, control: 0, aborted: 0, compacted: 0, deleted: 7, lost: 0, bad: 0 },
  ]);
});

it('keeps partitions of the same number in two topics apart', () => {
  const places = ['a', 'b'].map((topic) => ({ topic, partition: 0 }));
  const plan: RangePlan = {
    ranges: places.map((place, index) => ({ ...place, startOffset: 0, endOffset: 10 * (index + 1) })),
    previous: [],
    next: places.map((place) => ({ ...place, offset: 20 })),
    lost: new Map([['a/0', 3]]),
    warnings: [],
  };
  const results = plan.ranges.map((own, index) => result(0, { range: own, rows: 9 * (index + 1) }));
  expect(countGaps(plan, results)).toEqual([
    { topic: 'a', partition: 0, control: 0, aborted: 0, compacted: 1, deleted: 3, lost: 0, bad: 0 },
    { topic: 'b', partition: 0, control: 0, aborted: 0, compacted: 2, deleted: 0, lost: 0, bad: 0 },
  ]);
});
