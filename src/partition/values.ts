/** The distinct values of a column, as the text they have in the names of folders: that of Spark's cast to STRING. */
import { type Data, Type } from 'apache-arrow';
import type { PartitionFunction } from '../config/partitionBy.ts';
import { offsetsOf, parametersOf, presenceOf, wordsOf } from '../encode/arrow/access.ts';
import { ByteWriter } from '../encode/output/byteWriter.ts';
import { putDate, putTime } from '../encode/text/dates.ts';
import { booleanAt, daysOf, momentsOf, scalarText } from '../encode/text/scalars.ts';

export interface DistinctValues {
  /** Which of `texts` each row has. */
  readonly ids: Int32Array;
  /** Null: no value. */
  readonly texts: readonly (string | null)[];
}

type Key = number | string | boolean;

/** What tells values apart, and their text; a key may have the text of another. */
interface Keys {
  readonly keyOf: (row: number) => Key;
  readonly textOf: (row: number, key: Key) => string;
}

const SECONDS_PER_DAY = 86_400;
const MS_PER_DAY = 86_400_000;

export function distinctValues(data: Data, of: PartitionFunction | null): DistinctValues {
  const { keyOf, textOf } = of === null ? valueKeys(data) : timeKeys(data, of);
  const isPresent = presenceOf(data);
  const idOfKey = new Map<Key | null, number>();
  const idOfText = new Map<string | null, number>();
  const ids = new Int32Array(data.length);
  const idFor = (text: string | null): number => {
    const known = idOfText.get(text);
    if (known !== undefined) return known;
    idOfText.set(text, idOfText.size);
    return idOfText.size - 1;
  };
  for (let row = 0; row < data.length; row++) {
    const key = isPresent === null || isPresent(row) ? keyOf(row) : null;
    let id = idOfKey.get(key);
    if (id === undefined) {
      // Hive has one folder for null and the empty text.
      id = idFor(key === null ? null : textOf(row, key) || null);
      idOfKey.set(key, id);
    }
    ids[row] = id;
  }
  return { ids, texts: [...idOfText.keys()] };
}

/** Whether folders can be named by values of this type. */
export function canPartitionBy(typeId: Type): boolean {
  return SCALARS.has(typeId);
}

const SCALARS: ReadonlySet<Type> = new Set([
  ...[Type.Null, Type.Bool, Type.Int, Type.Float, Type.Decimal, Type.Utf8, Type.LargeUtf8, Type.Date, Type.Timestamp],
]);

function valueKeys(data: Data): Keys {
  const { values } = data;
  const { typeId, bitWidth, isSigned, unit } = parametersOf(data.type);
  switch (typeId) {
    case Type.Bool:
      return { keyOf: (row) => booleanAt(data, row), textOf: (_, key) => String(key) };
    case Type.Utf8:
    case Type.LargeUtf8: {
      const offsets = offsetsOf(data);
      const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      const keyOf = (row: number): string => bytes.toString('utf8', offsets[row], offsets[row + 1]);
      return { keyOf, textOf: (_, key) => String(key) };
    }
    case Type.Int:
      if (bitWidth < 64) return { keyOf: (row) => values[row], textOf: (_, key) => String(key) };
      return { keyOf: wideKeys(values, isSigned), textOf: scalarTexts(data) };
    case Type.Float: {
      const text = scalarTexts(data);
      // As Java writes whole numbers, and as readers tell them from integers.
      return { keyOf: (row) => values[row], textOf: (row) => text(row).replace(/^-?\d+$/, '$&.0') };
    }
    case Type.Date:
      return { keyOf: daysOf(data), textOf: scalarTexts(data) };
    case Type.Timestamp: {
      const momentAt = momentsOf(data, unit, 64);
      const keyOf = (row: number): string => {
        const { seconds, fraction } = momentAt(row);
        return `${seconds}.${fraction}`;
      };
      return { keyOf, textOf: (row) => timestampText(momentAt(row)) };
    }
    default: {
      const text = scalarTexts(data);
      return { keyOf: text, textOf: (_, key) => String(key) };
    }
  }
}

/** 64 bits as a number where that is exact, else as their halves. */
function wideKeys(values: ArrayBufferView, isSigned: boolean): (row: number) => Key {
  const words = wordsOf(values);
  return (row) => {
    const low = (words[2 * row] as number) >>> 0;
    const high = isSigned ? (words[2 * row + 1] as number) : (words[2 * row + 1] as number) >>> 0;
    const value = high * 2 ** 32 + low;
    return Number.isSafeInteger(value) ? value : `${high} ${low}`;
  };
}

function timeKeys(data: Data, of: PartitionFunction): Keys {
  const hourAt = hours(data);
  if (of === 'hour') {
    return { keyOf: hourAt, textOf: (_, key) => String((((key as number) % 24) + 24) % 24) };
  }
  const keyOf = data.type.typeId === Type.Date ? daysOf(data) : (row: number) => Math.floor(hourAt(row) / 24);
  return { keyOf, textOf: (_, key) => dayText(key as number, of) };
}

/** Whole hours since 1970. */
function hours(data: Data): (row: number) => number {
  const { typeId, unit } = parametersOf(data.type);
  if (typeId === Type.Date) {
    const dayAt = daysOf(data);
    return (row) => dayAt(row) * 24;
  }
  const momentAt = momentsOf(data, unit, 64);
  return (row) => Math.floor(momentAt(row).seconds / 3600);
}

function dayText(days: number, of: Exclude<PartitionFunction, 'hour'>): string {
  const date = new Date(days * MS_PER_DAY);
  switch (of) {
    case 'date': {
      const out = new ByteWriter();
      putDate(out, days);
      return out.written().toString();
    }
    case 'year':
      return String(date.getUTCFullYear());
    case 'month':
      return String(date.getUTCMonth() + 1);
    case 'day':
      return String(date.getUTCDate());
  }
}

/** `2024-01-02 03:04:05.678`, no zeros at the end of a fraction. */
function timestampText(moment: Parameters<typeof putTime>[2]): string {
  const days = Math.floor(moment.seconds / SECONDS_PER_DAY);
  const out = new ByteWriter();
  putDate(out, days);
  out.putAscii(' ');
  putTime(out, moment.seconds - days * SECONDS_PER_DAY, moment, 0);
  return out
    .written()
    .toString()
    .replace(/(\.\d*?)0+$/, '$1');
}

function scalarTexts(data: Data): (row: number) => string {
  const out = new ByteWriter();
  const scalar = scalarText(out, data);
  return (row) => {
    out.clear();
    scalar?.put(row);
    return out.written().toString();
  };
}
