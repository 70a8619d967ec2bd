// biome-ignore-all lint/suspicious/noTemplateCurlyInString: substitutions as they stand in a file
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHocon } from '../../../src/config/hocon/readHocon.ts';
import { toPlain, toText } from '../../../src/config/hocon/values.ts';
import { OffloadError } from '../../../src/errors.ts';
import { errorOf, makeWorkspace } from './workspace.ts';

interface Case {
  readonly name: string;
  readonly source: string;
  /** JSON, or `ERR:KIND` where the reference library refuses. */
  readonly expected: string;
}

const fixtures = join(import.meta.dirname, '../../fixtures/hocon');
const cases: readonly Case[] = JSON.parse(readFileSync(join(fixtures, 'cases.json'), 'utf8'));
const fixtureFiles = join(fixtures, 'files');
const env = { MY_ENV: 'envval', MY_NUM: '42', LIST_0: 'p', LIST_1: 'q' };
const { folder } = await makeWorkspace();

const parse = (text: string, cwd = folder) => parseHocon(text, 'given.conf', { env, cwd });
const plain = async (text: string) => toPlain(await parse(text));

function write(name: string, text: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}

describe('the cases of the reference library', () => {
  it.each(cases.map(({ name, source, expected }) => [name, source, expected]))(
    '%s',
    async (_name, source, expected) => {
      const answer = () => parse(source.replaceAll('@DIR@', fixtureFiles), fixtureFiles);
      if (expected.startsWith('ERR:')) {
        expect(await errorOf(answer)).toMatch(
          /^CONFIG_INVALID: \w+\.conf is not valid HOCON at line \d+, column \d+: /,
        );
      } else expect(toPlain(await answer())).toEqual(JSON.parse(expected));
    },
  );
});

describe('values', () => {
  it('keeps numbers as text where text is asked for', async () => {
    const tree = await parse('a = 007, b = 1.50, c = 12345678901234567890, d = null, e = [true, x]');
    expect(toText(tree)).toEqual({ a: '007', b: '1.50', c: '12345678901234567890', d: null, e: ['true', 'x'] });
  });

  it('leaves durations and sizes as they are', async () => {
    expect(await plain('a = 10 seconds, b = 512MiB')).toEqual({ a: '10 seconds', b: '512MiB' });
  });

  it('takes keys of every object for mere keys', async () => {
    const tree = await plain(
      '__proto__ { polluted = 1 }, a.__proto__.polluted = 1, constructor.prototype.polluted = 1',
    );
    expect(Object.keys(tree as object)).toEqual(['__proto__', 'a', 'constructor']);
    expect('polluted' in {}).toBe(false);
    expect(await errorOf(() => parse('a = ${toString}'))).toContain('${toString} is set neither');
  });

  it('turns an object with numbers for keys into a list beside a list', async () => {
    expect(await plain('l { 1 = b, 0 = a }\nl2 = ${l} [c]')).toMatchObject({ l2: ['a', 'b', 'c'] });
  });
});

describe('substitutions', () => {
  it.each([
    ['sees the last value, from before and after', 'a = ${b}, b = 1, b = 2', { a: 2, b: 2 }],
    ['looks only at what it names', 'bar { foo = 42, baz = ${bar.foo} }, bar.foo = 43', { bar: { foo: 43, baz: 43 } }],
    [
      'lets objects refer to each other',
      'bar { a = ${foo.d}, b = 1 }\nbar.b = 3\nfoo { c = ${bar.b}, d = 2 }\nfoo.d = 4',
      { bar: { a: 4, b: 3 }, foo: { c: 3, d: 4 } },
    ],
    ['looks back where it names itself', 'a { b { c = 1 } }\na = ${a.b}\na { b = 2 }', { a: { b: 2, c: 1 } }],
    ['is absent where an optional one names only itself', 'a = ${?a}foo, b = ${?b}', { a: 'foo' }],
    ['is not looked at below a value that hides it', 'a = ${none}, a = 1, b = ${b}, b = 2', { a: 1, b: 2 }],
    [
      'inherits from an object that refers to its heir',
      'base { x = 1, y = ${heir.x} }, heir = ${base}, heir.x = 2',
      { base: { x: 1, y: 2 }, heir: { x: 2, y: 2 } },
    ],
    ['takes a list from numbered variables', 'a = ${LIST[]} [r], b = ${?NONE[]}', { a: ['p', 'q', 'r'] }],
    ['does not ask the environment about a null', 'MY_ENV = null, a = ${MY_ENV}', { MY_ENV: null, a: null }],
    ['does not take a variable of the name that is being set', 'MY_ENV = ${?MY_ENV}', {}],
    ['sees with += what was there before', 'a = [1], a += 2, a += ${a}, a += 3', { a: [1, 2, [1, 2], 3] }],
    ['leaves quoted text alone', 'a = "${b}", b = """${a}"""', { a: '${b}', b: '${a}' }],
  ])('%s', async (_name, text, expected) => {
    expect(await plain(text)).toEqual(expected);
  });
});

