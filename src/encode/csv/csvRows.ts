/**
 * CSV as Spark writes it: values with the separator, a quote, the escape or a line end are quoted; null is `nullValue`
 * and an empty text `emptyValue`, so that the two can be told apart.
 *
 * Unlike Spark's, blanks around a value stay, and a text that reads like `nullValue` is quoted. Nested columns, which
 * Spark refuses, are JSON text; binary is base64; all else as text/scalars.ts has it.
 */
import { type Data, type RecordBatch, Type } from 'apache-arrow';
import type { CsvOutput } from '../../config/writerOptions.ts';
import { offsetsOf, presenceOf } from '../arrow/access.ts';
import { type Cell, dictionaryCell } from '../arrow/cells.ts';
import { bindJson } from '../json/jsonRows.ts';
import { ByteWriter } from '../output/byteWriter.ts';
import { scalarText } from '../text/scalars.ts';

/** Room is made for so much text at a time: a byte becomes two at most. */
const STEP_BYTES = 256 * 1024;

const PLAIN = 0;
/** Bytes that a value must be quoted for. */
const NEEDS_QUOTES = 1;
/** Bytes that are escaped, too. */
const NEEDS_ESCAPE = 2;

export type CsvSettings = Omit<CsvOutput, 'format' | 'compression' | 'header'>;

/** Writes a row of a batch as a line. @throws OffloadError TARGET_UNSUITABLE for a union. */
export function bindCsvLine(batch: RecordBatch, out: ByteWriter, settings: CsvSettings): (row: number) => void {
  const text = new CsvText(out, settings);
  const cells = batch.schema.fields.map(({ name }, index) => {
    return bindCsv(batch.data.children[index] as Data, out, text, settings, name);
  });
  const sep = Buffer.from(settings.sep);
  const lineSep = Buffer.from(settings.lineSep);
  const nullValue = Buffer.from(settings.nullValue);
  // An empty line is no row to most readers: the only column of a row has quotes around nothing instead.
  const nothing = cells.length === 1 ? Buffer.from(settings.quote.repeat(2)) : Buffer.alloc(0);
  return (row) => {
    const { position } = out;
    for (let i = 0; i < cells.length; i++) {
      const { isPresent, put } = cells[i] as Cell;
      if (i > 0) out.put(sep);
      if (isPresent === null || isPresent(row)) put(row);
      else out.put(nullValue);
    }
    if (out.position === position) out.put(nothing);
    out.put(lineSep);
  };
}

/** The line of column names. */
export function csvHeader(names: readonly string[], settings: CsvSettings): Buffer {
  const out = new ByteWriter();
  const text = new CsvText(out, settings);
  for (const [i, name] of names.entries()) {
    if (i > 0) out.put(Buffer.from(settings.sep));
    const bytes = Buffer.from(name);
    text.put(bytes, 0, bytes.length);
  }
  out.put(Buffer.from(settings.lineSep));
  return Buffer.from(out.written());
}

function bindCsv(data: Data, out: ByteWriter, text: CsvText, settings: CsvSettings, path: string): Cell {
  const { type } = data;
  if (type.typeId === Type.Dictionary) {
    return dictionaryCell(data, (values) => bindCsv(values, out, text, settings, path));
  }
  const isPresent = presenceOf(data);
  if (type.typeId === Type.Utf8 || type.typeId === Type.LargeUtf8) {
    const offsets = offsetsOf(data);
    const source: Uint8Array = data.values;
    return { isPresent, put: (row) => text.put(source, offsets[row] as number, offsets[row + 1] as number) };
  }
  const scalar = text.mayStandInNumbers ? undefined : scalarText(out, data);
  const hasPattern =
    (type.typeId === Type.Date && settings.dateFormat !== null) ||
    (type.typeId === Type.Timestamp && settings.timestampFormat !== null);
  if (scalar && !hasPattern) return { isPresent, put: isBinary(type.typeId) ? text.orEmpty(scalar.put) : scalar.put };
  // Whatever may need quotes is written aside first.
  const aside = new ByteWriter();
  const { put } =
    scalarText(aside, data, settings) ?? bindJson(data, aside, { ...settings, ignoreNullFields: true }, path);
  return {
    isPresent,
    put: (row) => {
      aside.clear();
      put(row);
      text.put(aside.bytes, 0, aside.position);
    },
  };
}

