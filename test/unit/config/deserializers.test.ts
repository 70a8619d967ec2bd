import { describe, expect, test } from 'vitest';
import { readDeserializers, takeCalls } from '../../../src/config/deserializers.ts';

const DESERIALIZERS = { deserialize: './decode.mjs', 'de code': '/x/other.js' };

function take(...fields: string[]) {
  return takeCalls('orders', fields, DESERIALIZERS, '/home/me');
}

describe('calls in fields', () => {
  test.each([
    ['deserialize(value) as value', 'value as `value`', 'value'],
    ['deserialize(value)', 'value as `value`', 'value'],
    [' deserialize ( KEY ) AS id ', 'key as `id`', 'key'],
    ['deserialize(value) as `a``b c`', 'value as `a``b c`', 'value'],
    ['deserialize(value) as `string`', 'value as `string`', 'value'],
  ])('%j', (field, entry, column) => {
    expect(take('offset', field)).toEqual({
      entries: ['offset', entry],
      columns: [
        {
          ...{ index: 1, column, type: null, url: 'file:///home/me/decode.mjs' },
          where: 'kafka.customDeserializers.deserialize',
        },
      ],
    });
  });

  test('names with blanks stand in backticks', () => {
    expect(take('`de code`(value) as x').columns[0]?.url).toBe('file:///x/other.js');
  });

  test('everything else is left alone', () => {
    const fields = ['key as STRING', 'upper(value)', 'cast(value as STRING)', 'deserialize'];
    expect(take(...fields)).toEqual({ entries: fields, columns: [] });
  });

  test.each([
    'deserialize(offset)',
    'deserialize(value, 1)',
    'deserialize(value) as STRING',
    'deserialize(value) + 1',
    'deserialize(cast(value as STRING))',
  ])('%s is refused', (field) => {
    expect(() => take('offset', field)).toThrow(
      `orders.fields[1]: "${field}" calls deserialize of customDeserializers in a form that is not known; allowed: deserialize(key), deserialize(value), deserialize(value) as NAME`,
    );
  });
});

describe('customDeserializers', () => {
  test('names without a module are left out', () => {
    expect(readDeserializers('a.yml', { a: './a.mjs', b: null, c: '' })).toEqual({ a: './a.mjs' });
  });

  test.each(['com.example.Decoder', 5, { a: 1 }])('%j is refused', (value) => {
    expect(() => readDeserializers('a.yml', { a: value })).toThrow(
      'kafka.customDeserializers.a in a.yml names a class of the JVM, which cannot be loaded here; name a module',
    );
  });
});
