/** Avro's binary encoding of rows, straight from Arrow columns; avroSchema.ts has the mapping of types. */
import { type Data, type Field, Precision, type RecordBatch, TimeUnit, Type } from 'apache-arrow';
import { cannotHold, offsetsOf, parametersOf, presenceOf, wordsOf } from '../arrow/access.ts';
import { type Cell, dictionaryCell } from '../arrow/cells.ts';
import { ByteWriter } from '../output/byteWriter.ts';
import { floorDivide64, halfToNumber } from '../text/digits.ts';
import { booleanAt, daysOf, scalarText } from '../text/scalars.ts';
import { isNullable } from './avroSchema.ts';
import { putInt, putLong, putNumber } from './varint.ts';

/** Positions in the union of a type and null, zigzag. */
const IS_VALUE = 0;
const IS_NULL = 2;
const MS_PER_SECOND = 1000;

type PutRow = (row: number) => void;

/** Writes a row of a batch as a record. */
export function bindAvroRecord(batch: RecordBatch, out: ByteWriter): PutRow {
  return bindRecord(batch.schema.fields, batch.data.children, out, '');
}

function bindRecord(fields: readonly Field[], children: readonly Data[], out: ByteWriter, path: string): PutRow {
  const puts = fields.map((field, index) => {
    return bindField(field, children[index] as Data, out, path === '' ? field.name : `${path}.${field.name}`);
  });
  return (row) => {
    for (let i = 0; i < puts.length; i++) (puts[i] as PutRow)(row);
  };
}

function bindField(field: Field, data: Data, out: ByteWriter, path: string): PutRow {
  const { isPresent, put } = bindAvro(data, out, path);
  if (!isNullable(field)) return put;
  return (row) => {
    if (isPresent === null || isPresent(row)) {
      out.putByte(IS_VALUE);
      put(row);
    } else {
      out.putByte(IS_NULL);
    }
  };
}

function bindAvro(data: Data, out: ByteWriter, path: string): Cell {
  const { values } = data;
  const type = parametersOf(data.type);
  if (type.typeId === Type.Dictionary) return dictionaryCell(data, (each) => bindAvro(each, out, path));
  const isPresent = presenceOf(data);
  switch (type.typeId) {
    case Type.Null:
      return { isPresent, put: () => {} };
    case Type.Bool:
      return { isPresent, put: (row) => out.putByte(booleanAt(data, row) ? 1 : 0) };
    case Type.Int:
      return { isPresent, put: putIntegers(data, out) };
    case Type.Float:
      return { isPresent, put: putFloats(data, out) };
    case Type.Decimal: {
      const bytesEach = type.bitWidth / 8;
      const bytes = bytesOf(values);
      return { isPresent, put: (row) => putBigEndian(out, bytes, row * bytesEach, bytesEach, false) };
    }
    case Type.Utf8:
    case Type.LargeUtf8:
    case Type.Binary:
    case Type.LargeBinary: {
      const offsets = offsetsOf(data);
      return { isPresent, put: (row) => putBytes(out, values, offsets[row] as number, offsets[row + 1] as number) };
    }
    case Type.FixedSizeBinary: {
      const { byteWidth } = type;
      return { isPresent, put: (row) => putBytes(out, values, row * byteWidth, (row + 1) * byteWidth) };
    }
    case Type.Date: {
      const daysAt = daysOf(data);
      return { isPresent, put: (row) => putInt(out, daysAt(row)) };
    }
    case Type.Time:
    case Type.Timestamp:
      return { isPresent, put: putUnits(data, out) };
    case Type.Interval:
    case Type.Duration: {
      const aside = new ByteWriter();
      const text = scalarText(aside, data);
      return {
        isPresent,
        put: (row) => {
          aside.clear();
          text?.put(row);
          putBytes(out, aside.bytes, 0, aside.position);
        },
      };
    }
    case Type.List:
    case Type.LargeList: {
      const offsets = offsetsOf(data);
      const put = bindArray(data, out, path);
      return { isPresent, put: (row) => put(offsets[row] as number, offsets[row + 1] as number) };
    }
    case Type.FixedSizeList: {
      const { listSize } = type;
      const put = bindArray(data, out, path);
      return { isPresent, put: (row) => put(row * listSize, (row + 1) * listSize) };
    }
    case Type.Struct:
      return { isPresent, put: bindRecord(type.children, data.children, out, path) };
    case Type.Map:
      return { isPresent, put: bindMap(data, out, path) };
    default:
      throw cannotHold('avro', path, data.type, 'leave the column out, or cast it');
  }
}

