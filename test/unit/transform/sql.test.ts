import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { type BatchTransform, openTransform, type SqlSettings } from '../../../src/transform/batchTransform.ts';
import { type Message, messageBatch, messageSchema, place, rowsOf } from './messages.ts';

const MEMORY = 64 * 1024 ** 2;
const opened: BatchTransform[] = [];

afterEach(async () => {
  for (const transform of opened.splice(0)) await transform.close();
});

async function open(statement: string, invalidUtf8: SqlSettings['invalidUtf8'] = 'fail'): Promise<BatchTransform> {
  const settings = { kind: 'sql', statement, where: '--transform', invalidUtf8, order: null } as const;
  const transform = await openTransform(settings, messageSchema, { memoryBytes: MEMORY });
  opened.push(transform);
  return transform;
}

async function run(
  statement: string,
  messages: readonly Message[],
  invalidUtf8?: SqlSettings['invalidUtf8'],
): Promise<unknown[][]> {
  const transform = await open(statement, invalidUtf8);
  return rowsOf(await transform.apply(messageBatch(messages), place));
}

const FF = Uint8Array.of(0x22, 0xff, 0x22);
const json = (value: unknown): { value: string } => ({ value: JSON.stringify(value) });

test('gives the columns of the SELECT list, in its order and by its names', async () => {
  const transform = await open(
    `SELECT "offset" AS at, value->>'a' AS a, partition + 1, upper(topic) AS topic FROM messages`,
  );
  expect(transform.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
    'at Int64',
    'a Utf8',
    '("partition" + 1) Int32',
    'topic Utf8',
  ]);
  const rows = rowsOf(await transform.apply(messageBatch([json({ a: 'é"' }), json({})]), place));
  expect(rows).toEqual([
    [100n, 'é"', 4, 'ORDERS'],
    [101n, null, 4, 'ORDERS'],
  ]);
});

test('names what it rewrote as DuckDB names it', async () => {
  const { schema } = await open(`SELECT value->>'a', value::VARCHAR, TRY_CAST(key AS INT), value->'$.b' FROM messages`);
  expect(schema.fields.map(({ name }) => name)).toEqual([
    `("value" ->> 'a')`,
    'CAST("value" AS VARCHAR)',
    'TRY_CAST("key" AS INTEGER)',
    `("value" -> '$.b')`,
  ]);
});

test.each(['fail', 'replace', 'null'] as const)(
  'casts bytes that are text to that text under %s',
  async (invalidUtf8) => {
    const sql = `SELECT value::VARCHAR, try_cast(value AS text), cast(key AS INT), value->>'a', value FROM messages`;
    const value = '{"a":"né\\"q\\u0000"}';
    const rows = await run(
      sql,
      [
        { key: '7', value },
        { key: null, value: null },
      ],
      invalidUtf8,
    );
    expect(rows).toEqual([
      [value, value, 7, 'né"q\0', Buffer.from(value)],
      [null, null, null, null, null],
    ]);
  },
);

test('names topic, partition and offset of bytes that are not UTF-8', async () => {
  const messages = [{ value: '"a"' }, { value: '"b"' }, { value: FF }, { value: FF }];
  await expect(run('SELECT value::VARCHAR AS v FROM messages', messages)).rejects.toMatchObject({
    code: 'INVALID_UTF8',
    message:
      'cannot apply --transform to orders/3 at offset 102: CAST("value" AS VARCHAR) needs text, and the bytes of value are ' +
      'not UTF-8; set invalidUtf8 to replace or null, or use TRY_CAST, which gives NULL',
  });
  await expect(run(`SELECT value->>'a' FROM messages`, messages)).rejects.toMatchObject({ code: 'INVALID_UTF8' });
});

test('gives NULL for such bytes by TRY_CAST, and what invalidUtf8 says by CAST', async () => {
  const messages = [{ value: '"é"' }, { value: FF }];
  expect(await run('SELECT TRY_CAST(value AS VARCHAR) FROM messages', messages)).toEqual([['"é"'], [null]]);
  const both = 'SELECT CAST(value AS VARCHAR), TRY_CAST(value AS VARCHAR), value FROM messages';
  expect(await run(both, messages, 'null')).toEqual([
    ['"é"', '"é"', Buffer.from('"é"')],
    [null, null, Buffer.from(FF)],
  ]);
  expect(await run(both, messages, 'replace')).toEqual([
    ['"é"', '"é"', Buffer.from('"é"')],
    ['"\uFFFD"', null, Buffer.from(FF)],
  ]);
  expect(await run(`SELECT json_extract_string(value, '$') FROM messages`, messages, 'replace')).toEqual([
    ['é'],
    ['\uFFFD'],
  ]);
});

