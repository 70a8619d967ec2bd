/** Formats of files, for reading and writing. */
export const FILE_FORMATS = ['parquet', 'json', 'csv', 'avro', 'text', 'msgpack'] as const;
/** What `--format` can name; `kafka` is a topic. */
export const SOURCE_FORMATS = [...FILE_FORMATS, 'kafka'] as const;
/** What `--write-format` and `writeFormat` can name. */
export const SINK_FORMATS = [...FILE_FORMATS, 'kafka', 'console'] as const;
export const WRITE_MODES = ['Append', 'Overwrite', 'ErrorIfExists', 'Ignore'] as const;

export type FileFormat = (typeof FILE_FORMATS)[number];
