/**
 * The options of writing files, by format, under the names Spark gives them (in any case). What `--write-options` and
 * `connections` say ends here as plain data that can cross threads.
 */
import { OffloadError } from '../errors.ts';
import { compileDatePattern } from './datePattern.ts';
import { DEFAULTS } from './defaults.ts';
import type { FileFormat as FileFormatName } from './formats.ts';
import type { ParquetCompression } from './job.ts';
import { didYouMean } from './nearest.ts';
import { parseSize, SIZE_EXAMPLES } from './sizes.ts';

/** Of a whole stream of bytes: files of these are members or frames one behind the other. */
export type StreamCompression = 'none' | 'gzip' | 'zstd';
export type AvroCodec = 'null' | 'deflate' | 'snappy' | 'zstandard';

export interface ParquetOutput {
  readonly format: 'parquet';
  readonly compression: ParquetCompression;
  readonly rowGroupRows: number;
  readonly rowGroupBytes: number;
}

/** How dates and times are written; null: ISO, with as many digits of a second as they have. */
export interface DatePatterns {
  readonly dateFormat: string | null;
  readonly timestampFormat: string | null;
}

export interface JsonOutput extends DatePatterns {
  readonly format: 'json';
  readonly compression: StreamCompression;
  readonly ignoreNullFields: boolean;
  readonly lineSep: string;
}

export interface CsvOutput extends DatePatterns {
  readonly format: 'csv';
  readonly compression: StreamCompression;
  readonly header: boolean;
  readonly sep: string;
  /** One character, or empty: no value is ever quoted. */
  readonly quote: string;
  /** Stands before a quote inside a quoted value, and before itself unless it is the quote. */
  readonly escape: string;
  readonly quoteAll: boolean;
  readonly nullValue: string;
  readonly emptyValue: string;
  readonly lineSep: string;
}

export interface TextOutput {
  readonly format: 'text';
  readonly compression: StreamCompression;
  readonly lineSep: string;
}

export interface AvroOutput {
  readonly format: 'avro';
  readonly codec: AvroCodec;
  readonly recordName: string;
  readonly recordNamespace: string;
}

export interface MsgpackOutput {
  readonly format: 'msgpack';
  readonly compression: StreamCompression;
}

export type OutputFormat = ParquetOutput | JsonOutput | CsvOutput | TextOutput | AvroOutput | MsgpackOutput;

export interface OptionDescription {
  readonly name: string;
  /** As it would be written; empty: nothing. */
  readonly default: string;
  readonly meaning: string;
}

const STREAM_COMPRESSIONS: readonly StreamCompression[] = ['none', 'gzip', 'zstd'];
const PARQUET_COMPRESSIONS: readonly ParquetCompression[] = ['snappy', 'zstd', 'gzip', 'lz4_raw', 'none'];
const AVRO_CODECS: readonly AvroCodec[] = ['null', 'deflate', 'snappy', 'zstandard'];
const MAX_ROWS = 2 ** 31 - 1;

const compression: OptionDescription = {
  name: 'compression',
  default: 'none',
  meaning: '`none`, `gzip` or `zstd`',
};
const lineSep: OptionDescription = { name: 'lineSep', default: '\\n', meaning: 'What ends a line, also the last' };
const encoding: OptionDescription = { name: 'encoding', default: 'UTF-8', meaning: 'Nothing else can be written' };
const datePatterns: readonly OptionDescription[] = [
  { name: 'dateFormat', default: 'yyyy-MM-dd', meaning: 'Pattern of dates, as Java writes it' },
  {
    name: 'timestampFormat',
    default: "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]",
    meaning: 'Pattern of timestamps, in UTC. By default more digits of a second stand where a value has them',
  },
];