test.each([
  ['SELECT value::VARCHAR AS v FROM messages', 2],
  [`SELECT key::VARCHAR AS k, json_valid(value) AS a FROM messages`, 3],
  ['SELECT unnest([value::VARCHAR, value::VARCHAR]) AS v, topic AS t FROM messages', 2],
  ['SELECT value::VARCHAR AS v FROM messages WHERE "offset" > 101', 1],
  ['SELECT value::VARCHAR AS v, length(v) AS l FROM messages WHERE l > 1', 1],
  ['SELECT TRY_CAST(value AS VARCHAR) AS v, value FROM messages', 0],
  ['SELECT * FROM messages', 0],
] as const)(
  'counts values that are no UTF-8, where text is asked of a row that is kept: %s',
  async (statement, count) => {
    const messages = [{ value: 'a' }, { value: Uint8Array.of(0xff) }, { key: FF, value: FF }, {}];
    for (const policy of ['replace', 'null'] as const) {
      const transform = await open(statement, policy);
      let told = 0;
      await transform.apply(messageBatch(messages), place, (values) => {
        told += values;
      });
      // A null has no length.
      expect(told).toBe(policy === 'null' && statement.endsWith('l > 1') ? 0 : count);
    }
  },
);

test('does not mind bytes in rows that WHERE leaves out', async () => {
  const sql = 'SELECT value::VARCHAR FROM messages WHERE try_cast(value AS VARCHAR) IS NOT NULL';
  expect(await run(sql, [{ value: FF }, { value: 'a' }])).toEqual([['a']]);
});

test('shows a star the columns of messages and no others', async () => {
  const rows = await run(`SELECT * EXCLUDE (headers, timestampType), value->>'a' AS a FROM messages`, [json({ a: 1 })]);
  const timestamp = Date.UTC(2026, 10, 22, 12, 30);
  expect(rows).toEqual([[null, Buffer.from('{"a":1}'), 'orders', 3, 100n, timestamp, '1']]);
});

test('reads headers, dates and lists', async () => {
  const messages: Message[] = [
    {
      headers: [
        ['id', 'é'],
        ['id', null],
        ['', FF],
      ],
      timestampMs: Date.UTC(1999, 11, 31, 23, 59, 59, 999),
    },
    { timestampMs: -1 },
  ];
  const sql = `SELECT headers, decode(headers[1].value), list_transform(headers, h -> h.key), date(timestamp)::VARCHAR,
    epoch_ms(timestamp) FROM messages m`;
  expect(await run(sql, messages)).toEqual([
    [
      [
        { key: 'id', value: Buffer.from('é') },
        { key: 'id', value: null },
        { key: '', value: Buffer.from(FF) },
      ],
      'é',
      ['id', 'id', ''],
      '1999-12-31',
      BigInt(Date.UTC(1999, 11, 31, 23, 59, 59, 999)),
    ],
    [[], null, [], '1969-12-31', -1n],
  ]);
});

test('leaves rows out, and gives a batch without rows', async () => {
  const transform = await open('SELECT "offset" FROM messages WHERE "offset" % 2 = 0');
  expect(rowsOf(await transform.apply(messageBatch([{}, {}, {}]), place))).toEqual([[100n], [102n]]);
  const none = await open('SELECT value FROM messages WHERE partition = 4');
  expect((await none.apply(messageBatch([{}, {}]), place)).numRows).toBe(0);
  expect((await none.apply(messageBatch([]), place)).numRows).toBe(0);
});

