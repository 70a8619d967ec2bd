import { describe, expect, test } from 'vitest';
import {
  formatOffsetsFile,
  mergeOffsets,
  parseOffsetsFile,
  type SavedOffset,
  sortOffsets,
} from '../../../src/commit/savedOffsets.ts';
import { outdatedKeys, type TopicRecord } from '../../../src/commit/streamRecords.ts';
import { readStreamState } from '../../../src/commit/streamState.ts';

const one = { topics: ['orders'], plainTopic: 'orders', before: null };
const several = { topics: ['clicks', 'orders'], plainTopic: null };

function parse(text: string, use: Parameters<typeof parseOffsetsFile>[2] = one): SavedOffset[] {
  return sortOffsets(parseOffsetsFile('/o/orders', text, use));
}

function saved(...entries: [topic: string, partition: number, offset: number][]): Map<string, SavedOffset> {
  return new Map(entries.map(([topic, partition, offset]) => [`${topic}/${partition}`, { topic, partition, offset }]));
}

describe('the offsets file', () => {
  test('is written to the byte, in partition order', () => {
    const offsets = saved(['orders', 10, 7], ['orders', 2, 9_007_199_254_740_991]);
    expect(formatOffsetsFile(offsets, one)).toBe('- "2,9007199254740991"\n- "10,7"\n');
    expect(formatOffsetsFile(saved(['b', 0, 1], ['a', 0, 2]), several)).toBe('- "a,0,2"\n- "b,0,1"\n');
    expect(formatOffsetsFile(new Map(), one)).toBe('[]\n');
  });

  test('is read in every form of a YAML list', () => {
    const expected = [{ topic: 'orders', partition: 0, offset: 123 }];
    for (const text of [
      '- "0,123"\n',
      "- '0,123'",
      '- 0,123\n',
      '["0,123"]',
      '# by hand\n---\n-   "0, 123"  # note\n',
    ]) {
      expect(parse(text), text).toEqual(expected);
    }
    for (const text of ['', '# nothing\n', '[]\n', '---\n']) expect(parse(text), text).toEqual([]);
  });

  test.each([
    ['- "0,1"\n- "1,x"\n', 2, '1,x'],
    ['- "0,-1"\n', 1, '0,-1'],
    ['- "0,1.5"\n', 1, '0,1.5'],
    ['- "0,9007199254740993"\n', 1, '0,9007199254740993'],
    ['- "0"\n', 1, '0'],
    ['- 12\n', 1, '12'],
    ['- "0,1"\n- "0,2"\n', 2, '0,2'],
    ['- [0, 1]\n', 1, '- [0, 1]'],
    ['orders: 1\n', 1, 'orders: 1'],
    ['- "0,1\n', 1, '- "0,1'],
  ])('%j is refused, naming line and text', (text, line, entry) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: 'SAVED_OFFSETS_INVALID',
        message: expect.stringContaining(`/o/orders, line ${line}: "${entry}"`),
      }),
    );
  });

  test('entries of one topic are taken over when it becomes several, and back', () => {
    expect(parse('- "0,5"\n', { ...several, before: one })).toEqual([{ topic: 'orders', partition: 0, offset: 5 }]);
    const both = '- "clicks,0,7"\n- "orders,0,5"\n';
    const back = parseOffsetsFile('/o/orders', both, { ...one, before: several });
    expect(formatOffsetsFile(back, one)).toBe('- "clicks,0,7"\n- "0,5"\n');
    expect(
      formatOffsetsFile(parseOffsetsFile('/o', '- "clicks,0,7"\n- "0,5"\n', { ...several, before: one }), several),
    ).toBe(both);
    expect(() => parse('- "0,5"\n', { ...several, before: null })).toThrow(/which topic it is for/);
  });

  test('an entry without a topic stays that of the topic it was written for', () => {
    const clicks = { topics: ['clicks'], plainTopic: 'clicks' };
    const orders = [{ topic: 'orders', partition: 0, offset: 5 }];
    expect(parse('- "0,5"\n', { ...clicks, before: one })).toEqual(orders);
    expect(parse('- "0,5"\n', { topics: ['clicks', 'views'], plainTopic: null, before: one })).toEqual(orders);
  });
});

