import { expect, test } from 'vitest';
import { decodeStruct, encodeStruct } from '../../../src/encode/parquet/compactThrift.ts';
import {
  columnNames,
  fileTail,
  joinFooters,
  parseFooter,
  readTail,
  schemaBytes,
} from '../../../src/encode/parquet/footer.ts';
import { COLUMN_CHUNK, COLUMN_META_DATA, FILE_META_DATA, ROW_GROUP } from '../../../src/encode/parquet/format.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import {
  binary,
  bool,
  fieldOf,
  integer,
  list,
  numberField,
  struct,
  structField,
  structsField,
  type ThriftStruct,
  WIRE,
  withFields,
} from '../../../src/encode/parquet/thrift.ts';
import { hyparquetMetadata, joinedFile, partOf } from './files.ts';
import { makeRows, schema, toBatch } from './rows.ts';

const i32 = (value: number) => integer(WIRE.I32, value);
const i64 = (value: number) => integer(WIRE.I64, value);
/** Statistics whose bytes are no text, with a field that no version of the format has. */
const ODD_STATISTICS = struct({
  3: { type: WIRE.I64, raw: Buffer.from('ffffffffffffffffff01', 'hex') },
  5: binary(Buffer.from('ff00fe', 'hex')),
  99: bool(2),
});

interface ChunkFields {
  readonly chunk?: Record<number, ReturnType<typeof i64>>;
  readonly metaData?: Record<number, ReturnType<typeof i64>>;
}

/** A FileMetaData with one row group of one column, as other writers make them. */
function foreignFooter({ chunk = {}, metaData = {} }: ChunkFields = {}, root = 'schema'): Buffer {
  const columnMetaData = struct({
    1: i32(6),
    4: i32(0),
    5: i64(10),
    6: i64(200),
    7: i64(100),
    9: i64(4),
    12: ODD_STATISTICS,
    ...metaData,
  });
  const rowGroup = struct({
    1: list(WIRE.STRUCT, [struct({ 2: i64(4), 3: columnMetaData, ...chunk })]),
    2: i64(200),
    3: i64(10),
    5: i64(4),
    6: i64(100),
    7: integer(WIRE.I16, 7),
    50: binary(Buffer.from('later version')),
  });
  return encodeStruct(
    struct({
      1: i32(2),
      2: list(WIRE.STRUCT, [
        struct({ 4: binary(Buffer.from(root)), 5: i32(1) }),
        struct({ 1: i32(6), 3: i32(0), 4: binary(Buffer.from('v')) }),
      ]),
      3: i64(10),
      4: list(WIRE.STRUCT, [rowGroup]),
      5: list(WIRE.STRUCT, [struct({ 1: binary(Buffer.from('k')), 2: binary(Buffer.from(root)) })]),
      6: binary(Buffer.from('other version 1.2.3')),
    }),
  );
}

function chunkOf(
  footer: Uint8Array,
  group: number,
): { chunk: ThriftStruct; metaData: ThriftStruct; rowGroup: ThriftStruct } {
  const rowGroup = structsField(parseFooter(footer).fileMetaData, FILE_META_DATA.ROW_GROUPS)[group] as ThriftStruct;
  const chunk = structsField(rowGroup, ROW_GROUP.COLUMNS)[0] as ThriftStruct;
  return { chunk, metaData: structField(chunk, COLUMN_CHUNK.META_DATA) as ThriftStruct, rowGroup };
}

test('moves every file offset of a part, and nothing else', () => {
  const part = foreignFooter({ metaData: { 10: i64(50), 11: i64(40), 14: i64(90) } });
  const far = 2 ** 45;
  const joined = joinFooters([
    { footer: part, delta: 0 },
    { footer: part, delta: far },
  ]);
  const expected = structsField(decodeStruct(part).struct, FILE_META_DATA.ROW_GROUPS)[0] as ThriftStruct;
  const before = chunkOf(part, 0);
  const after = chunkOf(joined, 1);
  expect(encodeStruct(chunkOf(joined, 0).rowGroup)).toEqual(
    encodeStruct(withFields(expected, { 7: integer(WIRE.I16, 0) })),
  );
  const metaData = withFields(before.metaData, {
    9: i64(4 + far),
    10: i64(50 + far),
    11: i64(40 + far),
    14: i64(90 + far),
  });
  const chunk = withFields(before.chunk, { 2: i64(4 + far), 3: metaData });
  const rowGroup = withFields(expected, { 1: list(WIRE.STRUCT, [chunk]), 5: i64(4 + far), 7: integer(WIRE.I16, 1) });
  expect(encodeStruct(after.rowGroup)).toEqual(encodeStruct(rowGroup));
  expect(parseFooter(joined).rows).toBe(20);
});

test('keeps schema, metadata and name of the first part', () => {
  const joined = joinFooters([
    { footer: foreignFooter({}, 'spark_schema'), delta: 0 },
    { footer: foreignFooter(), delta: 100 },
  ]);
  const alone = parseFooter(foreignFooter({}, 'spark_schema')).fileMetaData;
  const { fileMetaData } = parseFooter(joined);
  for (const id of [1, 2, 5, 6]) expect(fieldOf(fileMetaData, id)).toEqual(fieldOf(alone, id));
});

test('a footer joined alone and not moved stays the same to the byte', async () => {
  const { footer: part } = partOf(joinedFile([await new ParquetEncoder('snappy').encode(toBatch(makeRows(500, 0)))]));
  expect(joinFooters([{ footer: part, delta: 0 }])).toEqual(Buffer.from(part));
});

