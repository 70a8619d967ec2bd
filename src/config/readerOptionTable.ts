/** Every option of reading files, by format, in the order of the README. */
import type { FileFormat } from './formats.ts';
import type { OptionDescription } from './optionDescription.ts';

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
