import {
  Binary,
  Field,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimestampMillisecond,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';
import { expect, it } from 'vitest';
import { formatTable, TableCollector } from '../../../src/sinks/console.ts';

function batchOf(columns: Record<string, Vector>): RecordBatch {
  const entries = Object.entries(columns);
  const fields = entries.map(([name, { type }]) => new Field(name, type, true));
  const children = entries.map(([, vector]) => vector.data[0] as never);
  const length = entries[0]?.[1].length ?? 0;
  return new RecordBatch(new Schema(fields), makeData({ type: new Struct(fields), length, nullCount: 0, children }));
}

const batch = batchOf({
  key: vectorFromArray([Buffer.from('é'), Buffer.from([0xff, 0]), null], new Binary()),
  value: vectorFromArray(['a\tb\u001b[31m', '', '0123456789'], new Utf8()),
  offset: vectorFromArray([1n, 9_007_199_254_740_993n, null], new Int64()),
  at: vectorFromArray([new Date(0), null, new Date(1_700_000_000_123)], new TimestampMillisecond('UTC')),
});

it('shows the first rows: text, bytes, exact numbers, times, nulls', async () => {
  const collector = new TableCollector(3);
  collector.add(batch);
  expect(collector.missing).toBe(0);
  expect(await formatTable(collector.table, 8)).toMatchInlineSnapshot(`
    "┌────────┬────────────────┬──────────┬──────────┐
    │ key    │ value          │ offset   │ at       │
    ├────────┼────────────────┼──────────┼──────────┤
    │ é      │ a\\tb\\u001b[31m │ 1        │ 1970-... │
    │ 0xff00 │                │ 90071... │ NULL     │
    │ NULL   │ 01234...       │ NULL     │ 2023-... │
    └────────┴────────────────┴──────────┴──────────┘"
  `);
  collector.add(batch);
  expect(collector.table.rows).toHaveLength(3);
  expect(await formatTable(collector.table, null)).toContain('9007199254740993');
});

it('has columns and no rows for nothing', async () => {
  const collector = new TableCollector(20);
  collector.add(batchOf({ value: vectorFromArray([], new Utf8()) }));
  expect(collector.table).toEqual({ columns: ['value'], rows: [] });
});
