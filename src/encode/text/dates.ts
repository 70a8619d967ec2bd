/** Dates, times and timestamps as text: ISO 8601, or by a pattern. All in UTC. */
import type { PatternPart } from '../../config/datePattern.ts';
import type { ByteWriter } from '../output/byteWriter.ts';
import { putInteger, putPadded } from './digits.ts';

const SECONDS_PER_DAY = 86_400;
/** Of `03:04:05`. */
const CLOCK_BYTES = 8;
const DASH = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const POINT = 0x2e;
const ZERO = 0x30;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
/** The Gregorian calendar repeats itself after so many days: 400 years. */
const ERA_DAYS = 146_097;
/** From 0000-03-01 to 1970-01-01: years are counted from March, so that a leap day ends one. */
const EPOCH_DAYS = 719_468;

/** A moment, exact to the nanosecond. */
export interface Moment {
  /** Whole seconds since 1970, rounded down. */
  seconds: number;
  /** Rest of a second in units of the column: 0 to 10^digits - 1. */
  fraction: number;
  /** Digits of a second that the unit of the column has: 0, 3, 6 or 9. */
  digits: number;
}

interface Day {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** @see https://howardhinnant.github.io/date_algorithms.html#civil_from_days */
function dayOf(days: number): Day {
  const shifted = days + EPOCH_DAYS;
  const era = Math.floor(shifted / ERA_DAYS);
  const dayOfEra = shifted - era * ERA_DAYS;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1,
  };
}

/** The date written last: the next row is mostly of the same day. */
let lastDays = Number.NaN;
let lastDate = Buffer.alloc(0);

/** `2024-01-02`; years before 0 and beyond 9999 with their sign. */
export function putDate(out: ByteWriter, days: number): void {
  if (days === lastDays) {
    out.put(lastDate);
    return;
  }
  const start = out.position;
  const { year, month, day } = dayOf(days);
  putYear(out, year, 4);
  out.putByte(DASH);
  putPadded(out, month, 2);
  out.putByte(DASH);
  putPadded(out, day, 2);
  lastDays = days;
  lastDate = Buffer.from(out.bytes.subarray(start, out.position));
}

function putYear(out: ByteWriter, year: number, width: number): void {
  const size = Math.abs(year);
  if (year < 0) out.putByte(DASH);
  else if (size > 9999 && width >= 4) out.putByte(PLUS);
  putPadded(out, size, Math.max(width, String(size).length));
}

/** `03:04:05.678`, with as many digits of a second, in threes, as there are; at least `leastDigits`. */
export function putTime(out: ByteWriter, secondOfDay: number, { fraction, digits }: Moment, leastDigits: number): void {
  out.reserve(CLOCK_BYTES);
  const { bytes, position } = out;
  const hour = (secondOfDay / 3600) | 0;
  const minute = ((secondOfDay / 60) | 0) % 60;
  const second = secondOfDay % 60;
  bytes[position] = ZERO + ((hour / 10) | 0);
  bytes[position + 1] = ZERO + (hour % 10);
  bytes[position + 2] = COLON;
  bytes[position + 3] = ZERO + ((minute / 10) | 0);
  bytes[position + 4] = ZERO + (minute % 10);
  bytes[position + 5] = COLON;
  bytes[position + 6] = ZERO + ((second / 10) | 0);
  bytes[position + 7] = ZERO + (second % 10);
  out.position = position + CLOCK_BYTES;
  let rest = fraction;
  let shown = digits;
  for (; shown > leastDigits && rest % 1000 === 0; shown -= 3) rest /= 1000;
  for (; shown < leastDigits; shown += 3) rest *= 1000;
  if (shown === 0) return;
  out.putByte(POINT);
  putPadded(out, rest, shown);
}

/** `2024-01-02T03:04:05.678Z`; without `Z` where the column has no zone. */
export function putTimestamp(out: ByteWriter, moment: Moment, hasZone: boolean): void {
  const days = Math.floor(moment.seconds / SECONDS_PER_DAY);
  putDate(out, days);
  out.putByte(LETTER_T);
  putTime(out, moment.seconds - days * SECONDS_PER_DAY, moment, 3);
  if (hasZone) out.putByte(LETTER_Z);
}

/** By the parts of a pattern; letters of a zone give nothing where the column has none. */
export function putByPattern(
  out: ByteWriter,
  parts: readonly PatternPart[],
  moment: Moment,
  hasZone: boolean,
  putText: (text: string) => void,
): void {
  const days = Math.floor(moment.seconds / SECONDS_PER_DAY);
  const second = moment.seconds - days * SECONDS_PER_DAY;
  const date = dayOf(days);
  const hour = Math.floor(second / 3600);
  for (const part of parts) {
    if (part.kind === 'literal') {
      putText(part.text);
      continue;
    }
    const { letter, count } = part;
    switch (letter) {
      case 'y':
        if (count === 2) putPadded(out, ((date.year % 100) + 100) % 100, 2);
        else putYear(out, date.year, count);
        break;
      case 'M':
        putAtLeast(out, date.month, count);
        break;
      case 'd':
        putAtLeast(out, date.day, count);
        break;
      case 'H':
        putAtLeast(out, hour, count);
        break;
      case 'h':
        putAtLeast(out, hour % 12 || 12, count);
        break;
      case 'a':
        out.putAscii(hour < 12 ? 'AM' : 'PM');
        break;
      case 'm':
        putAtLeast(out, Math.floor(second / 60) % 60, count);
        break;
      case 's':
        putAtLeast(out, second % 60, count);
        break;
      case 'S':
        putPadded(out, Math.floor(moment.fraction * 10 ** (count - moment.digits)), count);
        break;
      default:
        if (hasZone) out.putAscii(zoneText(letter, count));
    }
  }
}

function zoneText(letter: string, count: number): string {
  switch (letter) {
    case 'X':
      return 'Z';
    case 'x':
      return ['+00', '+0000', '+00:00'][count - 1] as string;
    case 'Z':
      return '+0000';
    default:
      return 'UTC';
  }
}

function putAtLeast(out: ByteWriter, value: number, digits: number): void {
  if (digits === 1) putInteger(out, value);
  else putPadded(out, value, digits);
}

/** An ISO 8601 duration: `P1Y2M3DT4.5S`; parts with signs of their own, and `PT0S` for nothing at all. */
export function durationText(months: number, days: number, moment: Moment): string {
  const years = Math.trunc(months / 12);
  const date = `${part(years, 'Y')}${part(months % 12, 'M')}${part(days, 'D')}`;
  const isNegative = moment.seconds < 0;
  // Seconds are rounded down: -0.5 s is -1 s and 0.5 s.
  const isBorrowed = isNegative && moment.fraction > 0;
  const whole = Math.abs(isBorrowed ? moment.seconds + 1 : moment.seconds);
  const fraction = isBorrowed ? 10 ** moment.digits - moment.fraction : moment.fraction;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const sign = isNegative ? '-' : '';
  const digits = fraction === 0 ? '' : `.${String(fraction).padStart(moment.digits, '0').replace(/0+$/, '')}`;
  const seconds = whole % 60 === 0 && fraction === 0 ? '' : `${sign}${whole % 60}${digits}S`;
  const time = `${hours ? `${sign}${hours}H` : ''}${minutes ? `${sign}${minutes}M` : ''}${seconds}`;
  if (date === '' && time === '') return 'PT0S';
  return time === '' ? `P${date}` : `P${date}T${time}`;
}

function part(value: number, letter: string): string {
  return value === 0 ? '' : `${value}${letter}`;
}