describe('includes', () => {
  it('looks beside the file, not in the working directory, and fixes substitutions up', async () => {
    write('sub/one.conf', 'include "two", x = 1, y = ${x}, z = ${outer}');
    write('sub/two.conf', 'from = conf, x = 9');
    write('sub/two.json', '{"from": "json", "json": true}');
    write('sub/two.properties', '# c\nfrom=properties\np.q : a\\\n  b\\u0041\np=gone\nn 5\n');
    expect(await plain('outer = o, in { include file("sub/one") }, in.x = 2')).toEqual({
      outer: 'o',
      in: { from: 'conf', json: true, p: { q: 'abA' }, n: 5, x: 2, y: 2, z: 'o' },
    });
  });

  it.each([
    ['include url("http://x/y.conf")', 1, 'include url(...) is not read here: only files are included'],
    ['include classpath("y.conf")', 1, 'include classpath(...) is not read here: only files are included'],
    ['include "https://x/y.conf"', 1, 'include of a URL is not read here: only files are included'],
    ['a = 1\ninclude required(file( "no\\nne" ))', 2, 'there is no file "no\\nne", which is required here'],
    ['include none.conf', 1, 'write include "FILE", include file("FILE") or include required("FILE")'],
    ['include "folder.conf"', 1, 'cannot read the configuration file folder.conf: it is not a file'],
    ['include "bytes"', 1, 'cannot read the configuration file bytes.conf: it is not UTF-8'],
  ])('refuses %j', async (text, line, why) => {
    mkdirSync(join(folder, 'folder.conf'), { recursive: true });
    writeFileSync(join(folder, 'bytes.conf'), Buffer.from([0x61, 0x3d, 0xff]));
    const error = await errorOf(() => parse(text));
    expect(error).toMatch(new RegExp(`^CONFIG_INVALID: given.conf is not valid HOCON at line ${line}, column \\d+: `));
    expect(error).toContain(why);
  });

  it('names the included file in an error, and stops a circle', async () => {
    write('deep/bad.conf', 'a = 1\n  b = ]');
    write('deep/left.conf', 'include "right"');
    write('deep/right.conf', 'include "left"');
    expect(await errorOf(() => parse('include "deep/bad"'))).toBe(
      'CONFIG_INVALID: deep/bad.conf is not valid HOCON at line 2, column 7: a value is missing before "]"',
    );
    expect(await errorOf(() => parse('include "deep/left"'))).toBe(
      'CONFIG_INVALID: deep/right.conf is not valid HOCON at line 1, column 1: ' +
        '"deep/left.conf" includes itself, directly or by another file',
    );
  });
});

describe('errors', () => {
  it.each([
    ['a = x@secret', 'line 1, column 6: the character @ has no meaning here; put text that holds it in quotes'],
    ['a = "secret', 'line 1, column 5: this quote is never closed; text of several lines takes three quotes'],
    [
      'a = "\\secret"',
      'line 1, column 6: unknown escape in a quoted text; write \\\\ for a backslash, or use three quotes',
    ],
    ['a {\n  b = 1', 'line 2, column 8: a } or a comma is missing before the end of the file'],
    ['a = {x = 1 "y" z}}', 'line 1, column 18: a comma is missing before "}"'],
    ['a..b = 1', 'line 1, column 1: a path is empty, or has a dot too many; write an empty key as ""'],
    ['\n a = ${b', 'line 2, column 6: this substitution is never closed; write ${PATH} or ${?PATH} in one line'],
    [
      'a = ${"b\\n".c}',
      'line 1, column 5: ${"b\\n".c} is set neither in the configuration nor in the environment; write ${?"b\\n".c} if it may be absent',
    ],
    ['a = ${b}, b = ${a}', 'line 1, column 15: ${a} leads back to itself, with no earlier value to take'],
    [
      'a = [1], b = ${a}"x"',
      'line 1, column 14: objects, lists and texts side by side do not go together; one kind must stand alone',
    ],
    ['[1]', 'line 1, column 1: the document must be an object, not a list'],
  ])('%j', async (text, message) => {
    expect(await errorOf(() => parse(text))).toBe(`CONFIG_INVALID: given.conf is not valid HOCON at ${message}`);
  });
});

