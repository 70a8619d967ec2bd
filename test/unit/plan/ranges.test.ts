import { describe, expect, it } from 'vitest';
import { OffloadError } from '../../../src/errors.ts';
import { planRanges, type RangeInput } from '../../../src/plan/ranges.ts';

const TOPIC = 'orders';

function input(overrides: Partial<RangeInput> = {}): RangeInput {
  return {
    config: 'nightly',
    topics: [{ topic: TOPIC, topicId: 'id-1', partitions: [0, 1] }],
    plainTopic: TOPIC,
    bounds: [bounds(0, 0, 100), bounds(1, 20, 60)],
    saved: [],
    otherTopics: [],
    savedTopicIds: {},
    starting: new Map(),
    startIsAsked: false,
    commit: true,
    ending: new Map(),
    maxRead: null,
    failOnDataLoss: true,
    ...overrides,
  };
}

function bounds(partition: number, logStartOffset: number, highWatermark: number, readableEnd = highWatermark) {
  return { topic: TOPIC, partition, logStartOffset, highWatermark, readableEnd };
}

function offsets(...entries: [partition: number, offset: number][]): Map<string, number> {
  return new Map(entries.map(([partition, offset]) => [`${TOPIC}/${partition}`, offset]));
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
    const plan = planRanges(input({ saved: [at(0, 40), at(1, 60)], starting: offsets([0, 5]) }));
    expect(plan.ranges).toEqual([range(0, 40, 100)]);
    expect(plan.next).toEqual([at(0, 100), at(1, 60)]);
  });

  it('begins a partition that was added at its log start, not at the starting offset', () => {
    const plan = planRanges(input({ saved: [at(0, 100)], starting: offsets([1, 60]) }));
    expect(plan.ranges).toEqual([range(1, 20, 60)]);
    expect(plan.previous).toEqual([at(0, 100), at(1, null)]);
  });

  it('stops at the last stable offset and never lowers a saved offset beyond it', () => {
    const open = { bounds: [bounds(0, 0, 100, 70)], saved: [at(0, 80)] };
    expect(planRanges(input({ ...open, saved: [at(0, 50)] })).ranges).toEqual([range(0, 50, 70)]);
    expect(planRanges(input(open)).next).toEqual([at(0, 80)]);
  });

  it('warns when an open transaction holds back an ending offset that exists', () => {
    const plan = planRanges(input({ bounds: [bounds(0, 0, 100, 70)], ending: offsets([0, 90]) }));
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
    expect(plan.lost).toEqual(offsets([1, 15]));
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
    const error = failure(() => planRanges(input({ otherTopics: ['clicks'], savedTopicIds: { clicks: 'id-0' } })));
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
      planRanges(
        input({
          topics: [{ topic: TOPIC, topicId: null, partitions: [0, 1] }],
          savedTopicIds: { orders: 'id-0' },
          saved: [at(0, 40)],
        }),
      ).ranges,
    ).toHaveLength(2);
  });

  it('refuses starting and ending offsets outside the log as configuration', () => {
    expect(failure(() => planRanges(input({ starting: offsets([0, 101]) }))).exitStatus).toBe(2);
    expect(failure(() => planRanges(input({ ending: offsets([0, 101]) }))).exitStatus).toBe(2);
  });
});

