import { describe, expect, it } from 'vitest';
import { formatJson, formatSummary, type OffloadReport } from '../../../src/coordinator/report.ts';
import { NO_GAPS } from '../../../src/tasks.ts';

function reportOf(partial: Partial<OffloadReport>): OffloadReport {
  return {
    config: 'orders',
    topic: 'orders.v1',
    topics: ['orders.v1'],
    committed: true,
    run: 'r1',
    rows: 45_000,
    bytes: 3 * 1024 ** 2,
    seconds: 1.5,
    files: [],
    offsets: [],
    workers: [],
    warnings: [],
    retries: 0,
    retryCauses: {},
    recovered: [],
    ...partial,
  };
}

describe('formatSummary', () => {
  it('says that nothing was new', () => {
    const offsets = [{ topic: 'orders.v1', partition: 0, from: 5, to: 5 }];
    expect(formatSummary(reportOf({ rows: 0, bytes: 0, offsets }))).toBe(
      'orders: nothing new in topic orders.v1, no file written (1.5 s)\n1 partition had nothing new',
    );
  });

  it('puts the offsets of 100 partitions into columns, and counts those that rest', () => {
    const offsets = Array.from({ length: 100 }, (_, partition) => ({
      topic: 'orders.v1',
      partition,
      from: partition === 0 ? null : partition * 1_000,
      to: partition >= 10 ? partition * 1_000 : 1_000_000,
    }));
    expect(formatSummary(reportOf({ offsets }), 80).split('\n')).toEqual([
      'orders: 45,000 rows of topic orders.v1 in 0 files, 3 MiB, 1.5 s, 30,000 rows/s',
      'saved offsets by partition',
      '  0:  none -> 1,000,000   1: 1,000 -> 1,000,000   2: 2,000 -> 1,000,000',
      '  3: 3,000 -> 1,000,000   4: 4,000 -> 1,000,000   5: 5,000 -> 1,000,000',
      '  6: 6,000 -> 1,000,000   7: 7,000 -> 1,000,000   8: 8,000 -> 1,000,000',
      '  9: 9,000 -> 1,000,000',
      '90 partitions had nothing new',
    ]);
  });

  it('says which requests were repeated', () => {
    const retryCauses = { BROKER_UNREACHABLE: 1_200, LEADER_MOVED: 1 };
    expect(
      formatSummary(reportOf({ retries: 1_201, retryCauses }))
        .split('\n')
        .at(-1),
    ).toBe('requests repeated: 1,200 BROKER_UNREACHABLE, 1 LEADER_MOVED');
  });

  it('names files, at most ten, recovered runs and gaps by cause', () => {
    const files = Array.from({ length: 12 }, (_, index) => ({ path: `/out/${index}`, rows: 1, bytes: 10 }));
    const gaps = [0, 1].map((partition) => ({
      ...NO_GAPS,
      topic: 'orders.v1',
      partition,
      control: 2,
      lost: partition,
    }));
    const text = formatSummary(reportOf({ files, gaps, recovered: [{ run: 'r0', files: ['/out/a'] }] }));
    expect(text.split('\n')).toEqual([
      'finished run r0, which had stopped half-way: 1 file published',
      'orders: 45,000 rows of topic orders.v1 in 12 files, 3 MiB, 1.5 s, 30,000 rows/s',
      'files',
      ...files.slice(0, 10).map(({ path }) => `  ${path}  1 row, 10 B`),
      '  and 2 more',
      'offsets without a row: 4 control, 1 lost',
    ]);
  });
});

describe('a report of several topics', () => {
  const offsets = ['a', 'b'].map((topic) => ({ topic, partition: 0, from: null, to: topic === 'a' ? 5 : 1_000 }));
  const several = reportOf({ topic: null, topics: ['a', 'b'], offsets });

  it('names each beside its partitions', () => {
    expect(formatSummary(several).split('\n')).toEqual([
      'orders: 45,000 rows of topics a, b in 0 files, 3 MiB, 1.5 s, 30,000 rows/s',
      'saved offsets by topic and partition',
      '  a/0: none ->     5   b/0: none -> 1,000',
    ]);
  });

  it('keys offsets by topic, then partition; one of one topic by partition', () => {
    expect(JSON.parse(formatJson(several)).offsets).toEqual({
      a: { 0: { from: null, to: 5 } },
      b: { 0: { from: null, to: 1_000 } },
    });
    const one = reportOf({ offsets: [{ topic: 'orders.v1', partition: 3, from: 1, to: 2 }] });
    expect(JSON.parse(formatJson(one))).toMatchObject({ topic: 'orders.v1', offsets: { 3: { from: 1, to: 2 } } });
  });
});

it('says that a run without a commit saved nothing', () => {
  const offsets = [{ topic: 'orders.v1', partition: 0, from: 5, to: 9 }];
  expect(formatSummary(reportOf({ offsets, committed: false }))).toContain(
    'offsets read by partition; none was saved\n  0: 5 -> 9',
  );
});