test('merging moves what stands where the run began, and leaves what was set by hand', () => {
  const at = (offset: number | null) => [0, 1, 2, 3].map((partition) => ({ topic: 't', partition, offset }));
  const before = saved(['t', 0, 5], ['t', 1, 9], ['t', 2, 3], ['u', 0, 1]);
  const { offsets, warnings } = mergeOffsets(before, { run: 'r', previous: at(5), next: at(9) });
  expect(offsets).toEqual(saved(['t', 0, 9], ['t', 1, 9], ['t', 2, 3], ['u', 0, 1]));
  expect(warnings).toEqual([expect.stringContaining('t/2 is 3'), expect.stringContaining('t/3 is absent')]);
});

describe('records of the offsets topic', () => {
  let offset = 0;
  const record = (key: string, value: string | null, partition = 0, timestampMs = 1_000): TopicRecord => ({
    partition,
    offset: offset++,
    timestampMs,
    key: Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
  });
  const read = (records: TopicRecord[] | null, topics = ['orders']) =>
    readStreamState(async () => records, {
      ...{ topic: 'offsets', config: 'orders', topics, waitForStableMs: 0 },
      plainTopic: topics.length === 1 ? (topics[0] ?? null) : null,
    });

  test('within a partition the log decides, across partitions the newest timestamp', async () => {
    const inOne = await read([record('orders/0', '5', 0, 2_000), record('orders/0', '7', 0, 1_000)]);
    expect(inOne.state.offsets).toEqual([{ topic: 'orders', partition: 0, offset: 7 }]);
    const inTwo = await read([record('orders/0', '5', 0, 2_000), record('orders/0', '7', 1, 1_000)]);
    expect(inTwo.state.offsets).toEqual([{ topic: 'orders', partition: 0, offset: 5 }]);
    expect(inTwo.places.get('orders/0')).toEqual([0, 1]);
  });

  test('of other configs are not read, and a tombstone is nothing saved', async () => {
    const state = await read([
      record('order/0', 'x'),
      record('orders2/0', 'x'),
      record('orders/0', '1'),
      record('orders/0', null),
    ]);
    expect(state).toMatchObject({ exists: true, state: { offsets: [], previousRun: null }, run: null, intent: null });
    expect((await read(null)).exists).toBe(false);
  });

  test('entries of one topic are taken over when it becomes several, and are superseded by theirs', async () => {
    const last = record('_kafkaload.state/orders', '{"version":1,"topics":["orders"],"topicIds":{"orders":"id"}}');
    const first = await read([record('orders/0', '5'), last], ['clicks', 'orders']);
    expect(first.state.offsets).toEqual([{ topic: 'orders', partition: 0, offset: 5 }]);
    expect(first.state.topicIds).toEqual({ orders: 'id' });
    const later = record('_kafkaload.state/orders', '{"version":1,"topics":["clicks","orders"],"topicIds":{}}');
    const records = [record('orders/0', '5'), record('orders/orders/0', '8'), later];
    expect((await read(records, ['clicks', 'orders'])).state.offsets).toEqual([
      { topic: 'orders', partition: 0, offset: 8 },
    ]);
    expect((await read(records)).state.offsets).toEqual([{ topic: 'orders', partition: 0, offset: 8 }]);
    const taken = await read([record('orders/0', '5'), last], ['clicks', 'orders']);
    expect(outdatedKeys(taken, 'orders', taken.offsets, several)).toEqual(['orders/0']);
    expect(outdatedKeys(taken, 'orders', taken.offsets, one)).toEqual([]);
  });

  test('a run record that cannot be read is still a run to be watched', async () => {
    expect((await read([record('_kafkaload.run/orders', 'what?')])).run).toMatchObject({ owner: null, takenOver: [] });
  });

  test('an intent that cannot be read is told apart from none', async () => {
    expect(await read([record('_kafkaload.intent/orders', '{}')])).toMatchObject({ intent: null, damagedIntent: '{}' });
    expect(await read([record('_kafkaload.intent/orders', null)])).toMatchObject({ intent: null, damagedIntent: null });
  });
});
