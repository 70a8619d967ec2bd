import { describe, expect, test } from 'vitest';
import {
  checkConfigName,
  compareNames,
  formatStateName,
  isRunId,
  isStagingPathOf,
  makeRunId,
  parseStateName,
  stagingPathOf,
} from '../../../src/commit/names.ts';

const RUN = '20261122T173012Z-1a2b3c4d';

test('a run id shows its time, sorts by it, and differs within a second', () => {
  const ids = [1_795_368_612_000, 1_795_368_612_000, 1_795_368_613_000].map(makeRunId);
  expect(ids.every(isRunId)).toBe(true);
  expect(new Set(ids).size).toBe(3);
  expect(ids[0]?.slice(0, 16)).toBe('20261122T173012Z');
  expect((ids[0] ?? '') < (ids[2] ?? '')).toBe(true);
});

describe('names beside the saved offsets', () => {
  test('are read back, also when the config name holds dots', () => {
    const name = { kind: 'intent', number: 12, run: RUN } as const;
    expect(formatStateName('a.b', name)).toBe(`.a.b.intent.12.${RUN}`);
    expect(parseStateName('a.b', `.a.b.intent.12.${RUN}`)).toEqual(name);
  });

  test('of another config are not ours', () => {
    for (const file of [
      `.a.b.run.1.${RUN}`,
      `.ab.run.1.${RUN}`,
      'a',
      `.a.run.x.${RUN}`,
      `.a.run.1.short`,
      '.a.run.1',
    ]) {
      expect(parseStateName('a', file)).toBeNull();
    }
  });

  test('sort by number, then by run', () => {
    const name = (number: number, run: string) => ({ kind: 'run', number, run }) as const;
    expect(compareNames(name(10, 'a'), name(9, 'b'))).toBeGreaterThan(0);
    expect(compareNames(name(9, 'a'), name(9, 'b'))).toBeLessThan(0);
  });
});

test('config names that could be read as a name of ours are refused', () => {
  for (const config of ['orders', 'a.b-c_D', '.hidden']) expect(() => checkConfigName(config)).not.toThrow();
  for (const config of ['', 'a/b', 'a b', '.', '..', '_kafkaload.run', `.a.run.1.${RUN}`]) {
    expect(() => checkConfigName(config)).toThrow(/config name/);
  }
});

describe('the staging path', () => {
  const place = { root: '/data/out', clusterId: 'a/b', config: 'orders', run: RUN };

  test('holds cluster, offsets, config and run', () => {
    const path = stagingPathOf({ ...place, offsets: { mode: 'STREAM', name: 'comet_offsets' } });
    expect(path).toBe(`/data/out/_kafkaload/staging/a_b.comet_offsets.orders/${RUN}`);
    const inFolder = stagingPathOf({ ...place, offsets: { mode: 'FILE', name: '/var/offsets' } });
    expect(inFolder).toMatch(/\/a_b\.[0-9a-f]{12}\.orders\//);
  });

  test('is the only thing a record of another run can have removed', () => {
    expect(isStagingPathOf(`/data/_kafkaload/staging/c.o.orders/${RUN}`, RUN)).toBe(true);
    for (const path of [
      '/',
      `/${RUN}`,
      `_kafkaload/staging/c/${RUN}`,
      `/data/_kafkaload/staging/c/..`,
      `/data/_kafkaload/staging/c/../../../${RUN}`,
      `/data/staging/c/${RUN}`,
      `/data/_kafkaload/manifests/c/${RUN}`,
      `/data/_kafkaload/staging/c/20261122T173012Z-00000000`,
    ]) {
      expect(isStagingPathOf(path, RUN), path).toBe(false);
    }
  });
});
