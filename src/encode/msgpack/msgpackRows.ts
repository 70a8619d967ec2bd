/**
 * MessagePack: a map for each row, one behind the other. Null is nil; text str; binary bin; integers the shortest form
 * that holds them; timestamps with a zone the extension type -1; lists arrays; structs and maps maps; decimals, dates,
 * times, timestamps without a zone, intervals and durations text, as text/scalars.ts has it.
 *
 * @see https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { type Data, Precision, type RecordBatch, Type } from 'apache-arrow';
import { cannotHold, offsetsOf, parametersOf, presenceOf, wordsOf } from '../arrow/access.ts';
import { type Cell, dictionaryCell } from '../arrow/cells.ts';
import { ByteWriter } from '../output/byteWriter.ts';
import { halfToNumber } from '../text/digits.ts';
import { booleanAt, momentsOf, scalarText } from '../text/scalars.ts';
import { NIL, putArrayHead, putBin, putInt64, putInteger, putMapHead, putStr, putTimestamp } from './pack.ts';

type PutRow = (row: number) => void;

/** Writes a row of a batch as a map of its columns, null ones included. */
export function bindMsgpackMap(batch: RecordBatch, out: ByteWriter): PutRow {
  const names = batch.schema.fields.map(({ name }) => name);
  return bindStruct(names, batch.data.children, out, '');
}

function bindStruct(names: readonly string[], children: readonly Data[], out: ByteWriter, path: string): PutRow {
  const fields = names.map((name, index) => {
    const key = new ByteWriter();
    const bytes = Buffer.from(name);
    putStr(key, bytes, 0, bytes.length);
    const column = path === '' ? name : `${path}.${name}`;
    return { key: Buffer.from(key.written()), cell: bindMsgpack(children[index] as Data, out, column) };
  });
  return (row) => {
    putMapHead(out, fields.length);
    for (let i = 0; i < fields.length; i++) {
      const { key, cell } = fields[i] as (typeof fields)[number];
      out.put(key);
      putCell(out, cell, row);
    }
  };
}

function putCell(out: ByteWriter, { isPresent, put }: Cell, row: number): void {
  if (isPresent === null || isPresent(row)) put(row);
  else out.putByte(NIL);
}

function bindMsgpack(data: Data, out: ByteWriter, path: string): Cell {
  const { values } = data;
  const type = parametersOf(data.type);
  if (type.typeId === Type.Dictionary) return dictionaryCell(data, (each) => bindMsgpack(each, out, path));
  const isPresent = presenceOf(data);
  switch (type.typeId) {
    case Type.Null:
      return { isPresent, put: () => out.putByte(NIL) };
    case Type.Bool:
      return { isPresent, put: (row) => out.putByte(booleanAt(data, row) ? 0xc3 : 0xc2) };
    case Type.Int: {
      if (type.bitWidth < 64) return { isPresent, put: (row) => putInteger(out, values[row]) };
      const words = wordsOf(values);
      const { isSigned } = type;
      return {
        isPresent,
        put: (row) => putInt64(out, words[2 * row] as number, words[2 * row + 1] as number, isSigned),
      };
    }
    case Type.Float:
      return { isPresent, put: putFloats(data, out) };
    case Type.Utf8:
    case Type.LargeUtf8: {
      const offsets = offsetsOf(data);
      return { isPresent, put: (row) => putStr(out, values, offsets[row] as number, offsets[row + 1] as number) };
    }
    case Type.Binary:
    case Type.LargeBinary: {
      const offsets = offsetsOf(data);
      return { isPresent, put: (row) => putBin(out, values, offsets[row] as number, offsets[row + 1] as number) };
    }
    case Type.FixedSizeBinary: {
      const { byteWidth } = type;
      return { isPresent, put: (row) => putBin(out, values, row * byteWidth, (row + 1) * byteWidth) };
    }
    case Type.Timestamp: {
      if (!type.timezone) break;
      const momentAt = momentsOf(data, type.unit, 64);
      return { isPresent, put: (row) => putTimestamp(out, momentAt(row)) };
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
    case Type.Struct: {
      const names = type.children.map(({ name }) => name);
      return { isPresent, put: bindStruct(names, data.children, out, path) };
    }
    case Type.Map:
      return { isPresent, put: bindMap(data, out, path) };
    default:
  }
  const aside = new ByteWriter();
  const text = scalarText(aside, data);
  if (!text) throw cannotHold('msgpack', path, data.type, 'leave the column out, or cast it');
  return {
    isPresent,
    put: (row) => {
      aside.clear();
      text.put(row);
      putStr(out, aside.bytes, 0, aside.position);
    },
  };
}

function putFloats({ type, values }: Data, out: ByteWriter): PutRow {
  const { precision } = parametersOf(type);
  if (precision === Precision.DOUBLE) {
    return (row) => {
      out.putByte(0xcb);
      out.reserve(8);
      out.position = out.bytes.writeDoubleBE(values[row], out.position);
    };
  }
  const isHalf = precision === Precision.HALF;
  return (row) => {
    out.putByte(0xca);
    out.reserve(4);
    out.position = out.bytes.writeFloatBE(isHalf ? halfToNumber(values[row]) : values[row], out.position);
  };
}

function bindArray(data: Data, out: ByteWriter, path: string): (start: number, end: number) => void {
  const item = bindMsgpack(data.children[0] as Data, out, path);
  return (start, end) => {
    putArrayHead(out, end - start);
    for (let row = start; row < end; row++) putCell(out, item, row);
  };
}

function bindMap(data: Data, out: ByteWriter, path: string): PutRow {
  const [keys, values] = (data.children[0] as Data).children as [Data, Data];
  const key = bindMsgpack(keys, out, path);
  const value = bindMsgpack(values, out, path);
  const offsets = offsetsOf(data);
  return (row) => {
    const start = offsets[row] as number;
    const end = offsets[row + 1] as number;
    putMapHead(out, end - start);
    for (let entry = start; entry < end; entry++) {
      putCell(out, key, entry);
      putCell(out, value, entry);
    }
  };
}