test('an offset of 0 means none and stays 0', () => {
  const part = foreignFooter({ chunk: { 2: i64(0) }, metaData: { 11: i64(0) } });
  const { chunk, metaData } = chunkOf(joinFooters([{ footer: part, delta: 500 }]), 0);
  expect(numberField(chunk, COLUMN_CHUNK.FILE_OFFSET)).toBe(0);
  expect(numberField(metaData, COLUMN_META_DATA.DICTIONARY_PAGE_OFFSET)).toBe(0);
  expect(numberField(metaData, COLUMN_META_DATA.DATA_PAGE_OFFSET)).toBe(504);
});

test('page indexes are kept where a part stays, and left out where it moves: they hold absolute positions themselves', () => {
  const part = foreignFooter({ chunk: { 4: i64(104), 5: i32(20), 6: i64(124), 7: i32(30) } });
  const joined = joinFooters([
    { footer: part, delta: 0 },
    { footer: part, delta: 1000 },
  ]);
  expect(chunkOf(joined, 0).chunk).toEqual(chunkOf(part, 0).chunk);
  expect(chunkOf(joined, 1).chunk.fields.map(({ id }) => id)).toEqual([2, 3]);
});

test('numbers row groups, up to what an ordinal holds', () => {
  const part = foreignFooter();
  const joined = joinFooters(Array.from({ length: 32_770 }, (_, index) => ({ footer: part, delta: index * 100 })));
  const groups = structsField(parseFooter(joined).fileMetaData, FILE_META_DATA.ROW_GROUPS);
  expect(groups).toHaveLength(32_770);
  expect(groups.slice(32_765).map((group) => numberField(group, ROW_GROUP.ORDINAL))).toEqual([
    32_765,
    32_766,
    32_767,
    undefined,
    undefined,
  ]);
});

test('sums up row groups', () => {
  expect(parseFooter(foreignFooter()).rowGroups).toEqual([{ rows: 10, totalByteSize: 200, compressedSize: 100 }]);
});

test('a file of no rows has the schema and no row group', async () => {
  const encoder = new ParquetEncoder('snappy');
  const empty = encoder.emptyFile(schema);
  expect(parseFooter(empty.footer)).toMatchObject({ rows: 0, rowGroups: [] });
  const { footer } = await encoder.encode(toBatch(makeRows(3, 0)));
  expect(schemaBytes(parseFooter(empty.footer))).toEqual(schemaBytes(parseFooter(footer)));
  const metadata = hyparquetMetadata(joinedFile([empty, empty]));
  expect([Number(metadata.num_rows), metadata.row_groups]).toEqual([0, []]);
});

test('refuses to join files whose columns differ, naming both', () => {
  const own = new ParquetEncoder('snappy').emptyFile(schema).footer;
  const join = () =>
    joinFooters([
      { footer: foreignFooter(), delta: 0 },
      { footer: own, delta: 100 },
    ]);
  expect(join).toThrow(/its columns \(v\) and those of part 1 \(key, value, .*\) differ/);
  expect(join).toThrow(expect.objectContaining({ code: 'TARGET_UNSUITABLE' }));
  expect(columnNames(parseFooter(foreignFooter()))).toEqual(['v']);
});

test('the name of the schema root does not matter, the order of statistics does', () => {
  const one = parseFooter(foreignFooter({}, 'schema'));
  expect(schemaBytes(one)).toEqual(schemaBytes(parseFooter(foreignFooter({}, 'spark_schema'))));
  const ordered = withFields(one.fileMetaData, { 7: list(WIRE.STRUCT, [struct({ 1: struct({}) })]) });
  expect(schemaBytes(parseFooter(encodeStruct(ordered)))).not.toEqual(schemaBytes(one));
});

test('finds the footer from the end of a file', () => {
  const footer = foreignFooter();
  const file = Buffer.concat([Buffer.from('PAR1'), Buffer.alloc(100), fileTail(footer)]);
  expect(readTail(file.subarray(-8), file.length)).toEqual({ footerStart: 104, footerBytes: footer.length });
  expect(readTail(file, file.length)).toEqual({ footerStart: 104, footerBytes: footer.length });
});

test.each([
  ['an empty file', Buffer.alloc(0), 0, '0 bytes are fewer than the shortest Parquet file has'],
  ['a text file', Buffer.from('a,b\n1,2\n3,4\n5,6\n'), 16, 'it ends with the bytes 352c360a, not with PAR1 (50415231)'],
  ['an encrypted file', Buffer.from('PAR1....\x04\0\0\0PARE'), 16, 'its footer is encrypted (it ends with PARE)'],
  [
    'a file cut short',
    Buffer.from('PAR1....\xff\0\0\0PAR1', 'latin1'),
    16,
    'its footer claims 255 bytes, the file has 16',
  ],
])('refuses %s', (_, end, size, why) => {
  expect(() => readTail(end, size)).toThrow(`cannot use the file as Parquet: ${why}`);
});

test('refuses damaged, encrypted and scattered files', () => {
  expect(() => parseFooter(foreignFooter().subarray(0, 40))).toThrow('its footer is damaged: cannot read Thrift data');
  expect(() => parseFooter(Buffer.from([0]))).toThrow('its footer has no schema or no number of rows');
  const encrypted = withFields(decodeStruct(foreignFooter()).struct, { 8: struct({ 1: struct({}) }) });
  expect(() => parseFooter(encodeStruct(encrypted))).toThrow('its columns are encrypted');
  expect(() => parseFooter(foreignFooter({ chunk: { 1: binary(Buffer.from('b.parquet')) } }))).toThrow(
    'its pages lie in another file, b.parquet',
  );
  expect(() => joinFooters([])).toThrow('there is none');
});
