import { describe, expect, test } from 'vitest';
import type { FileFormat } from '../../../src/config/formats.ts';
import { parseWriterOptions } from '../../../src/config/writerOptions.ts';
import { WRITER_OPTIONS } from '../../../src/config/writerOptionTable.ts';

function refused(format: FileFormat, options: Record<string, string>): string {
  try {
    parseWriterOptions(format, options);
  } catch (error) {
    expect(error).toMatchObject({ code: 'USAGE' });
    return (error as Error).message;
  }
  throw new Error('it was not refused');
}

describe('parseWriterOptions', () => {
  test('gives the defaults that its table names', () => {
    for (const [format, options] of Object.entries(WRITER_OPTIONS)) {
      const given = Object.fromEntries(options.map((option) => [option.name, option.default]));
      // A pattern that is given is followed to the letter; the default shows more digits where there are more.
      const { dateFormat, timestampFormat, ...rest } = given;
      const defaults = parseWriterOptions(format as FileFormat, {});
      expect(parseWriterOptions(format as FileFormat, rest as Record<string, string>)).toEqual(defaults);
      if (dateFormat && timestampFormat) {
        expect(parseWriterOptions(format as FileFormat, { dateFormat, timestampFormat })).toEqual({
          ...defaults,
          dateFormat,
          timestampFormat,
        });
      }
    }
  });

  test('divides more rows among folders, unless told how many', () => {
    expect(parseWriterOptions('parquet', {}, true)).toMatchObject({ rowGroupBytes: 64 * 1024 ** 2 });
    expect(parseWriterOptions('parquet', { rowGroupBytes: '8MiB' }, true)).toMatchObject({
      rowGroupBytes: 8 * 1024 ** 2,
    });
  });

  test('knows names in any case and other spellings', () => {
    expect(
      parseWriterOptions('csv', { HEADER: 'True', Delimiter: '\\t', Charset: 'utf8', COMPRESSION: 'GZIP' }),
    ).toMatchObject({
      header: true,
      sep: '\t',
      compression: 'gzip',
    });
    expect(parseWriterOptions('avro', { codec: 'uncompressed' })).toMatchObject({ codec: 'null' });
    expect(parseWriterOptions('parquet', { compression: 'uncompressed', ROWGROUPBYTES: '8MiB' })).toMatchObject({
      compression: 'none',
      rowGroupBytes: 8 * 1024 ** 2,
    });
  });

  test.each<[FileFormat, Record<string, string>, string]>([
    [
      'json',
      { header: 'true' },
      'unknown option header in --write-options; known for json: compression, ignoreNullFields, dateFormat, timestampFormat, lineSep, encoding',
    ],
    [
      'csv',
      { heder: 'true' },
      'unknown option heder in --write-options; known for csv: compression, header, sep, quote, escape, quoteAll, nullValue, emptyValue, dateFormat, timestampFormat, lineSep, encoding; did you mean header?',
    ],
    ['csv', { sep: ',', delimiter: ';' }, 'sep stands twice in --write-options'],
    ['csv', { header: 'yes' }, 'header=yes in --write-options is neither; write true or false'],
    ['csv', { quote: "''" }, "quote='' in --write-options is no quote; write one ASCII character, or nothing"],
    ['csv', { encoding: 'utf-16' }, 'encoding=utf-16 in --write-options cannot be written; write UTF-8'],
    [
      'json',
      { compression: 'bzip2' },
      'compression=bzip2 in --write-options is unknown for json; write one of none, gzip, zstd',
    ],
    [
      'json',
      { dateFormat: 'yyyy-MMM' },
      'dateFormat=yyyy-MMM in --write-options has the letters MMM, which a date cannot be written with; write it with y, M (1 or 2), d',
    ],
    [
      'json',
      { timestampFormat: "HH'h" },
      "timestampFormat=HH'h in --write-options has a quote without an end at character 3; write '...'",
    ],
    [
      'avro',
      { compression: 'xz' },
      'compression=xz in --write-options is unknown for avro; write one of null, deflate, snappy, zstandard',
    ],
    [
      'avro',
      { recordName: '1st' },
      'recordName=1st in --write-options is no Avro name; write letters, digits and "_", no digit first',
    ],
    ['parquet', { rowGroupRows: '0' }, 'rowGroupRows=0 in --write-options is no number of rows; write 1 to 2147483647'],
    [
      'parquet',
      { rowGroupBytes: 'big' },
      'rowGroupBytes=big in --write-options is no size; write 64MiB, 64MB or 67108864',
    ],
  ])('refuses for %s %j', (format, options, message) => {
    expect(refused(format, options)).toBe(message);
  });
});
