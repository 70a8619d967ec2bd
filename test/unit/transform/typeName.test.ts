import { Field, FixedSizeBinary, FixedSizeList, Float16, Int32, LargeBinary, LargeUtf8, Struct } from 'apache-arrow';
import { expect, it } from 'vitest';
import type { ColumnType } from '../../../src/config/sparkSchema.ts';
import { arrowType } from '../../../src/sources/files/columnTypes.ts';
import { typeName } from '../../../src/transform/typeName.ts';

it.each([
  ['BOOLEAN', 'BOOLEAN'],
  ['UBIGINT', 'UBIGINT'],
  ['HUGEINT', 'DECIMAL(38,0)'],
  ['TIMESTAMP_NS', 'TIMESTAMP_NS'],
  ['TIMESTAMPTZ', 'TIMESTAMPTZ'],
  ['INTERVAL', 'INTERVAL'],
  [{ kind: 'decimal', precision: 10, scale: 2 }, 'DECIMAL(10,2)'],
  [{ kind: 'list', item: { kind: 'map', key: 'VARCHAR', value: 'DATE' } }, 'MAP(VARCHAR, DATE)[]'],
  [
    {
      kind: 'struct',
      fields: [
        { name: 'a', type: 'BLOB' },
        { name: 'b c', type: 'TIME' },
      ],
    },
    'STRUCT(a BLOB, "b c" TIME)',
  ],
] as [ColumnType, string][])('names %j', (type, name) => {
  expect(typeName(arrowType(type))).toBe(name);
});

it('names what only modules give', () => {
  const types = [
    new LargeUtf8(),
    new LargeBinary(),
    new FixedSizeBinary(16),
    new FixedSizeList(3, new Field('item', new Int32(), true)),
    new Struct([new Field('half', new Float16(), true)]),
  ];
  expect(types.map(typeName)).toEqual(['VARCHAR', 'BLOB', 'BLOB', 'INTEGER[]', 'STRUCT(half FLOAT)']);
});
