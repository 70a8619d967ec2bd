import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bearer, CLIENT_KEY_PASSWORD, login, SESSION_MS, TOKENS } from '../helpers/secureBroker.ts';
import { type Filled, useSecureRuns } from '../helpers/secureRuns.ts';
import { OFFSETS_MODES, type OffsetsMode } from '../helpers/workspace.ts';

/** TLS and logins: what the command does on listeners of every kind, on a real broker. Users: `permissions.test.ts`. */

/** Of the topic that runs take long for. */
const MANY_MESSAGES = 60_000;
/** The messages of the larger topic take about 3 MB in its log. */
const SLOW_BYTES_PER_SECOND = 400_000;
/** Of tokens that runs outlive: long enough for a machine that is busy to use one in time. */
const TOKEN_SECONDS = 5;

const secure = useSecureRuns();
let many: Filled;

beforeAll(async () => {
  many = await secure().fill('secured-many', MANY_MESSAGES);
});

describe('TLS', () => {
  test('reads through it with the authority named, in both offset modes', async () => {
    await secure().expectInBothModes({ listener: 'TLS', options: tls() });
  });

  test('an authority that did not sign the certificate is refused', async () => {
    const options = { ...tls(), 'ssl.ca.location': secure().kafka.stranger.certificate };
    await secure().expectRefused(
      { listener: 'TLS', options },
      /certificate of broker 127\.0\.0\.1:\d+ is not trusted .*ssl\.ca\.location/,
    );
  });

  test('a certificate of another host is refused, unless names are not checked', async () => {
    const attempt = { listener: 'OTHERHOST', options: tls() };
    await secure().expectRefused(
      attempt,
      /certificate of broker 127\.0\.0\.1:\d+ .*broker\.example.*ssl\.endpoint\.identification/,
    );
    const unchecked = { ...tls(), 'ssl.endpoint.identification.algorithm': 'none' };
    await secure().expectInBothModes({ ...attempt, options: unchecked });
  });

  test('a client certificate opens a listener that asks for one, and nothing else does', async () => {
    const options = {
      ...tls(),
      'ssl.certificate.location': secure().kafka.client.certificate,
      'ssl.key.location': secure().kafka.client.key,
      'ssl.key.password': CLIENT_KEY_PASSWORD,
    };
    await secure().expectInBothModes({ listener: 'MUTUAL', options });
    await secure().expectRefused(
      { listener: 'MUTUAL', options: tls() },
      /127\.0\.0\.1:\d+ .*ssl\.certificate\.location/,
    );
    const wrongPassword = { ...options, 'ssl.key.password': 'pw-wrong-2Lk6' };
    await secure().expectRefused(
      { listener: 'MUTUAL', options: wrongPassword },
      /ssl\.key\.location .*ssl\.key\.password does not open it/,
      {
        secrets: ['pw-wrong-2Lk6'],
        code: 2,
      },
    );
  });

  test('stores in PEM under the names of the Java client, in both offset modes', async () => {
    const store = join(secure().folder, 'client.store.pem');
    const { certificate, key } = secure().kafka.client;
    await writeFile(store, `${await readFile(key, 'utf8')}${await readFile(certificate, 'utf8')}`);
    const options = {
      'security.protocol': 'SSL',
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': secure().kafka.authority.certificate,
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': store,
      'ssl.key.password': CLIENT_KEY_PASSWORD,
    };
    await secure().expectInBothModes({ listener: 'MUTUAL', options });
    const java = { 'security.protocol': 'SSL', 'ssl.truststore.location': '/etc/kafka/trust.jks' };
    await secure().expectRefused({ listener: 'TLS', options: java }, /keytool -importkeystore .*openssl pkcs12/, {
      code: 2,
    });
  });

  test("a protocol that is not the listener's is named", async () => {
    const named = /^kafkaload: broker 127\.0\.0\.1:\d+ .*set security\.protocol to /;
    await secure().expectRefused({ listener: 'TLS', options: {} }, named);
    await secure().expectRefused({ listener: 'LOGIN', options: {} }, named);
    await secure().expectRefused({ listener: 'TLSLOGIN', options: {} }, named);
    await secure().expectRefused({ listener: 'PLAINTEXT', options: tls() }, named);
    await secure().expectRefused({ listener: 'LOGIN', options: tls() }, named);
    await secure().expectRefused({ listener: 'TLSLOGIN', options: tls() }, named);
    await secure().expectRefused({ listener: 'PLAINTEXT', options: login('PLAIN') }, named);
    await secure().expectRefused({ listener: 'TLSLOGIN', options: login('SCRAM-SHA-512') }, named);
  });
});

