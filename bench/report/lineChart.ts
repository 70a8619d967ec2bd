import { element, escapeText, linearScale, logScale, shortNumber, textAt, ticksTo } from './svg.ts';

export interface Line {
  readonly label: string;
  /** Number of a colour of the page; that of its place where it is left out. */
  readonly colour?: number;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly title: string;
  /** With their units. */
  readonly xAxis: string;
  readonly yAxis: string;
  /** Log: a tick at each point, for values that double. Linear: from zero. */
  readonly xScale: 'log' | 'linear';
  readonly lines: readonly Line[];
}

const WIDTH = 640;
const HEIGHT = 320;
const PLOT = { left: 66, right: WIDTH - 20, top: 34, bottom: HEIGHT - 48 };
/** Of the page. */
const COLOURS = 7;
const MARKERS_UP_TO = 12;
const LETTER = 6.8;

/** Lines over a common axis from zero, with a legend where there are several. @returns One `<svg>` element. */
export function drawLineChart({ title, xAxis, yAxis, xScale, lines }: LineChart): string {
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const yTicks = ticksTo(Math.max(...lines.flatMap(({ points }) => points.map(([, y]) => y))));
  const isLog = xScale === 'log';
  const xTicks = isLog ? xs : ticksTo(xs.at(-1) ?? 1, 8);
  const { left, right, top, bottom } = PLOT;
  const x = isLog
    ? logScale(xs[0] ?? 1, xs.at(-1) ?? 1, left + 12, right - 12)
    : linearScale(0, xTicks.at(-1) ?? 1, left, right);
  const y = linearScale(0, yTicks.at(-1) ?? 1, bottom, top);
  const middle = (top + bottom) / 2;
  return element(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': title },
    ...yTicks.map(
      (tick) =>
        element('line', { class: 'grid', x1: left, x2: right, y1: y(tick), y2: y(tick) }) +
        textAt(left - 6, y(tick) + 4, shortNumber(tick), { 'text-anchor': 'end' }),
    ),
    ...xTicks.map((tick) => textAt(x(tick), bottom + 18, shortNumber(tick), { 'text-anchor': 'middle' })),
    element('line', { class: 'base', x1: left, x2: right, y1: bottom, y2: bottom }),
    ...lines.map((line, index) => drawLine(line, colourOf(line, index), x, y)),
    textAt((left + right) / 2, HEIGHT - 8, xAxis, { 'text-anchor': 'middle', class: 'axis' }),
    textAt(16, middle, yAxis, { 'text-anchor': 'middle', class: 'axis', transform: `rotate(-90 16 ${middle})` }),
    lines.length > 1 ? drawLegend(lines) : '',
  );
}

function colourOf({ colour }: Line, index: number): string {
  return `c${(colour ?? index) % COLOURS}`;
}

function drawLine({ label, points }: Line, colour: string, x: (x: number) => number, y: (y: number) => number): string {
  const path = points.map(([px, py], index) => `${index === 0 ? 'M' : 'L'}${x(px).toFixed(1)} ${y(py).toFixed(1)}`);
  const line = element('path', { class: `line ${colour}`, d: path.join('') }, `<title>${escapeText(label)}</title>`);
  if (points.length > MARKERS_UP_TO) return line;
  const markers = points.map(([px, py]) =>
    element(
      'circle',
      { class: `dot ${colour}`, cx: x(px), cy: y(py), r: 4 },
      `<title>${escapeText(`${label} ${shortNumber(px)}: ${shortNumber(py)}`)}</title>`,
    ),
  );
  return line + markers.join('');
}

/** In rows above the plot; they grow into it only with more names than charts here have. */
function drawLegend(lines: readonly Line[]): string {
  let left = PLOT.left;
  let row = 12;
  const entries = lines.map((line, index) => {
    const { label } = line;
    const width = 22 + label.length * LETTER + 16;
    if (left + width > WIDTH && left > PLOT.left) {
      left = PLOT.left;
      row += 16;
    }
    const at = left;
    left += width;
    const swatch = { class: `swatch ${colourOf(line, index)}`, x: at, y: row - 8, width: 14, height: 8, rx: 2 };
    return element('rect', swatch) + textAt(at + 20, row, label);
  });
  return entries.join('');
}