function putIntegers({ type, values }: Data, out: ByteWriter): PutRow {
  const { bitWidth, isSigned } = parametersOf(type);
  if (bitWidth < 64) return (row) => putNumber(out, values[row]);
  const words = wordsOf(values);
  if (isSigned) return (row) => putLong(out, words[2 * row] as number, words[2 * row + 1] as number);
  const bytes = bytesOf(values);
  return (row) => putBigEndian(out, bytes, row * 8, 8, true);
}

function putFloats({ type, values }: Data, out: ByteWriter): PutRow {
  const { precision } = parametersOf(type);
  if (precision === Precision.DOUBLE) {
    return (row) => {
      out.reserve(8);
      out.position = out.bytes.writeDoubleLE(values[row], out.position);
    };
  }
  const isHalf = precision === Precision.HALF;
  return (row) => {
    out.reserve(4);
    out.position = out.bytes.writeFloatLE(isHalf ? halfToNumber(values[row]) : values[row], out.position);
  };
}

/** Times and timestamps: their unit is Avro's, but for seconds, which become milliseconds. */
function putUnits({ type, values }: Data, out: ByteWriter): PutRow {
  const words = wordsOf(values);
  const { typeId, bitWidth, unit } = parametersOf(type);
  if (typeId === Type.Time && bitWidth === 32) {
    const factor = unit === TimeUnit.SECOND ? MS_PER_SECOND : 1;
    return (row) => putInt(out, (words[row] as number) * factor);
  }
  if (unit !== TimeUnit.SECOND) {
    return (row) => putLong(out, words[2 * row] as number, words[2 * row + 1] as number);
  }
  return (row) => {
    const { quotient } = floorDivide64(words[2 * row] as number, words[2 * row + 1] as number, 1);
    putNumber(out, quotient * MS_PER_SECOND);
  };
}

function putBytes(out: ByteWriter, source: Uint8Array, start: number, end: number): void {
  putInt(out, end - start);
  out.put(source, start, end);
}

/** An integer of little-endian bytes, as the shortest big-endian bytes in two's complement that hold it. */
function putBigEndian(out: ByteWriter, source: Uint8Array, start: number, length: number, isUnsigned: boolean): void {
  let last = start + length - 1;
  const sign = !isUnsigned && (source[last] as number) > 0x7f ? 0xff : 0;
  const isSignBit = (byte: number): boolean => byte > 0x7f === (sign === 0xff);
  while (last > start && source[last] === sign && isSignBit(source[last - 1] as number)) last--;
  const needsZero = isUnsigned && (source[last] as number) > 0x7f;
  putInt(out, last - start + 1 + (needsZero ? 1 : 0));
  if (needsZero) out.putByte(0);
  for (let i = last; i >= start; i--) out.putByte(source[i] as number);
}

/** Items in one block, behind their number, and an empty block. */
function bindArray(data: Data, out: ByteWriter, path: string): (start: number, end: number) => void {
  const put = bindField(data.type.children[0] as Field, data.children[0] as Data, out, path);
  return (start, end) => {
    if (end > start) {
      putInt(out, end - start);
      for (let row = start; row < end; row++) put(row);
    }
    out.putByte(0);
  };
}

function bindMap(data: Data, out: ByteWriter, path: string): PutRow {
  const entries = data.children[0] as Data;
  const [keys, values] = entries.children as [Data, Data];
  const putKey = bindAvro(keys, out, path).put;
  const putValue = bindField(entries.type.children[1] as Field, values, out, path);
  const offsets = offsetsOf(data);
  return (row) => {
    const start = offsets[row] as number;
    const end = offsets[row + 1] as number;
    if (end > start) {
      putInt(out, end - start);
      for (let entry = start; entry < end; entry++) {
        putKey(entry);
        putValue(entry);
      }
    }
    out.putByte(0);
  };
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
