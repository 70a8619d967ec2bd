import { expect, it } from 'vitest';
import { type ErrorCode, ioError, OffloadError } from '../../../src/errors.ts';
import { Outage } from '../../../src/stream/outage.ts';
import type { StreamEvent } from '../../../src/stream/types.ts';

function make(isEndless: boolean) {
  const events: StreamEvent[] = [];
  return { outage: new Outage((event) => events.push(event), isEndless), events };
}

const diskFull = ioError('write', '/data/x', Object.assign(new Error('no space'), { code: 'ENOSPC', path: '/data/x' }));
const refused = ioError('write', '/data/x', Object.assign(new Error('denied'), { code: 'EACCES', path: '/data/x' }));
const error = (code: ErrorCode) => new OffloadError(code, `it is ${code}`);

it('waits longer each time, half a minute at most, and says when it is over', () => {
  const { outage, events } = make(true);
  const waits = Array.from({ length: 12 }, () => outage.failed(error('BROKER_UNREACHABLE')));
  expect(waits[0]).toBeLessThanOrEqual(500);
  expect(waits.at(-1)).toBeGreaterThanOrEqual(24_000);
  expect(waits.at(-1)).toBeLessThanOrEqual(30_000);
  expect(events[0]).toEqual({
    kind: 'waiting',
    code: 'BROKER_UNREACHABLE',
    message: 'it is BROKER_UNREACHABLE',
    attempt: 1,
    retryInMs: waits[0],
  });
  outage.succeeded();
  outage.succeeded();
  expect(events.map(({ kind }) => kind)).toEqual([...waits.map(() => 'waiting'), 'resumed']);
});

it.each([diskFull, error('FENCED'), error('OUTCOME_UNKNOWN'), error('LEADER_MOVED')])(
  'goes on after $message',
  (passing) => {
    expect(() => make(true).outage.failed(passing)).not.toThrow();
  },
);

it.each([refused, error('OFFSET_LOST'), error('CONFIG_INVALID'), error('INVALID_UTF8')])(
  'ends with $message',
  (lasting) => {
    expect(() => make(true).outage.failed(lasting)).toThrow(lasting);
  },
);

it('fails as a run of batch does where the stream ends by itself, but looks again where it was overtaken', () => {
  const { outage } = make(false);
  expect(() => outage.failed(error('BROKER_UNREACHABLE'))).toThrow('BROKER_UNREACHABLE');
  for (let attempt = 0; attempt < 20; attempt++) outage.failed(error('FENCED'));
  expect(() => outage.failed(error('FENCED'))).toThrow('FENCED');
});
