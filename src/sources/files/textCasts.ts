/** Text of CSV files, and of times in JSON, to values of the columns asked for. Spark's rules, but nothing is rounded. */
import type { Data, Utf8 } from 'apache-arrow';
import { timeParser } from '../../config/javaPatterns.ts';
import type { ColumnType } from '../../config/sparkSchema.ts';
import { columnBuilder } from './columns/columnBuilder.ts';
import { integerRange } from './integers.ts';
import { invalidRow, isNot, OTHER_MODES } from './rowErrors.ts';

export interface TimeFormats {
  readonly dateFormat: string | null;
  readonly timestampFormat: string | null;
}

/** Gives the value in canonical form, or undefined where the text is none of the type. */
export type TextCast = (text: string) => unknown;

const DAY_MS = 86_400_000;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const NAMED_NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Inf: Number.POSITIVE_INFINITY,
  '+Inf': Number.POSITIVE_INFINITY,
  '-Inf': Number.NEGATIVE_INFINITY,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/** @returns null for a type that a text cannot be: lists, structs and maps. */
export function textCast(type: ColumnType, formats: TimeFormats): TextCast | null {
  if (typeof type !== 'string') return type.kind === 'decimal' ? decimalCast(type.precision, type.scale) : null;
  switch (type) {
    case 'VARCHAR':
      return (text) => text;
    case 'BLOB':
      return (text) => Buffer.from(text);
    case 'BOOLEAN':
      return (text) => BOOLEANS[text.toLowerCase()];
    case 'FLOAT':
    case 'DOUBLE':
      return (text) => (NUMBER.test(text) ? Number(text) : NAMED_NUMBERS[text]);
    case 'DATE': {
      const parse = timeParser(formats.dateFormat, 'date');
      return (text) => {
        const time = parse(text);
        return time === null ? undefined : Math.floor(time.epochMs / DAY_MS);
      };
    }
    case 'TIMESTAMP':
    case 'TIMESTAMPTZ': {
      const parse = timeParser(formats.timestampFormat, 'timestamp');
      return (text) => {
        const time = parse(text);
        if (time === null) return undefined;
        const micros = time.epochMs * 1000 + time.extraMicros;
        return Number.isSafeInteger(micros) ? micros : BigInt(time.epochMs) * 1000n + BigInt(time.extraMicros);
      };
    }
    default: {
      const range = integerRange(type);
      return range === null ? null : integerCast(range);
    }
  }
}

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, false: false };

function integerCast([least, most]: readonly [bigint, bigint]): TextCast {
  return (text) => {
    if (!/^[+-]?\d+$/.test(text)) return undefined;
    const value = Number(text);
    const exact = Number.isSafeInteger(value) ? value : BigInt(text.replace(/^\+/, ''));
    return exact >= least && exact <= most ? exact : undefined;
  };
}

function decimalCast(precision: number, scale: number): TextCast {
  return (text) => {
    const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
    const [, sign, whole = '', fraction = '', exponent = '0'] = match ?? [];
    if (match === null || whole + fraction === '') return undefined;
    const shift = scale - fraction.length + Number(exponent);
    const digits = whole + fraction;
    const kept = shift >= 0 ? digits + '0'.repeat(shift) : digits.slice(0, shift);
    if (shift < 0 && /[1-9]/.test(digits.slice(shift))) return undefined;
    const significant = kept.replace(/^0+/, '');
    if (significant.length > precision) return undefined;
    const value = BigInt(significant === '' ? '0' : significant);
    return sign === '-' ? -value : value;
  };
}

/**
 * Casts a column of text that was read as such.
 *
 * @param isLenient Null for what cannot be cast, instead of an error.
 */
export function castColumn(
  data: Data<Utf8>,
  type: ColumnType,
  formats: TimeFormats,
  isLenient: boolean,
  place: { readonly file: string; readonly firstRow: number; readonly column: string },
): Data {
  const cast = textCast(type, formats) as TextCast;
  const builder = columnBuilder(type);
  const { valueOffsets, values } = data;
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.length);
  for (let row = 0; row < data.length; row++) {
    if (!data.getValid(row)) {
      builder.appendValue(null);
      continue;
    }
    const text = bytes.toString('utf8', valueOffsets[row], valueOffsets[row + 1]);
    const value = cast(text);
    if (value === undefined && !isLenient) {
      const { file, column } = place;
      const number = place.firstRow + row + 1;
      throw invalidRow({ file, unit: 'row', number, column, why: isNot(text, type), next: OTHER_MODES });
    }
    builder.appendValue(value ?? null);
  }
  return builder.finish();
}
