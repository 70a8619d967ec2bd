import { RecordBatch, RecordBatchReader, Table, tableFromIPC, tableToIPC } from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CastType, Field, SourceColumn } from '../../../src/config/fields.ts';
import { MessageColumns } from '../../../src/decode/columns.ts';
import { RecordSet } from '../../../src/decode/recordSet.ts';
import { OffloadError } from '../../../src/errors.ts';
import { allowedCasts } from '../../../src/transform/casts.ts';
import { arrowSchema } from '../../../src/transform/schema.ts';
import { type TransformContext, toArrowBatch } from '../../../src/transform/toArrow.ts';
import { toRows } from '../../../src/transform/toRows.ts';
import { type BatchInput, type RecordInput, writeBatch } from '../decode/batchWriter.ts';
import { ALL_COLUMNS, OPTIONS } from '../decode/rows.ts';

const CONTEXT: TransformContext = { topic: 'orders', partition: 3, invalidUtf8: 'fail' };
const text = (value: string) => Buffer.from(value);
const field = (column: SourceColumn, type: CastType): Field => ({ name: `${column}_${type}`, column, type });

async function columnsOf(records: readonly RecordInput[], batch: BatchInput = {}): Promise<MessageColumns> {
  const columns = new MessageColumns(ALL_COLUMNS);
  await new RecordSet(await writeBatch(records, batch), [], { ...OPTIONS, endOffset: 2 ** 50 }).next(columns);
  return columns;
}

/** The values of one field, after a way through Arrow's IPC format, which another reader would see. */
function valuesOf(columns: MessageColumns, one: Field, context = CONTEXT): unknown[] {
  const table = tableFromIPC(tableToIPC(new Table([toArrowBatch(columns, [one], context)])));
  return Array.from(table.getChildAt(0) ?? []);
}

const at = (timestamp: bigint): RecordInput => ({ key: null, value: null, timestamp });

describe('key and value', () => {
  const records: RecordInput[] = [
    { key: text('a'), value: text('ü€😀') },
    { key: null, value: text('') },
    { key: text(''), value: null },
  ];

  it('as STRING tell null from empty', async () => {
    const columns = await columnsOf(records);
    expect(valuesOf(columns, field('key', 'STRING'))).toEqual(['a', null, '']);
    expect(valuesOf(columns, field('value', 'STRING'))).toEqual(['ü€😀', '', null]);
  });

  it('as BINARY keep every byte', async () => {
    const value = Buffer.from([0, 255, 128, 10]);
    const columns = await columnsOf([
      { key: null, value },
      { key: null, value: null },
    ]);
    expect(valuesOf(columns, field('value', 'BINARY'))).toEqual([new Uint8Array(value), null]);
  });

  it('are not copied', async () => {
    const columns = await columnsOf(records);
    const batch = toArrowBatch(columns, [field('value', 'STRING'), field('offset', 'LONG')], CONTEXT);
    expect(batch.data.children[0]?.values.buffer).toBe(columns.value?.data.buffer);
    expect(batch.data.children[1]?.values.buffer).toBe(columns.offsetWords.buffer);
  });
});

describe('topic, partition, offset and timestampType', () => {
  it('take each of their types', async () => {
    const columns = await columnsOf([at(1n), { ...at(2n), offsetDelta: 5 }], { baseOffset: 41, logAppendTime: true });
    expect(valuesOf(columns, field('topic', 'STRING'))).toEqual(['orders', 'orders']);
    expect(valuesOf(columns, field('partition', 'INT'))).toEqual([3, 3]);
    expect(valuesOf(columns, field('partition', 'LONG'))).toEqual([3n, 3n]);
    expect(valuesOf(columns, field('partition', 'STRING'))).toEqual(['3', '3']);
    expect(valuesOf(columns, field('offset', 'LONG'))).toEqual([41n, 46n]);
    expect(valuesOf(columns, field('offset', 'INT'))).toEqual([41, 46]);
    expect(valuesOf(columns, field('offset', 'STRING'))).toEqual(['41', '46']);
    expect(valuesOf(columns, field('timestampType', 'INT'))).toEqual([1, 1]);
  });

  it('refuse an offset that is no INT, naming it', async () => {
    const columns = await columnsOf([at(1n), at(1n)], { baseOffset: 2 ** 31 - 1 });
    expect(() => toArrowBatch(columns, [field('offset', 'INT')], CONTEXT)).toThrow(
      'cannot cast the offset 2147483648 of orders/3 at offset 2147483648 to INT: it is out of range; ask for `offset as LONG`',
    );
  });
});

