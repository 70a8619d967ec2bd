/**
 * Patterns of dates and times as Spark and `java.time.format.DateTimeFormatter` write them: `dd/MM/yyyy HH:mm:ss.SSS`.
 */
import { OffloadError } from '../errors.ts';

/** A point in time as its text gives it. Days and milliseconds are counted from 1970-01-01. */
export interface ParsedTime {
  /** Milliseconds without fraction digits beyond the third; of UTC if an offset stood in the text, else local. */
  readonly epochMs: number;
  /** 0 to 999: what the fourth to the sixth digit of the fraction say. */
  readonly extraMicros: number;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const FULL_MONTHS = 'january february march april may june july august september october november december'.split(' ');
const DAYS_OF_WEEK = '(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?';
const OFFSET = '(?<offset>Z|[+-]\\d{2}(?::?\\d{2}(?::?\\d{2})?)?)';
const KNOWN_LETTERS = 'y, u, M, L, d, H, h, k, m, s, S, a, E, X, x and Z';

/** Spark's defaults: ISO 8601, where the time, its fraction and its offset may be absent. */
const ISO_DATE = /^\s*(?<year>[+-]?\d{4,6})-(?<month>\d{1,2})-(?<day>\d{1,2})\s*$/;
const ISO_TIMESTAMP = new RegExp(
  '^\\s*(?<year>[+-]?\\d{4,6})-(?<month>\\d{1,2})-(?<day>\\d{1,2})' +
    `(?:[T ](?<hour>\\d{1,2}):(?<minute>\\d{1,2})(?::(?<second>\\d{1,2})(?:\\.(?<fraction>\\d{1,9}))?)?\\s*${OFFSET}?)?\\s*$`,
  'i',
);

/**
 * Checks a pattern where the options are read, so that a wrong one is told before any file is opened.
 *
 * @param option Its name, for the message.
 * @throws OffloadError USAGE naming the letter that has no meaning here.
 */
export function checkJavaPattern(option: string, pattern: string): void {
  patternSource(pattern, (what) => {
    throw new OffloadError(
      'USAGE',
      `the option ${option}=${pattern} cannot be used: ${what}; the letters known are ${KNOWN_LETTERS}`,
    );
  });
}

/** Makes the function that reads texts of a pattern; null stands for ISO 8601. It gives null where a text does not fit. */
export function timeParser(pattern: string | null, kind: 'date' | 'timestamp'): (text: string) => ParsedTime | null {
  const iso = kind === 'date' ? ISO_DATE : ISO_TIMESTAMP;
  const expression = pattern === null ? iso : new RegExp(`^${patternSource(pattern, () => {})}$`, 'iu');
  return (text) => {
    const groups = expression.exec(text)?.groups;
    return groups === undefined ? null : timeOf(groups);
  };
}

/** The pattern as the source of a regular expression whose groups are named for the fields. */
function patternSource(pattern: string, refuse: (what: string) => void): string {
  let source = '';
  const named = new Set<string>();
  for (const match of pattern.matchAll(/'((?:[^']|'')*)'|([A-Za-z])\2*|[[\]]|./gsu)) {
    const [run, quoted, letter] = match;
    if (quoted !== undefined) {
      source += escapeText(quoted === '' ? "'" : quoted.replaceAll("''", "'"));
    } else if (letter !== undefined) {
      const [name, part] = fieldSource(letter, run.length) ?? [];
      if (name === undefined || part === undefined) {
        refuse(`the letter ${letter} (as ${run}) has no counterpart`);
        continue;
      }
      if (named.has(name)) refuse(`the letter ${letter} gives the ${name} a second time`);
      named.add(name);
      source += part;
    } else if (run === '[') {
      source += '(?:';
    } else if (run === ']') {
      source += ')?';
    } else {
      source += escapeText(run);
    }
  }
  return source;
}

function fieldSource(letter: string, count: number): [string, string] | null {
  const digits = (name: string): [string, string] => [name, `(?<${name}>\\d{${count === 1 ? '1,2' : count}})`];
  switch (letter) {
    case 'y':
    case 'u':
      if (count === 2) return ['year', '(?<shortYear>\\d{2})'];
      return ['year', count === 4 ? '(?<year>\\d{4})' : '(?<year>[+-]?\\d{1,6})'];
    case 'M':
    case 'L':
      if (count <= 2) return digits('month');
      return ['month', `(?<monthName>${(count === 3 ? MONTHS : FULL_MONTHS).join('|')})`];
    case 'd':
      return count <= 2 ? digits('day') : null;
    case 'H':
      return count <= 2 ? digits('hour') : null;
    case 'k':
      return count <= 2 ? ['hour', `(?<hourOf24>\\d{${count === 1 ? '1,2' : count}})`] : null;
    case 'h':
      return count <= 2 ? ['hour', `(?<halfHour>\\d{${count === 1 ? '1,2' : count}})`] : null;
    case 'm':
      return count <= 2 ? digits('minute') : null;
    case 's':
      return count <= 2 ? digits('second') : null;
    case 'S':
      return count <= 9 ? ['fraction', `(?<fraction>\\d{${count}})`] : null;
    case 'a':
      return count === 1 ? ['half', '(?<half>am|pm)'] : null;
    case 'E':
      return count <= 4 ? ['weekday', DAYS_OF_WEEK] : null;
    case 'X':
    case 'x':
    case 'Z':
      return count <= 5 ? ['offset', OFFSET] : null;
    default:
      return null;
  }
}

type Groups = Readonly<Record<string, string | undefined>>;

function timeOf(groups: Groups): ParsedTime | null {
  const year = groups.year !== undefined ? Number(groups.year) : 2000 + Number(groups.shortYear ?? -30);
  const month = monthOf(groups);
  const day = Number(groups.day ?? 1);
  const hour = hourOf(groups);
  const minute = Number(groups.minute ?? 0);
  const second = Number(groups.second ?? 0);
  if (month < 1 || month > 12 || hour < 0 || hour > 23 || minute > 59 || second > 59) return null;
  // Date.UTC reads the years 0 to 99 as 1900 to 1999.
  const date = new Date(0).setUTCFullYear(year, month - 1, day);
  if (new Date(date).getUTCDate() !== day || new Date(date).getUTCMonth() !== month - 1) return null;
  const micros = Number((groups.fraction ?? '').slice(0, 6).padEnd(6, '0'));
  const offsetSeconds = offsetOf(groups.offset);
  const seconds = hour * 3600 + minute * 60 + second - offsetSeconds;
  return { epochMs: date + seconds * 1000 + Math.floor(micros / 1000), extraMicros: micros % 1000 };
}

function monthOf(groups: Groups): number {
  const name = groups.monthName?.slice(0, 3).toLowerCase();
  return name === undefined ? Number(groups.month ?? 1) : MONTHS.indexOf(name) + 1;
}

function hourOf(groups: Groups): number {
  if (groups.hourOf24 !== undefined) return Number(groups.hourOf24) % 24;
  if (groups.halfHour === undefined) return Number(groups.hour ?? 0);
  const hour = Number(groups.halfHour);
  if (hour < 1 || hour > 12) return -1;
  return (hour % 12) + (groups.half?.toLowerCase() === 'pm' ? 12 : 0);
}

function offsetOf(text: string | undefined): number {
  const match = /^([+-])(\d{2}):?(\d{2})?:?(\d{2})?$/.exec(text ?? '');
  if (match === null) return 0;
  const seconds = Number(match[2]) * 3600 + Number(match[3] ?? 0) * 60 + Number(match[4] ?? 0);
  return match[1] === '-' ? -seconds : seconds;
}

function escapeText(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
