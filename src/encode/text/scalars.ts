/**
 * Arrow values that are neither text nor nested, as text: shared by JSON and CSV, and by others for what they have no
 * form of their own for.
 *
 * | Arrow | Text |
 * | --- | --- |
 * | Int8 to Uint64, Decimal | digits, exact |
 * | Float16 to Float64 | the fewest digits that give it back; NaN, Infinity, -Infinity |
 * | Bool | true, false |
 * | Date | `2024-01-02` |
 * | Time | `03:04:05.678`, digits in threes as needed |
 * | Timestamp | `2024-01-02T03:04:05.678Z`, more digits as needed; without a zone: without `Z` |
 * | Interval, Duration | ISO 8601: `P1Y2M3DT4H5M6.7S` |
 * | Binary of any kind | base64 |
 */
import { type Data, DateUnit, IntervalUnit, Precision, TimeUnit, Type } from 'apache-arrow';
import { compileDatePattern, type PatternPart } from '../../config/datePattern.ts';
import type { DatePatterns } from '../../config/writerOptions.ts';
import { offsetsOf, parametersOf, wordsOf } from '../arrow/access.ts';
import type { ByteWriter } from '../output/byteWriter.ts';
import { putBase64 } from './base64.ts';
import { durationText, type Moment, putByPattern, putDate, putTime, putTimestamp } from './dates.ts';
import { floatText, floorDivide64, halfToNumber, putDecimal, putInt64, putInteger } from './digits.ts';

export type PutRow = (row: number) => void;

export interface ScalarText {
  /** `number` and `bool` stand bare in JSON, `float` unless it is NaN or infinite, `text` in quotes. */
  readonly form: 'number' | 'bool' | 'float' | 'text';
  /** Writes the value of a row that is not null. */
  readonly put: PutRow;
}

const MS_PER_DAY = 86_400_000;
/** Fractions of a second by unit. */
const UNIT_DIGITS: Readonly<Record<number, number>> = {
  [TimeUnit.SECOND]: 0,
  [TimeUnit.MILLISECOND]: 3,
  [TimeUnit.MICROSECOND]: 6,
  [TimeUnit.NANOSECOND]: 9,
};

/**
 * @param putText Writes a literal of a date pattern, which may have characters beyond ASCII and what must be escaped.
 * @returns undefined for text, nested types, dictionaries and unions.
 */
export function scalarText(
  out: ByteWriter,
  data: Data,
  patterns: DatePatterns | null = null,
  putText: (text: string) => void = (text) => out.put(Buffer.from(text)),
): ScalarText | undefined {
  const { values } = data;
  const type = parametersOf(data.type);
  switch (type.typeId) {
    case Type.Bool:
      return { form: 'bool', put: (row) => out.putAscii(booleanAt(data, row) ? 'true' : 'false') };
    case Type.Int:
      return { form: 'number', put: putIntegers(out, data) };
    case Type.Float: {
      const { precision } = type;
      if (precision === Precision.HALF) {
        return { form: 'float', put: (row) => out.putAscii(floatText(halfToNumber(values[row]), true)) };
      }
      const isSingle = precision === Precision.SINGLE;
      return { form: 'float', put: (row) => out.putAscii(floatText(values[row], isSingle)) };
    }
    case Type.Decimal: {
      const { scale, bitWidth } = type;
      const count = bitWidth / 32;
      const words = wordsOf(values);
      return { form: 'number', put: (row) => putDecimal(out, words, row * count, count, scale) };
    }
    case Type.Date: {
      const pattern = partsOf(patterns?.dateFormat, 'date');
      const daysAt = daysOf(data);
      if (!pattern) return { form: 'text', put: (row) => putDate(out, daysAt(row)) };
      return {
        form: 'text',
        put: (row) =>
          putByPattern(out, pattern, { seconds: daysAt(row) * 86_400, fraction: 0, digits: 0 }, false, putText),
      };
    }
    case Type.Time: {
      const momentAt = momentsOf(data, type.unit, type.bitWidth);
      return {
        form: 'text',
        put: (row) => {
          const moment = momentAt(row);
          putTime(out, moment.seconds, moment, 0);
        },
      };
    }
    case Type.Timestamp: {
      const pattern = partsOf(patterns?.timestampFormat, 'timestamp');
      const momentAt = momentsOf(data, type.unit, 64);
      const hasZone = type.timezone !== null && type.timezone !== undefined && type.timezone !== '';
      if (!pattern) return { form: 'text', put: (row) => putTimestamp(out, momentAt(row), hasZone) };
      return { form: 'text', put: (row) => putByPattern(out, pattern, momentAt(row), hasZone, putText) };
    }
    case Type.Duration: {
      const momentAt = momentsOf(data, type.unit, 64);
      return { form: 'text', put: (row) => out.putAscii(durationText(0, 0, momentAt(row))) };
    }
    case Type.Interval:
      return { form: 'text', put: putIntervals(out, data) };
    case Type.Binary:
    case Type.LargeBinary: {
      const offsets = offsetsOf(data);
      return {
        form: 'text',
        put: (row) => putBase64(out, values, offsets[row] as number, offsets[row + 1] as number),
      };
    }
    case Type.FixedSizeBinary: {
      const { byteWidth } = type;
      return { form: 'text', put: (row) => putBase64(out, values, row * byteWidth, (row + 1) * byteWidth) };
    }
    default:
      return undefined;
  }
}

