/** The columns of an Arrow batch that make records, as the buffers they lie in: no value becomes an object. */
import {
  type Data,
  DataType,
  type Int,
  type RecordBatch,
  type Field as SchemaField,
  type Struct,
  Table,
  TimeUnit,
} from 'apache-arrow';
import { OffloadError } from '../../errors.ts';

/** Utf8 or Binary: row i is `data[offsets[i]] ... data[offsets[i + 1] - 1]`. */
export interface ByteColumn {
  readonly data: Buffer;
  readonly offsets: Int32Array;
  readonly nulls: NullBits | null;
}

/** Arrow's validity bitmap, least significant bit first, 1 = not null; `offset` is the bit of row 0. */
export interface NullBits {
  readonly bits: Uint8Array;
  readonly offset: number;
}

/** The headers of row i are entries `offsets[i] ... offsets[i + 1] - 1` of keys and values. */
export interface HeaderColumns {
  readonly offsets: Int32Array;
  /** Of the lists: null is no headers. */
  readonly nulls: NullBits | null;
  /** Of the entries. */
  readonly entryNulls: NullBits | null;
  readonly keys: ByteColumn;
  readonly values: ByteColumn | null;
}

export interface TimestampColumn {
  /** Low and high word of each row in turn. */
  readonly words: Int32Array;
  readonly nulls: NullBits | null;
  /** A value times `multiplier`, divided by `divisor`, is milliseconds. One of the two is 1. */
  readonly multiplier: number;
  readonly divisor: number;
}

export interface PartitionColumn {
  /** 64-bit values: low and high word of each row in turn. */
  readonly values: Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;
  readonly isLong: boolean;
  readonly nulls: NullBits | null;
}

/** One Arrow batch; a column is null where the batch has none, or nothing but nulls. */
export interface InputColumns {
  /** Number of the batch's first row in the whole input. */
  readonly firstRow: number;
  readonly rows: number;
  readonly key: ByteColumn | null;
  readonly value: ByteColumn | null;
  readonly topic: ByteColumn | null;
  readonly partition: PartitionColumn | null;
  readonly timestamp: TimestampColumn | null;
  readonly headers: HeaderColumns | null;
}

const TO_MILLISECONDS: Readonly<Record<TimeUnit, { readonly multiplier: number; readonly divisor: number }>> = {
  [TimeUnit.SECOND]: { multiplier: 1000, divisor: 1 },
  [TimeUnit.MILLISECOND]: { multiplier: 1, divisor: 1 },
  [TimeUnit.MICROSECOND]: { multiplier: 1, divisor: 1000 },
  [TimeUnit.NANOSECOND]: { multiplier: 1, divisor: 1_000_000 },
};

/**
 * Looks columns up by name; others are left aside.
 *
 * @throws OffloadError FIELD_INVALID for a column of another type than Kafka can take.
 */
export function inputColumns(input: RecordBatch | Table): InputColumns[] {
  const batches = input instanceof Table ? input.batches : [input];
  const columns: InputColumns[] = [];
  let firstRow = 0;
  for (const batch of batches) {
    if (batch.numRows > 0) columns.push(columnsOf(batch, firstRow));
    firstRow += batch.numRows;
  }
  return columns;
}

export function isNull(nulls: NullBits | null, row: number): boolean {
  if (nulls === null) return false;
  const bit = nulls.offset + row;
  return ((nulls.bits[bit >>> 3] as number) & (1 << (bit & 7))) === 0;
}

function columnsOf(batch: RecordBatch, firstRow: number): InputColumns {
  const find = <T>(name: string, read: (data: Data, name: string) => T): T | null => {
    const index = batch.schema.fields.findIndex((field) => field.name === name);
    const data = index < 0 ? undefined : batch.data.children[index];
    return data === undefined || DataType.isNull(data.type) || data.nullCount === data.length ? null : read(data, name);
  };
  return {
    firstRow,
    rows: batch.numRows,
    key: find('key', byteColumn),
    value: find('value', byteColumn),
    topic: find('topic', topicColumn),
    partition: find('partition', partitionColumn),
    timestamp: find('timestamp', timestampColumn),
    headers: find('headers', headerColumns),
  };
}

