import { expect, it } from 'vitest';
import { OffloadError } from '../../src/errors.ts';
import { withRetry } from '../../src/retry.ts';
import { countRetry, readRetryCounts } from '../../src/retryCounts.ts';

const POLICY = { deadlineMs: 120, retryBackoffMs: 5, retryBackoffMaxMs: 20 };
const down = () => new OffloadError('BROKER_UNREACHABLE', 'cannot reach broker b:1');

it('tries again what is retriable, after telling what failed', async () => {
  const failures: string[] = [];
  const attempt = async (count: number): Promise<string> => {
    if (count < 3) throw down();
    return `after ${count}`;
  };
  const onFailure = (error: OffloadError): void => void failures.push(error.code);
  expect(await withRetry(attempt, POLICY, { onFailure })).toBe('after 3');
  expect(failures).toEqual(Array(3).fill('BROKER_UNREACHABLE'));
});

it('gives up after the deadline and says how often and how long it tried', async () => {
  await expect(withRetry(() => Promise.reject(down()), POLICY)).rejects.toThrow(
    /^cannot reach broker b:1 \(tried \d+ times in 0\.\d s\)$/,
  );
});

it('does not try again what will never succeed', async () => {
  let attempts = 0;
  const attempt = (): Promise<never> => {
    attempts++;
    return Promise.reject(new OffloadError('NOT_AUTHORIZED', 'no'));
  };
  await expect(withRetry(attempt, POLICY)).rejects.toThrow('no');
  expect(attempts).toBe(1);
});

it('ends its wait when the signal aborts, with the reason of the signal', async () => {
  const reason = new OffloadError('INTERRUPTED', 'stopped by SIGINT');
  const aborter = new AbortController();
  const waiting = withRetry(
    () => Promise.reject(down()),
    { ...POLICY, retryBackoffMs: 60_000, retryBackoffMaxMs: 60_000, deadlineMs: 600_000 },
    { signal: aborter.signal },
  );
  setTimeout(() => aborter.abort(reason), 10);
  await expect(waiting).rejects.toBe(reason);
});

it('counts what was tried again by the error before, since an earlier count', async () => {
  const before = readRetryCounts();
  const attempt = async (count: number): Promise<void> => {
    if (count < 2) throw down();
    if (count < 3) throw new OffloadError('LEADER_MOVED', 'elsewhere');
  };
  await withRetry(attempt, POLICY);
  const twice = { BROKER_UNREACHABLE: 2, LEADER_MOVED: 1 };
  expect(readRetryCounts(before)).toEqual(twice);
  const later = readRetryCounts();
  expect(readRetryCounts(later)).toEqual({});
  countRetry('BROKER_TIMEOUT');
  expect(readRetryCounts(later)).toEqual({ BROKER_TIMEOUT: 1 });
});