export function booleanAt({ values, offset }: Data, row: number): boolean {
  return ((values[(offset + row) >>> 3] >>> ((offset + row) & 7)) & 1) === 1;
}

/** Days since 1970 of a Date column of either unit. */
export function daysOf({ type, values }: Data): (row: number) => number {
  if (parametersOf(type).unit === DateUnit.DAY) return (row) => values[row];
  const words = wordsOf(values);
  return (row) => floorDivide64(words[2 * row] as number, words[2 * row + 1] as number, MS_PER_DAY).quotient;
}

/** Values of a unit of time since an origin, as a moment that the next call overwrites. */
export function momentsOf({ values }: Data, unit: number, bitWidth: number): (row: number) => Moment {
  const digits = UNIT_DIGITS[unit] as number;
  const perSecond = 10 ** digits;
  const moment: Moment = { seconds: 0, fraction: 0, digits };
  const words = wordsOf(values);
  return (row) => {
    if (bitWidth === 32) {
      const value = words[row] as number;
      moment.seconds = Math.floor(value / perSecond);
      moment.fraction = value - moment.seconds * perSecond;
    } else {
      const { quotient, remainder } = floorDivide64(words[2 * row] as number, words[2 * row + 1] as number, perSecond);
      moment.seconds = quotient;
      moment.fraction = remainder;
    }
    return moment;
  };
}

function putIntegers(out: ByteWriter, { type, values }: Data): PutRow {
  const { bitWidth, isSigned } = parametersOf(type);
  if (bitWidth < 64) return (row) => putInteger(out, values[row]);
  const words = wordsOf(values);
  return (row) => putInt64(out, words[2 * row] as number, words[2 * row + 1] as number, isSigned);
}

function putIntervals(out: ByteWriter, { type, values }: Data): PutRow {
  const words = wordsOf(values);
  const none: Moment = { seconds: 0, fraction: 0, digits: 0 };
  switch (parametersOf(type).unit) {
    case IntervalUnit.YEAR_MONTH:
      return (row) => out.putAscii(durationText(words[row] as number, 0, none));
    case IntervalUnit.DAY_TIME:
      return (row) => {
        const ms = words[2 * row + 1] as number;
        const seconds = Math.floor(ms / 1000);
        out.putAscii(durationText(0, words[2 * row] as number, { seconds, fraction: ms - seconds * 1000, digits: 3 }));
      };
    default:
      return (row) => {
        const [months = 0, days = 0, low = 0, high = 0] = words.subarray(4 * row, 4 * row + 4);
        const { quotient, remainder } = floorDivide64(low, high, 1e9);
        out.putAscii(durationText(months, days, { seconds: quotient, fraction: remainder, digits: 9 }));
      };
  }
}

function partsOf(pattern: string | null | undefined, of: 'date' | 'timestamp'): readonly PatternPart[] | null {
  if (pattern === null || pattern === undefined) return null;
  const compiled = compileDatePattern(pattern, of);
  return 'parts' in compiled ? compiled.parts : null;
}
