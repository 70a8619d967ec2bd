/**
 * What `--options` says about reading files: Spark's names, whatever their case, to one plain value for each format.
 */
import { OffloadError } from '../errors.ts';
import type { FileFormat } from './formats.ts';
import { checkJavaPattern } from './javaPatterns.ts';
import { didYouMean } from './nearest.ts';
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

export interface OptionDescription {
  readonly name: string;
  /** As it would be written; empty where nothing is set. */
  readonly default: string;
  readonly meaning: string;
}

const ANY_FORMAT: readonly OptionDescription[] = [
  { name: 'pathGlobFilter', default: '', meaning: 'only files whose name fits this glob' },
  {
    name: 'recursiveFileLookup',
    default: 'true',
    meaning: 'only `true`: folders are read to any depth, and those named `a=1` give no column',
  },
];
const MERGE: OptionDescription = {
  name: 'mergeSchema',
  default: 'false',
  meaning: '`true`: a column that some files lack is null for them; `false`: all files have the same columns',
};
const SCHEMA: OptionDescription = {
  name: 'schema',
  default: '',
  meaning: 'columns and types as Spark writes them, `id INT, name STRING`, in place of those found in the files',
};
const COMPRESSION: OptionDescription = {
  name: 'compression',
  default: 'auto',
  meaning: '`none`, `gzip` or `zstd`; `auto` goes by the name of the file: `.gz`, `.zst`',
};
const MODE: OptionDescription = {
  name: 'mode',
  default: 'FAILFAST',
  meaning:
    'what a bad row does: `FAILFAST` ends the run naming file and line, `PERMISSIVE` keeps it with null for what cannot ' +
    'be read, `DROPMALFORMED` leaves it out and counts it',
};
const TIMES: readonly OptionDescription[] = [
  { name: 'dateFormat', default: '', meaning: 'Java pattern of DATE columns; ISO 8601 if not given' },
  { name: 'timestampFormat', default: '', meaning: 'Java pattern of TIMESTAMP columns; ISO 8601 if not given' },
];
const ENCODING: OptionDescription = {
  name: 'encoding',
  default: 'utf-8',
  meaning: '`utf-8`, `utf-16`, `utf-16le`, `utf-16be` or `latin-1`; also `charset`',
};
const LINE_SEP: OptionDescription = {
  name: 'lineSep',
  default: '',
  meaning: 'what ends a line; `\\n` and `\\r\\n` if not given',
};

/** Every option of every format, with its default: README tables are checked against it. */
export const READER_OPTIONS: Readonly<Record<FileFormat, readonly OptionDescription[]>> = {
  parquet: [SCHEMA, MERGE, ...ANY_FORMAT],
  json: [
    SCHEMA,
    {
      name: 'multiLine',
      default: 'false',
      meaning: '`true`: objects over several lines, or an array of them; `false`: one object a line',
    },
    { ...ENCODING, meaning: 'only `utf-8`; also `charset`' },
    COMPRESSION,
    ...TIMES,
    MODE,
    MERGE,
    ...ANY_FORMAT,
  ],
  csv: [
    { name: 'header', default: 'false', meaning: '`true`: the first line names the columns, else `_c0`, `_c1` ...' },
    { name: 'sep', default: ',', meaning: 'what stands between fields; also `delimiter`; `\\t` is a tab' },
    { name: 'quote', default: '"', meaning: 'what stands around a field; empty: nothing does' },
    {
      name: 'escape',
      default: '\\',
      meaning: 'what stands before a quote inside a quoted field; a doubled quote is understood as well',
    },
    {
      name: 'nullValue',
      default: '',
      meaning: 'a field without quotes that reads so is null; an empty one is in any case',
    },
    { name: 'comment', default: '', meaning: 'lines that begin with this character are left out' },
    LINE_SEP,
    SCHEMA,
    { name: 'inferSchema', default: 'false', meaning: '`true`: types are found by reading all files once before' },
    { name: 'multiLine', default: 'true', meaning: '`false`: a line end in a quoted field is a bad row' },
    ENCODING,
    COMPRESSION,
    ...TIMES,
    MODE,
    MERGE,
    ...ANY_FORMAT,
  ],
  avro: [SCHEMA, MERGE, ...ANY_FORMAT],
  text: [
    { name: 'wholetext', default: 'false', meaning: '`true`: a file is one row, `false`: a line is' },
    LINE_SEP,
    ENCODING,
    COMPRESSION,
    ...ANY_FORMAT,
  ],
  msgpack: [SCHEMA, COMPRESSION, MODE, MERGE, ...ANY_FORMAT],
};

const SYNONYMS: Readonly<Record<string, string>> = { delimiter: 'sep', charset: 'encoding' };
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

class OptionValues {
  readonly #format: FileFormat;
  readonly #given = new Map<string, string>();

  constructor(format: FileFormat, options: Readonly<Record<string, string>>) {
    this.#format = format;
    const known = READER_OPTIONS[format];
    for (const [name, value] of Object.entries(options)) {
      const lower = name.toLowerCase();
      const canonical = (SYNONYMS[lower] ?? lower).toLowerCase();
      const option = known.find((candidate) => candidate.name.toLowerCase() === canonical);
      if (option === undefined) {
        const names = known.map((candidate) => candidate.name);
        throw this.#wrong(`there is no option ${name} for reading ${format} files${didYouMean(name, names)}`, names);
      }
      if (this.#given.has(option.name))
        throw this.#wrong(`the option ${option.name} is given twice, as ${name} as well`);
      this.#given.set(option.name, value);
    }
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** The value given, else the default; empty for an option the format does not have. */
  text(name: string): string {
    return this.#given.get(name) ?? READER_OPTIONS[this.#format].find((option) => option.name === name)?.default ?? '';
  }

  flag(name: string): boolean {
    const text = this.text(name).toLowerCase();
    if (text !== 'true' && text !== 'false' && this.has(name)) throw this.#value(name, 'true or false');
    return text === 'true';
  }

  choice<T>(name: string, choices: Readonly<Record<string, T>>): T {
    const choice = choices[this.text(name).toLowerCase()];
    if (choice === undefined) throw this.#value(name, Object.keys(choices).join(', '));
    return choice;
  }

  /** One or more characters, with the escapes that Spark takes. */
  separator(name: string): string {
    const text = this.text(name).replace(/\\(?:([tnrbf\\'"0])|u([0-9a-fA-F]{4}))/g, (_, simple, code) =>
      code === undefined ? (ESCAPES[simple as string] as string) : String.fromCharCode(Number.parseInt(code, 16)),
    );
    if (text === '') throw this.#value(name, 'one character or more');
    return text;
  }

  /** One ASCII character, or none. */
  character(name: string): string {
    const given = this.text(name);
    const text = given.length > 1 ? this.separator(name) : given;
    if (text === '\0') return '';
    if (text.length > 1 || text > '\x7f') throw this.#value(name, 'one ASCII character, or nothing');
    return text;
  }

  pattern(name: string): string | null {
    const text = this.text(name);
    if (text === '') return null;
    checkJavaPattern(name, text);
    return text;
  }

  #value(name: string, expected: string): OffloadError {
    return this.#wrong(`the option ${name}=${this.text(name)} for ${this.#format} files should be ${expected}`);
  }

  #wrong(what: string, names: readonly string[] = []): OffloadError {
    return new OffloadError('USAGE', names.length === 0 ? what : `${what}; known are ${names.join(', ')}`);
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  r: '\r',
  b: '\b',
  f: '\f',
  '0': '\0',
  '\\': '\\',
  "'": "'",
  '"': '"',
};
