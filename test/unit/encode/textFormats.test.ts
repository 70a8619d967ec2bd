import { gunzipSync } from 'node:zlib';
import { Field, makeData, RecordBatch, Schema, SparseUnion, Struct, Utf8 } from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { testFolder } from './files.ts';
import { fileOf } from './formatFiles.ts';
import { type ColumnKind, KINDS, type Rows, rowsOf, toTable } from './tables.ts';

const folder = await testFolder();
const SCALARS = KINDS.filter(({ duckType }) => duckType !== undefined);
/** DuckDB takes a JSON number with a point for a double. */
const JSON_SCALARS = SCALARS.filter(({ name }) => name !== 'dec');
const NESTED = KINDS.filter(({ name }) => ['numbers', 'pair', 'headers', 'counts'].includes(name));
const SPANS = KINDS.filter(({ name }) => ['span', 'interval'].includes(name));
const RUNS = { numRuns: 25 };

/** A column read as text, in the form of `show`. */
function readText(name: string, duckType: string): string {
  if (duckType === 'BLOB') return `hex(from_base64(${name}))`;
  if (duckType === 'DOUBLE' || duckType === 'FLOAT') return `${name}::${duckType}::DOUBLE`;
  return duckType === 'VARCHAR' ? name : `rtrim(${name}, 'Z')::${duckType}::VARCHAR`;
}

function shown(kinds: readonly ColumnKind[], rows: Rows): unknown[][] {
  return rows.map((row) => kinds.map(({ show }, i) => (row[i] === null ? null : show(row[i]))));
}

async function readColumns(kinds: readonly ColumnKind[], from: string): Promise<unknown[][]> {
  const columns = kinds.map(({ name, duckType = 'VARCHAR' }) => `${readText(name, duckType)} AS ${name}`);
  const rows = await folder.query(`SELECT ${columns.join(', ')} FROM ${from}`);
  return rows.map((row) => kinds.map(({ name }) => row[name]));
}

const textColumns = (kinds: readonly ColumnKind[]): string =>
  `{${kinds.map(({ name }) => `${name}: 'VARCHAR'`).join(', ')}}`;
const csvOptions = (escapedBy: string): string =>
  `auto_detect = false, header = false, delim = ',', quote = '"', escape = '${escapedBy}', nullstr = '', new_line = '\\n',
   allow_quoted_nulls = false, max_line_size = 10000000`;

