import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readBearerToken, refreshAfterMs } from '../../../src/kafka/bearerToken.ts';
import { unsecuredToken } from '../../helpers/secureBroker.ts';

const folder = await mkdtemp(join(tmpdir(), 'kafkaload-token-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
const SECRET = 'secret-Zq81';
const command = (text: string) => readBearerToken({ kind: 'command', where: 'KEY', command: text });

describe('a bearer token', () => {
  test('is read anew each time, without the end of its line', async () => {
    const path = join(folder, 'token');
    for (const token of ['abc', 'd.e.f==']) {
      await writeFile(path, `${token}\n`);
      expect(await readBearerToken({ kind: 'file', where: 'KEY', path })).toBe(token);
      expect(await command(`cat ${path}`)).toBe(token);
    }
  });

  test('of a command is asked for once by all who log in together', async () => {
    const [counted, once] = [join(folder, 'counted'), join(folder, 'once.sh')];
    await writeFile(once, `#!/bin/sh\necho x >> ${counted}\nsleep 0.2\necho abc\n`);
    await chmod(once, 0o700);
    expect(await Promise.all([1, 2, 3].map(() => command(once)))).toEqual(['abc', 'abc', 'abc']);
    await command(once);
    expect((await readFile(counted, 'utf8')).split('\n')).toHaveLength(3);
  });

  test.each([
    ['nothing', 'true', 'KEY gives nothing'],
    ['more than a token', `echo ${SECRET} and more`, 'KEY gives 20 characters that are no bearer token (RFC 6750)'],
    ['a failure', `echo ${SECRET} >&2; echo ${SECRET}; exit 3`, 'the command of KEY ended with 3; run it by hand'],
    ['its own end', `kill -9 $$ # ${SECRET}`, 'the command of KEY was ended by SIGKILL'],
  ])('that turns out to be %s is an error without a secret in it', async (_what, text, said) => {
    const error = await command(text).then(
      (token) => new Error(token),
      (failure: Error) => failure,
    );
    expect(error.message).toContain(said);
    expect(error.cause).toBeUndefined();
    expect(JSON.stringify(error) + String(error.stack)).not.toContain(SECRET);
  });

  test('of a file that is not there names the file', async () => {
    const path = join(folder, 'none');
    await expect(readBearerToken({ kind: 'file', where: 'KEY', path })).rejects.toThrow(
      `cannot read the bearer token of KEY from ${path}`,
    );
  });

  test('is renewed before it ends, and each minute when it does not say when', () => {
    const now = Date.now();
    expect(refreshAfterMs(unsecuredToken('u', 20), now)).toBeGreaterThan(12_000);
    expect(refreshAfterMs(unsecuredToken('u', 20), now)).toBeLessThanOrEqual(14_000);
    expect(refreshAfterMs(unsecuredToken('u', -20), now)).toBe(1_000);
    for (const token of ['opaque', 'a.b.c', unsecuredToken('u', 86_400)])
      expect(refreshAfterMs(token, now)).toBe(60_000);
  });
});
