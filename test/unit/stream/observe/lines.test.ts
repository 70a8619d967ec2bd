import { describe, expect, test, vi } from 'vitest';
import { createLog } from '../../../../src/coordinator/log.ts';
import { createEventLog } from '../../../../src/stream/observe/eventLog.ts';
import { progressLine, showProgressLine } from '../../../../src/stream/observe/progressLine.ts';
import { StatusKeeper } from '../../../../src/stream/observe/status.ts';
import { joined, SetClock, StreamFeed, streamJob, written } from '../../../helpers/streamFeed.ts';

function logged(verbose = false) {
  const lines: Record<string, unknown>[] = [];
  const clock = new SetClock();
  const log = createLog({ verbose, stderr: { write: (text) => lines.push(JSON.parse(text)) } });
  return { lines, clock, observe: createEventLog(log, 'to-lake\n', clock, () => 42) };
}

const partitions = Array.from({ length: 20 }, (_, partition) => ({ topic: 'orders', partition }));

describe('the log of a stream', () => {
  test('has one line for each micro-batch with data', () => {
    const { lines, observe } = logged();
    const range = { topic: 'orders', partition: 3, startOffset: 100, endOffset: 200 };
    const files = [{ path: 'a', rows: 98, bytes: 900 }];
    observe({ kind: 'begun', batch: { number: 7, ranges: [range] } });
    observe({ kind: 'progress', rows: 98, bytes: 1, offsets: 100 });
    observe({ kind: 'lag', partitions: [] });
    observe(written(7, [range], { rows: 98, bytes: 900, files, name: '12', badRecords: 2 }, 0.51234));
    observe(written(8, [range], {}));
    expect(lines).toEqual([
      {
        ...{ level: 30, time: expect.any(String), msg: 'micro-batch 7: 98 rows in 1 file' },
        ...{ batch: 7, name: '12', rows: 98, bytes: 900, files: 1, ranges: 'orders/3 [100, 200)' },
        ...{ seconds: 0.512, lag: 42, badRecords: 2 },
      },
    ]);
  });

  test('tells of the group, of what was abandoned and why it stops', () => {
    const { lines, observe } = logged();
    observe(joined('to-lake'));
    observe({ kind: 'assigned', partitions });
    observe({ kind: 'revoked', partitions: partitions.slice(0, 1) });
    observe({ kind: 'revoked', partitions: [] });
    observe({ kind: 'lost', partitions: partitions.slice(0, 2) });
    observe({ kind: 'abandoned', batch: { number: 2, ranges: [] }, why: 'orders/1 went on' });
    observe({ kind: 'stopping', why: 'SIGTERM' });
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      [30, 'joined group to-lake'],
      [
        30,
        `20 partitions are ours now: ${partitions
          .slice(0, 8)
          .map((p) => `orders/${p.partition}`)
          .join(', ')} and 12 more`,
      ],
      [30, '1 partition went to another member: orders/0'],
      [40, '2 partitions are lost: the group went on without this member: orders/0, orders/1'],
      [40, 'micro-batch 2 was abandoned: orders/1 went on'],
      [30, 'stopping: SIGTERM'],
    ]);
  });

  test('says an outage at once, when it has another cause, and then rarely', () => {
    const { lines, clock, observe } = logged();
    const wait = (code: string, attempt: number) =>
      observe({ kind: 'waiting', code, message: `no ${code}`, attempt, retryInMs: 5_000.4 });
    for (let attempt = 1; attempt <= 720; attempt++) {
      wait('BROKER', attempt);
      clock.pass(5_000);
    }
    wait('DISK', 721);
    observe({ kind: 'resumed', afterMs: 3_600_000 });
    observe({ kind: 'resumed', afterMs: 1 });
    wait('DISK', 1);
    expect(lines.map(({ msg }) => msg)).toEqual([
      'waiting, and trying again: no BROKER',
      'still waiting after 30 s: no BROKER',
      'still waiting after 90 s: no BROKER',
      'still waiting after 4 min: no BROKER',
      'still waiting after 8 min: no BROKER',
      'still waiting after 16 min: no BROKER',
      'still waiting after 32 min: no BROKER',
      'still waiting after 60 min: no DISK',
      'goes on after 60 min',
      'waiting, and trying again: no DISK',
    ]);
    expect(lines[0]).toMatchObject({ level: 40, code: 'BROKER', attempt: 1, retryInMs: 5_000 });
  });
});

describe('the progress line', () => {
  test('has rates, lag with the partition that is most behind, and the last commit', () => {
    const feed = new StreamFeed(streamJob(), 4);
    feed.run(104);
    expect(progressLine(feed.keeper.snapshot())).toMatch(
      /^[\d,]+ rows\/s \| \d+\.\d MB\/s \| lag [\d,]+ \(orders\/2: [\d,]+\) \| committed 4.0 s ago \| [\d,]+ rows \| [\d.]+ MiB$/,
    );
    feed.observe({ kind: 'waiting', code: 'X', message: 'nobody\nanswers', attempt: 1, retryInMs: 1 });
    feed.clock.pass(45_000);
    expect(progressLine(feed.keeper.snapshot())).toMatch(/^waiting for 45 s: nobody answers \| /);
    const files = new StatusKeeper(streamJob({ group: null }), new SetClock());
    expect(progressLine(files.snapshot())).toMatch(/^0 rows\/s \| 0.0 MB\/s \| nothing committed yet \| 0 rows \| /);
  });

  test('is drawn again on a terminal that is its own, and written line by line elsewhere', () => {
    vi.useFakeTimers();
    const keeper = new StatusKeeper(streamJob(), new SetClock());
    const show = (isTTY: boolean, isTerminalShared: boolean, ms: number): string => {
      let text = '';
      const stderr = { isTTY, columns: 20, write: (more: string) => (text += more) };
      const end = showProgressLine({ stderr, isTerminalShared, status: () => keeper.snapshot() });
      vi.advanceTimersByTime(ms);
      end();
      end();
      vi.advanceTimersByTime(ms);
      return text;
    };
    const cut = '\r\u001b[Kjoining for 0.0 s |';
    expect(show(true, false, 1_000)).toBe(`${cut}${cut}\r\u001b[K`);
    expect(show(true, true, 5_000)).toMatch(/^joining for [^\r]*MiB\n$/);
    expect(show(false, false, 10_000).split('\n').length).toBe(3);
    vi.useRealTimers();
  });
});