describe('timestamp', () => {
  it('as TIMESTAMP is milliseconds in UTC, and -1 where the message has none', async () => {
    const columns = await columnsOf([at(1_700_000_000_123n), at(-1n)]);
    const batch = toArrowBatch(columns, [field('timestamp', 'TIMESTAMP')], CONTEXT);
    expect(String(batch.schema.fields[0]?.type)).toBe('Timestamp<MILLISECOND, UTC>');
    expect(Array.from(batch.data.children[0]?.values ?? [])).toEqual(expect.arrayContaining([1_700_000_000_123n, -1n]));
  });

  it('as LONG is whole seconds, rounded down', async () => {
    const columns = await columnsOf(
      [1_700_000_000_999n, 0n, -1n, -1000n, -1001n, 1_700_000_000_123_456_789n, -(2n ** 63n)].map(at),
    );
    expect(valuesOf(columns, field('timestamp', 'LONG'))).toEqual([
      1_700_000_000n,
      0n,
      -1n,
      -1n,
      -2n,
      1_700_000_000_123_456n,
      -9_223_372_036_854_776n,
    ]);
  });

  it('as DATE is the day in UTC', async () => {
    const columns = await columnsOf([1_700_000_000_000n, 86_399_999n, -1n].map(at));
    const batch = toArrowBatch(columns, [field('timestamp', 'DATE')], CONTEXT);
    expect(Array.from(batch.data.children[0]?.values ?? [])).toEqual([19675, 0, -1]);
  });

  it('as STRING is the text that Spark gives for it in UTC', async () => {
    const columns = await columnsOf([1_700_000_000_123n, 1_700_000_000_120n, 1_700_000_000_000n, -1n].map(at));
    expect(valuesOf(columns, field('timestamp', 'STRING'))).toEqual([
      '2023-11-14 22:13:20.123',
      '2023-11-14 22:13:20.12',
      '2023-11-14 22:13:20',
      '1969-12-31 23:59:59.999',
    ]);
  });

  it.each<CastType>(['DATE', 'STRING'])('refuses a time that is no %s, naming it', async (type) => {
    const columns = await columnsOf([at(1n), at(1_700_000_000_123_456_768n)], { baseOffset: 8 });
    expect(() => toArrowBatch(columns, [field('timestamp', type)], CONTEXT)).toThrow(
      `cannot cast the timestamp 1700000000123456800 of orders/3 at offset 9 to ${type}: it is out of range; ask for \`timestamp as LONG\``,
    );
  });
});

describe('headers', () => {
  const records: RecordInput[] = [
    {
      key: null,
      value: null,
      headers: [
        ['a', text('1')],
        ['a', null],
        ['', text('')],
      ],
    },
    { key: null, value: null },
    { key: null, value: null, headers: [['b', Buffer.from([0, 255])]] },
  ];

  it('are a list of key and value, in order, with nulls and repeats', async () => {
    const columns = await columnsOf(records);
    const lists = valuesOf(columns, field('headers', 'HEADERS')) as Iterable<{ toJSON(): unknown }>[];
    expect(lists.map((list) => Array.from(list, (header) => header.toJSON()))).toEqual([
      [
        { key: 'a', value: new Uint8Array([49]) },
        { key: 'a', value: null },
        { key: '', value: new Uint8Array() },
      ],
      [],
      [{ key: 'b', value: new Uint8Array([0, 255]) }],
    ]);
  });

  it('with a key that is not UTF-8 name the message it belongs to', async () => {
    const bad: RecordInput = {
      key: null,
      value: null,
      headers: [
        ['fine', null],
        [Buffer.from([0xff]), null],
      ],
    };
    const columns = await columnsOf([...records, bad, ...records], { baseOffset: 70 });
    expect(() => toArrowBatch(columns, [field('headers', 'HEADERS')], CONTEXT)).toThrow(
      'cannot read a header key of orders/3 at offset 73 as STRING',
    );
    for (const invalidUtf8 of ['replace', 'null'] as const) {
      const lists = valuesOf(columns, field('headers', 'HEADERS'), { ...CONTEXT, invalidUtf8 });
      expect(Array.from(lists[3] as Iterable<{ key: string }>, (header) => header.key)).toEqual(['fine', '\ufffd']);
    }
  });
});

