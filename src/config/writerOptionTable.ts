/** Every option of writing files, by format, in the order of the README. */
import type { FileFormat } from './formats.ts';
import type { OptionDescription } from './optionDescription.ts';

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

export const WRITER_OPTIONS: Readonly<Record<FileFormat, readonly OptionDescription[]>> = {
  parquet: [
    { ...compression, default: 'snappy', meaning: '`snappy`, `zstd` (level 1), `gzip`, `lz4_raw` or `none`' },
    { name: 'rowGroupRows', default: '1000000', meaning: 'Most rows of a row group' },
    {
      name: 'rowGroupBytes',
      default: '16MiB',
      meaning:
        'Most raw bytes of a row group (with folders by values `64MiB`, of rows that are then divided). It is cut earlier when memory asks for it',
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
