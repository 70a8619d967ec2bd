import { describe, expect, it } from 'vitest';
import { parseFields } from '../../../src/config/parseFields.ts';
import { errorOf } from './workspace.ts';

describe('parseFields', () => {
  it.each([
    ['value', { name: 'value', column: 'value', type: 'BINARY' }],
    ['key as STRING', { name: 'key', column: 'key', type: 'STRING' }],
    ['KEY AS string', { name: 'key', column: 'key', type: 'STRING' }],
    ['cast(value as STRING)', { name: 'value', column: 'value', type: 'STRING' }],
    ['CAST ( value  As varchar )', { name: 'value', column: 'value', type: 'STRING' }],
    ['cast(value as STRING) as payload', { name: 'payload', column: 'value', type: 'STRING' }],
    ['value as payload', { name: 'payload', column: 'value', type: 'BINARY' }],
    ['`value` as `my payload`', { name: 'my payload', column: 'value', type: 'BINARY' }],
    ['value as `string`', { name: 'string', column: 'value', type: 'BINARY' }],
    ['value as `a``b`', { name: 'a`b', column: 'value', type: 'BINARY' }],
    ['partition as INT', { name: 'partition', column: 'partition', type: 'INT' }],
    ['offset as LONG', { name: 'offset', column: 'offset', type: 'LONG' }],
    ['offset as bigint', { name: 'offset', column: 'offset', type: 'LONG' }],
    ['timestamp as TIMESTAMP', { name: 'timestamp', column: 'timestamp', type: 'TIMESTAMP' }],
    ['timestamptype', { name: 'timestampType', column: 'timestampType', type: 'INT' }],
    ['headers', { name: 'headers', column: 'headers', type: 'HEADERS' }],
    ['topic as Straße', { name: 'Straße', column: 'topic', type: 'STRING' }],
  ])('reads %s', (entry, field) => {
    expect(parseFields('orders', [entry])).toEqual([field]);
  });

  it.each([
    [
      'valeu as STRING',
      'orders.fields[0]: "^valeu as STRING" (character 1): "valeu" is no column of a message; columns: key, value, topic, partition, offset, timestamp, timestampType, headers; did you mean value?',
    ],
    [
      'cast(offset as FLOT)',
      'orders.fields[0]: "cast(offset as ^FLOT)" (character 16): "FLOT" is no type; types for offset: LONG, INT, STRING',
    ],
    [
      'value as INT',
      'orders.fields[0]: "value as ^INT" (character 10): value cannot be cast to INT; types for value: BINARY, STRING',
    ],
    [
      'value as FLOAT',
      'orders.fields[0]: "value as ^FLOAT" (character 10): value cannot be cast to FLOAT; types for value: BINARY, STRING',
    ],
    [
      'headers as STRING',
      'orders.fields[0]: "headers as ^STRING" (character 12): headers cannot be cast to STRING; headers takes no cast',
    ],
    ['cast(value as STRING', 'orders.fields[0]: "cast(value as STRING^" (character 21): expected ")"'],
    [
      'cast(value as STRING) payload',
      'orders.fields[0]: "cast(value as STRING) ^payload" (character 23): "payload" is left over; allowed: COLUMN, COLUMN as TYPE, COLUMN as NAME, cast(COLUMN as TYPE), cast(COLUMN as TYPE) as NAME',
    ],
    [
      'cast(value, STRING)',
      'orders.fields[0]: "cast(value^, STRING)" (character 11): expected "as"; allowed: COLUMN, COLUMN as TYPE, COLUMN as NAME, cast(COLUMN as TYPE), cast(COLUMN as TYPE) as NAME',
    ],
    [
      'value as',
      'orders.fields[0]: "value as^" (character 9): expected a name of letters, digits and _, or any name in `backticks`',
    ],
    [
      'value as 1st',
      'orders.fields[0]: "value as ^1st" (character 10): expected a name of letters, digits and _, or any name in `backticks`',
    ],
    ['value as `x', 'orders.fields[0]: "value as ^`x" (character 10): the backtick is never closed'],
    [
      ' ',
      'orders.fields[0]: " ^" (character 2): a column is missing; columns: key, value, topic, partition, offset, timestamp, timestampType, headers',
    ],
  ])('refuses %s and shows where', async (entry, message) => {
    expect(await errorOf(() => parseFields('orders', [entry]))).toBe(`FIELD_INVALID: ${message}`);
  });

  it('refuses two columns of one name, whatever their case', async () => {
    expect(await errorOf(() => parseFields('orders', ['key', 'value', 'cast(value as STRING) as KEY']))).toBe(
      'FIELD_INVALID: orders.fields[2]: "cast(value as STRING) as KEY" gives a second column KEY, after ' +
        'orders.fields[0] "key"; names must differ by more than case: add "as NAME"',
    );
  });
});
