/** Charts in SVG: an area over the last minutes, with its scale, and a small one without. */
import { short, time } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';
const LEFT = 48;
const BOTTOM = 18;
const TOP = 6;
const RIGHT = 6;
/** What a chart spans, whether there is as much to draw or not. */
const SPAN_MS = 300_000;

/** Ends of scales, and how many lines divide them. */
const SCALES = [
  [1, 2],
  [2, 4],
  [3, 3],
  [4, 4],
  [6, 3],
  [8, 4],
  [10, 5],
];
/** Narrower, not every minute has room for its name. */
const WIDE_PX = 420;

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A round number that is not below the highest value. */
export function niceScale(highest) {
  if (!(highest > 0)) return { end: 1, lines: 1 };
  const unit = 10 ** Math.floor(Math.log10(highest));
  for (const [factor, lines] of SCALES) {
    if (highest <= unit * factor) return { end: unit * factor, lines };
  }
  return { end: unit * 10, lines: 5 };
}

/** `M x y L x y ...`; a point without a value ends the line, and the next begins a new one. */
function paths(points, floor) {
  let line = '';
  let area = '';
  let start = null;
  let last = null;
  for (const [x, y] of [...points, [0, null]]) {
    if (y === null) {
      if (last !== null) area += `L${last} ${floor}L${start} ${floor}Z`;
      start = last = null;
      continue;
    }
    const at = `${start === null ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    line += at;
    area += at;
    start ??= x.toFixed(1);
    last = x.toFixed(1);
  }
  return { line, area };
}

/**
 * @param samples Oldest first, `{ atMs, value }`; a value may be null.
 * @param cursorMs The moment to mark; null: none.
 */
export function drawChart(svg, samples, nowMs, cursorMs) {
  const { width, height } = svg.getBoundingClientRect();
  if (width === 0) return;
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const floor = height - BOTTOM;
  const { end, lines } = niceScale(Math.max(0, ...samples.map(({ value }) => value ?? 0)));
  const x = (atMs) => LEFT + (1 - (nowMs - atMs) / SPAN_MS) * (width - LEFT - RIGHT);
  const y = (value) => floor - (value / end) * (floor - TOP);
  const parts = [];
  for (let step = 0; step <= lines; step++) {
    const value = (end * step) / lines;
    parts.push(element('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    parts.push(element('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, short(value)));
  }
  for (let minutes = 5; minutes >= 0; minutes--) {
    if (width < WIDE_PX && minutes % 2 === 0 && minutes > 0) continue;
    const at = x(nowMs - minutes * 60_000);
    const anchor = { 5: 'start', 0: 'end' }[minutes] ?? 'middle';
    const label = minutes === 0 ? 'now' : `-${minutes} min`;
    parts.push(element('text', { x: at, y: height - 4, 'text-anchor': anchor }, label));
  }
  const drawn = samples.filter(({ atMs }) => nowMs - atMs <= SPAN_MS);
  const points = drawn.map(({ atMs, value }) => [x(atMs), value === null ? null : y(value)]);
  const { line, area } = paths(points, floor.toFixed(1));
  parts.push(element('path', { class: 'area', d: area }), element('path', { class: 'stroke', d: line }));
  const marked = cursorMs === null ? drawn.at(-1) : nearest(drawn, cursorMs);
  if (marked && marked.value !== null) {
    const [cx, cy] = [x(marked.atMs), y(marked.value)];
    if (cursorMs !== null) parts.push(element('line', { class: 'cursor', x1: cx, x2: cx, y1: TOP, y2: floor }));
    parts.push(element('circle', { class: 'dot', cx, cy, r: 3 }));
  }
  svg.replaceChildren(...parts);
}

export function nearest(samples, atMs) {
  let best;
  for (const sample of samples) {
    if (best === undefined || Math.abs(sample.atMs - atMs) < Math.abs(best.atMs - atMs)) best = sample;
  }
  return best;
}

/** Which moment of a chart lies below the pointer. */
export function momentAt(svg, clientX, nowMs) {
  const { left, width } = svg.getBoundingClientRect();
  return nowMs - (1 - (clientX - left - LEFT) / (width - LEFT - RIGHT)) * SPAN_MS;
}

/** Without a scale: all small charts share that of the highest of them. */
export function drawSmall(svg, samples, nowMs, highest) {
  const [width, height] = [240, 28];
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  const points = samples
    .filter(({ atMs }) => nowMs - atMs <= SPAN_MS)
    .map(({ atMs, value }) => [
      (1 - (nowMs - atMs) / SPAN_MS) * width,
      value === null ? null : height - 1 - (value / Math.max(1, highest)) * (height - 3),
    ]);
  const { line, area } = paths(points, height);
  const [areaPath, linePath] =
    svg.childElementCount === 2
      ? svg.children
      : [element('path', { class: 'area' }), element('path', { class: 'stroke' })];
  areaPath.setAttribute('d', area);
  linePath.setAttribute('d', line);
  linePath.setAttribute('vector-effect', 'non-scaling-stroke');
  if (svg.childElementCount !== 2) svg.replaceChildren(areaPath, linePath);
}

/** In words, for who does not see it. */
export function describeChart(svg, name, samples, words) {
  const values = samples.flatMap(({ value }) => (value === null ? [] : [value]));
  const last = samples.at(-1);
  const text =
    last === undefined || values.length === 0
      ? `${name}, nothing yet`
      : `${name} of the last 5 minutes: ${words(last.value ?? 0)} at ${time(last.atMs)}, at most ${words(Math.max(...values))}`;
  svg.setAttribute('aria-label', text);
}
