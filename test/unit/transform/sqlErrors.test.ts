import { expect, test } from 'vitest';
import { openTransform } from '../../../src/transform/batchTransform.ts';
import { type Message, messageBatch, messageSchema, place } from './messages.ts';

async function refusal(statement: string): Promise<string> {
  const settings = { kind: 'sql', statement, where: '--transform', invalidUtf8: 'fail', order: null } as const;
  const transform = await openTransform(settings, messageSchema, { memoryBytes: 64 * 1024 ** 2 }).catch((error) => {
    expect(error).toMatchObject({ code: 'TRANSFORM_INVALID', exitStatus: 2 });
    return (error as Error).message;
  });
  if (typeof transform === 'string') return transform;
  await transform.close();
  throw new Error(`${statement} was taken`);
}

test.each([
  ['SELECT count(*) FROM messages', 'the aggregate function count'],
  ['SELECT SUM(partition) FROM messages', 'the aggregate function sum'],
  ["SELECT list_sum([1]), string_agg(topic, ',') FROM messages", 'the aggregate function string_agg'],
  ['SELECT row_number() OVER () FROM messages', 'the window function row_number'],
  ['SELECT DISTINCT key FROM messages', 'DISTINCT'],
  ['SELECT DISTINCT ON (key) key FROM messages', 'DISTINCT'],
  ['SELECT key FROM messages GROUP BY key', 'GROUP BY'],
  ['SELECT key FROM messages GROUP BY ALL', 'GROUP BY'],
  ['SELECT key FROM messages HAVING true', 'HAVING'],
  ['SELECT key FROM messages QUALIFY true', 'QUALIFY'],
  ['SELECT key FROM messages ORDER BY key', 'ORDER BY'],
  ['SELECT key FROM messages LIMIT 3', 'LIMIT or OFFSET'],
  ['SELECT key FROM messages LIMIT 10%', 'LIMIT'],
  ['SELECT key FROM messages OFFSET 3', 'LIMIT or OFFSET'],
  ['SELECT key FROM messages USING SAMPLE 10%', 'SAMPLE'],
  ['SELECT key FROM messages TABLESAMPLE 10%', 'SAMPLE'],
  ['SELECT 1 FROM messages, messages AS m', 'a second table or JOIN'],
  ['SELECT 1 FROM messages JOIN messages AS m USING (key)', 'a second table or JOIN'],
  ['SELECT key FROM messages UNION ALL SELECT key FROM messages', 'UNION'],
  ['SELECT key FROM messages EXCEPT SELECT key FROM messages', 'EXCEPT'],
  ['WITH m AS (SELECT 1) SELECT key FROM messages', 'WITH'],
  ['SELECT (SELECT 1) FROM messages', 'a subquery'],
  ['SELECT key FROM messages WHERE EXISTS (SELECT 1)', 'a subquery'],
  ['SELECT key FROM (SELECT * FROM messages)', 'a subquery'],
  ['SELECT 1 FROM orders', 'the table orders'],
  ['SELECT 1 FROM main.messages', 'the table main.messages'],
  ["SELECT 1 FROM '/etc/passwd'", 'the table /etc/passwd'],
  ["SELECT * FROM read_csv('/etc/passwd')", 'the table function read_csv'],
  ['SELECT 1', 'a SELECT without FROM'],
  ['VALUES (1)', 'VALUES'],
  ['SELECT $1 FROM messages', 'a parameter'],
  ['SELECT #1 FROM messages', 'a column by its number'],
  ['SELECT a FROM messages AS m(a)', 'a list of column names behind the table'],
  ['SUMMARIZE messages', 'SUMMARY'],
])('refuses %s by name', async (statement, what) => {
  expect(await refusal(statement)).toContain(`cannot use --transform: ${what} is refused`);
});

