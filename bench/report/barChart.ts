import { element, linearScale, shortNumber, textAt, ticksTo } from './svg.ts';

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Ours stands out from others. */
  readonly isOurs: boolean;
}

export interface BarChart {
  readonly title: string;
  /** Of the values, with their unit. */
  readonly axis: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 640;
const BAR = 20;
const GAP = 10;
const TOP = 8;
const AXIS_HEIGHT = 42;
/** About the width of a bold letter of 13 pixels. */
const LETTER = 7.8;
const VALUE_WIDTH = 60;

/** Horizontal bars from zero, in the order given. @returns One `<svg>` element. */
export function drawBarChart({ title, axis, bars }: BarChart): string {
  const left = Math.min(280, Math.max(...bars.map(({ label }) => label.length * LETTER), 40) + 14);
  const ticks = ticksTo(Math.max(...bars.map(({ value }) => value)));
  const scale = linearScale(0, ticks.at(-1) ?? 1, left, WIDTH - VALUE_WIDTH);
  const bottom = TOP + bars.length * (BAR + GAP);
  const grid = ticks.map((tick) => {
    const x = scale(tick);
    const line = element('line', { class: 'grid', x1: x, x2: x, y1: TOP, y2: bottom });
    return line + textAt(x, bottom + 16, shortNumber(tick), { 'text-anchor': 'middle' });
  });
  const drawn = bars.map(({ label, value, isOurs }, index) => {
    const y = TOP + GAP / 2 + index * (BAR + GAP);
    const width = Math.max(1, scale(value) - left);
    const kind = isOurs ? 'bar ours' : 'bar';
    return [
      textAt(left - 8, y + BAR / 2 + 4, label, { 'text-anchor': 'end', class: isOurs ? 'own' : '' }),
      element('rect', { class: kind, x: left, y, width, height: BAR, rx: 2 }),
      textAt(left + width + 6, y + BAR / 2 + 4, shortNumber(value), { class: 'value' }),
    ].join('');
  });
  const name = textAt((left + WIDTH - VALUE_WIDTH) / 2, bottom + 36, axis, { 'text-anchor': 'middle', class: 'axis' });
  const height = bottom + AXIS_HEIGHT;
  return element(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', 'aria-label': title },
    ...grid,
    ...drawn,
    name,
  );
}
