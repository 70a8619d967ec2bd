import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseHocon } from '../../../src/config/hocon/readHocon.ts';
import { toPlain } from '../../../src/config/hocon/values.ts';
import { errorOf } from './workspace.ts';

interface Case {
  readonly name: string;
  readonly source: string;
  /** JSON, or `ERR:KIND` where the reference library refuses. */
  readonly expected: string;
}

const fixtures = join(import.meta.dirname, '../../fixtures/hocon');
const cases = JSON.parse(readFileSync(join(fixtures, 'cases.json'), 'utf8')) as Case[];
const cwd = join(fixtures, 'files');
const parse = (source: string) =>
  parseHocon(source.replaceAll('@DIR@', cwd), 'given.conf', { env: { MY_ENV: 'envval', MY_NUM: '42' }, cwd });

describe('the cases of the reference library', () => {
  it.each(cases.map(({ name, source, expected }) => [name, source, expected]))(
    '%s',
    async (_name, source, expected) => {
      if (expected.startsWith('ERR:'))
        expect(await errorOf(() => parse(source))).toMatch(/^CONFIG_INVALID: \w+\.conf is not valid HOCON at line \d+/);
      else expect(toPlain(await parse(source))).toEqual(JSON.parse(expected));
    },
  );
});