describe('SASL', () => {
  test.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)('%s: logs in, in both offset modes', async (name) => {
    await secure().expectInBothModes({ listener: 'LOGIN', options: login(name) });
  });

  test('SCRAM-SHA-512 through TLS, in both offset modes', async () => {
    const options = { ...tls(), ...login('SCRAM-SHA-512'), 'security.protocol': 'SASL_SSL' };
    await secure().expectInBothModes({ listener: 'TLSLOGIN', options });
  });

  test('OAUTHBEARER with a token, in both offset modes', async () => {
    await secure().expectInBothModes({ listener: 'TOKEN', options: bearer(TOKENS.valid) });
  });

  test('OAUTHBEARER with a token from a file and from a command, in both offset modes', async () => {
    const path = join(secure().folder, 'token');
    await writeFile(path, `${TOKENS.valid}\n`);
    const { 'sasl.oauthbearer.token': _, ...others } = bearer('');
    const file = { ...others, 'sasl.oauthbearer.token.endpoint.url': `file://${path}` };
    await secure().expectInBothModes({ listener: 'TOKEN', options: file });
    await secure().expectInBothModes({
      listener: 'TOKEN',
      options: { ...others, 'sasl.oauthbearer.token.command': `cat ${path}` },
    });
    await rm(path);
    await secure().expectRefused(
      { listener: 'TOKEN', options: file },
      /cannot read the bearer token of .*token\.endpoint\.url from /,
    );
    const failing = { ...others, 'sasl.oauthbearer.token.command': `echo ${TOKENS.valid}; exit 7` };
    await secure().expectRefused(
      { listener: 'TOKEN', options: failing },
      /the command of .*token\.command ended with 7/,
    );
  });

  test('a token that has run out is refused', async () => {
    await secure().expectRefused(
      { listener: 'TOKEN', options: bearer(TOKENS.expired) },
      /refused the login with OAUTHBEARER/,
    );
  });

  test.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)('%s: a wrong password is refused', async (name) => {
    const options = { ...login(name), 'sasl.password': 'pw-wrong-2Lk6' };
    const said = new RegExp(`broker 127\\.0\\.0\\.1:\\d+ refused the login with ${name}; check sasl\\.username`);
    await secure().expectRefused({ listener: 'LOGIN', options }, said, { secrets: ['pw-wrong-2Lk6'] });
  });

  test('a mechanism that is not offered: says which are', async () => {
    const attempt = { listener: 'TOKEN', options: login('SCRAM-SHA-256') };
    await secure().expectRefused(attempt, /does not offer sasl\.mechanisms? SCRAM-SHA-256; it offers .*PLAIN/);
  });

  test('a run that is longer than a session logs in again and goes on', async () => {
    // Small answers and a quota make the run last several sessions, however fast the machine is.
    const options = { ...login('SCRAM-SHA-512'), 'fetch.max.bytes': 1_024 };
    const outlast = async (mode: OffsetsMode): Promise<void> => {
      await secure().topics.limitFetch(`slow-${mode}`, SLOW_BYTES_PER_SECOND);
      const own = { ...options, 'client.id': `slow-${mode}` };
      const attempt = { listener: 'SHORT', options: own, mode, from: many, args: ['--verbose'] };
      const { seconds, stderr } = await secure().expectOffloaded(attempt);
      expect(seconds).toBeGreaterThan((2 * SESSION_MS) / 1_000);
      expect(stderr).not.toMatch(/warn|failed|closed/i);
    };
    await Promise.all(OFFSETS_MODES.map(outlast));
  });
});

describe('OAUTHBEARER in the middle of a run', () => {
  test('a run that is longer than a session and a token logs in with another token and goes on', async () => {
    const { 'sasl.oauthbearer.token': _, ...others } = bearer('');
    const outlive = async (mode: OffsetsMode): Promise<void> => {
      const counted = join(secure().folder, `counted-${mode}`);
      const options = {
        ...others,
        'sasl.oauthbearer.token.command': shortToken(counted),
        'client.id': `token-${mode}`,
        'fetch.max.bytes': 1_024,
      };
      await secure().topics.limitFetch(`token-${mode}`, SLOW_BYTES_PER_SECOND);
      const attempt = { listener: 'SHORT', options, mode, from: many, args: ['--verbose'] };
      const { seconds, stderr } = await secure().expectOffloaded(attempt);
      expect(seconds).toBeGreaterThan(TOKEN_SECONDS);
      expect(stderr).not.toMatch(/warn|failed|closed/i);
      expect((await readFile(counted, 'utf8')).length).toBeGreaterThan(2);
    };
    // Both wait for the broker most of the time.
    await Promise.all(OFFSETS_MODES.map(outlive));
  });
});

function tls() {
  return { 'security.protocol': 'SSL', 'ssl.ca.location': secure().kafka.authority.certificate };
}

/** A command of the shell that prints a token of TOKEN_SECONDS, as `unsecuredToken`, and leaves a mark each time. */
function shortToken(counted: string): string {
  const part = `part() { printf %s "$1" | base64 -w0 | tr +/ -_ | tr -d =; }`;
  const claims = `{\\"sub\\":\\"loader\\",\\"iat\\":$now,\\"exp\\":$((now + ${TOKEN_SECONDS}))}`;
  return `${part}; now=$(date +%s); printf x >> '${counted}'; echo "$(part '{"alg":"none"}').$(part "${claims}")."`;
}
