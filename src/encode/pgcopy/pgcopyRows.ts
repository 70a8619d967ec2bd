/**
 * Rows as PostgreSQL's binary COPY has them: the number of columns, then the length of each value, -1 for null, and its
 * bytes as the type of the column is received. Every value arrives exactly; what a type cannot hold is an error.
 *
 * @see https://www.postgresql.org/docs/15/sql-copy.html#id-1.9.3.55.9.4 "Binary Format"
 */
import { type Data, DateUnit, IntervalUnit, Precision, type RecordBatch, TimeUnit, Type } from 'apache-arrow';
import { OffloadError } from '../../errors.ts';
import { offsetsOf, parametersOf, presenceOf, wordsOf } from '../arrow/access.ts';
import { type Cell, dictionaryCell } from '../arrow/cells.ts';
import { bindJson, type JsonSettings } from '../json/jsonRows.ts';
import { ByteWriter } from '../output/byteWriter.ts';
import type { Moment } from '../text/dates.ts';
import { floorDivide64, halfToNumber } from '../text/digits.ts';
import { booleanAt, daysOf, momentsOf, scalarText } from '../text/scalars.ts';
import type { PostgresType } from './columnTypes.ts';
import { putNumeric } from './numeric.ts';

type PutRow = (row: number) => void;

const JSON_SETTINGS: JsonSettings = { ignoreNullFields: false, dateFormat: null, timestampFormat: null };
const JSONB_VERSION = 1;
const TWO_32 = 0x1_0000_0000;
/** From 1970 to 2000, where PostgreSQL counts from. */
const EPOCH_DAYS = 10_957;
const EPOCH_SECONDS = EPOCH_DAYS * 86_400;
/** Days and seconds since 2000 that a date and a timestamp can have: from 4714 BC on. */
const FIRST_DAY = -2_451_545;
const END_DAY = 2_145_031_949;
const FIRST_SECOND = FIRST_DAY * 86_400;
const END_SECOND = 9_223_371_331_200;

/** Writes a row of a batch whose columns are of these types in the table. */
export function bindPgcopyRow(batch: RecordBatch, out: ByteWriter, types: readonly PostgresType[]): PutRow {
  const cells = batch.schema.fields.map(({ name }, index) => {
    return bindCell(batch.data.children[index] as Data, out, types[index] as PostgresType, name);
  });
  return (row) => {
    out.reserve(2);
    out.position = out.bytes.writeInt16BE(cells.length, out.position);
    for (const { isPresent, put } of cells) {
      out.reserve(4);
      if (isPresent !== null && !isPresent(row)) {
        out.position = out.bytes.writeInt32BE(-1, out.position);
        continue;
      }
      const start = out.position;
      out.position += 4;
      put(row);
      out.bytes.writeInt32BE(out.position - start - 4, start);
    }
  };
}

/** Types that do not hold every value that Arrow's have. */
const NARROW: ReadonlySet<PostgresType> = new Set([
  'date',
  'timestamp without time zone',
  'timestamp with time zone',
  'interval',
]);

/** @throws OffloadError ROW_INVALID for what `bindPgcopyRow` would refuse. */
export function checkPgcopyRows(batch: RecordBatch, types: readonly PostgresType[]): void {
  const aside = new ByteWriter(64);
  for (const [index, { name }] of batch.schema.fields.entries()) {
    const type = types[index] as PostgresType;
    if (!NARROW.has(type)) continue;
    const { isPresent, put } = bindCell(batch.data.children[index] as Data, aside, type, name);
    for (let row = 0; row < batch.numRows; row++) {
      aside.clear();
      if (isPresent === null || isPresent(row)) put(row);
    }
  }
}

function bindCell(data: Data, out: ByteWriter, type: PostgresType, column: string): Cell {
  if (data.type.typeId === Type.Dictionary) {
    return dictionaryCell(data, (values) => bindCell(values, out, type, column));
  }
  return { isPresent: presenceOf(data), put: bindValue(data, out, type, column) };
}

function bindValue(data: Data, out: ByteWriter, type: PostgresType, column: string): PutRow {
  const { values } = data;
  const { typeId, unit, bitWidth, byteWidth } = parametersOf(data.type);
  if (typeId === Type.Null) return () => {};
  switch (type) {
    case 'boolean':
      return (row) => out.putByte(booleanAt(data, row) ? 1 : 0);
    case 'smallint':
      return (row) => {
        out.reserve(2);
        out.position = out.bytes.writeInt16BE(values[row], out.position);
      };
    case 'integer':
      return (row) => putInt32(out, values[row]);
    case 'bigint':
      return putBigints(data, out);
    case 'real':
    case 'double precision':
      return putFloats(data, out, type === 'real');
    case 'numeric':
      return putNumerics(data, out);
    case 'text':
    case 'bytea': {
      if (typeId === Type.FixedSizeBinary) return (row) => out.put(values, row * byteWidth, (row + 1) * byteWidth);
      const offsets = offsetsOf(data);
      return (row) => out.put(values, offsets[row] as number, offsets[row + 1] as number);
    }
    case 'date':
      return putDates(data, out, column);
    case 'time without time zone': {
      const momentAt = momentsOf(data, unit, bitWidth);
      return (row) => putMicros(out, momentAt(row));
    }
    case 'timestamp without time zone':
    case 'timestamp with time zone':
      return putTimestamps(data, out, column);
    case 'interval':
      return putIntervals(data, out, column);
    case 'json':
    case 'jsonb': {
      const { put } = bindJson(data, out, JSON_SETTINGS, column);
      if (type === 'json') return put;
      return (row) => {
        out.putByte(JSONB_VERSION);
        put(row);
      };
    }
  }
}

