/** Small pieces of SVG text, and the scales that charts are drawn by. */

/** Text for HTML and SVG, attribute values included. */
export function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** @param children Markup, already escaped. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: readonly string[]
): string {
  const text = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeText(String(round(value)))}"`);
  return `<${name}${text.join('')}>${children.join('')}</${name}>`;
}

export function textAt(
  x: number,
  y: number,
  text: string,
  attributes: Readonly<Record<string, string | number>> = {},
): string {
  return element('text', { x, y, ...attributes }, escapeText(text));
}

/** A tenth of a pixel is enough, and keeps the page small. */
function round(value: string | number): string | number {
  return typeof value === 'number' ? Math.round(value * 10) / 10 : value;
}

/**
 * Round steps from zero to beyond a value, for an axis.
 *
 * @param most About how many steps.
 * @returns At least two values; the last one is not below `highest`.
 */
export function ticksTo(highest: number, most = 5): number[] {
  const top = highest > 0 && Number.isFinite(highest) ? highest : 1;
  const rough = top / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const count = Math.ceil(top / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** 1.2 M, 350 k, 17, 0.25. */
export function shortNumber(value: number): string {
  const units: readonly (readonly [number, string])[] = [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ];
  const [size, unit] = units.find(([bound]) => Math.abs(value) >= bound * 0.9995) ?? [1, ''];
  return `${Number((value / size).toPrecision(3))}${unit}`;
}

/** Maps a value of the axis to a pixel. */
export type Scale = (value: number) => number;

export function linearScale(from: number, to: number, start: number, end: number): Scale {
  const width = to - from || 1;
  return (value) => start + ((value - from) / width) * (end - start);
}

/** For values that double, such as 1 to 64 partitions; all are above zero. */
export function logScale(from: number, to: number, start: number, end: number): Scale {
  const scale = linearScale(Math.log(from), Math.log(to), start, end);
  return (value) => scale(Math.log(value));
}
