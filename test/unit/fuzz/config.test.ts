// biome-ignore-all lint/suspicious/noTemplateCurlyInString: substitutions as they stand in a file
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseHocon } from '../../../src/config/hocon/readHocon.ts';
import { loadConfig } from '../../../src/config/loadConfig.ts';
import { OffloadError } from '../../../src/errors.ts';
import { describeError } from '../../../src/main.ts';
import { makeWorkspace } from '../config/workspace.ts';
import { HANG_MS, hostile, outcomeOf, runs } from './hostile.ts';

const HOCON = readFileSync(new URL('../../fixtures/config/every-key.conf', import.meta.url));
const YAML = `kafka:
  serverOptions: &options { bootstrap.servers: "broker:9092" }
  topics:
    orders: { topicName: orders, fields: ["key as STRING", offset], accessOptions: *options }
    clicks:
      topicName: clicks
`;
const TRICKS = ['a = ${a}\n', 'a = ${?a} x\n', 'b = { include "b.conf" }\n', 'c += ${c}\n', 'd = [${d}]\n'];
const workspace = await makeWorkspace();
/** What the command says of it. */
const toldOf = (message: string): string => describeError(new OffloadError('CONFIG_INVALID', message), false);

describe('a configuration', () => {
  test('whose key holds what a terminal obeys is told in one line of text', async () => {
    await workspace.write('kafkaload.yml', 'kafka: { "to\\rpics\\n\\e[2J": 1 }\n');
    const outcome = await outcomeOf(() => loadConfig({}, workspace.environment()));
    expect('error' in outcome && toldOf(outcome.error)).toMatch(
      /^kafkaload: unknown key kafka\.to\\rpics \\u001b\[2J in kafkaload\.yml/,
    );
  });

  test(
    'in HOCON of any bytes is a tree or one line that says where it is wrong',
    async () => {
      const valid = [HOCON, ...TRICKS.map((text) => Buffer.from(text))];
      await fc.assert(
        fc.asyncProperty(hostile(...valid), async (bytes) => {
          const options = { env: { a: '${b}' }, cwd: workspace.folder };
          const outcome = await outcomeOf(() => parseHocon(bytes.toString('utf8'), 'any.conf', options));
          if ('error' in outcome) expect(outcome.error).toMatch(/^any\.conf is not valid HOCON at line .{1,400}$/);
        }),
        runs(500),
      );
    },
    HANG_MS,
  );

  test(
    'in YAML of any bytes is a configuration or one line that says what is wrong',
    async () => {
      await fc.assert(
        fc.asyncProperty(hostile(Buffer.from(YAML)), async (bytes) => {
          await workspace.write('kafkaload.yml', bytes.toString('utf8'));
          const outcome = await outcomeOf(() => loadConfig({}, workspace.environment()));
          if ('error' in outcome) expect(toldOf(outcome.error)).toMatch(/^kafkaload: \P{Cc}{1,2000}$/u);
        }),
        runs(250),
      );
    },
    HANG_MS,
  );

  test.each([
    ['kafkaload.yml', 'brackets', '['.repeat(20_000)],
    ['kafkaload.yml', 'mappings', `kafka: ${'{a: '.repeat(5_000)}`],
    ['kafkaload.yml', 'closed mappings', `kafka: ${'{a: '.repeat(5_000)}1${'}'.repeat(5_000)}`],
    ['kafkaload.yml', 'dashes', '- '.repeat(20_000)],
    [
      'kafkaload.yml',
      'aliases',
      `a: &a [x]\n${Array.from({ length: 40 }, (_, i) => `k${i}: &k${i} [*${i ? `k${i - 1}` : 'a'}, *${i ? `k${i - 1}` : 'a'}]\n`).join('')}kafka: *k39\n`,
    ],
    ['any.conf', 'brackets', `a = ${'['.repeat(20_000)}`],
    ['any.conf', 'braces', '{a:'.repeat(20_000)],
    [
      'any.conf',
      'substitutions',
      `a0 = [x, x]\n${Array.from({ length: 40 }, (_, i) => `a${i + 1} = [\${a${i}}, \${a${i}}]\n`).join('')}`,
    ],
    ['any.conf', 'dots', `${'a.'.repeat(20_000)}a = 1`],
  ])('%s of nothing but %s ends in one line', async (file, _what, text) => {
    await workspace.write(file, text);
    const outcome = await outcomeOf(() => loadConfig({ conf: join(workspace.folder, file) }, workspace.environment()));
    expect(outcome).toHaveProperty('error', expect.stringMatching(/^.{1,400}$/));
  });
});