/** Every option of writing, in the order of the README. */
export const WRITER_OPTIONS: Readonly<Record<FileFormatName, readonly OptionDescription[]>> = {
  parquet: [
    { ...compression, default: 'snappy', meaning: '`snappy`, `zstd`, `gzip`, `lz4_raw` or `none`' },
    { name: 'rowGroupRows', default: '1000000', meaning: 'Most rows of a row group' },
    {
      name: 'rowGroupBytes',
      default: '64MiB',
      meaning: 'Most raw bytes of a row group. It is cut earlier when memory asks for it',
    },
  ],
  json: [
    compression,
    { name: 'ignoreNullFields', default: 'true', meaning: '`false` writes `null` where a value is missing' },
    ...datePatterns,
    lineSep,
    encoding,
  ],
  csv: [
    compression,
    { name: 'header', default: 'false', meaning: 'Whether each file begins with a line of column names' },
    { name: 'sep', default: ',', meaning: 'Between values; `delimiter` is the same' },
    { name: 'quote', default: '"', meaning: 'Around values that need it; empty: none is quoted' },
    {
      name: 'escape',
      default: '\\',
      meaning: 'Before a quote in a quoted value, and before itself. `"` doubles quotes, as most other readers expect',
    },
    { name: 'quoteAll', default: 'false', meaning: 'Whether every value that is not null is quoted' },
    { name: 'nullValue', default: '', meaning: 'What is written for null' },
    { name: 'emptyValue', default: '""', meaning: 'What is written for an empty text' },
    ...datePatterns,
    lineSep,
    encoding,
  ],
  text: [compression, lineSep, encoding],
  avro: [
    { ...compression, default: 'snappy', meaning: '`snappy`, `deflate`, `zstandard` or `null`' },
    { name: 'recordName', default: 'topLevelRecord', meaning: 'Name of the record in the schema' },
    { name: 'recordNamespace', default: '', meaning: 'Its namespace' },
  ],
  msgpack: [compression],
};

/** Other spellings Spark has, in lower case. */
const SYNONYMS: Readonly<Record<string, string>> = { delimiter: 'sep', charset: 'encoding', codec: 'compression' };

/**
 * @param where Names the place of the options in messages, as `--write-options`.
 * @throws OffloadError USAGE naming the option, its value and what would be right.
 */
export function parseWriterOptions(
  format: FileFormatName,
  options: Readonly<Record<string, string>>,
  where = '--write-options',
): OutputFormat {
  const given = new GivenOptions(format, options, where);
  switch (format) {
    case 'parquet':
      return {
        format,
        compression: given.word('compression', PARQUET_COMPRESSIONS, DEFAULTS.compression, { uncompressed: 'none' }),
        rowGroupRows: given.rows('rowGroupRows', DEFAULTS.rowGroupRows),
        rowGroupBytes: given.bytes('rowGroupBytes', DEFAULTS.rowGroupBytes),
      };
    case 'json':
      given.checkEncoding();
      return {
        format,
        compression: given.streamCompression(),
        ignoreNullFields: given.flag('ignoreNullFields', true),
        ...given.datePatterns(),
        lineSep: given.lineSep(),
      };
    case 'csv':
      given.checkEncoding();
      return parseCsv(given);
    case 'text':
      given.checkEncoding();
      return { format, compression: given.streamCompression(), lineSep: given.lineSep() };
    case 'avro':
      return {
        format,
        codec: given.word('compression', AVRO_CODECS, 'snappy', {
          none: 'null',
          uncompressed: 'null',
          zstd: 'zstandard',
        }),
        recordName: given.avroName('recordName', 'topLevelRecord'),
        recordNamespace: given.avroName('recordNamespace', ''),
      };
    case 'msgpack':
      return { format, compression: given.streamCompression() };
  }
}

function parseCsv(given: GivenOptions): CsvOutput {
  const sep = given.text('sep', ',').replaceAll('\\t', '\t');
  const quote = given.text('quote', '"');
  const escapedBy = given.text('escape', '\\');
  if (sep === '' || /[\r\n]/.test(sep)) throw given.bad('sep', 'is no separator', 'one character or more, no line end');
  if (!/^[\x20-\x7e]?$/.test(quote)) throw given.bad('quote', 'is no quote', 'one ASCII character, or nothing');
  if (!/^[\x20-\x7e]$/.test(escapedBy)) throw given.bad('escape', 'is no escape', 'one ASCII character');
  if (quote !== '' && sep.includes(quote)) throw given.bad('quote', 'stands in sep', 'a character that sep has not');
  return {
    format: 'csv',
    compression: given.streamCompression(),
    header: given.flag('header', false),
    sep,
    quote,
    escape: escapedBy,
    quoteAll: given.flag('quoteAll', false),
    nullValue: given.text('nullValue', ''),
    emptyValue: given.text('emptyValue', '""'),
    ...given.datePatterns(),
    lineSep: given.lineSep(),
  };
}

