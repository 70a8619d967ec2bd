import {
  type Binary,
  type Data,
  type DataType,
  type DateDay,
  type Int32,
  type Int64,
  type List,
  makeData,
  RecordBatch,
  type Field as SchemaField,
  Struct,
  type Timestamp,
  Utf8,
} from 'apache-arrow';
import type { Field, SourceColumn } from '../config/fields.ts';
import type { BinaryColumn, HeaderColumn, MessageColumns } from '../decode/columns.ts';
import { OffloadError } from '../errors.ts';
import { daysAsInt32, offsetsAsInt32, offsetText, secondsAsInt64, sharedInt64, timestampText } from './numbers.ts';
import { arrowSchema } from './schema.ts';
import { constantRows, textRows } from './text.ts';
import { type ByteRows, findInvalidRow, invalidRows, repairRows, sharedRows } from './utf8.ts';

type TextColumn = 'key' | 'value' | 'headers';

export interface TransformContext {
  readonly topic: string;
  readonly partition: number;
  /** What becomes of bytes that are not UTF-8 where STRING is asked. A header key cannot be null: `null` replaces there. */
  readonly invalidUtf8: 'fail' | 'replace' | 'null';
  /** Told how many values of a column were replaced or made null; not called where all were valid. */
  readonly onInvalidUtf8?: (values: number, column: TextColumn) => void;
  /**
   * Told of a row with a value that its column cannot take, once for each such value, in place of an error; what stands
   * there in the batch means nothing then.
   */
  readonly onBadRow?: (row: number, error: OffloadError) => void;
}

/**
 * Casts message columns to the fields asked for.
 *
 * Keys, values, headers, offsets and timestamps are not copied: the batch looks into the buffers of `columns`, and is
 * valid until `columns.clear()` or the next batch decoded into them. Only casts and repaired text take memory of their own.
 *
 * @param columns Must hold every column that `fields` name.
 * @throws OffloadError INVALID_UTF8 under `fail`, naming the first row, and FIELD_INVALID for a value outside the range of
 *   its type, unless `onBadRow` is told; FIELD_INVALID for a cast that is not allowed.
 */
export function toArrowBatch(
  columns: MessageColumns,
  fields: readonly Field[],
  context: TransformContext,
): RecordBatch {
  const schema = arrowSchema(fields);
  const children = fields.map((field, i) => {
    const { type } = schema.fields[i] as SchemaField;
    return fieldData(columns, field, type, context);
  });
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: columns.rows, nullCount: 0, children }),
  );
}

function fieldData(columns: MessageColumns, field: Field, type: DataType, context: TransformContext): Data {
  switch (field.column) {
    case 'key':
    case 'value':
      return bytesData(columns, field, type, context);
    case 'headers':
      return headersData(columns, type as List<Struct>, context);
    case 'topic':
      return utf8Data(constantRows(context.topic, columns.rows));
    case 'partition':
      return partitionData(columns, field, type, context);
    case 'offset':
      return offsetData(columns, field, type, context);
    case 'timestamp':
      return timestampData(columns, field, type, context);
    case 'timestampType': {
      const data = present(columns.timestampTypes, field.column).subarray(0, columns.rows);
      return makeData({ type: type as Int32, length: columns.rows, nullCount: 0, data });
    }
  }
}

function bytesData(columns: MessageColumns, field: Field, type: DataType, context: TransformContext): Data {
  const name = field.column === 'key' ? 'key' : 'value';
  const column = present(columns[name], name);
  if (field.type === 'STRING') {
    return utf8Data(validText(column, columns.rows, name, context.invalidUtf8, context, columns, (row) => row));
  }
  return binaryData(sharedRows(column, columns.rows), type as Binary);
}

function headersData(columns: MessageColumns, type: List<Struct>, context: TransformContext): Data {
  const headers = present(columns.headers, 'headers');
  const valueOffsets = headers.offsets.subarray(0, columns.rows + 1);
  const count = valueOffsets[columns.rows] as number;
  const rowOf = (headerRow: number) => rowOfHeader(headers, columns.rows, headerRow);
  const policy = context.invalidUtf8 === 'fail' ? 'fail' : 'replace';
  const keys = utf8Data(validText(headers.keys, count, 'headers', policy, context, columns, rowOf));
  const struct = type.children[0] as SchemaField<Struct>;
  const valueType = struct.type.children[1]?.type as Binary;
  const values = binaryData(sharedRows(headers.values, count), valueType);
  const child = makeData({ type: struct.type, length: count, nullCount: 0, children: [keys, values] });
  return makeData({ type, length: columns.rows, nullCount: 0, valueOffsets, child });
}

