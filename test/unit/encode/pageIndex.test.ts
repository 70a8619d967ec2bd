/** Page indexes beside the pages and rows they speak of, read by hyparquet, wherever row groups end up. */
import type { Schema } from 'apache-arrow';
import fc from 'fast-check';
import type { ColumnChunk } from 'hyparquet';
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js';
import { expect, test } from 'vitest';
import { parseWriterOptions } from '../../../src/config/writerOptions.ts';
import type { EncodedRows } from '../../../src/encode/encoder.ts';
import { loadFileFormat } from '../../../src/encode/fileFormat.ts';
import { decodeStruct } from '../../../src/encode/parquet/compactThrift.ts';
import { type Bound, NO_BOUNDS } from '../../../src/encode/parquet/flat/bounds.ts';
import { BOUNDARY_ORDER, COLUMN_INDEX, MAGIC, PHYSICAL_TYPE } from '../../../src/encode/parquet/format.ts';
import { columnIndex } from '../../../src/encode/parquet/pageIndex.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { numberField } from '../../../src/encode/parquet/thrift.ts';
import { type Column, columnsOf, type FlatType, tableOf } from '../../helpers/flatColumns.ts';
import { hyparquetMetadata, joinedFile, kept } from './files.ts';

interface Page {
  readonly rows: number;
  readonly nulls: number;
  readonly isNull: boolean;
  readonly min: Buffer;
  readonly max: Buffer;
}

interface Indexes {
  readonly firstRows: readonly number[];
  /** Undefined where there is no ColumnIndex. */
  readonly pages: readonly Omit<Page, 'rows'>[] | undefined;
  readonly order: number;
}

const bytesOf = (value: unknown): Buffer => Buffer.from(value as Uint8Array);

/** The indexes of a column chunk, whose pages must lie where they say, one behind the other, without a gap. */
function indexesOf(file: Buffer, chunk: ColumnChunk): Indexes {
  const read = (offset: bigint | undefined, length: number | undefined) => {
    const bytes = file.subarray(Number(offset), Number(offset) + Number(length));
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset: 0 };
    const parsed = deserializeTCompactProtocol(reader) as Record<string, unknown>;
    expect(reader.offset).toBe(bytes.length);
    return parsed;
  };
  const meta = chunk.meta_data;
  const locations = read(chunk.offset_index_offset, chunk.offset_index_length).field_1 as Record<string, number>[];
  let position = Number(meta?.data_page_offset);
  for (const { field_1: offset, field_2: bytes } of locations) {
    expect(Number(offset)).toBe(position);
    position += Number(bytes);
  }
  const start = Number(meta?.dictionary_page_offset ?? meta?.data_page_offset);
  expect(position).toBe(start + Number(meta?.total_compressed_size));
  const firstRows = locations.map(({ field_3: row }) => Number(row));
  if (chunk.column_index_offset === undefined) return { firstRows, pages: undefined, order: 0 };
  const index = read(chunk.column_index_offset, chunk.column_index_length);
  const [isNull, min, max, nulls] = [index.field_1, index.field_2, index.field_3, index.field_5] as unknown[][];
  return {
    firstRows,
    pages: firstRows.map((_, page) => ({
      isNull: isNull?.[page] as boolean,
      min: bytesOf(min?.[page]),
      max: bytesOf(max?.[page]),
      nulls: Number(nulls?.[page]),
    })),
    order: Number(index.field_4),
  };
}

/** A stored bound as a value that the type compares. */
function boundValue({ name }: FlatType, bound: Buffer): unknown {
  switch (name) {
    case 'text':
    case 'bytes':
      return bound;
    case 'truth':
      return bound.readUInt8() === 1;
    case 'amount':
      return bound.readDoubleLE();
    default:
      return bound.length === 4 ? bound.readInt32LE() : bound.readBigInt64LE();
  }
}

/** Each page must say no more than what its rows bear out. */
function checkColumn({ firstRows, pages, order }: Indexes, { type, values }: Column, starts: readonly number[]): void {
  expect(firstRows).toEqual(starts);
  const rowsOf = (page: number) => values.slice(starts[page], starts[page + 1]);
  const present = (page: number) => rowsOf(page).filter((value) => value !== null);
  const hasNaN = values.some(Number.isNaN);
  const isEndless = values.some((value) => type.name === 'bytes' && (value as Buffer | null)?.length === 5000);
  const isEndlessText = values.some((value) => type.name === 'text' && String(value).length > 2000);
  expect([type.name, pages === undefined]).toEqual([
    type.name,
    hasNaN || (pages === undefined && (isEndless || isEndlessText)),
  ]);
  if (!pages) return;
  const valued: { readonly min: unknown; readonly max: unknown }[] = [];
  for (const [index, page] of pages.entries()) {
    const own = present(index);
    expect([page.isNull, page.nulls]).toEqual([own.length === 0, rowsOf(index).length - own.length]);
    if (own.length === 0) {
      expect([page.min.length, page.max.length]).toEqual([0, 0]);
      continue;
    }
    const [min, max] = [boundValue(type, page.min), boundValue(type, page.max)];
    valued.push({ min, max });
    expect(own.filter((value) => type.compare(value, min) < 0 || type.compare(value, max) > 0)).toEqual([]);
    // No wider than they have to be: only long values are cut.
    const exact = own.filter((value) => type.compare(value, min) === 0 || type.compare(value, max) === 0);
    if (type.name !== 'text' && type.name !== 'bytes') expect(exact).not.toEqual([]);
  }
  const ordersOf = (bounds: readonly unknown[]) =>
    bounds.slice(1).map((bound, index) => Math.sign(type.compare(bound, bounds[index])));
  const orders = [...ordersOf(valued.map(({ min }) => min)), ...ordersOf(valued.map(({ max }) => max))];
  if (order === BOUNDARY_ORDER.ASCENDING) expect(orders).not.toContain(-1);
  if (order === BOUNDARY_ORDER.DESCENDING) expect(orders).not.toContain(1);
  if (order === BOUNDARY_ORDER.UNORDERED) expect([orders.includes(1), orders.includes(-1)]).toEqual([true, true]);
}

