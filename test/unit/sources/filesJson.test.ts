import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { duckdb, readRows, schemaOf, temporaryFolder } from './filesHelper.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

describe('JSON files', () => {
  it('leaves texts that look like times and UUIDs as they are', async () => {
    const file = folder.file(
      'texts.json',
      '{"d":"2024-01-02","t":"2024-01-02T03:04:05Z","u":"A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11","n":1}\n{"s":{"x":[1.5]},"n":-9007199254740993}\n',
    );
    expect((await readRows('json', file)).rows).toEqual([
      { d: '2024-01-02', t: '2024-01-02T03:04:05Z', u: 'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11', n: 1n, s: null },
      { d: null, t: null, u: null, n: -9007199254740993n, s: { x: [1.5] } },
    ]);
  });

  it('finds a type that comes only in the last of many rows', async () => {
    const file = folder.file('late.json', `${'{"a":1}\n'.repeat(50_000)}{"a":"x","b":true}`);
    const { rows } = await readRows('json', file);
    expect(rows).toHaveLength(50_001);
    expect(rows.at(-1)).toEqual({ a: 'x', b: true });
  });

  it('names the line of a bad row however far down it stands, and never ends early', async () => {
    const line = `{"a":1,"b":"${'x'.repeat(100)}"}\n`;
    const file = folder.file('deep.json', `${line.repeat(300_000)}{"a":"q"}\n${line.repeat(1000)}`);
    await expect(
      readRows('json', file, { schema: 'a BIGINT, b STRING' }, { batchRows: 100_000 }),
    ).rejects.toMatchObject({
      code: 'ROW_INVALID',
      message: expect.stringMatching(/^cannot read .*deep\.json at line 300001: .*"q"/),
    });
  });

  it('names the line of text that is no JSON', async () => {
    const file = folder.file('cut.json', '\ufeff{"a":1}\r\n\r\n{"a":2}\r\n{"a":');
    await expect(readRows('json', file, { schema: 'a INT' })).rejects.toThrow(
      /cut\.json at line 4: .*set multiLine=true/,
    );
  });

  it('keeps bad rows as nulls under PERMISSIVE, leaves them out under DROPMALFORMED and counts them', async () => {
    const file = folder.file('bad.json', '{"a":1}\n{"a":"x"}\n{"a":null}\nnope\n{"a":5,"b":"q"}\n7\n');
    const schema = 'a INT, b STRING';
    expect((await readRows('json', file, { schema, mode: 'permissive' })).rows).toEqual([
      { a: 1, b: null },
      { a: null, b: null },
      { a: null, b: null },
      { a: null, b: null },
      { a: 5, b: 'q' },
      { a: null, b: null },
    ]);
    const dropped = await readRows('json', file, { schema, mode: 'DROPMALFORMED' });
    expect(dropped.rows).toEqual([
      { a: 1, b: null },
      { a: null, b: null },
      { a: 5, b: 'q' },
    ]);
    expect(dropped.dropped).toBe(3);
  });

  it('reads arrays and objects over several lines with multiLine', async () => {
    const array = folder.file('array.json', '[{"a":1},\n {"a":\n2}]');
    const spread = folder.file('spread.json', '{"a":\n1}\n{"a":2}');
    for (const file of [array, spread]) {
      expect((await readRows('json', file, { multiLine: 'true' })).rows).toEqual([{ a: 1n }, { a: 2n }]);
    }
  });

  it('reads types of a schema: times by pattern, binary from base64, nested ones', async () => {
    const file = folder.file(
      'typed.json',
      '{"d":"31/12/2024","t":"31/12/2024 10:11 +02:00","b":"AP8=","m":{"k":[1]},"p":"1.10"}\n{"x":1}\n',
    );
    const schema = 'd DATE, t TIMESTAMP, b BINARY, m MAP<STRING, ARRAY<INT>>, p DECIMAL(5,2)';
    const options = { schema, dateFormat: 'dd/MM/yyyy', timestampFormat: 'dd/MM/yyyy HH:mm XXX' };
    const { rows, schema: arrow } = await readRows('json', file, options);
    expect(arrow?.fields.map(({ type }) => String(type))).toMatchInlineSnapshot(`
      [
        "Date32<DAY>",
        "Timestamp<MICROSECOND, UTC>",
        "Binary",
        "Map<{key:Utf8, value:List<Int32>}>",
        "Decimal[5e+2]",
      ]
    `);
    expect(rows[0]).toMatchObject({
      d: Date.UTC(2024, 11, 31),
      t: Date.UTC(2024, 11, 31, 8, 11),
      b: new Uint8Array([0, 255]),
      m: { k: [1] },
    });
    expect(rows[1]).toEqual({ d: null, t: null, b: null, m: null, p: null });
    await expect(readRows('json', file, { ...options, dateFormat: 'yyyy-MM-dd' })).rejects.toThrow(
      /typed\.json at row 1, column d: "31\/12\/2024" is no DATE/,
    );
  });

  it.each(['gzip', 'zstd'])('reads %s', async (compression) => {
    const file = `${folder.path}/c.json.${compression === 'gzip' ? 'gz' : 'zst'}`;
    await duckdb(`COPY (SELECT i AS a FROM range(3) t(i)) TO '${file}' (FORMAT json, COMPRESSION ${compression})`);
    expect((await readRows('json', file)).rows).toEqual([{ a: 0n }, { a: 1n }, { a: 2n }]);
    const renamed = `${folder.path}/c-${compression}`;
    await duckdb(`COPY (SELECT i AS a FROM range(3) t(i)) TO '${renamed}' (FORMAT json, COMPRESSION ${compression})`);
    expect((await readRows('json', renamed, { compression })).rows).toHaveLength(3);
  });

  it('gives no rows for an empty file and one of blank lines', async () => {
    expect((await readRows('json', folder.file('empty.json', ''))).rows).toEqual([]);
    expect((await readRows('json', folder.file('blank.json', '\n\n'))).rows).toEqual([]);
  });

  it('joins the fields of several files', async () => {
    const one = folder.file('one.json', '{"a":1}\n');
    const two = folder.file('two.json', '{"a":1.5,"b":"x"}\n');
    expect(await schemaOf('json', [one, two, folder.file('none.json', '')])).toBe('a: Float64, b: Utf8');
  });

  it('reads what was written, and the same rows from any row on', async () => {
    const row = fc.record({
      s: fc.option(fc.string({ unit: 'binary' })),
      n: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
      f: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
      l: fc.option(fc.array(fc.string())),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 40 }), fc.nat(40), async (rows, startRow) => {
        const text = rows.map(
          ({ s, n, f, l }) => `{"s":${JSON.stringify(s)},"n":${n},"f":${f},"l":${JSON.stringify(l)}}`,
        );
        const file = folder.file('random.json', text.join('\n'));
        const read = await readRows(
          'json',
          file,
          { schema: 's STRING, n BIGINT, f DOUBLE, l ARRAY<STRING>' },
          { startRow, batchRows: 7 },
        );
        expect(read.rows).toEqual(
          rows.slice(startRow).map((one) => ({ ...one, f: one.f === 0 ? expect.anything() : one.f })),
        );
      }),
      { numRuns: 60 },
    );
  });
});
