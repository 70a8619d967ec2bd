/**
 * What `--options` says about reading files: Spark's names, whatever their case, to one plain value for each format.
 */
import { OffloadError } from '../errors.ts';
import type { FileFormat } from './formats.ts';
import { OptionValues } from './readerOptionValues.ts';
import { type ColumnField, type ColumnType, parseSparkSchema } from './sparkSchema.ts';

/** FAILFAST ends the load at the first bad row, PERMISSIVE makes nulls of what cannot be read, DROPMALFORMED leaves rows out. */
export type BadRows = 'FAILFAST' | 'PERMISSIVE' | 'DROPMALFORMED';
export type FileCompression = 'auto' | 'none' | 'gzip' | 'zstd';
export type TextEncoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'latin1';

/** Which files of a folder are read, and whether all must have the same columns. */
interface AnyInput {
  readonly pathGlobFilter: string | null;
  readonly mergeSchema: boolean;
  /** The columns asked for; null takes those of the files. */
  readonly schema: readonly ColumnField[] | null;
}

export interface ParquetInput extends AnyInput {
  readonly format: 'parquet';
}

export interface AvroInput extends AnyInput {
  readonly format: 'avro';
}

export interface JsonInput extends AnyInput {
  readonly format: 'json';
  /** True: values spread over several lines, or one array of them; false: one object a line. */
  readonly multiLine: boolean;
  readonly compression: FileCompression;
  readonly mode: BadRows;
  readonly dateFormat: string | null;
  readonly timestampFormat: string | null;
}

export interface CsvInput extends AnyInput {
  readonly format: 'csv';
  readonly header: boolean;
  readonly sep: string;
  /** Empty: no field is quoted. */
  readonly quote: string;
  readonly escape: string;
  readonly nullValue: string;
  /** Lines that begin with it are left out; empty: none are. */
  readonly comment: string;
  /** Null: line feeds, with or without a carriage return in front. */
  readonly lineSep: string | null;
  readonly inferSchema: boolean;
  readonly multiLine: boolean;
  readonly compression: FileCompression;
  readonly encoding: TextEncoding;
  readonly mode: BadRows;
  readonly dateFormat: string | null;
  readonly timestampFormat: string | null;
}

export interface TextInput extends AnyInput {
  readonly format: 'text';
  readonly wholetext: boolean;
  readonly lineSep: string | null;
  readonly compression: FileCompression;
  readonly encoding: TextEncoding;
}

export interface MsgpackInput extends AnyInput {
  readonly format: 'msgpack';
  readonly compression: FileCompression;
  readonly mode: BadRows;
}

export type InputFormat = ParquetInput | JsonInput | CsvInput | AvroInput | TextInput | MsgpackInput;

const ENCODINGS: Readonly<Record<string, TextEncoding>> = {
  'utf-8': 'utf-8',
  utf8: 'utf-8',
  'us-ascii': 'utf-8',
  'utf-16': 'utf-16le',
  'utf-16le': 'utf-16le',
  'utf-16be': 'utf-16be',
  'latin-1': 'latin1',
  latin1: 'latin1',
  'iso-8859-1': 'latin1',
};
const COMPRESSIONS: Readonly<Record<string, FileCompression>> = {
  auto: 'auto',
  none: 'none',
  uncompressed: 'none',
  gzip: 'gzip',
  gz: 'gzip',
  zstd: 'zstd',
};
const MODES: Readonly<Record<string, BadRows>> = {
  failfast: 'FAILFAST',
  permissive: 'PERMISSIVE',
  dropmalformed: 'DROPMALFORMED',
};

/**
 * @param options As given, without those that are not for the reader.
 * @throws OffloadError USAGE naming the option and what would be right.
 */
export function parseReaderOptions(format: FileFormat, options: Readonly<Record<string, string>>): InputFormat {
  const values = new OptionValues(format, options);
  values.choice('recursiveFileLookup', { true: true });
  const any: AnyInput = {
    pathGlobFilter: values.text('pathGlobFilter') || null,
    mergeSchema: values.flag('mergeSchema'),
    schema: values.has('schema') ? parseSparkSchema(values.text('schema')) : null,
  };
  switch (format) {
    case 'parquet':
    case 'avro':
      return { format, ...any };
    case 'msgpack':
      return {
        format,
        ...any,
        compression: values.choice('compression', COMPRESSIONS),
        mode: values.choice('mode', MODES),
      };
    case 'text':
      return { format, ...any, wholetext: values.flag('wholetext'), ...lines(values), ...encoded(values) };
    case 'json':
      values.choice('encoding', { 'utf-8': 'utf-8', utf8: 'utf-8' });
      return checkJson({
        format,
        ...any,
        multiLine: values.flag('multiLine'),
        compression: values.choice('compression', COMPRESSIONS),
        ...typed(values),
      });
    case 'csv':
      checkFlat(any.schema);
      return {
        format,
        ...any,
        header: values.flag('header'),
        sep: values.separator('sep'),
        quote: values.character('quote'),
        escape: values.character('escape'),
        nullValue: values.text('nullValue'),
        comment: values.character('comment'),
        inferSchema: values.flag('inferSchema'),
        multiLine: values.flag('multiLine'),
        ...lines(values),
        ...encoded(values),
        ...typed(values),
      };
  }
}

/** DuckDB finds the next record after a bad one by the line end. */
function checkJson(input: JsonInput): JsonInput {
  if (input.multiLine && input.mode !== 'FAILFAST') {
    throw new OffloadError(
      'USAGE',
      `the options multiLine=true and mode=${input.mode} do not go together: where a bad record ends is known only by its line`,
    );
  }
  const nested = input.schema?.find(({ type }) => typeof type !== 'string' && holdsTimes(type));
  if (nested !== undefined && (input.dateFormat !== null || input.timestampFormat !== null)) {
    throw new OffloadError(
      'USAGE',
      `the options dateFormat and timestampFormat are for columns of their own, and ${nested.name} holds times inside; read those as STRING`,
    );
  }
  return input;
}

function holdsTimes(type: ColumnType): boolean {
  if (typeof type === 'string') return type === 'DATE' || type.startsWith('TIMESTAMP');
  switch (type.kind) {
    case 'list':
      return holdsTimes(type.item);
    case 'map':
      return holdsTimes(type.key) || holdsTimes(type.value);
    case 'struct':
      return type.fields.some((field) => holdsTimes(field.type));
    default:
      return false;
  }
}

function checkFlat(schema: AnyInput['schema']): void {
  const nested = schema?.find(({ type }) => typeof type !== 'string' && type.kind !== 'decimal');
  if (nested === undefined) return;
  throw new OffloadError(
    'USAGE',
    `the option schema gives column ${nested.name} a type that a CSV file cannot hold: read it as STRING`,
  );
}

function lines(values: OptionValues): { lineSep: string | null } {
  return { lineSep: values.has('lineSep') ? values.separator('lineSep') : null };
}

function encoded(values: OptionValues): { compression: FileCompression; encoding: TextEncoding } {
  return { compression: values.choice('compression', COMPRESSIONS), encoding: values.choice('encoding', ENCODINGS) };
}

function typed(values: OptionValues): {
  mode: BadRows;
  dateFormat: string | null;
  timestampFormat: string | null;
} {
  return {
    mode: values.choice('mode', MODES),
    dateFormat: values.pattern('dateFormat'),
    timestampFormat: values.pattern('timestampFormat'),
  };
}
