import { describe, expect, it } from 'vitest';
import { FILE_FORMATS } from '../../../src/config/formats.ts';
import { timeParser } from '../../../src/config/javaPatterns.ts';
import { parseReaderOptions } from '../../../src/config/readerOptions.ts';
import { READER_OPTIONS } from '../../../src/config/readerOptionTable.ts';
import { parseSparkSchema } from '../../../src/config/sparkSchema.ts';

describe('options of readers', () => {
  it('have the defaults of the table', () => {
    for (const format of FILE_FORMATS) {
      const given = Object.fromEntries(
        READER_OPTIONS[format].filter((option) => option.default !== '').map((option) => [option.name, option.default]),
      );
      expect(parseReaderOptions(format, given)).toEqual(parseReaderOptions(format, {}));
    }
  });

  it('have names in any case, and synonyms', () => {
    expect(
      parseReaderOptions('csv', { HEADER: 'True', Delimiter: ';', charset: 'latin1', MODE: 'permissive' }),
    ).toMatchObject({
      header: true,
      sep: ';',
      encoding: 'latin1',
      mode: 'PERMISSIVE',
    });
  });

  it.each([
    [
      'csv',
      { headr: 'true' },
      /^there is no option headr for reading csv files; did you mean header\?; known are header, sep, /,
    ],
    [
      'parquet',
      { header: 'true' },
      /^there is no option header for reading parquet files; known are schema, mergeSchema, /,
    ],
    ['csv', { header: 'yes' }, /^the option header=yes for csv files should be true or false$/],
    ['csv', { sep: ',', delimiter: ';' }, /^the option sep is given twice, as delimiter as well$/],
    ['csv', { quote: 'ä' }, /^the option quote=ä for csv files should be one ASCII character, or nothing$/],
    ['csv', { encoding: 'cp1252' }, /^the option encoding=cp1252 for csv files should be utf-8, /],
    ['json', { encoding: 'utf-16' }, /^the option encoding=utf-16 for json files should be utf-8, utf8$/],
    ['json', { compression: 'bzip2' }, /^the option compression=bzip2 for json files should be auto, none, /],
    ['json', { mode: 'quick' }, /^the option mode=quick for json files should be failfast, permissive, dropmalformed$/],
    [
      'json',
      { multiLine: 'true', mode: 'PERMISSIVE' },
      /^the options multiLine=true and mode=PERMISSIVE do not go together/,
    ],
    [
      'json',
      { timestampFormat: 'yyyy-MM-dd VV' },
      /^the option timestampFormat=yyyy-MM-dd VV cannot be used: the letter V \(as VV\) has no counterpart; /,
    ],
    [
      'csv',
      { schema: 'id INTT' },
      /^the option schema "id INTT" cannot be read: there is no type INTT; did you mean INT\? at its end; /,
    ],
    ['csv', { schema: 'id ARRAY<INT>' }, /^the option schema gives column id a type that a CSV file cannot hold/],
  ] as const)('refuse %s %j', (format, options, message) => {
    expect(() => parseReaderOptions(format, { ...options } as Record<string, string>)).toThrow(message);
  });

  it('take schemas as Spark writes them', () => {
    expect(
      parseSparkSchema(
        "id BIGINT NOT NULL COMMENT 'the id', `a b` struct<x: int, y: array<string>>, m MAP<STRING,DECIMAL(5,2)>, v varchar(3)",
      ),
    ).toEqual([
      { name: 'id', type: 'BIGINT' },
      {
        name: 'a b',
        type: {
          kind: 'struct',
          fields: [
            { name: 'x', type: 'INTEGER' },
            { name: 'y', type: { kind: 'list', item: 'VARCHAR' } },
          ],
        },
      },
      { name: 'm', type: { kind: 'map', key: 'VARCHAR', value: { kind: 'decimal', precision: 5, scale: 2 } } },
      { name: 'v', type: 'VARCHAR' },
    ]);
  });

  it.each([
    '',
    'id',
    'id INT,',
    'id INT name STRING',
    'id ARRAY<INT',
    'id DECIMAL(39)',
    'id INT, id INT',
    'm MAP<INT>',
  ])('refuse the schema %j', (schema) => {
    expect(() => parseSparkSchema(schema)).toThrow(/^the option schema ".*" cannot be read: /);
  });

  it.each([
    [null, '2024-02-29T03:04:05.123456Z', Date.UTC(2024, 1, 29, 3, 4, 5, 123)],
    [null, '2024-02-29 03:04', Date.UTC(2024, 1, 29, 3, 4)],
    [null, '2023-02-29', null],
    ['dd.MM.yy HH:mm', '01.02.24 23:59', Date.UTC(2024, 1, 1, 23, 59)],
    ['d MMM yyyy h:mm a', '1 Feb 2024 12:05 am', Date.UTC(2024, 1, 1, 0, 5)],
    ["EEE, dd MMMM uuuu 'at' HH'h'", 'Thu, 01 February 2024 at 07h', Date.UTC(2024, 1, 1, 7)],
    ["yyyyMMdd'T'HHmmss[.SSS]XXX", '20240201T030405-0230', Date.UTC(2024, 1, 1, 5, 34, 5)],
    ['yyyy', '0050', new Date(0).setUTCFullYear(50, 0, 1)],
    ['HH:mm', '24:00', null],
  ])('read times of the pattern %j: %s', (pattern, text, expected) => {
    expect(timeParser(pattern, 'timestamp')(text)?.epochMs ?? null).toBe(expected);
  });
});
