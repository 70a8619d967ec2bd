/** How a length of time may be written, for messages. */
export const INTERVAL_EXAMPLES = '"10 seconds", "1 minute", "500 milliseconds" or "PT10S"';

/** Longest that timers of Node take. */
const MOST_MS = 2 ** 31 - 1;

const UNITS: readonly (readonly [name: RegExp, ms: number])[] = [
  [/^(ms|msecs?|millis|milliseconds?)$/, 1],
  [/^(s|secs?|seconds?)$/, 1_000],
  [/^(m|mins?|minutes?)$/, 60_000],
  [/^(h|hrs?|hours?)$/, 3_600_000],
  [/^(d|days?)$/, 86_400_000],
];

/** ISO 8601, as far as its units have a fixed length. */
const ISO = /^P(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,3})?)S)?)?$/i;

/**
 * A length of time as Spark's triggers take it: numbers with units, one after the other, or ISO 8601.
 *
 * @returns Whole milliseconds, at least 1; null for text that is none, and for what is too long for a timer (24 days).
 */
export function parseInterval(text: string): number | null {
  const words = text.trim().replace(/^interval\s+/i, '');
  const ms = ISO.test(words) && /\d/.test(words) ? readIso(words) : readWords(words.toLowerCase());
  if (ms === null) return null;
  const whole = Math.round(ms);
  return whole >= 1 && whole <= MOST_MS ? whole : null;
}

function readIso(text: string): number {
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] = (ISO.exec(text) ?? []).map((part) => Number(part ?? 0));
  return ((days * 24 + hours) * 60 + minutes) * 60_000 + seconds * 1_000;
}

function readWords(text: string): number | null {
  const parts = text.match(/\d+(?:\.\d+)?\s*[a-z]+/g) ?? [];
  // Nothing may be left over but the blanks between.
  if (parts.length === 0 || parts.join('').replaceAll(/\s/g, '') !== text.replaceAll(/\s/g, '')) return null;
  let total = 0;
  for (const part of parts) {
    const [, number = '', name = ''] = /^([\d.]+)\s*([a-z]+)$/.exec(part) ?? [];
    const unit = UNITS.find(([pattern]) => pattern.test(name));
    if (unit === undefined) return null;
    total += Number(number) * unit[1];
  }
  return total;
}
