import { describe, expect, it } from 'vitest';
import { CONTENDERS, SERIES } from '../../../bench/core/names.ts';
import { judgeGoals } from '../../../bench/goals/goals.ts';
import { verdictOf } from '../../../bench/goals/print.ts';
import { INPUT, pointOf, resultOf, resultsOf, seriesOf } from './samples.ts';

const { own, ownOneFile, kcat, scripts, spark } = CONTENDERS;
const STANDARD = seriesOf(SERIES.standard, [
  resultOf(own, 5),
  resultOf(ownOneFile, 5.5),
  resultOf(kcat, 6),
  resultOf(scripts, 14),
  resultOf(spark, 60),
]);

const judged = (...series: Parameters<typeof resultsOf>[1]) =>
  Object.fromEntries(
    judgeGoals({ peers: resultsOf('peers', series), sweeps: null, stream: null }).map((goal) => [goal.goal, goal]),
  );

describe('goals', () => {
  it('are met or missed by ratios of medians, either way round', () => {
    const goals = judged(STANDARD);
    const verdicts = Object.values(goals).flatMap((goal) =>
      goal.measured === null ? [] : [[goal.goal, goal.measured, verdictOf(goal)]],
    );
    expect(verdicts).toEqual([
      ['bench topic: at most 1.0 x the time of kcat, to nowhere', '0.83 x', 'met'],
      ['bench topic: at least 10 x faster than Spark', '12.00 x', 'met'],
      ['bench topic: at least 3 x faster than two Python processes', '2.80 x', 'not met'],
      ['one file: at most 1.10 x the time of the folder', '1.10 x', 'met'],
      ['peak RSS at defaults, two workers: at most 450 MiB', '400 MiB', 'met'],
      ['CPU time: at most 2.3 s for a million rows', '2.50 s', 'not met'],
    ]);
  });

  it('say why they are not measured', () => {
    const without = judged(seriesOf(SERIES.standard, [resultOf(own, 5)]));
    expect(without['bench topic: at least 10 x faster than Spark']).toMatchObject({ measured: null, isMet: null });
    expect(without['zstd to zstd: at least 6 x faster than Spark']?.why).toBe('bench -- peers has not run with it');
  });

  it('are not judged by a topic smaller than they are set for', () => {
    const goals = judged({ ...STANDARD, input: { ...INPUT, rows: 200_000 } });
    expect(goals['bench topic: at least 10 x faster than Spark']).toMatchObject({
      measured: '12.00 x',
      isMet: null,
      why: '200,000 messages, and the goal is set for 4,000,000',
    });
  });

  it('bound the memory of two workers on two cores alone', () => {
    const goals = judgeGoals({ peers: resultsOf('peers', [STANDARD], 8), sweeps: null, stream: null });
    expect(goals.find(({ goal }) => goal.startsWith('peak RSS at defaults'))?.isMet).toBeNull();
  });

  it('compare the points of a sweep by rows/s after start-up', () => {
    const growth = seriesOf('messages', [pointOf('500000', 500_000, 1, 400), pointOf('16000000', 16_000_000, 36, 450)]);
    const workers = seriesOf('workers-zstd', [pointOf('1', 4_000_000, 10), pointOf('2', 4_000_000, 5)]);
    const memory = seriesOf('memory', [pointOf('128MiB', 4_000_000, 10, 331)]);
    const goals = judgeGoals({ peers: null, sweeps: resultsOf('sweeps', [growth, workers, memory]), stream: null });
    const verdicts = goals.flatMap((goal) => (goal.measured === null ? [] : [[goal.measured, goal.isMet]]));
    expect(verdicts).toEqual([
      ['11.11 %', false],
      ['331 MiB', false],
      ['11.11 %', true],
      ['2.00 x', true],
    ]);
  });
});
