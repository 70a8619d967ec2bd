import type { MessageColumns } from '../decode/columns.ts';
import { wordsToNumber } from '../decode/columns.ts';
import { OffloadError } from '../errors.ts';

const MAX_INT32 = 0x7fffffff;
const MS_PER_SECOND = 1000;
const MS_PER_DAY = 86_400_000;
/** Largest distance from the epoch a JavaScript `Date` can have, in milliseconds (ECMA-262, 21.4.1.1). */
const MAX_DATE_MS = 8.64e15;

/** Names a row in messages. */
export interface PartitionPlace {
  readonly topic: string;
  readonly partition: number;
}

/** Told of a row that is out of range, in place of an error; what stands there then means nothing. */
export type OnBadRow = (row: number, error: OffloadError) => void;

/** The Int64 that interleaved words are, without a copy. */
export function sharedInt64(words: Int32Array<ArrayBuffer>, rows: number): BigInt64Array<ArrayBuffer> {
  return new BigInt64Array(words.buffer, words.byteOffset, rows);
}

/** @throws OffloadError FIELD_INVALID if an offset is beyond Int32. */
export function offsetsAsInt32(columns: MessageColumns, place: PartitionPlace, onBadRow?: OnBadRow): Int32Array {
  const { rows, offsetWords } = columns;
  // Offsets ascend within a partition, so the last ones are the largest.
  for (let row = rows - 1; row >= 0 && columns.offsetAt(row) > MAX_INT32; row--) {
    const offset = columns.offsetAt(row);
    refuse(row, outOfRange('offset', offset, 'INT', place, offset, 'LONG'), onBadRow);
  }
  const low = new Int32Array(rows);
  for (let row = 0; row < rows; row++) low[row] = offsetWords[2 * row] as number;
  return low;
}

/** Timestamps as whole seconds since the epoch, rounded down, as Int64. */
export function secondsAsInt64(words: Int32Array, rows: number): BigInt64Array<ArrayBuffer> {
  const seconds = new Int32Array(2 * rows);
  for (let row = 0; row < rows; row++) {
    const value = floorSeconds(words, row);
    seconds[2 * row] = value;
    seconds[2 * row + 1] = Math.floor(value / 0x1_0000_0000);
  }
  return sharedInt64(seconds, rows);
}

function floorSeconds(words: Int32Array, row: number): number {
  const ms = wordsToNumber(words, row);
  if (Number.isSafeInteger(ms)) return Math.floor(ms / MS_PER_SECOND);
  // Not a time in milliseconds at all, but some producer wrote it: exact all the same.
  const exact = BigInt(words[2 * row + 1] as number) * 0x1_0000_0000n + BigInt((words[2 * row] as number) >>> 0);
  const quotient = exact / 1000n;
  return Number(exact < 0n && exact % 1000n !== 0n ? quotient - 1n : quotient);
}

/** Timestamps as days since the epoch in UTC. @throws OffloadError FIELD_INVALID if a day is beyond Int32. */
export function daysAsInt32(
  columns: MessageColumns,
  words: Int32Array,
  place: PartitionPlace,
  onBadRow?: OnBadRow,
): Int32Array {
  const days = new Int32Array(columns.rows);
  for (let row = 0; row < columns.rows; row++) {
    const ms = wordsToNumber(words, row);
    const day = Math.floor(ms / MS_PER_DAY);
    if (day > MAX_INT32 || day < -MAX_INT32)
      refuse(row, outOfRange('timestamp', ms, 'DATE', place, columns.offsetAt(row), 'LONG'), onBadRow);
    days[row] = day;
  }
  return days;
}

/** Decimal text of an offset. */
export function offsetText(columns: MessageColumns, row: number): string {
  return String(columns.offsetAt(row));
}

/**
 * `yyyy-MM-dd HH:mm:ss` in UTC, with the fraction of a second where there is one and without zeros at its end: Spark's
 * text of a timestamp.
 *
 * @throws OffloadError FIELD_INVALID outside the years 0 to 9999.
 */
export function timestampText(
  columns: MessageColumns,
  words: Int32Array,
  row: number,
  place: PartitionPlace,
  onBadRow?: OnBadRow,
): string {
  const ms = wordsToNumber(words, row);
  const iso = Math.abs(ms) <= MAX_DATE_MS ? new Date(ms).toISOString() : '';
  // A year of more than four digits comes with a sign and two digits more.
  if (iso.length !== 24)
    refuse(row, outOfRange('timestamp', ms, 'STRING', place, columns.offsetAt(row), 'LONG'), onBadRow);
  const seconds = `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
  const fraction = iso.slice(20, 23).replace(/0+$/, '');
  return fraction === '' ? seconds : `${seconds}.${fraction}`;
}

function refuse(row: number, error: OffloadError, onBadRow: OnBadRow | undefined): void {
  if (!onBadRow) throw error;
  onBadRow(row, error);
}

function outOfRange(
  column: string,
  value: number,
  type: string,
  place: PartitionPlace,
  offset: number,
  instead: string,
): OffloadError {
  return new OffloadError(
    'FIELD_INVALID',
    `cannot cast the ${column} ${value} of ${place.topic}/${place.partition} at offset ${offset} to ${type}: it is out of range; ` +
      `ask for \`${column} as ${instead}\``,
    { context: { ...place, offset, column, value, type } },
  );
}
