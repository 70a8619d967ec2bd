import { type Trace, WORKER_SPANS } from '../trace/spans.ts';
import { element, linearScale, textAt, ticksTo } from './svg.ts';

const WIDTH = 1300;
const LEFT = 96;
const RIGHT = 12;
const TOP = 34;
const LANE = 30;
const GAP = 12;
const CORES_HEIGHT = 70;
const AXIS_HEIGHT = 42;

/** Colour by span, as in the page's style; the coordinator's steps have those of a worker's that are not its own. */
const COLOURS = {
  ...{ decode: 0, encode: 2, write: 3, fetch: 1, turn: 6 },
  ...{ open: 6, plan: 5, stage: 6, publish: 3 },
} as const;
/** Spans in which a thread waits are drawn faintly. */
const FAINT: readonly string[] = ['fetch', 'turn', 'stage'];

/** A lane for each thread, and below them the cores in use. @returns One `<svg>` element. */
export function drawTimeline(title: string, { seconds, threads, cores }: Trace, coresThere: number): string {
  const scale = linearScale(0, seconds, LEFT, WIDTH - RIGHT);
  const bottom = TOP + threads.length * (LANE + GAP);
  const lanes = threads.flatMap(({ name, spans }, index) => {
    const y = TOP + index * (LANE + GAP);
    const bars = spans.map(([span, start, end]) => {
      const x = scale(start);
      const faint = FAINT.includes(span) ? { opacity: 0.35 } : {};
      const width = Math.max(0.2, scale(end) - x);
      return element('rect', { class: `swatch c${COLOURS[span]}`, x, y, width, height: LANE, ...faint });
    });
    return [textAt(LEFT - 8, y + LANE / 2 + 4, name, { 'text-anchor': 'end', class: 'value' }), ...bars];
  });
  const height = linearScale(0, coresThere, bottom + CORES_HEIGHT, bottom);
  const points = cores.map(([at, used]) => `${scale(at).toFixed(1)},${height(Math.min(used, coresThere)).toFixed(1)}`);
  const coresChart = [
    textAt(LEFT - 8, bottom + 12, `${coresThere} cores`, { 'text-anchor': 'end' }),
    textAt(LEFT - 8, bottom + CORES_HEIGHT, 'idle', { 'text-anchor': 'end' }),
    element('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: bottom, y2: bottom }),
    element('polyline', { class: 'line c4', points: points.join(' ') }),
  ];
  const base = bottom + CORES_HEIGHT;
  const ticks = ticksTo(seconds, 12).filter((tick) => tick <= seconds);
  const axis = ticks.flatMap((tick) => [
    element('line', { class: 'grid', x1: scale(tick), x2: scale(tick), y1: TOP, y2: base }),
    textAt(scale(tick), base + 16, String(tick), { 'text-anchor': 'middle' }),
  ]);
  const name = textAt((LEFT + WIDTH) / 2, base + 36, 'seconds since the start of the process', {
    'text-anchor': 'middle',
    class: 'axis',
  });
  return element(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${base + AXIS_HEIGHT}`, role: 'img', 'aria-label': title },
    ...legend(),
    ...axis,
    ...lanes,
    ...coresChart,
    name,
  );
}

function legend(): string[] {
  const names = [...WORKER_SPANS, 'open', 'plan', 'publish'] as const;
  return names.flatMap((span, index) => {
    const x = LEFT + index * 110;
    const faint = FAINT.includes(span) ? { opacity: 0.35 } : {};
    return [
      element('rect', { class: `swatch c${COLOURS[span]}`, x, y: 8, width: 12, height: 12, rx: 2, ...faint }),
      textAt(x + 18, 18, span),
    ];
  });
}
