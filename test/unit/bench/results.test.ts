import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { thinOut } from '../../../bench/core/measure.ts';
import { median, spread } from '../../../bench/core/medians.ts';
import { busyWarning } from '../../../bench/core/output.ts';
import { listResults, readResults, summarize, writeResults } from '../../../bench/core/results.ts';
import { INPUT, resultOf, resultsOf, seriesOf } from './samples.ts';

const folder = mkdtempSync(join(tmpdir(), 'kafkaload-results-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('results', () => {
  it('are read as they were written, newest first', () => {
    const first = resultsOf('e2e', [seriesOf('e2e', [resultOf('kafkaload', 5)])]);
    const second = { ...first, startedAt: '2026-11-24T04:00:00.000Z' };
    const file = writeResults(folder, first);
    writeResults(folder, second);
    expect(file).toBe(join(folder, 'e2e-20261123T040000Z.json'));
    expect(readResults(file)).toEqual(first);
    expect(listResults(folder).map(({ results }) => results.startedAt)).toEqual([second.startedAt, first.startedAt]);
  });

  it('of another schema are refused in one line', () => {
    const file = join(mkdtempSync(`${folder}-`), 'new.json');
    writeFileSync(file, '{"schemaVersion":2,"series":[]}');
    expect(() => readResults(file)).toThrow(/^cannot read results from .*: schema version 1 is read, and this has 2$/);
    writeFileSync(file, 'null');
    expect(() => readResults(file)).toThrow(/this has none$/);
    rmSync(join(file, '..'), { recursive: true });
  });

  it('are medians of runs', () => {
    const run = (seconds: number, dataSeconds: number) => ({
      ...{ seconds, cpuSeconds: 2 * seconds, peakRssBytes: 100 * seconds, loadBefore: 1 },
      ...{ dataSeconds, checksum: '17' },
    });
    const runs = [run(9, 1), run(4, 2), run(5, 8)];
    expect(summarize({ contender: 'kafkaload', isOurs: true }, INPUT, runs)).toEqual({
      contender: 'kafkaload',
      isOurs: true,
      rowsPerSecond: 800_000,
      mebibytesPerSecond: 760_000_000 / 1024 ** 2 / 5,
      seconds: 5,
      cpuSeconds: 10,
      peakRssBytes: 500,
      dataSeconds: 2,
      runs,
    });
  });
});

describe('a busy machine', () => {
  const withLoad = (...loads: number[]) =>
    loads.map((loadBefore) => {
      const runs = [{ seconds: 1, cpuSeconds: 1, peakRssBytes: 1, loadBefore }];
      return seriesOf('e2e', [resultOf('kafkaload', 5, { runs })]);
    });

  it('is told when the load before most runs was not of the bench', () => {
    expect(busyWarning(withLoad(3, 9, 4), 2)).toBeNull();
    expect(busyWarning(withLoad(12, 9, 4), 2)).toContain('load 9.0 before a run, 2 cores');
    expect(busyWarning([seriesOf('decode', [])], 2)).toBeNull();
  });
});

describe('a median', () => {
  it('is the middle value, or between the two in the middle', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([7]), median([])]).toEqual([2, 2.5, 7, Number.NaN]);
  });

  it('says nothing of the spread, which is of the lowest below the highest', () => {
    expect([spread([50, 100, 75]), spread([5])]).toEqual([0.5, 0]);
  });
});

describe('samples of memory', () => {
  it('are thinned out without losing a peak', () => {
    const samples = Array.from({ length: 1_000 }, (_, index) => [index / 50, index === 617 ? 999 : 5] as const);
    const thin = thinOut(samples, 100);
    expect(thin).toHaveLength(100);
    expect(thin).toContainEqual([617 / 50, 999]);
    expect(thinOut(samples.slice(0, 7), 100)).toHaveLength(7);
  });
});
