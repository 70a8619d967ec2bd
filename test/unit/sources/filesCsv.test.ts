import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { duckdb, readRows, schemaOf, temporaryFolder } from './filesHelper.ts';

const folder = temporaryFolder();
afterAll(folder.remove);
const read = async (text: string | Uint8Array, options: Record<string, string> = {}) =>
  (await readRows('csv', folder.file('one.csv', text), options)).rows.map((row) => Object.values(row));

describe('CSV files', () => {
  it('are text without a header by default, as in Spark', async () => {
    const { rows } = await readRows('csv', folder.file('plain.csv', '1,x\n,""\n007,y'));
    expect(rows).toEqual([
      { _c0: '1', _c1: 'x' },
      { _c0: null, _c1: '' },
      { _c0: '007', _c1: 'y' },
    ]);
  });

  it('take nothing in quotes for null where it is no text', async () => {
    expect(await read('1\n""\n3\n', { schema: 'n INT' })).toEqual([[1], [null], [3]]);
  });

  it('keep backslashes that escape nothing, and take out those that do', async () => {
    const text = String.raw`1,"a,C:\dir"
2,C:\dir
3,"a\\b"
4,"{\"k\":\"x\n\"}"
5,"he said ""no"""`;
    expect(await read(text)).toEqual([
      ['1', String.raw`a,C:\dir`],
      ['2', String.raw`C:\dir`],
      ['3', String.raw`a\b`],
      ['4', String.raw`{"k":"x\n"}`],
      ['5', 'he said "no"'],
    ]);
  });

  it('take a mark of byte order, CRLF, line ends in quotes, empty lines and a last line without an end', async () => {
    expect(await read('\ufeff1,"l1\r\nl2"\r\n\r\n2,"x\ny"\n3,ä€𝄞')).toEqual([
      ['1', 'l1\r\nl2'],
      ['2', 'x\ny'],
      ['3', 'ä€𝄞'],
    ]);
    expect(await read('')).toEqual([]);
    expect(await read('a,b\n', { header: 'true' })).toEqual([]);
  });

  it('name columns by the header, and make the same names different as Spark does', async () => {
    const file = folder.file('header.csv', 'id,"a ""b""",id,\n1,2,3,4\n');
    expect((await readRows('csv', file, { header: 'true' })).rows).toEqual([
      { id0: '1', 'a "b"': '2', id2: '3', _c3: '4' },
    ]);
  });

  it.each([
    ['sep', { sep: '|' }, '1|"a|b"', ['1', 'a|b']],
    ['delimiter of several characters', { delimiter: '||' }, '1||a|b', ['1', 'a|b']],
    ['a tab', { sep: '\\t' }, '1\ta', ['1', 'a']],
    ['quote', { quote: "'" }, "1,'a,\"'", ['1', 'a,"']],
    ['no quote', { quote: '' }, '1,"a"', ['1', '"a"']],
    ['escape', { escape: '^' }, '1,"a^"b\\"', ['1', 'a"b\\']],
    ['escape like quote', { escape: '"' }, '1,"a\\"', ['1', 'a\\']],
    ['nullValue', { nullValue: 'NA' }, 'NA,"NA"', [null, 'NA']],
    ['comment', { comment: '#' }, '#x\n1,#y', ['1', '#y']],
    ['lineSep', { lineSep: ';\\n' }, '1,a\nb;\n', ['1', 'a\nb']],
    ['charset', { charset: 'ISO-8859-1' }, Buffer.from('1,ä', 'latin1'), ['1', 'ä']],
    ['encoding', { encoding: 'utf-16' }, Buffer.from('\ufeff1,ä\n', 'utf16le'), ['1', 'ä']],
  ])('follow the option: %s', async (_, options, text, row) => {
    expect(await read(text, options as unknown as Record<string, string>)).toEqual([row]);
  });

  it('cast to the types of a schema', async () => {
    const schema = 'i INT, l LONG, d DECIMAL(5,2), f DOUBLE, b BOOLEAN, t DATE, ts TIMESTAMP, x BINARY';
    const { rows } = await readRows(
      'csv',
      folder.file(
        'typed.csv',
        '1,9223372036854775807,-1.5,1e3,TRUE,2024-02-29,2024-01-02T03:04:05.000006Z,x\n,,,,,,,\n',
      ),
      { schema },
    );
    expect(rows[0]).toMatchObject({ i: 1, l: 9223372036854775807n, f: 1000, b: true, t: Date.UTC(2024, 1, 29) });
    expect(String(rows[0]?.ts)).toBe('1704164645000.006');
    expect(Object.values(rows[1] ?? {})).toEqual(new Array(8).fill(null));
  });

  it('find types with inferSchema in all rows', async () => {
    const file = folder.file(
      'infer.csv',
      `${'1,2,1,2024-01-02,x,true,\n'.repeat(30_000)}-5,2.5,3000000000,2024-01-03,1,false,\n`,
    );
    expect(await schemaOf('csv', [file], { inferSchema: 'true' })).toMatchInlineSnapshot(
      `"_c0: Int32, _c1: Float64, _c2: Int64, _c3: Date32<DAY>, _c4: Utf8, _c5: Bool, _c6: Utf8"`,
    );
  });

  const bad = '1,x\n2\n"q\nq",y\n3,z,w\nfour,v\n4,"a"b\n5,t';
  it.each([
    ['1,x\n2\n', /bad\.csv at line 2: it has 1 fields and the file has 2 columns/],
    ['1,"x\ny"\nfour,v\n', /at line 3, column a: "four" is no INTEGER/],
    ['1,x\n2,"a"b\n', /at line 2, column b: text stands behind the closing quote; set quote or escape/],
    ['1,x\n2,"a\n3,y\n', /at line 2: a quoted field begins there and does not end/],
    [Buffer.from('1,x\n2,"a\nä"', 'latin1'), /at line 2, column b: its bytes are not UTF-8; set encoding/],
    [Buffer.from('1,x\n2,ä\n', 'latin1'), /at line 2, column b: its bytes are not UTF-8; set encoding/],
  ])('name the line of a bad row: %j', async (text, message) => {
    const file = folder.file('bad.csv', text);
    await expect(readRows('csv', file, { schema: 'a INT, b STRING' })).rejects.toMatchObject({
      code: 'ROW_INVALID',
      message: expect.stringMatching(message),
    });
  });

  it('keep or leave out bad rows as mode says', async () => {
    const file = folder.file('modes.csv', bad);
    const schema = 'a INT, b STRING';
    const kept = await readRows('csv', file, { schema, mode: 'PERMISSIVE' });
    expect(kept.rows.map((row) => Object.values(row))).toEqual([
      [1, 'x'],
      [2, null],
      [null, 'y'],
      [3, 'z'],
      [null, 'v'],
      [4, null],
      [5, 't'],
    ]);
    const dropped = await readRows('csv', file, { schema, mode: 'dropMalformed' });
    expect(dropped.rows.map((row) => Object.values(row))).toEqual([
      [1, 'x'],
      [5, 't'],
    ]);
    expect(dropped.dropped).toBe(5);
    expect((await readRows('csv', file, { schema, mode: 'dropMalformed' }, { startRow: 1 })).rows).toEqual([
      { a: 5, b: 't' },
    ]);
  });

  it('refuse line ends in quotes with multiLine=false', async () => {
    await expect(read('1,"a\nb"\n', { multiLine: 'false' })).rejects.toThrow(/at line 1: .*set multiLine=true/);
  });

  it.each(['gzip', 'zstd'])('that DuckDB wrote, with %s', async (compression) => {
    const file = `${folder.path}/d.csv.${compression === 'gzip' ? 'gz' : 'zst'}`;
    await duckdb(
      `COPY (SELECT i, CASE WHEN i % 7 <> 0 THEN 'a "b", ' || chr(10) || i END AS t FROM range(3000) t(i)) TO '${file}' (FORMAT csv, HEADER, COMPRESSION ${compression})`,
    );
    const { rows } = await readRows('csv', file, { header: 'true' });
    expect(rows).toEqual(
      Array.from({ length: 3000 }, (_, i) => ({ i: `${i}`, t: i % 7 === 0 ? null : `a "b", \n${i}` })),
    );
  });

  it('read what was written, cut into pieces anywhere, and the same rows from any row on', async () => {
    const field = fc.option(fc.string({ unit: fc.constantFrom('a', '"', '\\', ',', '\n', '\r', 'ä', '𝄞', ' ') }), {
      nil: null,
    });
    const quoted = (value: string | null) => (value === null ? '' : `"${value.replaceAll(/["\\]/g, '\\$&')}"`);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(field, field), { maxLength: 30 }),
        fc.nat(30),
        fc.boolean(),
        async (rows, startRow, crlf) => {
          const lines = rows.map((row) => row.map(quoted).join(','));
          const file = folder.file('random.csv', lines.join(crlf ? '\r\n' : '\n'));
          const { rows: found } = await readRows(
            'csv',
            file,
            { schema: 'a STRING, b STRING' },
            { startRow, batchRows: 7 },
          );
          expect(found.map((row) => Object.values(row))).toEqual(rows.slice(startRow));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('read records that lie across the pieces a file is read in', async () => {
    const rows = Array.from({ length: 9000 }, (_, i) => [`${i}`, `"\n\\,${'ä'.repeat(i % 997)}`]);
    const file = folder.file(
      'long.csv',
      rows.map(([a, b]) => `${a},"${b?.replaceAll(/["\\]/g, '\\$&')}"\r\n`).join(''),
    );
    const { rows: found } = await readRows('csv', file);
    expect(found.map((row) => Object.values(row))).toEqual(rows);
  });

  it('of other columns are told apart, by file and column', async () => {
    const one = folder.file('c1.csv', 'a,b\n1,2\n');
    const two = folder.file('c2.csv', 'a,c\n1,2\n');
    await expect(schemaOf('csv', [one, two], { header: 'true' })).rejects.toThrow(
      /c2\.csv: it lacks the column b of .*c1\.csv; set mergeSchema/,
    );
  });
});
