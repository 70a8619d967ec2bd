import { type Data, RecordBatch, type Struct } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { withoutNul } from '../../../../src/transform/arrow/nulCharacters.ts';
import { type ColumnKind, KINDS, toTable } from '../../encode/tables.ts';

const kinds = ['i32', 'words', 'large', 'choice', 'headers', 'counts'].map(
  (name) => KINDS.find((kind) => kind.name === name) as ColumnKind,
);
const place = {
  source: 'orders/3',
  rowName: (row: number) => `orders/3 at offset ${100 + row}`,
  origin: { file: '', row: 0 },
};
const row = (words: unknown, large: unknown = 'l', headers: unknown = [], counts: unknown = []) => [
  ...[1, words, large, 'red', headers, counts],
];
const ROWS = [
  row('plain', null),
  row(null, 'a\0b'),
  row('\0', '', [
    { key: 'k', value: Buffer.of(0) },
    { key: '\0k\0', value: null },
  ]),
  row('x\0y\0\0z', 'l', null, [['k\0', 5]]),
  row('', 'l', [], [['fine', null]]),
];

function apply(batch: RecordBatch, policy: 'fail' | 'replace' | 'null') {
  const changes: number[] = [];
  const result = withoutNul(batch, { policy, place, onChanged: (values) => changes.push(values) });
  const rows = Array.from({ length: result.numRows }, (_, at) => JSON.parse(JSON.stringify(result.get(at))));
  return { result, rows, changes };
}

describe('text with NUL characters', () => {
  it('is left as it is where there is none', () => {
    const batch = toTable(kinds, [row('a'), row(null), row('€')]);
    const { result, changes } = apply(batch, 'fail');
    expect(result).toBe(batch);
    expect(changes).toEqual([]);
  });

  it('is refused by its place, also inside of lists', () => {
    const fail = (rows: unknown[][]) => () => apply(toTable(kinds, rows), 'fail');
    expect(fail(ROWS)).toThrow(
      'cannot write the column words of orders/3 at offset 102 to PostgreSQL, whose text cannot hold the character U+0000; ' +
        'set invalidUtf8 to replace or null, or take the bytes as they are (BINARY)',
    );
    const header = [{ key: 'a\0', value: null }];
    expect(fail([row('a'), row('b', 'l', null), row('c', 'l', header)])).toThrow('headers of orders/3 at offset 102');
    expect(fail([row('a'), row('b', 'l', [], [['\0', 1]])])).toThrow('counts of orders/3 at offset 101');
  });

  it('is replaced, each character by U+FFFD', () => {
    const { rows, changes } = apply(toTable(kinds, ROWS), 'replace');
    expect(rows.map(({ words }) => words)).toEqual(['plain', null, '\ufffd', 'x\ufffdy\ufffd\ufffdz', '']);
    expect(rows.map(({ large }) => large)).toEqual([null, 'a\ufffdb', '', 'l', 'l']);
    expect(rows[2].headers.map(({ key }: { key: string }) => key)).toEqual(['k', '\ufffdk\ufffd']);
    expect(rows.map(({ counts }) => counts)).toEqual([{}, {}, {}, { 'k\ufffd': 5 }, { fine: null }]);
    expect(changes).toEqual([5]);
  });

  it('becomes null where that can be', () => {
    const { rows, changes, result } = apply(toTable(kinds, ROWS), 'null');
    expect(rows.map(({ words }) => words)).toEqual(['plain', null, null, null, '']);
    expect(rows.map(({ large }) => large)).toEqual([null, null, '', 'l', 'l']);
    expect(rows[2].headers.map(({ key }: { key: string }) => key)).toEqual(['k', '\ufffdk\ufffd']);
    expect(changes).toEqual([5]);
    expect(result.data.children[1]?.nullCount).toBe(3);
  });

  it('is found in a part of a batch alone', () => {
    const part = toTable(kinds, ROWS).slice(3, 5);
    expect(() => apply(part, 'fail')).toThrow('words of orders/3 at offset 100');
    const { rows } = apply(new RecordBatch(part.schema, part.data as Data<Struct>), 'null');
    expect(rows.map(({ words }) => words)).toEqual([null, '']);
  });
});
