import { describe, expect, test } from 'vitest';
import { liveness, readiness } from '../../../../src/stream/observe/health.ts';
import { History } from '../../../../src/stream/observe/history.ts';
import { SlidingRate } from '../../../../src/stream/observe/slidingRate.ts';
import { StatusKeeper } from '../../../../src/stream/observe/status.ts';
import { joined, SetClock, StreamFeed, streamJob, written } from '../../../helpers/streamFeed.ts';

const AWAY = {
  kind: 'waiting',
  code: 'BROKER_UNREACHABLE',
  message: 'nobody answers',
  attempt: 1,
  retryInMs: 9,
} as const;
const P0 = { topic: 'orders', partition: 0 };
const P1 = { topic: 'orders', partition: 1 };

function keeperOf(stream: object = {}): { keeper: StatusKeeper; clock: SetClock } {
  const clock = new SetClock();
  return { keeper: new StatusKeeper(streamJob(stream), clock), clock };
}

describe('the status of a stream', () => {
  test('adds up what was read and written, and knows the lag of the partitions that are ours', () => {
    const { keeper, clock } = keeperOf();
    keeper.apply(joined('g', 3));
    keeper.apply({ kind: 'assigned', partitions: [P1, P0] });
    keeper.apply({ kind: 'lag', partitions: [{ ...P0, position: 100, end: 180 }] });
    expect(keeper.snapshot().partitions).toMatchObject([
      { ...P0, position: 100, end: 180, lag: 80 },
      { ...P1, position: null, end: null, lag: null },
    ]);
    keeper.apply({ kind: 'progress', rows: 30, bytes: 3000, offsets: 50 });
    clock.pass(2_000);
    const range = { ...P0, startOffset: 100, endOffset: 150 };
    const files = [{ path: 'a.parquet', rows: 28, bytes: 500 }];
    const outcome = { rows: 28, bytes: 500, files, name: '7', bytesRead: 3000, badRecords: 2 };
    keeper.apply(written(1, [range], outcome, 1.5));
    clock.pass(3_000);
    keeper.apply({ kind: 'abandoned', batch: { number: 2, ranges: [] }, why: 'overtaken' });
    const status = keeper.snapshot();
    expect(status.totals).toEqual({
      ...{ rowsRead: 30, bytesRead: 3000, rowsWritten: 28, bytesWritten: 500, filesWritten: 1, badRecords: 2 },
      ...{ written: 1, abandoned: 1, rebalances: 3, retries: {} },
    });
    expect(status.rates).toEqual({ windowSeconds: 20, rows: 6, bytes: 600 });
    expect(status.partitions[0]).toEqual({ ...P0, position: 150, end: 180, lag: 30, offsetsPerSecond: 10 });
    expect(status.lag).toBe(30);
    expect(status.lastCommit?.seconds).toBe(3);
    expect(keeper.commits).toEqual([
      {
        ...{ number: 1, name: '7', seconds: 1.5, rows: 28, bytes: 500, badRecords: 2, fileCount: 1, rangeCount: 1 },
        ...{ atMs: clock.wallMs() - 3_000, files, ranges: [range] },
      },
    ]);
  });

  test('counts as read what a sink only tells at the end', () => {
    const { keeper } = keeperOf();
    keeper.apply(written(1, [], { rows: 10, bytesRead: 700, badRecords: 1 }));
    keeper.apply({ kind: 'progress', rows: 5, bytes: 300, offsets: 5 });
    keeper.apply(written(2, [], { rows: 5, bytesRead: 300 }));
    expect(keeper.snapshot().totals).toMatchObject({ rowsRead: 16, bytesRead: 1000 });
  });

  test('forgets partitions that went to another member, and what is told of them late', () => {
    const { keeper } = keeperOf();
    keeper.apply(joined());
    keeper.apply({ kind: 'assigned', partitions: [P0, P1] });
    keeper.apply({ kind: 'revoked', partitions: [P1] });
    keeper.apply({ kind: 'lag', partitions: [{ ...P1, position: 0, end: 9 }] });
    expect(keeper.snapshot()).toMatchObject({ state: 'running', lag: 0, partitions: [P0] });
    keeper.apply({ kind: 'lost', partitions: [P0] });
    expect(keeper.snapshot()).toMatchObject({ state: 'joining', partitions: [] });
  });

  test('keeps the last hundred commits, with no more than some files and ranges of each', () => {
    const { keeper } = keeperOf();
    const files = Array.from({ length: 500 }, (_, at) => ({ path: `${at}`, rows: 1, bytes: 1 }));
    const ranges = files.map((_, partition) => ({ topic: 't', partition, startOffset: 0, endOffset: 1 }));
    for (let number = 1; number <= 103; number++) keeper.apply(written(number, ranges, { files }));
    expect(keeper.commits.map(({ number }) => number)).toEqual(Array.from({ length: 100 }, (_, at) => at + 4));
    const last = keeper.commits.at(-1);
    expect([last?.fileCount, last?.files.length, last?.rangeCount, last?.ranges.length]).toEqual([500, 200, 500, 256]);
    expect(keeper.snapshot().totals.filesWritten).toBe(51_500);
  });

  test('is joining, running, waiting, stopping; a stream of files runs at once', () => {
    const { keeper, clock } = keeperOf();
    const states: unknown[] = [keeper.snapshot().state];
    for (const event of [
      joined(),
      AWAY,
      { kind: 'resumed', afterMs: 1 },
      { kind: 'stopping', why: 'SIGTERM' },
    ] as const) {
      keeper.apply(event);
      states.push(keeper.snapshot().state);
    }
    expect(states).toEqual(['joining', 'running', 'waiting', 'running', 'stopping']);
    clock.pass(4_000);
    expect(keeper.snapshot()).toMatchObject({
      ...{ stateSeconds: 4, why: 'SIGTERM' },
      lastError: { code: 'BROKER_UNREACHABLE', message: 'nobody answers' },
    });
    expect(keeperOf({ group: null }).keeper.snapshot().state).toBe('running');
  });

  test('waits until membership and data both go on', () => {
    const { keeper } = keeperOf();
    keeper.apply(joined());
    keeper.apply({ ...AWAY, of: 'group', message: 'no coordinator' });
    keeper.apply(AWAY);
    expect(keeper.snapshot()).toMatchObject({ state: 'waiting', why: 'nobody answers' });
    keeper.apply({ kind: 'resumed', afterMs: 1 });
    expect(keeper.snapshot()).toMatchObject({ state: 'waiting', why: 'no coordinator' });
    keeper.apply({ kind: 'resumed', of: 'group', afterMs: 1 });
    expect(keeper.snapshot()).toMatchObject({ state: 'running', why: null });
    keeper.apply({ ...AWAY, of: 'group' });
    keeper.apply(joined());
    expect(keeper.snapshot()).toMatchObject({ state: 'running', why: null });
  });

  test('is alive while it waits for however long, and not when it has been silent', () => {
    const { keeper, clock } = keeperOf({ trigger: { kind: 'processingTime', intervalMs: 200_000 } });
    const job = streamJob({ trigger: { kind: 'processingTime', intervalMs: 200_000 } });
    const answers = () => [liveness(keeper.snapshot(), job).isGood, readiness(keeper.snapshot()).isGood];
    expect(answers()).toEqual([true, false]);
    keeper.apply(joined());
    clock.pass(599_000);
    expect(answers()).toEqual([true, true]);
    clock.pass(2_000);
    // Others of the group have all partitions.
    expect(answers()).toEqual([true, true]);
    keeper.apply({ kind: 'assigned', partitions: [P0] });
    clock.pass(601_000);
    expect(answers()).toEqual([false, true]);
    expect(liveness(keeper.snapshot(), job).why).toBe('nothing has happened for 10 min');
    keeper.apply(AWAY);
    clock.pass(86_400_000);
    expect(answers()).toEqual([true, false]);
    expect(readiness(keeper.snapshot()).why).toBe('waiting: nobody answers');
  });
});