test.each([
  ["COPY messages TO '/tmp/x'", 'COPY is refused'],
  ["ATTACH '/tmp/x'", 'ATTACH is refused'],
  ['PRAGMA version', 'PRAGMA is refused'],
  ['INSTALL httpfs', 'INSTALL is refused'],
  ['INSERT INTO messages VALUES (1)', 'INSERT is refused'],
  ['SELECT key FROM messages; SELECT 1', 'it holds 2 statements; give one SELECT'],
  ['', 'it holds 0 statements; give one SELECT'],
  ['SELECT geomean(partition) FROM messages', 'it needs more than one row at a time (UNGROUPED_AGGREGATE in its plan)'],
  ['SELECT key, KEY FROM messages', 'it gives the column key twice'],
  ['SELECT key, upper(topic) AS Key FROM messages', 'it gives the column Key twice'],
  ['SELECT messages FROM messages', 'there is no column messages'],
])('refuses %s and says why', async (statement, why) => {
  expect(await refusal(statement)).toContain(why);
});

test('gives the words of DuckDB for a syntax error, and its place', async () => {
  expect(await refusal('SELECT key,, value FROM messages')).toBe(
    'cannot use --transform: syntax error at or near "," (character 12: SELECT key,^, value FROM messages)',
  );
  expect(await refusal('SELECT offset, key FROM messages')).toContain('write the column as "offset"');
});

test('lists the columns that are there for one that is not', async () => {
  expect(await refusal('SELECT key, valeu FROM messages')).toBe(
    'cannot use --transform: there is no column valeu (character 13); there are key, value, topic, partition, offset, ' +
      'timestamp, timestampType, headers; did you mean value?',
  );
});

test('gives the words of DuckDB for functions and types that are not there', async () => {
  expect(await refusal('SELECT uper(topic) FROM messages')).toContain(
    'Scalar Function with name uper does not exist!; Did you mean "upper"?',
  );
  expect(await refusal('SELECT upper(value) FROM messages')).toContain('cast them to VARCHAR for text');
  expect(await refusal('SELECT topic::nothing FROM messages')).toContain('Type with name nothing does not exist!');
});

test.each(["getenv('HOME')", "read_text('/etc/passwd')", "query('SELECT 1')"])('has no %s', async (call) => {
  expect(await refusal(`SELECT ${call} FROM messages`)).toMatch(/does not exist|is a table function/);
});

async function failure(statement: string, messages: readonly Message[]): Promise<unknown> {
  const settings = { kind: 'sql', statement, where: '--transform', invalidUtf8: 'fail', order: null } as const;
  const transform = await openTransform(settings, messageSchema, { memoryBytes: 64 * 1024 ** 2 });
  try {
    return await transform.apply(messageBatch(messages), place).catch((error: unknown) => error);
  } finally {
    await transform.close();
  }
}

test('names the row, the expression and the value that failed', async () => {
  const messages = Array.from({ length: 5000 }, (_, i) => ({ value: JSON.stringify({ a: i === 4321 ? 'x' : i }) }));
  expect(await failure(`SELECT topic, cast(value->>'a' AS INT) AS a FROM messages`, messages)).toMatchObject({
    code: 'TRANSFORM_FAILED',
    message:
      `cannot apply --transform to orders/3 at offset 4421: CAST(("value" ->> 'a') AS INTEGER) fails: ` +
      `Could not convert string 'x' to INT32; value is "{\\"a\\":\\"x\\"}"`,
  });
});

test('shortens the value, and tells WHERE from the list', async () => {
  const bad = { value: `{"a": ${'x'.repeat(500)}` };
  const error = (await failure(`SELECT key FROM messages WHERE value->>'a' = 'b'`, [{ value: '{}' }, bad])) as Error;
  expect(error.message).toContain(`orders/3 at offset 101: (("value" ->> 'a') = 'b') fails: Malformed JSON`);
  expect(error.message.length).toBeLessThan(400);
});

test('goes on with the next batch after a failure', async () => {
  const settings = {
    kind: 'sql',
    statement: 'SELECT key::INT AS k FROM messages',
    where: 'w',
    invalidUtf8: 'fail',
    order: null,
  } as const;
  const transform = await openTransform(settings, messageSchema, { memoryBytes: 64 * 1024 ** 2 });
  await expect(transform.apply(messageBatch([{ key: '1' }, { key: 'b' }]), place)).rejects.toThrow('at offset 101');
  expect((await transform.apply(messageBatch([{ key: '1' }]), place)).numRows).toBe(1);
  await transform.close();
});
