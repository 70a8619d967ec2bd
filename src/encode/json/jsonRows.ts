/**
 * JSON lines as Spark writes them: one object a row, null fields left out unless `ignoreNullFields` is false.
 *
 * Text in quotes, binary as base64, lists as arrays, structs and maps as objects, dictionaries as their values; the rest
 * as text/scalars.ts has it, numbers and booleans bare, NaN and infinities in quotes. Unions cannot be written.
 */
import { type Data, type Field, type RecordBatch, Type } from 'apache-arrow';
import type { DatePatterns } from '../../config/writerOptions.ts';
import { cannotHold, offsetsOf, parametersOf, presenceOf } from '../arrow/access.ts';
import { type Cell, dictionaryCell } from '../arrow/cells.ts';
import type { ByteWriter } from '../output/byteWriter.ts';
import { scalarText } from '../text/scalars.ts';
import { putEscaped, putJsonText, textSource } from './escape.ts';

export interface JsonSettings extends DatePatterns {
  readonly ignoreNullFields: boolean;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const NULL = Buffer.from('null');

/** Writes a row of a batch as an object, without the line end. */
export function bindJsonObject(batch: RecordBatch, out: ByteWriter, settings: JsonSettings): (row: number) => void {
  const columns = batch.schema.fields.map(({ name }, index) => {
    return { name, data: batch.data.children[index] as Data, path: name };
  });
  return bindObject(columns, out, settings);
}

interface NamedData {
  readonly name: string;
  readonly data: Data;
  /** Named in messages. */
  readonly path: string;
}

function bindObject(columns: readonly NamedData[], out: ByteWriter, settings: JsonSettings): (row: number) => void {
  const fields = columns.map(({ name, data, path }) => {
    return { ...bindJson(data, out, settings, path), name: Buffer.from(`,${JSON.stringify(name)}:`) };
  });
  const { ignoreNullFields } = settings;
  return (row) => {
    const start = out.position;
    for (let i = 0; i < fields.length; i++) {
      const { isPresent, put, name } = fields[i] as (typeof fields)[number];
      if (isPresent === null || isPresent(row)) {
        out.put(name);
        put(row);
      } else if (!ignoreNullFields) {
        out.put(name);
        out.put(NULL);
      }
    }
    if (out.position === start) out.putByte(OPEN_BRACE);
    // In place of the first comma.
    else out.bytes[start] = OPEN_BRACE;
    out.putByte(CLOSE_BRACE);
  };
}

/** @param path Of the column, in messages. @throws OffloadError TARGET_UNSUITABLE for a union. */
export function bindJson(data: Data, out: ByteWriter, settings: JsonSettings, path: string): Cell {
  const type = parametersOf(data.type);
  if (type.typeId === Type.Dictionary) {
    return dictionaryCell(data, (values) => bindJson(values, out, settings, path));
  }
  const isPresent = presenceOf(data);
  const putText = (text: string): void => {
    const bytes = Buffer.from(text);
    putEscaped(out, textSource(bytes), 0, bytes.length);
  };
  const scalar = scalarText(out, data, settings, putText);
  if (scalar) {
    const { form, put } = scalar;
    if (form === 'text') return { isPresent, put: quoted(out, put) };
    if (form !== 'float') return { isPresent, put };
    const putQuoted = quoted(out, put);
    const isNumber = finiteRows(data);
    return { isPresent, put: (row) => (isNumber(row) ? put(row) : putQuoted(row)) };
  }
  switch (type.typeId) {
    case Type.Null:
      return { isPresent, put: () => out.put(NULL) };
    case Type.Utf8:
    case Type.LargeUtf8: {
      const offsets = offsetsOf(data);
      const source = textSource(data.values);
      return {
        isPresent,
        put: (row) => putJsonText(out, source, offsets[row] as number, offsets[row + 1] as number),
      };
    }
    case Type.List:
    case Type.LargeList: {
      const offsets = offsetsOf(data);
      const put = bindArray(data, out, settings, path);
      return { isPresent, put: (row) => put(offsets[row] as number, offsets[row + 1] as number) };
    }
    case Type.FixedSizeList: {
      const { listSize } = type;
      const put = bindArray(data, out, settings, path);
      return { isPresent, put: (row) => put(row * listSize, (row + 1) * listSize) };
    }
    case Type.Struct: {
      const columns = data.children.map((child, index) => {
        const { name } = type.children[index] as Field;
        return { name, data: child, path: `${path}.${name}` };
      });
      return { isPresent, put: bindObject(columns, out, settings) };
    }
    case Type.Map:
      return { isPresent, put: bindMap(data, out, settings, path) };
    default:
      throw cannotHold('json', path, data.type, 'leave the column out, or cast it');
  }
}

function bindArray(
  data: Data,
  out: ByteWriter,
  settings: JsonSettings,
  path: string,
): (start: number, end: number) => void {
  const { isPresent, put } = bindJson(data.children[0] as Data, out, settings, path);
  return (start, end) => {
    out.putByte(OPEN_BRACKET);
    for (let row = start; row < end; row++) {
      if (row > start) out.putByte(COMMA);
      if (isPresent === null || isPresent(row)) put(row);
      else out.put(NULL);
    }
    out.putByte(CLOSE_BRACKET);
  };
}

function bindMap(data: Data, out: ByteWriter, settings: JsonSettings, path: string): (row: number) => void {
  const [keys, values] = (data.children[0] as Data).children as [Data, Data];
  const offsets = offsetsOf(data);
  const putKey = bindKey(keys, out, settings, path);
  const value = bindJson(values, out, settings, path);
  return (row) => {
    const start = offsets[row] as number;
    const end = offsets[row + 1] as number;
    out.putByte(OPEN_BRACE);
    for (let entry = start; entry < end; entry++) {
      if (entry > start) out.putByte(COMMA);
      putKey(entry);
      out.putByte(COLON);
      if (value.isPresent === null || value.isPresent(entry)) value.put(entry);
      else out.put(NULL);
    }
    out.putByte(CLOSE_BRACE);
  };
}

/** A key of an object is text, whatever it was. */
function bindKey(data: Data, out: ByteWriter, settings: JsonSettings, path: string): (row: number) => void {
  const scalar = scalarText(out, data, settings);
  if (scalar) return quoted(out, scalar.put);
  const { typeId } = data.type;
  if (typeId !== Type.Utf8 && typeId !== Type.LargeUtf8 && typeId !== Type.Dictionary) {
    throw cannotHold('json', path, data.type, 'keys of a map must be text, numbers or times');
  }
  return bindJson(data, out, settings, path).put;
}

function quoted(out: ByteWriter, put: (row: number) => void): (row: number) => void {
  return (row) => {
    out.putByte(QUOTE);
    put(row);
    out.putByte(QUOTE);
  };
}

function finiteRows({ values }: Data): (row: number) => boolean {
  // Of 16 bits: an exponent of all ones is what is not finite.
  if (values instanceof Uint16Array) return (row) => ((values[row] as number) & 0x7c00) !== 0x7c00;
  return (row) => Number.isFinite(values[row]);
}
