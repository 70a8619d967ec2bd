import { describe, expect, it } from 'vitest';
import { OffloadError } from '../../../src/errors.ts';
import { planRanges, type RangeInput } from '../../../src/plan/ranges.ts';

const TOPIC = 'orders';

function input(overrides: Partial<RangeInput> = {}): RangeInput {
  return {
    config: 'nightly',
    topic: TOPIC,
    topicId: 'id-1',
    bounds: [bounds(0, 0, 100), bounds(1, 20, 60)],
    saved: [],
    savedTopicIds: {},
    starting: new Map(),
    ending: new Map(),
    maxRead: null,
    failOnDataLoss: true,
    ...overrides,
  };
}

function bounds(partition: number, logStartOffset: number, highWatermark: number, readableEnd = highWatermark) {
  return { partition, logStartOffset, highWatermark, readableEnd };
}

function at(partition: number, offset: number | null) {
  return { topic: TOPIC, partition, offset };
}

function range(partition: number, startOffset: number, endOffset: number) {
  return { topic: TOPIC, partition, startOffset, endOffset };
}

function failure(run: () => unknown): OffloadError {
  try {
    run();
  } catch (error) {
    if (error instanceof OffloadError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('planRanges', () => {
  it('begins at the log start and names no previous offset while nothing is saved', () => {
    const plan = planRanges(input());
    expect(plan.ranges).toEqual([range(0, 0, 100), range(1, 20, 60)]);
    expect(plan.previous).toEqual([at(0, null), at(1, null)]);
    expect(plan.next).toEqual([at(0, 100), at(1, 60)]);
  });

  it('resumes at saved offsets, whatever the starting offsets say', () => {
    const plan = planRanges(input({ saved: [at(0, 40), at(1, 60)], starting: new Map([[0, 5]]) }));
    expect(plan.ranges).toEqual([range(0, 40, 100)]);
    expect(plan.next).toEqual([at(0, 100), at(1, 60)]);
  });

  it('begins a partition that was added at its log start, not at the starting offset', () => {
    const plan = planRanges(input({ saved: [at(0, 100)], starting: new Map([[1, 60]]) }));
    expect(plan.ranges).toEqual([range(1, 20, 60)]);
    expect(plan.previous).toEqual([at(0, 100), at(1, null)]);
  });

  it('stops at the last stable offset and never lowers a saved offset beyond it', () => {
    const open = { bounds: [bounds(0, 0, 100, 70)], saved: [at(0, 80)] };
    expect(planRanges(input({ ...open, saved: [at(0, 50)] })).ranges).toEqual([range(0, 50, 70)]);
    expect(planRanges(input(open)).next).toEqual([at(0, 80)]);
  });

  it('warns when an open transaction holds back an ending offset that exists', () => {
    const plan = planRanges(input({ bounds: [bounds(0, 0, 100, 70)], ending: new Map([[0, 90]]) }));
    expect(plan.next).toEqual([at(0, 70)]);
    expect(plan.warnings).toEqual(['orders/0 is read up to 70 instead of 90: an open transaction holds back the rest']);
  });

  it('gives exit 3 with both numbers when offsets below the log start are gone', () => {
    const error = failure(() => planRanges(input({ saved: [at(0, 0), at(1, 5)] })));
    expect(error.exitStatus).toBe(3);
    expect(error.message).toBe(
      'cannot resume orders/1 at offset 5: the log now starts at 20, so 15 offsets are gone; set failOnDataLoss to false to go on without them',
    );
  });

  it('goes on behind lost offsets and records them when told to', () => {
    const plan = planRanges(input({ saved: [at(0, 100), at(1, 5)], failOnDataLoss: false }));
    expect(plan.ranges).toEqual([range(1, 20, 60)]);
    expect(plan.lost).toEqual(new Map([[1, 15]]));
    expect(plan.warnings).toHaveLength(1);
  });

  it('gives exit 3 when a saved offset lies above the end', () => {
    const error = failure(() => planRanges(input({ saved: [at(0, 101)], failOnDataLoss: false })));
    expect(error.exitStatus).toBe(3);
    expect(error.message).toBe(
      'cannot resume orders/0 at offset 101: the log ends at 100, so it was truncated or made again; ' +
        'run kafkaload offsets reset --config nightly to begin anew',
    );
  });

  it('gives exit 3 when the topic was made again, even with more messages than before', () => {
    const error = failure(() => planRanges(input({ saved: [at(0, 40)], savedTopicIds: { orders: 'id-0' } })));
    expect(error.exitStatus).toBe(3);
    expect(error.message).toBe(
      'cannot resume orders: it was made again (topic id id-0 when nightly was last offloaded, id-1 now), so the saved ' +
        'offsets mean nothing; run kafkaload offsets reset --config nightly to begin anew',
    );
  });

  it('gives exit 3 when the config named another topic before', () => {
    const error = failure(() => planRanges(input({ saved: [at(0, 40)], savedTopicIds: { clicks: 'id-0' } })));
    expect(error.exitStatus).toBe(3);
    expect(error.message).toContain('the saved offsets of nightly are those of topic clicks');
  });

  it('gives exit 3 when a saved partition is not there any more', () => {
    const error = failure(() => planRanges(input({ saved: [at(0, 40), at(7, 3)] })));
    expect(error.code).toBe('OFFSET_LOST');
    expect(error.message).toContain('orders/7');
  });

  it('does not compare topic ids where a broker has none', () => {
    expect(
      planRanges(input({ topicId: null, savedTopicIds: { orders: 'id-0' }, saved: [at(0, 40)] })).ranges,
    ).toHaveLength(2);
  });

  it('refuses starting and ending offsets outside the log as configuration', () => {
    expect(failure(() => planRanges(input({ starting: new Map([[0, 101]]) }))).exitStatus).toBe(2);
    expect(failure(() => planRanges(input({ ending: new Map([[0, 101]]) }))).exitStatus).toBe(2);
  });
});