function putInt32(out: ByteWriter, value: number): void {
  out.reserve(4);
  out.position = out.bytes.writeInt32BE(value, out.position);
}

function putBigints({ type, values }: Data, out: ByteWriter): PutRow {
  if (parametersOf(type).bitWidth < 64) {
    return (row) => {
      const value = values[row] as number;
      putWords(out, value >>> 0, Math.floor(value / TWO_32));
    };
  }
  const words = wordsOf(values);
  return (row) => putWords(out, words[2 * row] as number, words[2 * row + 1] as number);
}

/** The halves of 64 bits. */
function putWords(out: ByteWriter, low: number, high: number): void {
  out.reserve(8);
  const { view, position } = out;
  view.setInt32(position, high);
  view.setInt32(position + 4, low);
  out.position = position + 8;
}

function putFloats({ type, values }: Data, out: ByteWriter, isSingle: boolean): PutRow {
  const isHalf = parametersOf(type).precision === Precision.HALF;
  return (row) => {
    const value = isHalf ? halfToNumber(values[row]) : (values[row] as number);
    out.reserve(8);
    const { bytes, position } = out;
    out.position = isSingle ? bytes.writeFloatBE(value, position) : bytes.writeDoubleBE(value, position);
  };
}

function putNumerics(data: Data, out: ByteWriter): PutRow {
  const aside = new ByteWriter(64);
  const text = scalarText(aside, data);
  return (row) => {
    aside.clear();
    text?.put(row);
    putNumeric(out, aside.written());
  };
}

function putDates(data: Data, out: ByteWriter, column: string): PutRow {
  const dayAt = daysOf(data);
  return (row) => {
    const day = dayAt(row) - EPOCH_DAYS;
    if (day < FIRST_DAY || day >= END_DAY) {
      const unit = parametersOf(data.type).unit === DateUnit.DAY ? 'days' : 'milliseconds';
      throw outOfRange(column, `${data.values[row]} ${unit} since 1970`, 'dates from 4714 BC to the year 5874897');
    }
    putInt32(out, day);
  };
}

function putTimestamps(data: Data, out: ByteWriter, column: string): PutRow {
  const { unit } = parametersOf(data.type);
  const momentAt = momentsOf(data, unit, 64);
  return (row) => {
    const moment = momentAt(row);
    const seconds = moment.seconds - EPOCH_SECONDS;
    if (seconds < FIRST_SECOND || seconds >= END_SECOND) {
      const of = TimeUnit[unit]?.toLowerCase();
      throw outOfRange(column, `${data.values[row]} ${of}s since 1970`, 'times from 4714 BC to the year 294276');
    }
    moment.seconds = seconds;
    putMicros(out, moment);
  };
}

/** Microseconds since whatever the moment is counted from. */
function putMicros(out: ByteWriter, { seconds, fraction, digits }: Moment): void {
  const rest = fraction * 10 ** (6 - digits);
  const micros = seconds * 1_000_000 + rest;
  if (Number.isSafeInteger(micros)) {
    const high = Math.floor(micros / TWO_32);
    putWords(out, micros - high * TWO_32, high);
    return;
  }
  out.reserve(8);
  out.position = out.bytes.writeBigInt64BE(BigInt(seconds) * 1_000_000n + BigInt(rest), out.position);
}

/** Microseconds, days and months, each for itself. */
function putIntervals(data: Data, out: ByteWriter, column: string): PutRow {
  const { typeId, unit } = parametersOf(data.type);
  const words = wordsOf(data.values);
  const put = (months: number, days: number, moment: Moment): void => {
    const { seconds, fraction, digits } = moment;
    if (digits === 9 && fraction % 1000 !== 0) {
      throw outOfRange(column, `an interval with ${fraction} nanoseconds`, 'whole microseconds');
    }
    putMicros(out, digits === 9 ? { seconds, fraction: fraction / 1000, digits: 6 } : moment);
    putInt32(out, days);
    putInt32(out, months);
  };
  if (typeId === Type.Duration) {
    const momentAt = momentsOf(data, unit, 64);
    return (row) => put(0, 0, momentAt(row));
  }
  switch (unit) {
    case IntervalUnit.YEAR_MONTH:
      return (row) => put(words[row] as number, 0, { seconds: 0, fraction: 0, digits: 0 });
    case IntervalUnit.DAY_TIME:
      return (row) => {
        const ms = words[2 * row + 1] as number;
        const seconds = Math.floor(ms / 1000);
        put(0, words[2 * row] as number, { seconds, fraction: ms - seconds * 1000, digits: 3 });
      };
    default:
      return (row) => {
        const [months = 0, days = 0, low = 0, high = 0] = words.subarray(4 * row, 4 * row + 4);
        const { quotient, remainder } = floorDivide64(low, high, 1e9);
        put(months, days, { seconds: quotient, fraction: remainder, digits: 9 });
      };
  }
}

function outOfRange(column: string, value: string, holds: string): OffloadError {
  return new OffloadError(
    'ROW_INVALID',
    `cannot write the column ${column} to PostgreSQL: its type holds ${holds}, and a value is ${value}; ` +
      'leave such rows out, or write the column as text',
    { context: { column, value } },
  );
}