describe('planRanges with a start that is asked for', () => {
  const saved = [at(0, 40), at(1, 60)];
  const asked = { saved, startIsAsked: true };

  it('is where a run without saved offsets begins', () => {
    expect(planRanges(input({ startIsAsked: true, starting: offsets([0, 90], [1, 60]) })).ranges).toEqual([
      range(0, 90, 100),
    ]);
  });

  it('changes nothing where it is what is saved, and leaves out what it does not name', () => {
    const plan = planRanges(input({ ...asked, starting: offsets([0, 40]) }));
    expect(plan.ranges).toEqual([range(0, 40, 100)]);
    expect(plan.next).toEqual([at(0, 100), at(1, 60)]);
  });

  it('is refused elsewhere by a run that commits, naming --no-commit and offsets set', () => {
    for (const offset of [39, 41]) {
      const error = failure(() => planRanges(input({ ...asked, starting: offsets([0, offset]) })));
      expect(error.exitStatus).toBe(2);
      expect(error.message).toBe(
        `--starting-offsets asks for orders/0 from offset ${offset}, but in config nightly offset 40 is saved; add ` +
          '--no-commit to read another range and leave what is saved, or move it first: kafkaload offsets set --config nightly',
      );
    }
    const added = { ...asked, saved: [at(0, 40)] };
    expect(failure(() => planRanges(input({ ...added, starting: offsets([1, 30]) }))).code).toBe('USAGE');
    expect(planRanges(input({ ...added, starting: offsets([1, 20]) })).ranges).toHaveLength(2);
  });

  it('is read from without a commit, whatever is saved', () => {
    const free = { ...asked, commit: false };
    const plan = planRanges(input({ ...free, starting: offsets([0, 10]), ending: offsets([0, 30]) }));
    expect(plan.ranges).toEqual([range(0, 10, 30)]);
    expect(plan.previous).toEqual(saved);
    const remade = { ...free, savedTopicIds: { orders: 'id-0' } };
    expect(planRanges(input({ ...remade, starting: offsets([0, 0], [1, 20]) })).ranges).toHaveLength(2);
    expect(failure(() => planRanges(input({ ...remade, starting: offsets([0, 0]) }))).code).toBe('OFFSET_LOST');
  });

  it('never lowers a saved offset for an end below it', () => {
    const plan = planRanges(input({ saved, ending: offsets([0, 20], [1, 20]) }));
    expect(plan.ranges).toEqual([]);
    expect(plan.next).toEqual(saved);
  });
});

describe('planRanges with several topics', () => {
  const topics = ['clicks', 'orders'].map((topic) => ({ topic, topicId: `id-${topic}`, partitions: [0] }));
  const both = topics.map(({ topic }, index) => ({ ...bounds(0, 0, 10 * (index + 1)), topic }));
  const several = { topics, plainTopic: null, bounds: both };
  const whole = (topic: string, startOffset: number, endOffset: number) => ({
    ...range(0, startOffset, endOffset),
    topic,
  });

  it('keeps partitions of the same number apart, in starts, ends, losses and saved offsets', () => {
    const starting = new Map([
      ['clicks/0', 3],
      ['orders/0', 4],
    ]);
    expect(planRanges(input({ ...several, starting, ending: new Map([['orders/0', 15]]) })).ranges).toEqual([
      whole('clicks', 3, 10),
      whole('orders', 4, 15),
    ]);
    const resumed = planRanges(input({ ...several, saved: [{ topic: 'orders', partition: 0, offset: 7 }] }));
    expect(resumed.ranges).toEqual([whole('clicks', 0, 10), whole('orders', 7, 20)]);
    const lossy = both.map((entry) => ({ ...entry, logStartOffset: 5 }));
    const saved = both.map(({ topic }, index) => ({ topic, partition: 0, offset: index }));
    expect(planRanges(input({ ...several, bounds: lossy, saved, failOnDataLoss: false })).lost).toEqual(
      new Map([
        ['clicks/0', 5],
        ['orders/0', 4],
      ]),
    );
  });

  it('limits all of them together', () => {
    expect(planRanges(input({ ...several, maxRead: 15 })).ranges).toEqual([
      whole('clicks', 0, 5),
      whole('orders', 0, 10),
    ]);
  });

  it('begins a topic that appears later at its log start, also when none of those before is read any more', () => {
    const plan = planRanges(input({ ...several, otherTopics: ['gone'], starting: new Map([['clicks/0', 9]]) }));
    expect(plan.ranges).toEqual([whole('clicks', 0, 10), whole('orders', 0, 20)]);
  });

  it('tells that one of them was made again', () => {
    const saved = [{ topic: 'orders', partition: 0, offset: 7 }];
    const savedTopicIds = { clicks: 'id-clicks', orders: 'id-before' };
    expect(failure(() => planRanges(input({ ...several, saved, savedTopicIds }))).message).toMatch(
      /^cannot resume orders: it was made again/,
    );
  });
});
