import { describe, expect, it } from 'vitest';
import { drawTimeline } from '../../../bench/report/timeline.ts';
import { coresWhileWorkWasLeft, readTrace, utilisationOf } from '../../../bench/trace/spans.ts';

/** Thread, span, start and end in milliseconds: the run begins at 1,000 and ends at 2,000. */
const LINES = [
  [0, 'open', 1_000, 1_100],
  [0, 'stage', 1_100, 1_900],
  [7, 'fetch', 1_300, 1_400],
  [7, 'decode', 1_400, 1_600],
  [7, 'encode', 1_600, 1_700],
  [3, 'encode', 1_500, 1_800],
  [3, 'fetch', 1_200, 1_300],
  [3, 'decode', 1_300, 1_500],
  [0, 'publish', 1_900, 1_950],
].map((line) => JSON.stringify(line));
const CORES = [
  [900, 2],
  [1_250, 1],
  [1_350, 2],
  [1_650, 1.5],
  [1_750, 0],
] as const;

const trace = readTrace(`${LINES.join('\n')}\n`, CORES, 1_000, 2_000);

describe('a trace', () => {
  it('has the spans of each thread in order, in seconds since the start', () => {
    expect(trace.threads.map(({ name, spans }) => [name, spans[0]])).toEqual([
      ['coordinator', ['open', 0, 0.1]],
      ['worker 1', ['fetch', 0.2, 0.3]],
      ['worker 2', ['fetch', 0.3, 0.4]],
    ]);
    expect(trace.cores).toEqual([
      [0.25, 1],
      [0.35, 2],
      [0.65, 1.5],
      [0.75, 0],
    ]);
  });

  it('says which part of its time each worker spent how', () => {
    const [first, second] = utilisationOf(trace);
    expect(first?.seconds).toBeCloseTo(0.6, 9);
    expect(first?.shares.encode).toBeCloseTo(0.5, 9);
    expect(first?.shares.fetch).toBeCloseTo(1 / 6, 9);
    expect(second?.shares.decode).toBeCloseTo(0.5, 9);
    expect(second?.shares.turn).toBe(0);
  });

  it('counts cores while all workers have work', () => {
    // From the later first fetch to the earlier last span: 1,300 to 1,700.
    expect(coresWhileWorkWasLeft(trace)).toBe(1.75);
  });

  it('is drawn with a bar for each span, as long as it took', () => {
    const svg = drawTimeline('Timeline', trace, 2);
    const bars = [...svg.matchAll(/<rect class="swatch c\d" x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="30"/g)];
    expect(bars).toHaveLength(LINES.length);
    const widths = bars.map(([, , width]) => Number(width));
    expect((widths[1] as number) / (widths[0] as number)).toBeCloseTo(8, 1);
    expect(svg).toContain('worker 2');
  });
});
