import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { nodeProblem } from '../../../scripts/toolchain.mjs';

test('asks for the Node that package.json asks for', () => {
  const { engines } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  const oldest = engines.node.replace('>=', '');
  expect(nodeProblem(`${oldest}.0`)).toBeNull();
  expect(nodeProblem('22.0.0')).toBeNull();
  expect(nodeProblem('18.20.8')).toBe(
    `kafkaload needs Node ${oldest} or newer, and this is 18.20.8: install a newer one`,
  );
  expect(nodeProblem('20.18.3')).toContain('this is 20.18.3');
});