describe('JSON lines', () => {
  const read = (kinds: readonly ColumnKind[], path: string) =>
    readColumns(kinds, `read_json(${path}, format = 'newline_delimited', columns = ${textColumns(kinds)})`);

  test('hold every type of one value as DuckDB reads it', async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(JSON_SCALARS), async (rows) => {
        const path = folder.write(await fileOf('json', [toTable(JSON_SCALARS, rows)]));
        expect(await read(JSON_SCALARS, path)).toEqual(shown(JSON_SCALARS, rows));
      }),
      RUNS,
    );
  });

  test('hold decimals with all their digits', async () => {
    const kinds = KINDS.filter(({ name }) => name === 'dec');
    await fc.assert(
      fc.asyncProperty(rowsOf(kinds), async (rows) => {
        const lines = shown(kinds, rows).map(([value]) => (value === null ? '{}' : `{"dec":${value}}`));
        expect((await fileOf('json', [toTable(kinds, rows)])).toString()).toBe(`${lines.join('\n')}\n`);
      }),
    );
  });

  test('hold nested values, intervals and nulls, which are left out or written', async () => {
    const kinds = [...NESTED, ...SPANS];
    await fc.assert(
      fc.asyncProperty(rowsOf(kinds), async (rows) => {
        const values = shown(kinds, rows);
        const lines = (file: Buffer) => file.toString().trimEnd().split('\n');
        const parsed = lines(await fileOf('json', [toTable(kinds, rows)])).map((line) => JSON.parse(line));
        const present = values.map((row) =>
          Object.fromEntries(row.map((v, i) => [kinds[i]?.name, v]).filter(([, v]) => v !== null)),
        );
        expect(parsed).toEqual(present);
        const whole = lines(await fileOf('json', [toTable(kinds, rows)], { ignoreNullFields: 'false' }));
        expect(whole.map((line) => kinds.map(({ name }) => withoutNulls(JSON.parse(line)[name])))).toEqual(values);
      }),
      RUNS,
    );
  });

  test('follow the bits of a slice', async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(KINDS, 12), async (rows) => {
        const [whole, part] = await Promise.all([
          fileOf('json', [toTable(KINDS, rows)]),
          fileOf('json', [toTable(KINDS, rows).slice(3, 11)]),
        ]);
        expect(part.toString().split('\n')).toEqual([...whole.toString().split('\n').slice(3, 11), '']);
      }),
      RUNS,
    );
  });

  test('escape as Jackson does, and put what is no number in quotes', async () => {
    const kinds = KINDS.filter(({ name }) =>
      ['words', 'f64', 'none', 'ts_s', 'ts_us', 'ts_ns', 'clock'].includes(name),
    );
    const values: Record<string, unknown> = {
      words: 'a"\\\b\t\n\f\r\u0001\u001f/é\u2028',
      f64: Number.NaN,
      none: null,
      ts_s: 0n,
      ts_us: 1_704_164_645_678_900n,
      ts_ns: -1n,
      clock: 3661,
    };
    const row = kinds.map(({ name }) => values[name]);
    expect((await fileOf('json', [toTable(kinds, [row])])).toString()).toBe(
      '{"f64":"NaN","clock":"01:01:01","ts_s":"1970-01-01T00:00:00.000Z","ts_us":"2024-01-02T03:04:05.678900Z",' +
        '"ts_ns":"1969-12-31T23:59:59.999999999","words":"a\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001F/é\u2028"}\n',
    );
  });

  test('are gzip members and zstd frames that DuckDB reads one behind the other', async () => {
    const kinds = KINDS.filter(({ name }) => ['i64', 'words'].includes(name));
    const rows = Array.from({ length: 30_000 }, (_, i) => [BigInt(i), `row ${i} ${'x'.repeat(90)}`]);
    const parts = [toTable(kinds, rows.slice(0, 29_999)), toTable(kinds, rows.slice(29_999))];
    for (const compression of ['gzip', 'zstd']) {
      const file = await fileOf('json', parts, { compression });
      const path = folder.write(file);
      const from = `read_json(${path}, format = 'newline_delimited', compression = '${compression}')`;
      expect(
        await folder.query(
          `SELECT count(*)::INTEGER AS n, count(DISTINCT words)::INTEGER AS d, sum(i64)::DOUBLE AS s FROM ${from}`,
        ),
      ).toEqual([{ n: 30_000, d: 30_000, s: (29_999 * 30_000) / 2 }]);
    }
    const inflated = gunzipSync(await fileOf('json', parts, { compression: 'gzip' }));
    expect(inflated.equals(await fileOf('json', parts))).toBe(true);
  });

  test('refuse a union, naming column and type', async () => {
    const type = new SparseUnion([0], [new Field('a', new Utf8())]);
    const child = makeData({
      type: new Utf8(),
      length: 1,
      nullCount: 0,
      valueOffsets: Int32Array.of(0, 1),
      data: Buffer.from('x'),
    });
    const data = makeData({ type, length: 1, nullCount: 0, typeIds: Int8Array.of(0), children: [child] } as never);
    const struct = new Struct([new Field('either', type, true)]);
    const batch = new RecordBatch(
      new Schema(struct.children),
      makeData({ type: struct, length: 1, nullCount: 0, children: [data] }),
    );
    for (const format of ['json', 'csv', 'msgpack', 'avro'] as const) {
      await expect(fileOf(format, [batch])).rejects.toMatchObject({
        code: 'TARGET_UNSUITABLE',
        message: expect.stringMatching(/cannot write the column either as \w+: \w+ cannot hold its type .*Union/),
      });
    }
  });
});