function byteColumn(data: Data, name: string): ByteColumn {
  if (!DataType.isUtf8(data.type) && !DataType.isBinary(data.type)) {
    throw wrongType(name, data.type, 'STRING or BINARY');
  }
  const { buffer, byteOffset, byteLength } = data.values as Uint8Array;
  return {
    data: Buffer.from(buffer, byteOffset, byteLength),
    offsets: data.valueOffsets as Int32Array,
    nulls: nullBits(data),
  };
}

function topicColumn(data: Data, name: string): ByteColumn {
  if (!DataType.isUtf8(data.type)) throw wrongType(name, data.type, 'STRING');
  return byteColumn(data, name);
}

function partitionColumn(data: Data, name: string): PartitionColumn {
  if (!DataType.isInt(data.type)) throw wrongType(name, data.type, 'INT');
  const isLong = (data.type as Int).bitWidth === 64;
  const values = isLong ? wordsOf(data) : (data.values as PartitionColumn['values']);
  return { values, isLong, nulls: nullBits(data) };
}

function timestampColumn(data: Data, name: string): TimestampColumn {
  const { type } = data;
  const isLong = DataType.isInt(type) && type.bitWidth === 64 && type.isSigned;
  if (!DataType.isTimestamp(type) && !isLong) {
    throw wrongType(name, type, 'TIMESTAMP, or LONG in milliseconds');
  }
  const unit = DataType.isTimestamp(type) ? (type.unit as TimeUnit) : TimeUnit.MILLISECOND;
  return { words: wordsOf(data), nulls: nullBits(data), ...TO_MILLISECONDS[unit] };
}

function headerColumns(data: Data, name: string): HeaderColumns {
  const asked = 'an ARRAY of STRUCT<key STRING, value BINARY>, or a MAP of them';
  const entries = data.children[0];
  const isList = DataType.isList(data.type) || DataType.isMap(data.type);
  if (!isList || entries === undefined || !DataType.isStruct(entries.type)) throw wrongType(name, data.type, asked);
  const fields = (entries.type as Struct).children as readonly SchemaField[];
  // A map has them in this order under any name.
  const place = (part: string, index: number): number =>
    DataType.isMap(data.type) ? index : fields.findIndex((field) => field.name === part);
  const [keys, values] = [entries.children[place('key', 0)], entries.children[place('value', 1)]];
  if (keys === undefined || values === undefined || !DataType.isUtf8(keys.type)) {
    throw wrongType(name, data.type, asked);
  }
  return {
    offsets: data.valueOffsets as Int32Array,
    nulls: nullBits(data),
    entryNulls: nullBits(entries),
    keys: byteColumn(keys, 'headers.key'),
    values: DataType.isNull(values.type) ? null : byteColumn(values, 'headers.value'),
  };
}

function nullBits(data: Data): NullBits | null {
  const { nullBitmap, nullCount, offset } = data;
  return nullCount > 0 && nullBitmap && nullBitmap.length > 0 ? { bits: nullBitmap, offset } : null;
}

/** 64-bit values as pairs of words: a BigInt a row would cost more than the rest of the loop. */
function wordsOf(data: Data): Int32Array {
  const { buffer, byteOffset, byteLength } = data.values as BigInt64Array;
  return new Int32Array(buffer, byteOffset, byteLength / 4);
}

function wrongType(name: string, type: DataType, right: string): OffloadError {
  return new OffloadError(
    'FIELD_INVALID',
    `cannot write column ${name} of type ${type} to Kafka: it has to be ${right}; cast it`,
    { context: { column: name, type: String(type) } },
  );
}