function partitionData(columns: MessageColumns, field: Field, type: DataType, { partition }: TransformContext): Data {
  const { rows } = columns;
  if (field.type === 'STRING') return utf8Data(constantRows(String(partition), rows));
  if (field.type === 'INT') {
    return makeData({ type: type as Int32, length: rows, nullCount: 0, data: columns.constantInt32(partition) });
  }
  const data = new BigInt64Array(rows).fill(BigInt(partition));
  return makeData({ type: type as Int64, length: rows, nullCount: 0, data });
}

function offsetData(columns: MessageColumns, field: Field, type: DataType, context: TransformContext): Data {
  const { rows } = columns;
  if (field.type === 'STRING') return utf8Data(textRows(rows, (row) => offsetText(columns, row)));
  if (field.type === 'INT') {
    return makeData({
      type: type as Int32,
      length: rows,
      nullCount: 0,
      data: offsetsAsInt32(columns, placeOf(context), context.onBadRow),
    });
  }
  return makeData({ type: type as Int64, length: rows, nullCount: 0, data: sharedInt64(columns.offsetWords, rows) });
}

function timestampData(columns: MessageColumns, field: Field, type: DataType, context: TransformContext): Data {
  const { rows } = columns;
  const words = present(columns.timestampWords, 'timestamp');
  switch (field.type) {
    case 'LONG':
      return makeData({ type: type as Int64, length: rows, nullCount: 0, data: secondsAsInt64(words, rows) });
    case 'DATE': {
      const data = daysAsInt32(columns, words, placeOf(context), context.onBadRow);
      return makeData({ type: type as DateDay, length: rows, nullCount: 0, data });
    }
    case 'STRING':
      return utf8Data(textRows(rows, (row) => timestampText(columns, words, row, placeOf(context), context.onBadRow)));
    default:
      return makeData({ type: type as Timestamp, length: rows, nullCount: 0, data: sharedInt64(words, rows) });
  }
}

/** @param rowOf The message that a row of `column` belongs to. */
function validText(
  column: BinaryColumn,
  rows: number,
  name: TextColumn,
  policy: TransformContext['invalidUtf8'],
  context: TransformContext,
  columns: MessageColumns,
  rowOf: (row: number) => number,
): ByteRows {
  const invalid = findInvalidRow(column, rows);
  if (invalid === -1) return sharedRows(column, rows);
  if (policy === 'fail') {
    const { onBadRow } = context;
    const errorAt = (row: number): OffloadError => invalidUtf8(name, columns.offsetAt(rowOf(row)), context);
    if (!onBadRow) throw errorAt(invalid);
    for (const row of invalidRows(column, rows, invalid)) onBadRow(rowOf(row), errorAt(row));
    return repairRows(column, rows, invalid, 'replace');
  }
  const text = repairRows(column, rows, invalid, policy);
  context.onInvalidUtf8?.(text.repaired, name);
  return text;
}

function invalidUtf8(column: TextColumn, offset: number, { topic, partition }: TransformContext): OffloadError {
  const what = column === 'headers' ? 'a header key' : `the ${column}`;
  const bytes =
    column === 'headers'
      ? 'leave the field `headers` out'
      : `take the bytes as they are with \`${column}\` instead of \`${column} as STRING\``;
  return new OffloadError(
    'INVALID_UTF8',
    `cannot read ${what} of ${topic}/${partition} at offset ${offset} as STRING: its bytes are not UTF-8; ` +
      `set invalidUtf8 to replace or null, or ${bytes}`,
    { context: { topic, partition, offset, column } },
  );
}

function utf8Data({ offsets, data, validity, nullCount }: ByteRows): Data<Utf8> {
  const length = offsets.length - 1;
  return makeData({ type: new Utf8(), length, nullCount, nullBitmap: validity, valueOffsets: offsets, data });
}

function binaryData({ offsets, data, validity, nullCount }: ByteRows, type: Binary): Data<Binary> {
  const length = offsets.length - 1;
  return makeData({ type, length, nullCount, nullBitmap: validity, valueOffsets: offsets, data });
}

/** The message that a header row belongs to: the last one whose headers begin at or before it and are not empty. */
function rowOfHeader({ offsets }: HeaderColumn, rows: number, headerRow: number): number {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle + 1] as number) <= headerRow) low = middle + 1;
    else high = middle;
  }
  return low;
}

function placeOf({ topic, partition }: TransformContext): { topic: string; partition: number } {
  return { topic, partition };
}

function present<T>(column: T | null, name: SourceColumn): T {
  if (column === null) throw new OffloadError('INTERNAL', `the column ${name} is asked for and was not decoded`);
  return column;
}
