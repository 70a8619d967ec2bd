import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePairs } from '../../../src/config/optionPairs.ts';
import { OffloadError } from '../../../src/errors.ts';
import { errorOf } from './workspace.ts';

describe('parsePairs', () => {
  it.each([
    ['', {}],
    ['a=1', { a: '1' }],
    [' a = 1 , b= x y ', { a: '1', b: 'x y' }],
    ['a=,b=', { a: '', b: '' }],
    [`a="1,2",b='x"y',c="say ""no"""`, { a: '1,2', b: 'x"y', c: 'say "no"' }],
    ['kafka.bootstrap.servers="a:1,b:2",subscribe=t', { 'kafka.bootstrap.servers': 'a:1,b:2', subscribe: 't' }],
    ['startingOffsets={"t":{"0":12,"1":-2}},x=1', { startingOffsets: '{"t":{"0":12,"1":-2}}', x: '1' }],
    ['assign={"a,}":[0, 1]} , list=[1,2]', { assign: '{"a,}":[0, 1]}', list: '[1,2]' }],
    ['url=http://h/?a=b', { url: 'http://h/?a=b' }],
  ])('reads %s', (text, pairs) => {
    expect(parsePairs(text, '--options')).toEqual(pairs);
  });

  it.each([
    ['a', 'cannot read --options at character 1'],
    ['a=1,b', 'cannot read --options at character 5'],
    ['=1', 'cannot read --options at character 1'],
    ['a="1', 'cannot read --options at character 1'],
    ['a={"b":1', 'cannot read --options at character 1'],
    ['a={}x', 'cannot read --options at character 1'],
    ['a=x"y"', 'cannot read --options at character 1'],
    ['a=1,a=2', 'a stands twice in --options'],
  ])('refuses %s', async (text, message) => {
    expect(await errorOf(() => parsePairs(text, '--options'))).toContain(`USAGE: ${message}`);
  });

  it('reads or refuses long texts at once', () => {
    const texts = ['a="x', "a='", 'a= ', 'a={', 'a', 'a=b ', ' ', 'a="",'].map((piece) => piece.repeat(20_000));
    for (const text of [...texts, `a=${' '.repeat(100_000)}"`, `a="${'""'.repeat(100_000)}"`]) {
      try {
        parsePairs(text, '--options');
      } catch (error) {
        expect(error).toBeInstanceOf(OffloadError);
      }
    }
  });

  it('reads any values that are quoted', () => {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9.]{0,8}$/);
    fc.assert(
      fc.property(fc.dictionary(name, fc.string({ unit: 'binary' }), { noNullPrototype: true }), (pairs) => {
        const text = Object.entries(pairs).map(([key, value]) => `${key}="${value.replaceAll('"', '""')}"`);
        expect(parsePairs(text.join(','), '--options')).toEqual(pairs);
      }),
    );
  });
});