describe('bytes that are not UTF-8', () => {
  const bad = Buffer.from([0x61, 0xff, 0x62, 0xe2, 0x82]);
  const records = [text('good'), null, bad, text('good too'), bad].map((value) => ({ key: null, value }));

  it('fail with topic, partition, offset and the way out', async () => {
    const columns = await columnsOf(records, { baseOffset: 10 });
    const attempt = () => toArrowBatch(columns, [field('value', 'STRING')], CONTEXT);
    expect(attempt).toThrow(OffloadError);
    expect(attempt).toThrow(
      expect.objectContaining({
        code: 'INVALID_UTF8',
        message:
          'cannot read the value of orders/3 at offset 12 as STRING: its bytes are not UTF-8; set invalidUtf8 to replace or ' +
          'null, or take the bytes as they are with `value` instead of `value as STRING`',
        context: { topic: 'orders', partition: 3, offset: 12, column: 'value' },
      }),
    );
  });

  it('are replaced under replace', async () => {
    const columns = await columnsOf(records);
    const told: [string, number][] = [];
    const context: TransformContext = {
      ...CONTEXT,
      invalidUtf8: 'replace',
      onInvalidUtf8: (values, column) => told.push([column, values]),
    };
    const values = valuesOf(columns, field('value', 'STRING'), context);
    expect(values).toEqual(['good', null, 'a\ufffdb\ufffd', 'good too', 'a\ufffdb\ufffd']);
    expect(told).toEqual([['value', 2]]);
  });

  it('are null under null, and gone from the buffer', async () => {
    const columns = await columnsOf(records);
    const batch = toArrowBatch(columns, [field('value', 'STRING')], { ...CONTEXT, invalidUtf8: 'null' });
    expect(Array.from(batch.getChildAt(0) ?? [])).toEqual(['good', null, null, 'good too', null]);
    expect(batch.getChildAt(0)?.nullCount).toBe(3);
    expect(Buffer.from(batch.data.children[0]?.values ?? []).includes(0xff)).toBe(false);
  });

  it('leave a byte order mark beside them where it is', async () => {
    const columns = await columnsOf([{ key: null, value: Buffer.from([0xef, 0xbb, 0xbf, 0xff]) }]);
    const batch = toArrowBatch(columns, [field('value', 'STRING')], { ...CONTEXT, invalidUtf8: 'replace' });
    // Arrow's own reader hides the mark, so this looks at the bytes.
    expect(Buffer.from(batch.data.children[0]?.values ?? []).toString('hex')).toBe('efbbbfefbfbd');
  });

  it('are found where two rows are UTF-8 only together', async () => {
    const euro = text('€');
    const split = [euro.subarray(0, 1), text(''), null, euro.subarray(1)].map((value) => ({ key: null, value }));
    const columns = await columnsOf(split, { baseOffset: 5 });
    expect(() => toArrowBatch(columns, [field('value', 'STRING')], CONTEXT)).toThrow(
      'the value of orders/3 at offset 5',
    );
  });

  it('are found in every column exactly where a strict decoder finds them', async () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const loose = new TextDecoder('utf-8', { ignoreBOM: true });
    const decode = (decoder: InstanceType<typeof TextDecoder>, bytes: Buffer | null) => {
      try {
        return bytes === null ? null : decoder.decode(bytes);
      } catch {
        return null;
      }
    };
    const piece = fc.constantFrom(
      text('a'),
      text('é'),
      text('€'),
      text('😀'),
      Buffer.from([0x80]),
      Buffer.from([0xf0, 0x9f]),
      Buffer.from([0xff]),
    );
    const value = fc.option(fc.array(piece, { maxLength: 4 }).map((pieces) => Buffer.concat(pieces)));
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 20 }), async (values) => {
        const columns = await columnsOf(values.map((bytes) => ({ key: bytes, value: null })));
        const one = field('key', 'STRING');
        expect(valuesOf(columns, one, { ...CONTEXT, invalidUtf8: 'null' })).toEqual(
          values.map((v) => decode(strict, v)),
        );
        expect(valuesOf(columns, one, { ...CONTEXT, invalidUtf8: 'replace' })).toEqual(
          values.map((v) => decode(loose, v)),
        );
      }),
      { numRuns: 100 },
    );
  });
});

