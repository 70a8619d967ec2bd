import { describe, expect, it } from 'vitest';
import { compileTopicPattern } from '../../../src/config/topicPattern.ts';

describe('compileTopicPattern', () => {
  it.each([
    ['orders', ['orders'], ['orders2', 'my.orders']],
    ['orders|clicks', ['orders', 'clicks'], ['orders.clicks', 'clicks2']],
    ['orders\\..*', ['orders.eu', 'orders.'], ['orders', 'orders-eu']],
    ['\\Qorders.\\E\\d{2}', ['orders.17'], ['orders-17', 'orders.1']],
    ['\\Qa.b', ['a.b'], ['aQb', 'axb']],
    ['(?i)ORDERS', ['orders', 'Orders'], ['order']],
    ['\\p{Lower}+_\\P{Digit}', ['abc_x'], ['Abc_x', 'abc_1']],
    ['[\\p{Alpha}.]+', ['a.B'], ['a-b']],
    ['a\\-b[\\w-]+', ['a-bc-d'], ['a-b']],
    ['(?:eu|us)-(?<name>\\w+)-\\k<name>', ['eu-x-x'], ['eu-x-y']],
    ['orders(?!-old).*', ['orders-new'], ['orders-old']],
  ])('%s matches whole names as Java does', (pattern, matching, others) => {
    const compiled = compileTopicPattern(pattern);
    for (const name of matching) expect(compiled.test(name), name).toBe(true);
    for (const name of others) expect(compiled.test(name), name).toBe(false);
  });

  it.each([
    ['orders(', 'it is no regular expression'],
    ['a*+b', 'it is no regular expression'],
    ['\\Aorders', '\\A has no counterpart here'],
    ['orders\\', '\\ has no counterpart here'],
    ['\\p{IsGreek}+', '\\p{IsGreek} has no counterpart here'],
    ['[a-z&&[^x]]', 'a [ within [ ] has no counterpart here'],
    ['[]x]', '[] that holds nothing has no counterpart here'],
    ['[a-z&&x]', '&& within [ ] has no counterpart here'],
  ])('%s is refused, saying why', (pattern, why) => {
    expect(() => compileTopicPattern(pattern)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(`"${pattern}" cannot be used: ${why}`),
      }),
    );
  });
});
