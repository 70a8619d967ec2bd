import { describe, expect, it } from 'vitest';
import { compareResults } from '../../../bench/compare/compare.ts';
import { INPUT, pointOf, resultOf, resultsOf, seriesOf } from './samples.ts';

const verdicts = (base: Parameters<typeof compareResults>[0], next: Parameters<typeof compareResults>[1]) =>
  compareResults(base, next).map(({ contender, verdict }) => [contender, verdict]);

describe('the comparison with a stored result', () => {
  it('finds results of ours under 0.9 x, and none that are just there', () => {
    const base = resultsOf('e2e', [seriesOf('e2e', [resultOf('kafkaload', 9), resultOf('kafkaload, one file', 9)])]);
    const next = resultsOf('e2e', [
      seriesOf('e2e', [resultOf('kafkaload', 10), resultOf('kafkaload, one file', 10.1)]),
    ]);
    expect(verdicts(base, next)).toEqual([
      ['kafkaload', 'ok'],
      ['kafkaload, one file', 'slower'],
    ]);
  });

  it('lets others be as slow as they are', () => {
    const base = resultsOf('e2e', [seriesOf('e2e', [resultOf('kcat, to nowhere', 5)])]);
    const next = resultsOf('e2e', [seriesOf('e2e', [resultOf('kcat, to nowhere', 50)])]);
    expect(verdicts(base, next)).toEqual([['kcat, to nowhere', 'not ours']]);
  });

  it('tells what it cannot compare', () => {
    const base = resultsOf('e2e', [
      seriesOf('a', [resultOf('kafkaload', 5)]),
      seriesOf('b', [resultOf('kafkaload', 5)]),
    ]);
    const next = resultsOf('e2e', [seriesOf('b', [resultOf('kafkaload', 9)], { ...INPUT, codec: 'zstd' })]);
    expect(verdicts(base, next)).toEqual([
      ['kafkaload', 'not in the new results'],
      ['kafkaload', 'of another input'],
    ]);
  });

  it('goes by the input of each point of a sweep', () => {
    const base = resultsOf('sweeps', [seriesOf('messages', [pointOf('500000', 500_000, 1)])]);
    const same = resultsOf('sweeps', [seriesOf('messages', [pointOf('500000', 500_000, 1)])]);
    const fewer = resultsOf('sweeps', [seriesOf('messages', [pointOf('500000', 400_000, 1)])]);
    expect(verdicts(base, same)).toEqual([['500000', 'ok']]);
    expect(verdicts(base, fewer)).toEqual([['500000', 'of another input']]);
  });
});