describe('texts made to harm', () => {
  const lines = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, i) => line(i));

  it.each([
    ['many brackets', `a = ${'['.repeat(100_000)}`, 'brackets inside each other'],
    ['many keys in a path', `${'a.'.repeat(50_000)}a = 1`, 'a path has more than 200 keys'],
    ['paths in objects', `${`${'a.'.repeat(99)}a {`.repeat(3)}`, 'a key is missing'],
    [
      'text that doubles',
      lines(60, (i) => (i === 0 ? 'a0 = xx' : `a${i} = \${a${i - 1}}\${a${i - 1}}`)).join('\n'),
      'grows too large',
    ],
    [
      'lists that double',
      lines(60, (i) => (i === 0 ? 'a0 = 1' : `a${i} = [\${a${i - 1}}, \${a${i - 1}}]`)).join('\n'),
      'grows too large',
    ],
    [
      'objects that double',
      lines(60, (i) => (i === 0 ? 'a0 = 1' : `a${i} { x = \${a${i - 1}}, y = \${a${i - 1}} }`)).join('\n'),
      'grows too large',
    ],
    [
      'layers that double',
      lines(60, (i) =>
        i === 0 ? 'a0 { x = 1 }' : `a${i} = \${a${i - 1}}\na${i} = \${a${i - 1}}\nb${i} = \${a${i}.x}`,
      ).join('\n'),
      'too often',
    ],
    ['a long chain', lines(5_000, (i) => `a${i} = \${a${i + 1}}`).join('\n'), 'too deeply'],
    ['a deep nest of lists', `${lines(5_000, (i) => `a${i + 1} = [\${a${i}}]`).join('\n')}\na0 = 1`, 'grows too large'],
    ['lists side by side', `a = ${'[1]'.repeat(100_000)}`, ''],
    ['a list put together many times', `l = [1, 2, 3]\na = ${'${l}'.repeat(100_000)}`, 'too often'],
    ['a long row of +=', `a = [x]\n${'a += 1\n'.repeat(50_000)}`, ''],
    ['a long word', `a = ${'x'.repeat(2_000_000)}`, ''],
    ['a long quoted text', `a = "${'x\\n'.repeat(600_000)}"`, ''],
    ['a long file', 'a = 1\n'.repeat(400_000), 'characters'],
    ['a long number', `a = ${'9'.repeat(1_000_000)}`, ''],
  ])('%s', async (_name, text, message) => {
    const outcome = await parse(text).then(
      () => null,
      (error: unknown) => error,
    );
    if (message === '') expect(outcome).toBeNull();
    else {
      expect(outcome).toBeInstanceOf(OffloadError);
      expect(outcome).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) });
    }
  });

  it('reads 100,000 random texts, or refuses them in one line', async () => {
    const pieces = [
      'a',
      'b',
      'a.b',
      '=',
      '+=',
      ':',
      '{',
      '}',
      '[',
      ']',
      ',',
      '\n',
      ' ',
      '1',
      '-',
      '"',
      '"""',
      '\\u',
      '${',
      '${a}',
      '${?b}',
      '${a.b}',
      '}',
      '#',
      '//',
      'include ',
      '"inc.conf"',
      'required(',
      ')',
      'null',
      '\u00a0',
      '\ud800',
      '__proto__',
    ];
    const soup = fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((parts) => parts.join(''));
    const mutated = fc
      .tuple(fc.constantFrom(...cases), fc.constantFrom(...cases), fc.nat(), fc.nat(8), fc.constantFrom(...pieces))
      .map(([{ source }, other, at, length, piece]) => {
        const start = at % (source.length + 1);
        return `${source.slice(0, start)}${piece}${source.slice(start + length)}\n${at % 2 === 0 ? other.source : ''}`;
      });
    const texts = fc.oneof(mutated, soup, fc.string({ unit: 'binary', maxLength: 40 }));
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        try {
          JSON.stringify(toPlain(await parse(text, fixtureFiles)));
        } catch (error) {
          if (!(error instanceof OffloadError) || error.code !== 'CONFIG_INVALID' || /[\r\n]/.test(error.message)) {
            throw error;
          }
        }
      }),
      { seed: 20_260_101, numRuns: 100_000 },
    );
  }, 300_000);
});
