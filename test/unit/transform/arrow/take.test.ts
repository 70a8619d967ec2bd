import { type Data, type Dictionary, Vector } from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatData, decodeDictionary } from '../../../../src/transform/arrow/concat.ts';
import { NO_ROW, takeRows } from '../../../../src/transform/arrow/take.ts';
import { plainValues, sampleColumns } from '../columns.ts';

const columns = Object.entries(sampleColumns());
const ROWS = 10;

function dataOf(vector: Vector): Data {
  return vector.data[0] as Data;
}

describe.each(columns)('%s', (name, vector) => {
  test('rows are taken in any order, from any part of a column', () => {
    const slices = fc.tuple(fc.nat(ROWS - 1), fc.nat(ROWS)).map(([from, length]) => {
      return { from, length: Math.max(1, Math.min(length, ROWS - from)) };
    });
    fc.assert(
      fc.property(slices, fc.array(fc.nat(1000), { maxLength: 30 }), ({ from, length }, picks) => {
        const part = dataOf(vector).slice(from, length);
        const rows = picks.map((pick) => (pick % (length + 1)) - 1);
        const taken = new Vector([takeRows(part, Int32Array.from(rows))]);
        const values = plainValues(new Vector([part]));
        expect(plainValues(taken)).toEqual(rows.map((row) => (row === NO_ROW ? null : values[row])));
        expect(taken.nullCount).toBe(plainValues(taken).filter((value) => value === null).length);
      }),
    );
  });

  test('a part of what was taken is what it was', () => {
    const rows = Int32Array.from({ length: 40 }, (_, i) => (i * 7) % ROWS);
    const taken = takeRows(dataOf(vector), rows);
    const values = plainValues(vector);
    for (const [from, length] of [
      [3, 11],
      [8, 16],
      [0, 40],
      [39, 1],
    ] as const) {
      const part = plainValues(new Vector([taken.slice(from, length)]));
      expect(part).toEqual([...rows.subarray(from, from + length)].map((row) => values[row]));
    }
  });

  test.skipIf(name === 'dictionary')('pieces are joined', () => {
    const data = dataOf(vector);
    const pieces = [data.slice(0, 3), data.slice(3, 1), data.slice(2, 0), data.slice(4, 6), data];
    const values = plainValues(vector);
    expect(plainValues(new Vector([concatData(pieces)]))).toEqual([...values, ...values]);
  });
});

test('one piece is not copied', () => {
  const data = dataOf(sampleColumns().utf8 as Vector);
  expect(concatData([data])).toBe(data);
});

test('a dictionary becomes its values', () => {
  const vector = sampleColumns().dictionary as Vector<Dictionary>;
  const plain = new Vector([decodeDictionary(dataOf(vector).slice(1, 8))]);
  expect(String(plain.type)).toBe('Utf8');
  expect(plainValues(plain)).toEqual(plainValues(vector).slice(1, 9));
});