test('a rate is a mean over its window, and slides', () => {
  const rate = new SlidingRate(10_000, 0);
  rate.add(500, 0);
  expect(rate.perSecond(100)).toBe(500);
  expect(rate.perSecond(5_000)).toBe(100);
  rate.add(500, 9_900);
  expect(rate.perSecond(9_900)).toBeCloseTo(1000 / 9.9);
  // The first is out of the window.
  expect(rate.perSecond(10_400)).toBeCloseTo(500 / 9.9);
  expect(rate.perSecond(60_000)).toBe(0);
  rate.add(95, 60_000);
  expect(rate.perSecond(60_000)).toBe(10);
});

test('samples are given once, in the order of the partitions of now', () => {
  const feed = new StreamFeed(streamJob(), 2);
  feed.run(4);
  const first = feed.history.since(0, feed.keeper.snapshot().partitions);
  expect(first.map(({ sequence, lags }) => [sequence, lags.length])).toEqual([
    [1, 2],
    [2, 2],
  ]);
  const [lag0, lag1] = first[1]?.lags ?? [];
  feed.observe({ kind: 'revoked', partitions: [{ topic: 'orders', partition: 0 }] });
  feed.observe({ kind: 'assigned', partitions: [{ topic: 'orders', partition: 5 }] });
  expect(feed.history.since(1, feed.keeper.snapshot().partitions)).toMatchObject([{ sequence: 2, lags: [lag1, null] }]);
  expect(lag0).toBeGreaterThan(0);
  const history = new History();
  for (let at = 0; at < 200; at++) history.add(feed.keeper.snapshot());
  expect(history.since(0, []).length).toBe(150);
});
