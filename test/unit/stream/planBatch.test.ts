import { describe, expect, it } from 'vitest';
import type { PartitionBounds } from '../../../src/plan/ranges.ts';
import { type BatchInput, planBatch } from '../../../src/stream/planBatch.ts';

function bounds(partition: number, start: number, end: number, readableEnd = end): [string, PartitionBounds] {
  return [`t/${partition}`, { topic: 't', partition, logStartOffset: start, highWatermark: end, readableEnd }];
}

function plan(change: Partial<BatchInput>) {
  return planBatch({
    group: 'g',
    positions: [
      { topic: 't', partition: 1, offset: 0 },
      { topic: 't', partition: 0, offset: 10 },
    ],
    bounds: new Map([bounds(0, 0, 30), bounds(1, 0, 60)]),
    ends: null,
    bytesPerOffset: new Map([
      ['t/0', 100],
      ['t/1', 100],
    ]),
    maxOffsets: null,
    maxBytes: null,
    failOnDataLoss: true,
    ...change,
  });
}

describe('planBatch', () => {
  it('takes all there is from each position, in order of partitions', () => {
    expect(plan({})).toEqual({
      ranges: [
        { topic: 't', partition: 0, startOffset: 10, endOffset: 30 },
        { topic: 't', partition: 1, startOffset: 0, endOffset: 60 },
      ],
      lag: [
        { topic: 't', partition: 0, position: 10, end: 30 },
        { topic: 't', partition: 1, position: 0, end: 60 },
      ],
      isCutBySize: false,
      waitingBytes: 8_000,
      beyond: [],
      warnings: [],
    });
  });

  it('leaves out what an open transaction holds back, and partitions whose topic is gone', () => {
    const { ranges } = plan({ bounds: new Map([bounds(0, 0, 30, 12)]) });
    expect(ranges).toEqual([{ topic: 't', partition: 0, startOffset: 10, endOffset: 12 }]);
  });

  it('stops at the ends of a stream that has one', () => {
    const { ranges } = plan({
      ends: new Map([
        ['t/0', 10],
        ['t/1', 5],
      ]),
    });
    expect(ranges).toEqual([{ topic: 't', partition: 1, startOffset: 0, endOffset: 5 }]);
  });

  it('takes no more offsets than a trigger may, in proportion to what waits', () => {
    const { ranges, isCutBySize } = plan({ maxOffsets: 8 });
    expect(ranges.map(({ startOffset, endOffset }) => endOffset - startOffset)).toEqual([2, 6]);
    expect(isCutBySize).toBe(false);
  });

  it('cuts by size, and says that more can be taken at once', () => {
    const { ranges, isCutBySize, waitingBytes } = plan({ maxBytes: 4_000 });
    expect(ranges.map(({ startOffset, endOffset }) => endOffset - startOffset)).toEqual([10, 30]);
    expect(isCutBySize).toBe(true);
    expect(waitingBytes).toBe(8_000);
  });

  it('always takes something, however large one message is', () => {
    expect(plan({ maxBytes: 1 }).ranges).toHaveLength(1);
  });

  it('fails where messages are gone, with both offsets and what to do', () => {
    expect(() => plan({ bounds: new Map([bounds(0, 15, 30)]) })).toThrow(
      expect.objectContaining({
        code: 'OFFSET_LOST',
        message:
          'group g is at offset 10 of t/0, and the log now starts at 15, so 5 offsets are gone; set failOnDataLoss to false to go on without them',
      }),
    );
  });

  it('begins at the position all the same where loss is allowed, so that the gap is accounted for', () => {
    const { ranges, warnings } = plan({ bounds: new Map([bounds(0, 15, 30)]), failOnDataLoss: false });
    expect(ranges).toEqual([{ topic: 't', partition: 0, startOffset: 10, endOffset: 30 }]);
    expect(warnings).toEqual([
      'group g is at offset 10 of t/0, and the log now starts at 15, so 5 offsets are gone; failOnDataLoss is false: going on at 15',
    ]);
  });

  it('tells positions behind the end of their log, and reads nothing there', () => {
    const { ranges, beyond } = plan({ bounds: new Map([bounds(0, 2, 4), bounds(1, 0, 60)]) });
    expect(beyond).toEqual([{ topic: 't', partition: 0, offset: 10, end: 4, logStart: 2 }]);
    expect(ranges).toHaveLength(1);
  });
});