describe('the schema', () => {
  const all = Object.entries(allowedCasts).flatMap(([column, types]) =>
    types.map((type) => field(column as SourceColumn, type)),
  );

  it('is the same with rows and without, for every cast there is', async () => {
    const empty = toArrowBatch(new MessageColumns(ALL_COLUMNS), all, CONTEXT);
    const full = toArrowBatch(await columnsOf([at(1n)]), all, CONTEXT);
    expect(empty.numRows).toBe(0);
    expect(full.numRows).toBe(1);
    expect(String(empty.schema)).toBe(String(arrowSchema(all)));
    expect(String(full.schema)).toBe(String(arrowSchema(all)));
    const ipc = tableToIPC(new Table([empty]));
    expect(String(RecordBatchReader.from(ipc).open().schema)).toBe(String(arrowSchema(all)));
    expect(full).toBeInstanceOf(RecordBatch);
  });

  it('lets only key and value be null', () => {
    const nullable = arrowSchema(all).fields.filter((one) => one.nullable);
    expect(nullable.map((one) => one.name)).toEqual(['key_BINARY', 'key_STRING', 'value_BINARY', 'value_STRING']);
  });

  it('refuses a cast the column does not take, and names those it takes', () => {
    expect(() => arrowSchema([field('partition', 'TIMESTAMP')])).toThrow(
      'cannot cast the column partition to TIMESTAMP: it takes INT, LONG, STRING',
    );
  });
});

describe('rows whose bad ones are left out', () => {
  const invalid = Buffer.from([0x61, 0xff]);
  const tooLate = 1_700_000_000_123_456_768n;
  const records: RecordInput[] = [
    { key: null, value: text('first'), timestamp: 5n },
    { key: invalid, value: invalid, timestamp: 6n },
    { key: text('k'), value: text('late'), timestamp: tooLate },
    { key: null, value: null, timestamp: 7n, headers: [[invalid, null]] },
    { key: text('l'), value: text('last'), timestamp: 8n, headers: [['h', invalid]] },
  ];
  const fields = [
    ...[field('key', 'STRING'), field('value', 'STRING'), field('timestamp', 'DATE')],
    ...[field('timestamp', 'STRING'), field('headers', 'HEADERS')],
  ];

  it('keep their places; each bad row comes once, with its first reason', async () => {
    const columns = await columnsOf(records, { baseOffset: 20 });
    const { batch, place, bad } = toRows(columns, fields, CONTEXT, true);
    expect([...(batch.getChildAt(1) ?? [])]).toEqual(['first', 'last']);
    expect([place.rowName(0), place.rowName(1)]).toEqual(['orders/3 at offset 20', 'orders/3 at offset 24']);
    expect(bad.map(({ row, error }) => [row, error.code, error.context.offset, error.context.column])).toEqual([
      [1, 'INVALID_UTF8', 21, 'key'],
      [2, 'FIELD_INVALID', 22, 'timestamp'],
      [3, 'INVALID_UTF8', 23, 'headers'],
    ]);
    expect(() => toRows(columns, fields, CONTEXT, false)).toThrow('cannot read the key of orders/3 at offset 21');
  });

  it('are all rows where none is bad, without a copy', async () => {
    const columns = await columnsOf([records[0] as RecordInput, records[4] as RecordInput]);
    const { batch, bad } = toRows(columns, fields, CONTEXT, true);
    expect(bad).toEqual([]);
    expect(batch.data.children[1]?.values.buffer).toBe(columns.value?.data.buffer);
  });

  it('are none where all offsets are too large for INT', async () => {
    const columns = await columnsOf(records, { baseOffset: 2 ** 31 - 2 });
    const { batch, bad } = toRows(columns, [field('offset', 'INT')], CONTEXT, true);
    expect([...(batch.getChildAt(0) ?? [])]).toEqual([2 ** 31 - 2, 2 ** 31 - 1]);
    expect(bad.map(({ row }) => row)).toEqual([2, 3, 4]);
  });
});