/** A file of the format itself: `old`, if there is one, and the parts behind it. */
async function fileOf(parts: readonly EncodedRows[], schema: Schema, old: Buffer | null): Promise<Buffer> {
  const files = await loadFileFormat(parseWriterOptions('parquet', {}));
  const read = async (position: number, length: number) =>
    (old ?? Buffer.alloc(0)).subarray(position, position + length);
  const content = old && (await files.readOld({ path: 'old', bytes: old.length, read }, schema));
  const pieces: Uint8Array[] = [old && content ? old.subarray(0, content.keptBytes) : (await files.start(schema)).head];
  const tailParts = content ? [{ footer: content.footer, position: MAGIC.length }] : [];
  for (const { body, footer } of parts) {
    tailParts.push({ footer, position: Buffer.concat(pieces).length });
    pieces.push(...body);
  }
  return Buffer.concat([...pieces, files.tail(tailParts, Buffer.concat(pieces).length)]);
}

const samples = fc.integer({ min: 3, max: 200 }).chain((rows) =>
  fc.record({
    columns: columnsOf(rows),
    cuts: fc.array(fc.integer({ min: 1, max: rows - 1 }), { maxLength: 12 }),
    ends: fc.uniqueArray(fc.integer({ min: 1, max: rows - 1 }), { minLength: 2, maxLength: 2 }),
  }),
);

test('indexes of joined, of appended and of old row groups speak of their own pages', async () => {
  const property = fc.asyncProperty(samples, async ({ columns, cuts, ends }) => {
    const rows = columns[0]?.values.length ?? 0;
    const table = tableOf(columns, cuts);
    const [low, high] = ends.toSorted((a, b) => a - b) as [number, number];
    const encoder = new ParquetEncoder('snappy');
    const groups: {
      readonly columns: readonly Column[];
      readonly starts: readonly number[];
      readonly part: EncodedRows;
    }[] = [];
    for (const [from, to] of [
      [0, low],
      [low, high],
      [high, rows],
    ] as const) {
      groups.push({
        columns: columns.map((column) => ({ ...column, values: column.values.slice(from, to) })),
        starts: [
          0,
          ...new Set(
            cuts
              .filter((cut) => cut > from && cut < to)
              .map((cut) => cut - from)
              .sort((a, b) => a - b),
          ),
        ],
        part: await kept(encoder.encode(table.slice(from, to))),
      });
    }
    const parts = groups.map(({ part }) => part);
    const old = await fileOf(parts.slice(0, 1), table.schema, null);
    const once = await fileOf(parts.slice(1, 2), table.schema, old);
    const twice = await fileOf(parts.slice(2), table.schema, once);
    const files = [
      { file: joinedFile(parts, [2, 0, 1]), order: [2, 0, 1] },
      { file: once, order: [0, 1] },
      { file: twice, order: [0, 1, 2] },
    ];
    for (const { file, order } of files) {
      const rowGroups = hyparquetMetadata(file).row_groups;
      expect(rowGroups).toHaveLength(order.length);
      for (const [at, group] of order.map((index) => groups[index]).entries()) {
        for (const [index, column] of (group?.columns ?? []).entries()) {
          checkColumn(indexesOf(file, rowGroups[at]?.columns[index] as ColumnChunk), column, group?.starts ?? []);
        }
      }
    }
  });
  await fc.assert(property, { numRuns: 40, endOnFailure: true });
});

test('pages are in the order of both bounds, those without values left aside', () => {
  const bound = (value: number): Bound => ({ bytes: new Uint8Array(Int32Array.of(value).buffer), exact: true });
  const indexOf = (...pages: readonly (readonly [number, number] | null)[]) => {
    const summaries = pages.map((page) =>
      page
        ? { rows: 2, values: 2, nulls: 0, bounds: { min: bound(page[0]), max: bound(page[1]) } }
        : { rows: 2, values: 2, nulls: 2, bounds: NO_BOUNDS },
    );
    const bytes = columnIndex(summaries, PHYSICAL_TYPE.INT32);
    return bytes && numberField(decodeStruct(bytes).struct, COLUMN_INDEX.BOUNDARY_ORDER);
  };
  expect(indexOf([-1, 3])).toBe(BOUNDARY_ORDER.ASCENDING);
  expect(indexOf(null, null)).toBe(BOUNDARY_ORDER.ASCENDING);
  expect(indexOf([-300, 1], null, [-300, 2], [5, 900])).toBe(BOUNDARY_ORDER.ASCENDING);
  expect(indexOf([7, 9], [-300, 9], null, [-301, -300])).toBe(BOUNDARY_ORDER.DESCENDING);
  expect(indexOf([1, 9], [2, 8])).toBe(BOUNDARY_ORDER.UNORDERED);
  expect(indexOf([1, 2], [0, 3], [2, 4])).toBe(BOUNDARY_ORDER.UNORDERED);
  const unbound = { rows: 2, values: 2, nulls: 1, bounds: NO_BOUNDS };
  expect(columnIndex([unbound], PHYSICAL_TYPE.INT32)).toBeUndefined();
});
