import { Field, Int64, makeData, RecordBatch, Schema, Struct, Utf8, vectorFromArray } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import {
  collectRows,
  describeColumns,
  formatSample,
  formatSampleJson,
  type SampleReport,
} from '../../../src/coordinator/sampleReport.ts';

const fields = [new Field('id', new Int64(), false), new Field('a\u001b[31m', new Utf8(), true)];
const batch = new RecordBatch(
  new Schema(fields),
  makeData({
    type: new Struct(fields),
    length: 2,
    nullCount: 0,
    children: [
      vectorFromArray([1n, 9_007_199_254_740_993n], new Int64()),
      vectorFromArray(['é', null], new Utf8()),
    ].map(({ data }) => data[0] as never),
  }),
);

async function reportOf(report: 'text' | 'json', batches: readonly RecordBatch[]): Promise<SampleReport> {
  const rows = await collectRows(
    (async function* () {
      yield* batches;
    })(),
    { report, truncate: 20 },
  );
  const messages = 2 * batches.length;
  return { config: 'orders', topics: ['o'], messages, partitions: 1, schema: describeColumns(batch.schema), ...rows };
}

describe('the report of a sample', () => {
  it('is a table with its columns, and nothing that a terminal obeys', async () => {
    expect(formatSample(await reportOf('text', [batch, batch]))).toMatchInlineSnapshot(`
      "┌──────────────────┬─────────────┐
      │ id               │ a\\u001b[31m │
      ├──────────────────┼─────────────┤
      │ 1                │ é           │
      │ 9007199254740993 │ NULL        │
      │ 1                │ é           │
      │ 9007199254740993 │ NULL        │
      └──────────────────┴─────────────┘
      orders: 4 rows of the last 4 messages in 1 partition of topic o; offsets were not saved
      columns
        id           BIGINT NOT NULL
        a\\u001b[31m  VARCHAR"
    `);
  });

  it('is columns alone where there is no row', async () => {
    expect(formatSample(await reportOf('text', []))).toMatchInlineSnapshot(`
      "orders: no messages in topic o; offsets were not saved
      columns
        id           BIGINT NOT NULL
        a\\u001b[31m  VARCHAR"
    `);
  });

  it('is one document of JSON, 64-bit numbers as they are', async () => {
    const text = formatSampleJson(await reportOf('json', [batch]));
    expect(text).toContain('{"id":9007199254740993,"a\\u001b[31m":null}');
    expect(JSON.parse(text)).toEqual({
      config: 'orders',
      topics: ['o'],
      messages: 2,
      partitions: 1,
      schema: [
        { name: 'id', type: 'BIGINT', nullable: false },
        { name: 'a\u001b[31m', type: 'VARCHAR', nullable: true },
      ],
      rows: [
        { id: 1, 'a\u001b[31m': 'é' },
        // As JSON.parse reads it.
        { id: Number(9_007_199_254_740_993n), 'a\u001b[31m': null },
      ],
    });
    expect(JSON.parse(formatSampleJson(await reportOf('json', [])))).toMatchObject({ messages: 0, rows: [] });
  });
});
