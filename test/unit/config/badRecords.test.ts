import { describe, expect, it } from 'vitest';
import { checkDeadLetters, readBadRecordPolicy } from '../../../src/config/badRecords.ts';
import type { TopicSelection } from '../../../src/config/job.ts';
import type { KafkaSettings } from '../../../src/config/kafkaSettings.ts';
import type { TopicEntry } from '../../../src/config/schema.ts';

const named = (onBadRecord: string, more: Partial<TopicEntry> = {}) => ({
  ...{ name: 'orders', where: 'kafka.topics.orders', entry: { onBadRecord, ...more } as TopicEntry },
});

describe('onBadRecord', () => {
  it('is fail where nothing is said', () => {
    expect(readBadRecordPolicy(null)).toEqual({ kind: 'fail' });
    expect(readBadRecordPolicy({ ...named('skip'), entry: {} as TopicEntry })).toEqual({ kind: 'fail' });
  });

  it('takes its words in any case, and a topic as it is', () => {
    expect(readBadRecordPolicy(named(' SKIP '))).toEqual({ kind: 'skip' });
    const create = { partitions: 1, replicationFactor: 1, createOptions: {} };
    expect(readBadRecordPolicy(named('DLQ: Orders.Dead'))).toEqual({ kind: 'dlq', topic: 'Orders.Dead', create });
    expect(readBadRecordPolicy(named('dlq:d', { partitions: 4, replicationFactor: 3 }))).toMatchObject({
      create: { partitions: 4, replicationFactor: 3 },
    });
  });

  it.each([
    ['drop', 'kafka.topics.orders.onBadRecord "drop" is none of fail, skip and dlq:TOPIC'],
    ['skp', 'did you mean skip?'],
    ['dlq:', 'kafka.topics.orders.onBadRecord: the topic "" is no topic name'],
    ['dlq:a,b', 'kafka.topics.orders.onBadRecord: the topic names several topics (a,b)'],
  ])('refuses "%s"', (text, message) => {
    expect(() => readBadRecordPolicy(named(text))).toThrow(message);
  });
});

describe('a topic of dead letters', () => {
  const kafka = (host: string) => ({ connection: { bootstrap: [{ host, port: 9092 }] } }) as unknown as KafkaSettings;
  const onBadRecord = readBadRecordPolicy(named('dlq:dead'));
  const source = (selection: TopicSelection) => ({ selection, kafka: kafka('a'), onBadRecord });
  const orders = source({ kind: 'topics', topics: ['orders'] });
  const offsets = { mode: 'STREAM', name: 'offsets', progressTopic: 'progress' } as const;

  it('is not one that is read', () => {
    const why = 'onBadRecord is dlq:dead, and topic dead is read by the same run';
    for (const selection of [
      { kind: 'topics', topics: ['orders', 'dead'] },
      { kind: 'pattern', pattern: 'o.*|d.*' },
      { kind: 'assign', partitions: { dead: [0] } },
    ] as const) {
      expect(() => checkDeadLetters(source(selection), null, offsets)).toThrow(why);
      // On another cluster it is another topic.
      expect(() => checkDeadLetters(source(selection), { topic: 't', kafka: kafka('b') }, offsets)).not.toThrow();
    }
    expect(() => checkDeadLetters(orders, null, offsets)).not.toThrow();
  });

  it('is not the one that rows go to, nor one that keeps state', () => {
    const sink = { topic: 'dead', kafka: kafka('b') };
    expect(() => checkDeadLetters(orders, sink, offsets)).toThrow('topic dead is the one that rows are written to');
    for (const state of [
      { ...offsets, name: 'dead' },
      { ...offsets, progressTopic: 'dead' },
    ]) {
      expect(() => checkDeadLetters(orders, null, state)).toThrow('saved offsets or progress are kept in');
    }
    expect(() => checkDeadLetters(orders, null, { ...offsets, mode: 'FILE', name: 'dead' })).not.toThrow();
  });
});