describe('CSV', () => {
  for (const escapedBy of ['\\', '"']) {
    test(`holds every type as DuckDB reads it, with the escape ${escapedBy}`, async () => {
      await fc.assert(
        fc.asyncProperty(rowsOf(SCALARS), async (rows) => {
          const path = folder.write(await fileOf('csv', [toTable(SCALARS, rows)], { escape: escapedBy }));
          const from = `read_csv(${path}, ${csvOptions(escapedBy)}, columns = ${textColumns(SCALARS)})`;
          expect(await readColumns(SCALARS, from)).toEqual(shown(SCALARS, rows));
        }),
        RUNS,
      );
    });
  }

  test('holds nested values as JSON text', async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(NESTED), async (rows) => {
        const path = folder.write(await fileOf('csv', [toTable(NESTED, rows)], { escape: '"' }));
        const from = `read_csv(${path}, ${csvOptions('"')}, columns = ${textColumns(NESTED)})`;
        const read = await readColumns(NESTED, from);
        const parsed = read.map((row) => row.map((cell) => (cell === null ? null : JSON.parse(String(cell)))));
        expect(parsed).toEqual(shown(NESTED, rows));
      }),
      RUNS,
    );
  });

  test('writes what each option says', async () => {
    const kinds = KINDS.filter(({ name }) => ['words', 'i32', 'day', 'ts_ms'].includes(name));
    const rows: Rows = [
      [1, 0, 1_704_164_645_678n, 'a;b'],
      [-2, 19_724, null, ''],
      [null, null, null, 'NA'],
      [null, null, null, null],
    ];
    const write = async (options: Record<string, string>) =>
      (await fileOf('csv', [toTable(kinds, rows)], options)).toString();
    expect(await write({})).toBe('1,1970-01-01,2024-01-02T03:04:05.678Z,a;b\n-2,2024-01-02,,""\n,,,NA\n,,,\n');
    expect(await write({ header: 'true', delimiter: ';', nullValue: 'NA', emptyValue: '-' })).toBe(
      'i32;day;ts_ms;words\n1;1970-01-01;2024-01-02T03:04:05.678Z;"a;b"\n-2;2024-01-02;NA;-\nNA;NA;NA;"NA"\nNA;NA;NA;NA\n',
    );
    const patterns = { dateFormat: 'dd/M/yy', timestampFormat: "yyyy-MM-dd 'at' hh:mm a, SSSSSS xxx" };
    expect(await write({ ...patterns, QUOTEALL: 'true', quote: "'", lineSep: '\\r\\n' })).toBe(
      "'1','01/1/70','2024-01-02 at 03:04 AM, 678000 +00:00','a;b'\r\n'-2','02/1/24',,\"\"\r\n,,,'NA'\r\n,,,\r\n",
    );
    expect(await write({ sep: '-' })).toContain('1-"1970-01-01"-"2024-01-02T03:04:05.678Z"-a;b\n"-2"-');
  });

  test('keeps a row whose only column writes nothing: an empty line would be no row', async () => {
    const [words, i32] = ['words', 'i32'].map((wanted) => KINDS.filter(({ name }) => name === wanted));
    const write = async (kinds: typeof KINDS, rows: Rows, options = {}) =>
      (await fileOf('csv', [toTable(kinds, rows)], options)).toString();
    expect(await write(words ?? [], [['a'], [null], ['']])).toBe('a\n""\n""\n');
    expect(await write(words ?? [], [[null], ['']], { nullValue: 'NA', emptyValue: '' })).toBe('NA\n""\n');
    expect(await write(i32 ?? [], [[1], [null], [3]])).toBe('1\n""\n3\n');
  });
});

describe('text', () => {
  test('is the value of each row and a line end', async () => {
    const kinds = KINDS.filter(({ name }) => name === 'words');
    const file = await fileOf('text', [toTable(kinds, [['a'], [null], ['é "x"']])], { lineSep: '|' });
    expect(file.toString()).toBe('a||é "x"|');
  });

  test('refuses other columns, naming them', async () => {
    const kinds = KINDS.filter(({ name }) => ['words', 'i32'].includes(name));
    await expect(fileOf('text', [toTable(kinds, [[1, 'a']])])).rejects.toMatchObject({
      code: 'TARGET_UNSUITABLE',
      message: expect.stringContaining('cannot write the columns i32 Int32, words Utf8 as text'),
    });
  });
});

/** Fields that are null, as they are where they are left out. */
function withoutNulls(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((item) =>
    item !== null && typeof item === 'object'
      ? Object.fromEntries(Object.entries(item).filter(([, v]) => v !== null))
      : item,
  );
}