function isBinary(typeId: Type): boolean {
  return typeId === Type.Binary || typeId === Type.LargeBinary || typeId === Type.FixedSizeBinary;
}

/** Writes text with the quotes it needs. */
class CsvText {
  /** Whether numbers and dates may hold something that must be quoted. */
  readonly mayStandInNumbers: boolean;
  readonly #out: ByteWriter;
  readonly #classes = new Uint8Array(256);
  readonly #quote: number;
  readonly #escape: number;
  readonly #quoteAll: boolean;
  readonly #nullValue: Buffer;
  readonly #emptyValue: Buffer;

  constructor(out: ByteWriter, settings: CsvSettings) {
    const { sep, quote, quoteAll, nullValue, emptyValue, lineSep } = settings;
    this.#out = out;
    this.#quote = quote === '' ? -1 : quote.charCodeAt(0);
    this.#escape = settings.escape.charCodeAt(0);
    this.#quoteAll = quoteAll && quote !== '';
    this.#nullValue = Buffer.from(nullValue);
    this.#emptyValue = Buffer.from(emptyValue);
    for (const byte of Buffer.from(`\r\n${sep[0] ?? ''}${lineSep[0] ?? ''}`)) this.#classes[byte] = NEEDS_QUOTES;
    if (this.#quote !== -1) {
      this.#classes[this.#quote] = NEEDS_ESCAPE;
      this.#classes[this.#escape] = NEEDS_ESCAPE;
    } else {
      this.#classes.fill(PLAIN);
    }
    const special = `${sep}${lineSep}${quote}${settings.escape}`;
    this.mayStandInNumbers = this.#quoteAll || nullValue !== '' || /[\w.:+/=-]/.test(special);
  }

  /** What writes nothing has an empty value, which is not null. */
  orEmpty(put: (row: number) => void): (row: number) => void {
    return (row) => {
      const { position } = this.#out;
      put(row);
      if (this.#out.position === position) this.#out.put(this.#emptyValue);
    };
  }

  put(source: Uint8Array, start: number, end: number): void {
    const out = this.#out;
    if (start === end) {
      out.put(this.#emptyValue);
      return;
    }
    const classes = this.#classes;
    if (!this.#quoteAll) {
      // Most values need no quotes: written as they are, and taken back at the first byte that does.
      const begin = out.position;
      if (this.#putPlain(source, start, end) && !this.#isNullValue(begin)) return;
      out.position = begin;
    }
    out.putByte(this.#quote);
    for (let from = start; from < end; from += STEP_BYTES) {
      const to = Math.min(end, from + STEP_BYTES);
      out.reserve((to - from) * 2);
      const { bytes } = out;
      let { position } = out;
      for (let i = from; i < to; i++) {
        const byte = source[i] as number;
        if (classes[byte] === NEEDS_ESCAPE) bytes[position++] = this.#escape;
        bytes[position++] = byte;
      }
      out.position = position;
    }
    out.putByte(this.#quote);
  }

  /** @returns Whether no byte asked for quotes. */
  #putPlain(source: Uint8Array, start: number, end: number): boolean {
    const out = this.#out;
    const classes = this.#classes;
    out.reserve(end - start);
    const { bytes } = out;
    let { position } = out;
    for (let i = start; i < end; i++) {
      const byte = source[i] as number;
      if (classes[byte] !== PLAIN) return false;
      bytes[position++] = byte;
    }
    out.position = position;
    return true;
  }

  #isNullValue(begin: number): boolean {
    const { bytes, position } = this.#out;
    return (
      this.#quote !== -1 &&
      position - begin === this.#nullValue.length &&
      this.#nullValue.equals(bytes.subarray(begin, position))
    );
  }
}
