import { describe, expect, it } from 'vitest';
import { eventAt } from '../../../bench/core/events.ts';
import { SWEEPS } from '../../../bench/core/names.ts';
import { planSweeps, topicsOf } from '../../../bench/sweeps/plan.ts';

describe('sweeps', () => {
  it('read what the goals ask for', () => {
    const sweeps = planSweeps(SWEEPS, 4_000_000, 2);
    const labels = Object.fromEntries(sweeps.map(({ name, points }) => [name, points.map(({ label }) => label)]));
    expect(labels).toEqual({
      size: ['50', '100', '200', '500', '1000', '2000', '5000', '10000'],
      partitions: ['1', '2', '4', '8', '16', '32', '64'],
      codec: ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
      messages: ['500000', '1000000', '2000000', '4000000', '8000000', '16000000'],
      workers: ['1', '2'],
      'workers-zstd': ['1', '2'],
      memory: ['default', '128MiB'],
    });
  });

  it('read about the same bytes of every size of message', () => {
    const [size] = planSweeps(['size'], 4_000_000, 2);
    const bytes = size?.points.slice(1).map(({ rows, valueBytes }) => rows * (valueBytes ?? 0)) ?? [];
    for (const each of bytes) expect(each).toBeCloseTo(380_000_000, -5);
  });

  it('share topics, each as long as the longest reading of it', () => {
    const topics = topicsOf(planSweeps(['partitions', 'messages', 'workers', 'memory'], 4_000_000, 2));
    expect(topics.size).toBe(7);
    expect(topics.get('8/lz4/events')?.messages).toBe(16_000_000);
    expect(topics.get('64/lz4/events')?.messages).toBe(2_000_000);
  });
});

describe('events', () => {
  it('are JSON of exactly the bytes asked for', () => {
    for (const bytes of [32, 50, 51, 100, 200, 214, 500, 10_000, 200_000]) {
      for (const index of [0, 7, 3_999_999, 15_999_999]) {
        const { value } = eventAt(index, bytes);
        expect(value).toHaveLength(bytes);
        expect(JSON.parse(value.toString())).toMatchObject({ id: index });
      }
    }
  });

  it('are the same in every run, and have no fixed length of their own', () => {
    expect(eventAt(5, null)).toEqual(eventAt(5, null));
    expect(eventAt(5, null).value.length).toBeGreaterThan(150);
    expect(JSON.parse(eventAt(5, null).value.toString())).toMatchObject({ id: 5, event: 'click' });
  });
});