/** Options as they were given, by the name this format knows them under. */
class GivenOptions {
  readonly #format: FileFormatName;
  readonly #values = new Map<string, string>();
  readonly #where: string;

  constructor(format: FileFormatName, options: Readonly<Record<string, string>>, where: string) {
    this.#format = format;
    this.#where = where;
    const known = WRITER_OPTIONS[format].map(({ name }) => name);
    for (const [name, value] of Object.entries(options)) {
      const word = SYNONYMS[name.toLowerCase()] ?? name;
      const own = known.find((each) => each.toLowerCase() === word.toLowerCase());
      if (own === undefined) {
        throw usage(
          `unknown option ${name} in ${where}; known for ${format}: ${known.join(', ')}${didYouMean(name, known)}`,
        );
      }
      if (this.#values.has(own)) throw usage(`${own} stands twice in ${where}`);
      this.#values.set(own, value);
    }
  }

  text(name: string, otherwise: string): string {
    return this.#values.get(name) ?? otherwise;
  }

  flag(name: string, otherwise: boolean): boolean {
    const text = this.text(name, String(otherwise)).toLowerCase();
    if (text !== 'true' && text !== 'false') throw this.bad(name, 'is neither', 'true or false');
    return text === 'true';
  }

  /** One of some words, in any case, or another spelling of one. */
  word<Word extends string>(
    name: string,
    words: readonly Word[],
    otherwise: Word,
    spellings: Readonly<Record<string, Word>> = {},
  ): Word {
    const text = this.#values.get(name)?.toLowerCase();
    if (text === undefined) return otherwise;
    const word = words.find((each) => each === text) ?? (Object.hasOwn(spellings, text) ? spellings[text] : undefined);
    if (word === undefined) throw this.bad(name, `is unknown for ${this.#format}`, `one of ${words.join(', ')}`);
    return word;
  }

  streamCompression(): StreamCompression {
    return this.word('compression', STREAM_COMPRESSIONS, 'none', { uncompressed: 'none', zstandard: 'zstd' });
  }

  lineSep(): string {
    const text = this.text('lineSep', '\n').replaceAll('\\r', '\r').replaceAll('\\n', '\n');
    if (text === '') throw this.bad('lineSep', 'is empty', 'what ends a line');
    return text;
  }

  datePatterns(): DatePatterns {
    const pattern = (name: keyof DatePatterns): string | null => {
      const text = this.#values.get(name);
      if (text === undefined) return null;
      const compiled = compileDatePattern(text, name === 'dateFormat' ? 'date' : 'timestamp');
      if ('problem' in compiled) throw this.bad(name, compiled.problem, compiled.instead);
      return text;
    };
    return { dateFormat: pattern('dateFormat'), timestampFormat: pattern('timestampFormat') };
  }

  checkEncoding(): void {
    if (!/^utf-?8$/i.test(this.text('encoding', 'UTF-8'))) throw this.bad('encoding', 'cannot be written', 'UTF-8');
  }

  avroName(name: string, otherwise: string): string {
    const text = this.text(name, otherwise);
    const isName = name === 'recordName' ? /^[A-Za-z_]\w*$/ : /^$|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/;
    if (!isName.test(text)) throw this.bad(name, 'is no Avro name', 'letters, digits and "_", no digit first');
    return text;
  }

  rows(name: string, otherwise: number): number {
    const text = this.#values.get(name);
    if (text === undefined) return otherwise;
    if (/^\d{1,10}$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_ROWS) return Number(text);
    throw this.bad(name, 'is no number of rows', `1 to ${MAX_ROWS}`);
  }

  bytes(name: string, otherwise: number): number {
    const text = this.#values.get(name);
    if (text === undefined) return otherwise;
    const bytes = parseSize(text);
    if (bytes !== null) return bytes;
    throw this.bad(name, 'is no size', SIZE_EXAMPLES);
  }

  bad(name: string, problem: string, instead: string): OffloadError {
    return usage(`${name}=${this.text(name, '')} in ${this.#where} ${problem}; write ${instead}`);
  }
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
