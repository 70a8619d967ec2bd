import { isUtf8 } from 'node:buffer';
import type { CsvInput } from '../../../config/readerOptions.ts';
import type { ColumnField, ColumnType } from '../../../config/sparkSchema.ts';
import { BatchBuilder } from '../batchBuilder.ts';
import type { BytesBuilder } from '../columns/bytes.ts';
import { asUtf8, fileBytes } from '../fileBytes.ts';
import type { FileBatch, OpenFileOptions } from '../fileTypes.ts';
import { type BadRow, invalidRow, isNot, OTHER_MODES, unsuitable } from '../rowErrors.ts';
import { type TextCast, textCast } from '../textCasts.ts';
import { CsvTokenizer } from './tokenizer.ts';

type ReadOptions = Pick<OpenFileOptions, 'memoryLimitBytes' | 'signal'>;

/** Preferred first. A column of no values is text. */
const INFERRED: readonly ColumnType[] = ['INTEGER', 'BIGINT', 'DOUBLE', 'DATE', 'TIMESTAMPTZ', 'BOOLEAN'];

/** One record, valid until the next is asked for. */
interface CsvRecord {
  readonly bytes: Buffer;
  readonly fields: CsvTokenizer;
  /** False: some of the bytes are not, perhaps not those of this record. */
  readonly isAllUtf8: boolean;
}

/** Records of the file in order, without empty lines, comments and header. */
async function* records(
  input: CsvInput,
  file: string,
  options: ReadOptions,
): AsyncGenerator<Iterable<CsvRecord>, void, undefined> {
  const tokenizer = new CsvTokenizer(input);
  let rest: Buffer = Buffer.alloc(0);
  let isBeforeHeader = input.header;
  const complete = function* (bytes: Buffer, isLast: boolean): Generator<CsvRecord, void, undefined> {
    const whole = isLast ? bytes : bytes.subarray(0, completeEnd(bytes));
    const record = { bytes, fields: tokenizer, isAllUtf8: isUtf8(whole) };
    let position = 0;
    while (position < bytes.length) {
      const next = tokenizer.read(bytes, position, isLast);
      if (next === -1) break;
      position = next;
      if (tokenizer.count === 0) continue;
      if (isBeforeHeader) isBeforeHeader = false;
      else yield record;
    }
    rest = bytes.subarray(position);
    if (tokenizer.isUnterminated) {
      throw invalidRow({
        file,
        unit: 'line',
        number: tokenizer.line,
        why: 'a quoted field begins there and does not end before the file does',
        next: 'set quote or escape if the file uses others',
      });
    }
    if (rest.length > options.memoryLimitBytes) {
      throw invalidRow({
        file,
        unit: 'line',
        number: tokenizer.line,
        why: `a record of more than ${rest.length} bytes begins there, and ${options.memoryLimitBytes} are allowed`,
        next: 'set quote or escape if the file uses others, else raise --max-memory',
      });
    }
  };
  const pieces = fileBytes(file, { ...options, compression: input.compression });
  for await (const piece of asUtf8(pieces, input.encoding)) {
    yield complete(rest.length === 0 ? piece : Buffer.concat([rest, piece]), false);
  }
  yield complete(rest, true);
}

/**
 * Columns as the options and the first record tell them; with `inferSchema` after reading the whole file.
 *
 * @returns None for a file without records.
 */
export async function csvColumns(input: CsvInput, file: string, options: ReadOptions): Promise<ColumnField[]> {
  const names: string[] = [];
  for await (const piece of records({ ...input, header: false }, file, options)) {
    for (const { bytes, fields } of piece) {
      for (let i = 0; i < fields.count; i++) names.push(input.header ? fields.text(bytes, i) : '');
      break;
    }
    if (names.length > 0) break;
  }
  const unique = names.map((name, i) => {
    if (name === '') return `_c${i}`;
    return names.filter((other) => other === name).length > 1 ? `${name}${i}` : name;
  });
  const types = input.inferSchema ? await inferTypes(input, file, names.length, options) : [];
  return unique.map((name, i) => ({ name, type: types[i] ?? 'VARCHAR' }));
}

async function inferTypes(input: CsvInput, file: string, count: number, options: ReadOptions): Promise<ColumnType[]> {
  const casts = INFERRED.map((type) => textCast(type, input) as TextCast);
  const possible = Array.from({ length: count }, () => INFERRED.map((_, i) => i));
  const hasValues = new Array<boolean>(count).fill(false);
  for await (const piece of records(input, file, options)) {
    for (const { bytes, fields } of piece) {
      for (let i = 0; i < Math.min(count, fields.count); i++) {
        if ((possible[i]?.length === 0 && hasValues[i]) || isNull(input, bytes, fields, i)) continue;
        hasValues[i] = true;
        const text = fields.text(bytes, i);
        possible[i] = possible[i]?.filter((type) => casts[type]?.(text) !== undefined) ?? [];
      }
    }
  }
  return possible.map((left, i) => (hasValues[i] ? INFERRED[left[0] ?? -1] : undefined) ?? 'VARCHAR');
}

