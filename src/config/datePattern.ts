/**
 * Patterns of dates and times as Java writes them (`yyyy-MM-dd'T'HH:mm:ss.SSSXXX`), for as much of them as has a meaning
 * without a locale.
 *
 * @see https://spark.apache.org/docs/latest/sql-ref-datetime-pattern.html
 */

/** One element of a pattern, in order. */
export type PatternPart =
  | { readonly kind: 'literal'; readonly text: string }
  /** `letter` repeated `count` times. */
  | { readonly kind: 'field'; readonly letter: PatternLetter; readonly count: number };

/** Year, month, day, hour (0-23), hour (1-12), half of the day, minute, second, fraction, zone as `Z` or offset, zone offset. */
export type PatternLetter = 'y' | 'M' | 'd' | 'H' | 'h' | 'a' | 'm' | 's' | 'S' | 'X' | 'x' | 'Z' | 'V' | 'z';

export type CompiledPattern =
  | { readonly parts: readonly PatternPart[] }
  | { readonly problem: string; readonly instead: string };

/** Most times each letter may be repeated. */
const LETTERS: Readonly<Record<PatternLetter, number>> = {
  y: 9,
  M: 2,
  d: 2,
  H: 2,
  h: 2,
  a: 1,
  m: 2,
  s: 2,
  S: 9,
  X: 3,
  x: 3,
  Z: 3,
  V: 2,
  z: 3,
};
const DATE_LETTERS = 'yMd';

/** Square brackets, around what may be missing when Java reads, mean nothing in writing. */
export function compileDatePattern(pattern: string, of: 'date' | 'timestamp'): CompiledPattern {
  const parts: PatternPart[] = [];
  const tokens = /'((?:[^']|'')*)'|([A-Za-z])\2*|[[\]]|[^A-Za-z'[\]]+/gy;
  while (tokens.lastIndex < pattern.length) {
    const at = tokens.lastIndex;
    const match = tokens.exec(pattern);
    if (match === null) return { problem: `has a quote without an end at character ${at + 1}`, instead: "'...'" };
    const [token, quoted, letter] = match;
    if (quoted !== undefined) {
      parts.push({ kind: 'literal', text: quoted === '' ? "'" : quoted.replaceAll("''", "'") });
    } else if (letter === undefined) {
      if (token !== '[' && token !== ']') parts.push({ kind: 'literal', text: token });
    } else {
      const name = letter === 'u' ? 'y' : letter;
      const most = Object.hasOwn(LETTERS, name) ? LETTERS[name as PatternLetter] : 0;
      if (token.length > most || (of === 'date' && !DATE_LETTERS.includes(name))) {
        const known = of === 'date' ? 'y, M (1 or 2), d' : 'y, M (1 or 2), d, H, h, a, m, s, S, X, x, Z, z, V';
        return {
          problem: `has the letters ${token}, which a ${of} cannot be written with`,
          instead: `it with ${known}`,
        };
      }
      parts.push({ kind: 'field', letter: name as PatternLetter, count: token.length });
    }
  }
  return { parts };
}
