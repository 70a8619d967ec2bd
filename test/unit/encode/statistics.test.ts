import { Binary, Field, Float64, Int64, makeData, RecordBatch, Schema, Struct } from 'apache-arrow';
import { expect, test } from 'vitest';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { comparatorOf, mergeStatistics } from '../../../src/encode/parquet/statistics.ts';
import { binary, bool, integer, struct, type ThriftStruct, WIRE } from '../../../src/encode/parquet/thrift.ts';
import { joinedFile, testFolder } from './files.ts';

const folder = await testFolder();

const element = (type: number, convertedType?: number): ThriftStruct =>
  struct({ 1: integer(WIRE.I32, type), 6: convertedType === undefined ? undefined : integer(WIRE.I32, convertedType) });
const BYTES = comparatorOf(element(6));
const piece = (nulls: number, values: number, minimum?: string, maximum?: string, exact?: boolean) => ({
  values,
  statistics: struct({
    3: integer(WIRE.I64, nulls),
    5: maximum === undefined ? undefined : binary(Buffer.from(maximum, 'hex')),
    6: minimum === undefined ? undefined : binary(Buffer.from(minimum, 'hex')),
    7: exact === undefined ? undefined : bool(exact ? 1 : 2),
    8: exact === undefined ? undefined : bool(exact ? 1 : 2),
  }),
});

test('takes the outermost bounds of bytes, unsigned, with their exactness, and adds up nulls', () => {
  const merged = mergeStatistics([piece(1, 9, '7f', '8000', true), piece(2, 9, '00ff', 'ff', false)], BYTES);
  expect(merged).toEqual(piece(3, 18, '00ff', 'ff', false).statistics);
});

test('leaves pieces of nulls alone out of the bounds', () => {
  const merged = mergeStatistics([piece(9, 9), piece(0, 9, '05', '06'), piece(9, 9)], BYTES);
  expect(merged).toEqual(piece(18, 27, '05', '06').statistics);
});

test('gives no bounds when a piece with values has none, or the order is not a plain one', () => {
  expect(mergeStatistics([piece(0, 9, '05', '06'), piece(0, 9)], BYTES)).toEqual(piece(0, 18).statistics);
  for (const convertedType of [5, 11, 12, 13, 14]) expect(comparatorOf(element(1, convertedType))).toBeUndefined();
  expect(mergeStatistics([piece(0, 9, '05', '06')], undefined)).toEqual(piece(0, 9).statistics);
  expect(mergeStatistics([{ statistics: undefined, values: 3 }], BYTES)).toBeUndefined();
});

test('orders negative numbers below positive ones', () => {
  const i32 = (value: number) => Buffer.from(Int32Array.of(value).buffer);
  const i64 = (value: bigint) => Buffer.from(BigInt64Array.of(value).buffer);
  const f64 = (value: number) => Buffer.from(Float64Array.of(value).buffer);
  expect(comparatorOf(element(1))?.(i32(-(2 ** 31)), i32(2 ** 31 - 1))).toBeLessThan(0);
  expect(comparatorOf(element(2))?.(i64(-(2n ** 63n)), i64(2n ** 63n - 1n))).toBeLessThan(0);
  expect(comparatorOf(element(5))?.(f64(-1.5), f64(-1.25))).toBeLessThan(0);
});

test('bounds of numbers and bytes hold every value when each piece has a range of its own', async () => {
  const rows = 600_000;
  const numbers = Array.from({ length: rows }, (_, index) => rows / 2 - index);
  const bytes = Buffer.alloc(rows * 8);
  for (const [index, number] of numbers.entries()) bytes.writeDoubleBE(number, index * 8);
  const fields = [
    new Field('n', new Int64(), false),
    new Field('d', new Float64(), false),
    new Field('b', new Binary(), false),
  ];
  const children = [
    makeData({ type: new Int64(), data: BigInt64Array.from(numbers, BigInt) }),
    makeData({ type: new Float64(), data: Float64Array.from(numbers) }),
    makeData({
      type: new Binary(),
      valueOffsets: Int32Array.from({ length: rows + 1 }, (_, index) => index * 8),
      data: bytes,
    }),
  ];
  const data = makeData({ type: new Struct(fields), length: rows, nullCount: 0, children });
  const file = joinedFile([await new ParquetEncoder('snappy').encode(new RecordBatch(new Schema(fields), data))]);
  const path = folder.write(file);
  const bounds = await folder.query(
    `SELECT stats_min_value AS lowest, stats_max_value AS highest FROM parquet_metadata(${path})`,
  );
  expect(bounds.slice(0, 2)).toEqual([
    { lowest: '-299999', highest: '300000' },
    { lowest: '-299999.0', highest: '300000.0' },
  ]);
  for (const number of [300_000, 150_000, 1, 0, -1, -299_999]) {
    const value = Buffer.alloc(8);
    value.writeDoubleBE(number);
    const where = [`n = ${number}`, `d = ${number}`, `b = unhex('${value.toString('hex')}')`];
    for (const one of where)
      expect(await folder.query(`SELECT n::DOUBLE AS n FROM ${path} WHERE ${one}`)).toEqual([{ n: number }]);
  }
});
