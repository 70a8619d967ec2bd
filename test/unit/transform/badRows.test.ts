import type { RecordBatch } from 'apache-arrow';
import { expect, test } from 'vitest';
import { OffloadError } from '../../../src/errors.ts';
import { type BadRow, type PlacedRows, workOnGoodRows } from '../../../src/transform/badRows.ts';
import { openTransform } from '../../../src/transform/batchTransform.ts';
import { type Message, messageBatch, messageSchema, place, rowsOf } from './messages.ts';

function messages(...values: readonly (string | Buffer)[]): Message[] {
  return values.map((value) => ({ value }) as Message);
}

/** Fails on rows whose value is among these, naming the first, as any work on all rows at once does. */
function failingOn(...bad: readonly string[]) {
  const calls: number[] = [];
  const work = async ({ batch, place: at }: PlacedRows): Promise<string[]> => {
    calls.push(batch.numRows);
    const values = valuesOf(batch);
    const row = values.findIndex((value) => bad.includes(value));
    if (row !== -1) throw new OffloadError('ROW_INVALID', `${at.rowName(row)}: ${values[row]}`);
    return values;
  };
  return { work, calls };
}

function valuesOf(batch: RecordBatch): string[] {
  return [...(batch.getChild('value') ?? [])].map((bytes) => Buffer.from(bytes as Uint8Array).toString());
}

const reasons = (bad: readonly BadRow[]) => bad.map(({ row, error }) => [row, error.message]);

test('work that fails on no row is done once', async () => {
  const { work, calls } = failingOn();
  const rows = { batch: messageBatch(messages('a', 'b', 'c')), place };
  const { made, bad } = await workOnGoodRows(rows, { make: work, check: work });
  expect({ made, bad, calls }).toEqual({ made: ['a', 'b', 'c'], bad: [], calls: [3] });
});

test('every bad row is found and named by its own place, wherever it stands', async () => {
  const values = Array.from({ length: 40 }, (_, row) => `v${row}`);
  for (const wrong of [[0], [39], [0, 1, 2], [7, 23, 24, 39], values.map((_, row) => row)]) {
    const { work } = failingOn(...wrong.map((row) => `v${row}`));
    const { made, bad } = await workOnGoodRows(
      { batch: messageBatch(messages(...values)), place },
      { make: work, check: work },
    );
    expect(made).toEqual(wrong.length === 40 ? null : values.filter((_, row) => !wrong.includes(row)));
    expect(reasons(bad)).toEqual(wrong.map((row) => [row, `${place.rowName(row)}: v${row}`]));
  }
});

test('rows that fail only when others are gone keep their numbers', async () => {
  const first = failingOn('b', 'd');
  const second = failingOn('e', 'a');
  const work = async (rows: PlacedRows): Promise<string[]> => {
    await first.work(rows);
    return second.work(rows);
  };
  // Half of them are told, the others have to be looked for.
  const find = async ({ batch }: PlacedRows): Promise<BadRow[]> => {
    const row = valuesOf(batch).indexOf('b');
    return row === -1 ? [] : [{ row, error: new OffloadError('ROW_INVALID', 'told') }];
  };
  const rows = { batch: messageBatch(messages('a', 'b', 'c', 'd', 'e')), place };
  const { made, bad } = await workOnGoodRows(rows, { make: work, check: work, find });
  expect(made).toEqual(['c']);
  expect(bad.map(({ row }) => row)).toEqual([0, 1, 3, 4]);
  expect(bad[1]?.error.message).toBe('told');
});

test('what no row is the cause of is thrown', async () => {
  const rows = { batch: messageBatch(messages('a', 'b')), place };
  const broken = async (): Promise<never> => {
    throw new OffloadError('BROKER_TIMEOUT', 'no answer');
  };
  await expect(workOnGoodRows(rows, { make: broken, check: broken })).rejects.toThrow('no answer');
  // All together fail, none alone.
  const onlyTogether = async ({ batch }: PlacedRows): Promise<number> => {
    if (batch.numRows === 2) throw new OffloadError('TRANSFORM_FAILED', 'too many');
    return batch.numRows;
  };
  await expect(workOnGoodRows(rows, { make: onlyTogether, check: onlyTogether })).rejects.toThrow('too many');
});

async function sqlOn(statement: string, batch: RecordBatch) {
  const settings = { kind: 'sql', statement, where: '--transform', invalidUtf8: 'fail', order: null } as const;
  const transform = await openTransform(settings, messageSchema, { memoryBytes: 64 * 1024 ** 2 });
  try {
    const told = { calls: 0 };
    const apply = async ({ batch: rows, place: at }: PlacedRows) => {
      return rowsOf(await transform.apply(rows, at));
    };
    const find = async ({ batch: rows, place: at }: PlacedRows) => {
      told.calls += 1;
      return (await transform.findBadRows?.(rows, at)) ?? null;
    };
    const found = await workOnGoodRows({ batch, place }, { make: apply, check: apply, find });
    return { ...found, told: told.calls };
  } finally {
    await transform.close();
  }
}

test.each([
  // One query tells all of them.
  ['SELECT CAST(CAST(value AS VARCHAR) AS INT) AS n FROM messages', [1, 4, 5]],
  ["SELECT value FROM messages WHERE CAST(CAST(value AS VARCHAR) AS INT) <> 2 OR value = '2'::BLOB", [1, 4, 5]],
  // WHERE keeps a row out that would fail in the list.
  ["SELECT CAST(CAST(value AS VARCHAR) AS INT) AS n FROM messages WHERE value <> 'x'::BLOB", [4, 5]],
  // A name of the list is used in it: each row has to be tried.
  ['SELECT CAST(value AS VARCHAR) AS t, CAST(t AS INT) + 1 AS n FROM messages', [1, 4, 5]],
])('%s: rows that it fails on', async (statement, wrong) => {
  const batch = messageBatch(messages('1', 'x', '2', '3', Buffer.from([0x31, 0xff]), 'y', '4'));
  const { made, bad } = await sqlOn(statement, batch);
  expect(bad.map(({ row }) => row)).toEqual(wrong);
  const text = [0, 1, 2, 3, 4, 5, 6].filter(
    (row) => !wrong.includes(row) && !(statement.includes("<> 'x'") && row === 1),
  );
  expect(made).toHaveLength(text.length);
  for (const { row, error } of bad) {
    expect(error.message).toContain(place.rowName(row));
    expect(error.code).toBe(row === 4 ? 'INVALID_UTF8' : 'TRANSFORM_FAILED');
  }
});

test('of 20,000 rows with 1,000 bad ones SQL tells all at once', async () => {
  const values = Array.from({ length: 20_000 }, (_, row) => (row % 20 === 7 ? `x${row}` : String(row)));
  const { made, bad, told } = await sqlOn(
    'SELECT CAST(CAST(value AS VARCHAR) AS INT) AS n FROM messages',
    messageBatch(messages(...values)),
  );
  expect(told).toBe(1);
  expect(bad).toHaveLength(1_000);
  expect(bad[999]?.error.message).toContain(place.rowName(19_987));
  expect(made).toHaveLength(19_000);
});
