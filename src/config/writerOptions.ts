/**
 * The options of writing files, by format, under the names Spark gives them (in any case). What `--write-options` and
 * `connections` say ends here as plain data that can cross threads.
 */
import type { PostgresType } from '../encode/pgcopy/columnTypes.ts';
import { DEFAULTS } from './defaults.ts';
import type { FileFormat as FileFormatName } from './formats.ts';
import type { ParquetCompression } from './job.ts';
import { GivenOptions } from './writerOptionValues.ts';

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

/** Rows for `COPY ... FROM STDIN (FORMAT binary)` of PostgreSQL: staged on their way into a table, never published. */
export interface PgcopyOutput {
  readonly format: 'pgcopy';
  /** Types of the columns of the table, in the order of the rows' columns. */
  readonly types: readonly PostgresType[];
}

/** What can be staged. */
export type StagedFormat = OutputFormat | PgcopyOutput;

const PARQUET_COMPRESSIONS: readonly ParquetCompression[] = ['snappy', 'zstd', 'gzip', 'lz4_raw', 'none'];
const AVRO_CODECS: readonly AvroCodec[] = ['null', 'deflate', 'snappy', 'zstandard'];

/**
 * @param isDivided Whether rows go to folders by their values.
 * @param where Names the place of the options in messages, as `--write-options`.
 * @throws OffloadError USAGE naming the option, its value and what would be right.
 */
export function parseWriterOptions(
  format: FileFormatName,
  options: Readonly<Record<string, string>>,
  isDivided = false,
  where = '--write-options',
): OutputFormat {
  const given = new GivenOptions(format, options, where);
  switch (format) {
    case 'parquet':
      return {
        format,
        compression: given.word('compression', PARQUET_COMPRESSIONS, DEFAULTS.compression, { uncompressed: 'none' }),
        rowGroupRows: given.rows('rowGroupRows', DEFAULTS.rowGroupRows),
        rowGroupBytes: given.bytes('rowGroupBytes', isDivided ? DEFAULTS.dividedRowGroupBytes : DEFAULTS.rowGroupBytes),
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