/** An empty field, or one that reads like `nullValue`, if no quotes stand around it. */
function isNull({ nullValue }: CsvInput, bytes: Buffer, fields: CsvTokenizer, field: number): boolean {
  if (fields.isQuoted(field)) return false;
  const length = fields.end(field) - fields.start(field);
  if (length === 0) return true;
  return nullValue !== '' && fields.text(bytes, field) === nullValue;
}

/** Fields become columns by their position: `columns` may have names of its own. */
export async function* readCsvFile(
  input: CsvInput,
  file: string,
  columns: readonly ColumnField[],
  options: OpenFileOptions,
): AsyncGenerator<FileBatch, void, undefined> {
  const builder = new BatchBuilder(columns, columns, options);
  const rows = new CsvRows(input, file, columns, builder);
  let row = 0;
  for await (const piece of records(input, file, options)) {
    for (const record of piece) {
      const isGood = rows.check(record);
      if (isGood) row += 1;
      if (row <= options.startRow && isGood) continue;
      if (!isGood) {
        if (row >= options.startRow) builder.drop(1);
        continue;
      }
      rows.append(record);
      // The size is looked at now and then: it costs more than a short row.
      if (builder.room === 0 || ((builder.rows & 15) === 0 && builder.isFull)) yield builder.take();
    }
  }
  if (builder.hasNews) yield builder.take();
}

class CsvRows {
  readonly #input: CsvInput;
  readonly #file: string;
  readonly #columns: readonly ColumnField[];
  readonly #builder: BatchBuilder;
  /** Null for text, which goes into its column without becoming a JavaScript string. */
  readonly #casts: readonly (TextCast | null)[];
  readonly #values: unknown[];

  constructor(input: CsvInput, file: string, columns: readonly ColumnField[], builder: BatchBuilder) {
    this.#input = input;
    this.#file = file;
    this.#columns = columns;
    this.#builder = builder;
    this.#values = new Array<unknown>(columns.length).fill(null);
    this.#casts = columns.map(({ name, type }) => {
      if (type === 'VARCHAR') return null;
      const cast = textCast(type, input);
      if (cast === null) {
        throw unsuitable(
          `cannot read column ${name} of ${file}: a CSV file has no lists, maps or structs; read it as STRING`,
        );
      }
      return cast;
    });
  }

  /**
   * Casts what is to be cast.
   *
   * @returns False if the row is to be left out.
   * @throws OffloadError ROW_INVALID under FAILFAST.
   */
  check(record: CsvRecord): boolean {
    const problem = this.#problem(record);
    if (problem === null || this.#input.mode === 'PERMISSIVE') return true;
    if (this.#input.mode === 'DROPMALFORMED') return false;
    throw invalidRow({ file: this.#file, unit: 'line', number: record.fields.line, next: OTHER_MODES, ...problem });
  }

  #problem({ bytes, fields, isAllUtf8 }: CsvRecord): Pick<BadRow, 'why' | 'column' | 'next'> | null {
    let problem: Pick<BadRow, 'why' | 'column' | 'next'> | null = null;
    const { length } = this.#columns;
    if (fields.count !== length) problem = { why: `it has ${fields.count} fields and the file has ${length} columns` };
    if (fields.spansLines && !this.#input.multiLine) {
      problem ??= { why: 'a quoted field goes over the end of the line', next: 'set multiLine=true' };
    }
    for (let i = 0; i < length; i++) {
      this.#values[i] = null;
      if (i >= fields.count) continue;
      const cast = this.#casts[i];
      const column = this.#columns[i]?.name ?? '';
      if (fields.isBroken(i)) {
        problem ??= {
          column,
          why: 'text stands behind the closing quote',
          next: 'set quote or escape if the file uses others',
        };
        continue;
      }
      if (!isAllUtf8 && !isUtf8(bytes.subarray(fields.start(i), fields.end(i)))) {
        problem ??= { column, why: 'its bytes are not UTF-8', next: 'set encoding' };
        continue;
      }
      if (isNull(this.#input, bytes, fields, i)) continue;
      if (cast === null || cast === undefined) {
        // Stands for the field itself.
        this.#values[i] = fields;
        continue;
      }
      // Spark, too, takes nothing in quotes for null where it cannot be a text.
      if (fields.start(i) === fields.end(i)) continue;
      const text = fields.text(bytes, i);
      const value = cast(text);
      if (value === undefined) problem ??= { column, why: isNot(text, this.#columns[i]?.type ?? 'VARCHAR') };
      else this.#values[i] = value;
    }
    return problem;
  }

  append({ bytes, fields }: CsvRecord): void {
    for (const [i, column] of this.#builder.columns.entries()) {
      if (this.#values[i] !== fields) {
        column.appendValue(this.#values[i]);
        continue;
      }
      const text = column as BytesBuilder;
      const start = fields.start(i);
      const end = fields.end(i);
      if (fields.hasEscapes(i)) {
        const { bytes: target, length } = text.room(end - start);
        text.endValue(fields.unescape(bytes, i, target, length));
      } else {
        text.appendBytes(bytes, start, end);
      }
    }
    this.#builder.added(1);
  }
}

/** Where the last character ends that is not cut. */
function completeEnd(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
