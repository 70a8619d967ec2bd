import { describe, expect, it } from 'vitest';
import { CONTENDERS, SERIES, SWEEPS } from '../../../bench/core/names.ts';
import type { Results } from '../../../bench/core/results.ts';
import { drawBarChart } from '../../../bench/report/barChart.ts';
import { drawLineChart } from '../../../bench/report/lineChart.ts';
import { shortNumber, ticksTo } from '../../../bench/report/svg.ts';
import { drawReport } from '../../../bench/report/write.ts';
import { pointOf, resultOf, resultsOf, seriesOf } from './samples.ts';

const numbersOf = (svg: string, element: string, attribute: string) =>
  [...svg.matchAll(new RegExp(`<${element}[^>]* ${attribute}="([\\d.]+)"`, 'g'))].map(([, value]) => Number(value));

describe('axes', () => {
  it('have round steps that reach beyond the highest value', () => {
    expect(ticksTo(730_000)).toEqual([0, 200_000, 400_000, 600_000, 800_000]);
    expect(ticksTo(1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticksTo(0)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  });

  it('write numbers shortly', () => {
    expect([1_332_000, 715_000, 450, 0.25, 999_700, 0].map(shortNumber)).toEqual([
      ...['1.33 M', '715 k', '450', '0.25', '1 M', '0'],
    ]);
  });
});

describe('a bar chart', () => {
  const svg = drawBarChart({
    title: 'Rows',
    axis: 'rows/s',
    bars: [
      { label: 'ours', value: 800, isOurs: true },
      { label: 'a < b & c', value: 400, isOurs: false },
    ],
  });

  it('has bars as long as their values, from zero', () => {
    const [first = 0, second = 0] = numbersOf(svg, 'rect', 'width');
    expect(first / second).toBeCloseTo(2, 2);
  });

  it('names its axis, and escapes what it is given', () => {
    expect(svg).toContain('>rows/s</text>');
    expect(svg).toContain('a &lt; b &amp; c');
  });
});

describe('a line chart', () => {
  const axes = { title: 'T', xAxis: 'partitions', yAxis: 'rows/s' };
  const points = [1, 2, 4].map((x) => [x, 100 * x] as const);

  it('puts values that double at equal distances on a log axis', () => {
    const svg = drawLineChart({ ...axes, xScale: 'log', lines: [{ label: 'l', points }] });
    const [a = 0, b = 0, c = 0] = numbersOf(svg, 'circle', 'cx');
    expect(c - b).toBeCloseTo(b - a, 0);
  });

  it('starts at zero on both linear axes', () => {
    const svg = drawLineChart({ ...axes, xScale: 'linear', lines: [{ label: 'l', points }] });
    const [a = 0, b = 0, c = 0] = numbersOf(svg, 'circle', 'cx');
    expect(c - b).toBeCloseTo(2 * (b - a), 0);
    const [high = 0, middle = 0, low = 0] = numbersOf(svg, 'circle', 'cy').reverse();
    expect(low - middle).toBeCloseTo((middle - high) / 2, 0);
  });

  it('has a legend only where there are several lines', () => {
    const draw = (count: number) =>
      drawLineChart({ ...axes, xScale: 'log', lines: Array(count).fill({ label: 'who', points }) });
    expect(draw(1)).not.toContain('swatch');
    expect(draw(2).match(/swatch/g)).toHaveLength(2);
  });
});

describe('the report', () => {
  const peers = resultsOf('peers', [
    seriesOf(SERIES.standard, [
      resultOf(CONTENDERS.own, 5, {
        memory: [
          [0, 1e8],
          [1, 4e8],
        ],
      }),
      resultOf(CONTENDERS.spark, 60, {
        memory: [
          [0, 1e8],
          [50, 14e8],
        ],
      }),
    ]),
  ]);
  const sweeps = resultsOf(
    'sweeps',
    SWEEPS.map((name) => seriesOf(name, [pointOf('1', 1_000_000, 2), pointOf('2', 2_000_000, 4)])),
  );
  const page = drawReport(new Map<string, Results>([peers, sweeps].map((results) => [results.bench, results])));

  it('has a chart of everything that was measured', () => {
    for (const title of [
      'Rows by contender',
      'Memory over time',
      'By message size',
      'By partitions',
      'By codec',
      'Growth',
      'By workers',
    ])
      expect(page).toContain(title);
    expect(page.match(/<svg/g)?.length).toBe(12);
  });

  it('says when, where and with what it was measured, and gives the goals', () => {
    expect(page).toContain('2026-11-23 04:00 UTC, 2 cores (Some &lt;CPU&gt;), 16 GiB, Linux 6.1; kafkaload 0.1.0');
    expect(page).toContain('<td class="met words">met</td>');
    expect(page).toContain('not measured: ');
  });

  it('needs no network and no script, and is drawn with nothing measured at all', () => {
    for (const drawn of [page, drawReport(new Map())]) {
      expect(drawn).not.toMatch(/<script|https?:|NaN|Infinity|undefined/);
      expect(drawn).toContain('</html>');
    }
  });
});
