import { describe, expect, it } from 'vitest';
import { resolveSampleJob } from '../../../src/config/sampleJob.ts';
import { configOf, errorOf, makeWorkspace } from './workspace.ts';

const { environment, write } = await makeWorkspace();
const access = { startingOffsets: 'latest', failOnDataLoss: 'true', endingOffsets: '{"orders":{"0":9}}' };
await write('kafkaload.yml', configOf({ access, topic: { maxRead: 5, writeFormat: 'csv' } }));

const resolve = (options: Parameters<typeof resolveSampleJob>[0]) => resolveSampleJob(options, environment());

describe('resolveSampleJob', () => {
  it('reads to where a run would end, wherever that would begin, and commits nothing', async () => {
    const { source, limit, truncate } = await resolve({ config: 'orders' });
    expect(source).toMatchObject({
      startingOffsets: { kind: 'earliest' },
      endingOffsets: { kind: 'offsets', byTopic: { orders: { 0: 9 } } },
      startIsAsked: false,
      maxRead: null,
      failOnDataLoss: false,
      commit: false,
    });
    expect([limit, truncate]).toEqual([20, 20]);
  });

  it.each([
    [{ limit: '1', truncate: 'false' }, 1, null],
    [{ limit: '100000', truncate: '7' }, 100_000, 7],
  ])('takes %j', async (options, limit, truncate) => {
    expect(await resolve({ config: 'orders', ...options })).toMatchObject({ limit, truncate });
  });

  it.each([
    [{}, 'USAGE: --config is missing; name the entry under kafka.topics whose messages are shown: --config NAME'],
    [{ config: 'nobody' }, 'CONFIG_UNKNOWN: there is no entry kafka.topics.nobody in kafkaload.yml; it has orders'],
    [{ config: 'orders', limit: '0' }, 'USAGE: --limit 0 is no number of messages; write 1 to 100000'],
    [{ config: 'orders', limit: '1e3' }, 'USAGE: --limit 1e3 is no number of messages; write 1 to 100000'],
    [
      { config: 'orders', limit: '100001' },
      'USAGE: --limit 100001 is no number of messages; write 1 to 100000; --write-path and --no-commit put more into files',
    ],
    [{ config: 'orders', truncate: 'no' }, 'USAGE: --truncate no is neither true nor false nor a number of characters'],
    [
      { format: 'json' },
      'USAGE: --format json has no place: a sample is of a topic; the first rows of files are shown by kafkaload --path PATH --write-format console',
    ],
    [
      { format: 'Kafka' },
      'CONFIG_INVALID: --format kafka reads a topic, and none is named; set subscribe, subscribePattern or assign in --options',
    ],
  ])('refuses %j', async (options, message) => {
    expect(await errorOf(() => resolve(options))).toBe(message);
  });
});
