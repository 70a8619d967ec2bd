// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables as they stand in a configuration file
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/config/checkConfig.ts';
import { resolveJob } from '../../../src/config/resolveJob.ts';
import { OffloadError } from '../../../src/errors.ts';
import { describeError } from '../../../src/main.ts';
import { makeWorkspace } from './workspace.ts';

const { folder, environment } = await makeWorkspace();

const SECRET_KEYS = [
  'sasl.password',
  'sasl.jaas.config',
  'sasl.oauthbearer.token',
  'sasl.oauthbearer.token.command',
  'sasl.oauthbearer.client.secret',
  'sasl.oauthbearer.client.credentials.client.secret',
  'sasl.oauthbearer.assertion.private.key.passphrase',
  'sasl.oauthbearer.assertion.private.key.pem',
  'ssl.key.password',
  'ssl.key.pem',
  'ssl.keystore.password',
  'ssl.keystore.key',
  'ssl.truststore.password',
  'basic.auth.user.info',
  'my.unknown.password',
];

/** Long enough to be no part of a message by chance. */
const secret = fc
  .string({ minLength: 12, maxLength: 24, unit: fc.constantFrom(...'QZXJqzxj0189!@#$%&*{}[]:\'"\\`|>?,.- ') })
  .filter((text) => text.trim().length >= 12);

/** How a secret may stand in a file: quoted as it should be, bare, inside a JAAS line, as a variable's default. */
const forms: readonly ((text: string) => string)[] = [
  (text) => JSON.stringify(text),
  (text) => text,
  (text) => JSON.stringify(`x.PlainLoginModule required username="u" password="${text}";`),
  (text) => JSON.stringify(`x.ScramLoginModule required password='${text}`),
  (text) => `"\${UNSET:-${text}}`,
  (text) => JSON.stringify(`\${${text}`),
  (text) => `[${JSON.stringify(text)}]`,
  (text) => `{ a: ${JSON.stringify(text)} }`,
];

async function said(file: string): Promise<string> {
  await writeFile(join(folder, 'kafkaload.yml'), file);
  try {
    const job = await resolveJob({ config: 'orders', path: 'out', verbose: true }, environment());
    const checked = await Promise.all(
      ['text', 'json'].map((report) => checkConfig({ report, verbose: true }, environment())),
    );
    return [...job.notes, ...checked].join('\n');
  } catch (error) {
    // An error of another class would be a bug of ours: it must not carry the secret either.
    return `${describeError(error, true)}\n${JSON.stringify(error instanceof OffloadError ? error.context : null)}`;
  }
}

describe('secrets', () => {
  it('never show in an error, its causes, its context, a note or the tree that config check prints', async () => {
    await fc.assert(
      fc.asyncProperty(
        secret,
        fc.constantFrom(...SECRET_KEYS),
        fc.constantFrom(...forms),
        fc.constantFrom('plaintext', 'sasl_ssl', 'sasl_plaintext', 'ssl', 'nonsense'),
        fc.constantFrom('PLAIN', 'SCRAM-SHA-512', 'OAUTHBEARER', 'GSSAPI', 'nonsense'),
        async (text, key, form, protocol, mechanism) => {
          const output = await said(
            [
              'kafka:',
              '  serverOptions:',
              '    bootstrap.servers: broker:9092',
              `    security.protocol: ${protocol}`,
              `    sasl.mechanism: ${mechanism}`,
              '    sasl.username: someone',
              `    ${key}: ${form(text)}`,
              '  topics: { orders: { topicName: orders } }',
              '',
            ].join('\n'),
          );
          expect(output).not.toContain(text);
          expect(output).not.toContain(text.trim());
          // Nor a piece of it that YAML took for a key, an anchor or a tag. Names of variables are shown.
          const words = text.includes('${') || form(text).includes('${') ? [] : text.split(/[^A-Za-z0-9]+/);
          for (const word of words.filter((each) => each.length >= 5)) expect(output).not.toContain(word);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
