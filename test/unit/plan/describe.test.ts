import { expect, it } from 'vitest';
import type { OffloadJob } from '../../../src/coordinator/jobs.ts';
import { describePlan } from '../../../src/plan/describe.ts';
import type { RangePlan } from '../../../src/plan/ranges.ts';
import { cutTasks } from '../../../src/plan/tasks.ts';

const target = {
  path: '/data/orders',
  kind: 'folder',
  output: { format: 'parquet' },
  mode: 'Append',
  coalesce: null,
  partitionBy: [],
};
const source = { kind: 'topic', commit: true };
const job = { config: 'nightly', workers: 2, source, sink: { kind: 'files', target } } as unknown as OffloadJob;
const at = (partition: number, offset: number | null) => ({ topic: 'orders', partition, offset });

it('says what would be read of each partition, where it would go, and what else is to know', () => {
  const plan: RangePlan = {
    ranges: [{ topic: 'orders', partition: 0, startOffset: 1_000, endOffset: 251_000 }],
    previous: [at(0, 1_000), at(1, 77)],
    next: [at(0, 251_000), at(1, 77)],
    lost: new Map(),
    warnings: ['mind the gap'],
  };
  const tasks = cutTasks(plan.ranges, new Map([['orders/0', 100]]), 2, null);
  const text = describePlan({ job, ranges: plan, tasks, remarks: ['a run of nightly is under way on host a, pid 7'] });
  expect(text).toBe(
    [
      'plan of nightly: topic orders to /data/orders (parquet, Append)',
      '  partition    from        to   messages, at most   bytes, about',
      '          0   1,000   251,000             250,000       23.8 MiB',
      '          1      77        77                   0            0 B',
      '250,000 messages at most, about 23.8 MiB to fetch, in 6 tasks on 2 workers',
      '1 file: /data/orders/part-00000-RUN.parquet',
      'warning: mind the gap',
      'a run of nightly is under way on host a, pid 7',
      'nothing was read, written or committed',
    ].join('\n'),
  );
});

it('names exactly the file of an exact target, and none when there is nothing to read', () => {
  const file = {
    ...job,
    sink: { kind: 'files', target: { ...target, path: '/data/day.parquet', kind: 'file', coalesce: 1 } },
  } as unknown as OffloadJob;
  const nothing: RangePlan = { ranges: [], previous: [at(0, 5)], next: [at(0, 5)], lost: new Map(), warnings: [] };
  const some: RangePlan = { ...nothing, ranges: [{ topic: 'orders', partition: 0, startOffset: 5, endOffset: 6 }] };
  const lines = (plan: RangePlan) =>
    describePlan({ job: file, ranges: plan, tasks: cutTasks(plan.ranges, new Map(), 2, 1), remarks: [] }).split('\n');
  expect(lines(nothing)).toContain('no file would be written');
  expect(lines(some)).toContain('file: /data/day.parquet');
});

it('shows topics in a column of their own where there are several, and says when nothing is saved', () => {
  const several = { ...job, source: { ...source, commit: false } } as unknown as OffloadJob;
  const places = ['clicks', 'orders'].map((topic) => ({ topic, partition: 0 }));
  const plan: RangePlan = {
    ranges: places.map((place, index) => ({ ...place, startOffset: index, endOffset: 10 })),
    previous: places.map((place) => ({ ...place, offset: null })),
    next: places.map((place) => ({ ...place, offset: 10 })),
    lost: new Map(),
    warnings: [],
  };
  const text = describePlan({ job: several, ranges: plan, tasks: cutTasks(plan.ranges, new Map(), 2, 1), remarks: [] });
  expect(text.split('\n').slice(0, 4)).toEqual([
    'plan of nightly: topics clicks, orders to /data/orders (parquet, Append)',
    '   topic   partition   from   to   messages, at most   bytes, about',
    '  clicks           0      0   10                  10           10 B',
    '  orders           0      1   10                   9            9 B',
  ]);
  expect(text).toContain('the run would leave the saved offsets as they are');
});
