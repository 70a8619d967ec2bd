import { describe, expect, it, test } from 'vitest';
import { resolveColumns } from '../../../src/config/columns.ts';
import { isExpression } from '../../../src/config/parseFields.ts';
import type { NamedEntry } from '../../../src/config/topicEntry.ts';
import { openTransform } from '../../../src/transform/batchTransform.ts';
import { arrowSchema } from '../../../src/transform/schema.ts';

function request(fields: readonly string[] | undefined, transform?: string) {
  const named = { name: 'orders', where: 'kafka.topics.orders', entry: { fields } } as unknown as NamedEntry;
  return {
    named,
    transform,
    forTopic: false,
    includeHeaders: false,
    invalidUtf8: 'fail',
    cwd: '/',
    deserializers: {},
  } as const;
}

test.each([
  ...[
    "value->>'a' as a",
    'upper(topic)',
    'partition + 1 as p',
    "'x' as x",
    'headers[1].value',
    'CASE WHEN key IS NULL THEN 1 END',
  ],
  ...[
    'cast(value as DOUBLE)',
    'cast(value as INT) as n',
    "cast(value->>'a' as INT) as a",
    'date(timestamp) as day',
    '1 as one',
  ],
  ...['cast(key as STRING) || topic as k', 'value::JSON', '`value`::text as v'],
])('takes %s for SQL', (entry) => {
  expect(isExpression(entry)).toBe(true);
});

test.each([
  ...['key', 'value as STRING', '`value` as `a b`', 'cast(value as STRING) as v', 'valeu as STRING', 'value as INT'],
  ...['cast(value as STRING', 'cast(value, STRING)', 'cast(offset as FLOT)', 'value as `x', ' ', 'value as 1st'],
])('takes %s for a plain column', (entry) => {
  expect(isExpression(entry)).toBe(false);
});

describe('columns of messages', () => {
  it('reads only what a statement names', async () => {
    const { fields, transform, notes } = await resolveColumns(
      request(['key'], `SELECT value->>'a' AS a FROM messages WHERE "offset" > 3`),
    );
    expect(fields.map(({ name, type }) => `${name} ${type}`)).toEqual(['value BINARY', 'offset LONG']);
    expect(transform).toMatchObject({ kind: 'sql', where: '--transform', order: null });
    expect(notes).toHaveLength(1);
    expect((await resolveColumns(request(undefined, 'SELECT 1 AS a FROM messages'))).fields).toHaveLength(1);
    expect((await resolveColumns(request(undefined, 'SELECT * FROM messages'))).fields).toHaveLength(8);
  });

  it('puts plain fields and expressions in the order of the list', async () => {
    const { fields, transform } = await resolveColumns(
      request(['value as STRING', "value->>'a' as a", 'timestamp as LONG', 'date(timestamp) as day']),
    );
    expect(fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      ...['value STRING', 'timestamp LONG'],
      ...['value BINARY', 'timestamp TIMESTAMP'],
    ]);
    if (transform === null) throw new Error('there is no transform');
    const opened = await openTransform(transform, arrowSchema(fields), { memoryBytes: 0 });
    expect(opened.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      ...['value Utf8', 'a Utf8', 'timestamp Int64', 'day Date32<DAY>'],
    ]);
    await opened.close();
  });

  it.each([
    [['key', 'upper(topic'], 'cannot use orders.fields[1]: syntax error'],
    [['nope(topic) as a'], 'cannot use orders.fields: Scalar Function with name nope does not exist!'],
    [['topic || valeu as a'], 'there is no column valeu'],
    [['key', 'upper(topic) as Key'], 'it gives the column Key twice'],
    [['count(*) as n'], 'cannot use orders.fields[0]: the aggregate function count is refused'],
    [["upper(topic), 'a'"], `"upper(topic), 'a'" is not one expression`],
    [["upper(topic) FROM messages WHERE key = 'a' --"], 'cannot use orders.fields[0]: syntax error'],
  ])('refuses %j', async (entries, message) => {
    await expect(resolveColumns(request(entries))).rejects.toMatchObject({
      code: 'TRANSFORM_INVALID',
      message: expect.stringContaining(message),
    });
  });
});