test('keeps the order of many rows of any size, batch after batch', async () => {
  const transform = await open('SELECT "offset" AS o, value, value::VARCHAR AS v, key FROM messages');
  for (const size of [5000, 3, 2048]) {
    const messages = Array.from({ length: size }, (_, i) => ({
      key: i % 3 === 0 ? null : `k${i}`,
      value: 'é'.repeat((i * 7919) % (i % 1000 === 0 ? 60_000 : 30)),
    }));
    const rows = rowsOf(await transform.apply(messageBatch(messages), place));
    expect(rows.length).toBe(size);
    const expected = messages.map(({ key, value }, i) => [
      BigInt(100 + i),
      Buffer.from(value),
      value,
      key && Buffer.from(key),
    ]);
    expect(rows.findIndex((row, i) => !isDeepStrictEqual(row, expected[i]))).toBe(-1);
  }
});

test('takes names in any case, quoted, in backticks and with the name of the table', async () => {
  const sql = 'SELECT messages.`offset` AS `a``b`, M.VALUE::text AS t, timestamptype FROM messages AS m';
  await expect(run(sql, [{ value: 'x' }])).rejects.toMatchObject({
    message: expect.stringContaining('messages.offset'),
  });
  const same = 'SELECT m.`offset` AS `a``b`, M.VALUE::text AS t, timestamptype FROM Messages AS m';
  expect(await run(same, [{ value: 'x' }])).toEqual([[100n, 'x', 0]]);
});

test('takes the parameter of a lambda function for that, also where a column has its name', async () => {
  const sql = `SELECT list_transform([1, 2], value -> value + 1) AS a, list_filter(['x'], (key) -> key = 'x') AS b FROM messages`;
  expect(await run(sql, [{}])).toEqual([[[2, 3], ['x']]]);
});

test('keeps numbers of any size and texts of any character as they are written', async () => {
  const sql = `SELECT 9223372036854775807 AS a, (-170141183460469231731687303715884105728)::VARCHAR AS b, 1e300 AS c,
    'it''s \u0001#5 é' AS d, 0.1::DOUBLE AS e, value->>'x' AS f FROM messages`;
  expect(await run(sql, [json({ x: 1 })])).toEqual([
    [9223372036854775807n, '-170141183460469231731687303715884105728', 1e300, "it's \u0001#5 é", 0.1, '1'],
  ]);
});

test('takes many texts out of JSON as one by one', async () => {
  const sql =
    `SELECT value->>'a' AS a, cast(value->>'$.b.c' AS INT) AS c, *, upper(json_extract_string(value, '/d/1')) AS d,
    value->>'a.b' AS ab, value->>'$.d[*]' AS many, value->'b' AS b, value->>0 AS first, value->>'a' AS again
    FROM (messages) WHERE value->>'a' <> 'no'`
      .replace('(messages)', 'messages')
      .replace('*, ', 'partition AS p, ');
  const rows = await run(sql, [
    json({ a: 'é"', b: { c: 7 }, d: ['x', 'y'], 'a.b': 'dot' }),
    json({ a: 'no' }),
    json({ a: 1.5, b: null }),
    { value: null },
    json({ a: { x: [true] } }),
  ]);
  expect(rows).toEqual([
    ['é"', 7, 3, 'Y', 'dot', ['x', 'y'], '{"c":7}', null, 'é"'],
    ['1.5', null, 3, null, null, [], 'null', null, '1.5'],
    ['{"x":[true]}', null, 3, null, null, [], null, null, '{"x":[true]}'],
  ]);
});

test('reads no JSON that a CASE keeps out', async () => {
  const transform = await open(
    `SELECT *, CASE WHEN json_valid(value) THEN value->>'a' END AS a, CASE WHEN json_valid(value) THEN value->>'b' END AS b FROM messages`,
  );
  expect(transform.schema.fields.map(({ name }) => name).slice(-3)).toEqual(['headers', 'a', 'b']);
  const first = rowsOf(await transform.apply(messageBatch([json({ a: 1, b: 2 })]), place));
  expect(first[0]?.slice(-2)).toEqual(['1', '2']);
  const second = rowsOf(await transform.apply(messageBatch([{ value: '{' }, json({ a: 3 })]), place));
  expect(second.map((row) => row.slice(-2))).toEqual([
    [null, null],
    ['3', null],
  ]);
  const third = rowsOf(await transform.apply(messageBatch([json({ b: 4 })]), place));
  expect(third[0]?.slice(-2)).toEqual([null, '4']);
});
