import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Limits } from '../explore.ts';
import { CHAIN_MUTANTS, CHAINS, describeChain } from './configurations.ts';
import { exploreChain } from './exploreChain.ts';
import { operations } from './operations.ts';
import { CHAIN_CORRECTIONS } from './rules.ts';
import { CHAIN_STEPS } from './steps.ts';

/** The part of `npm run model` that takes seconds. */
const LIMITS: Limits = { states: 600_000, untilMs: Number.POSITIVE_INFINITY };

test.each(CHAINS.map((rules) => [describeChain(rules), rules] as const))(
  '%s: nothing lost, nothing twice',
  (_, rules) => {
    expect(exploreChain(rules, LIMITS)).toMatchObject({ reached: 'all', trace: [] });
  },
);

test.each(CHAIN_MUTANTS)('without $without it breaks', (rules) => {
  const { reached, trace } = exploreChain(rules, LIMITS);
  expect(reached).toBe('violation');
  expect(trace.at(-1)).toContain('VIOLATION');
});

test('every correction is shown to be needed', () => {
  expect(new Set(CHAIN_MUTANTS.map(({ without }) => without))).toEqual(new Set(Object.keys(CHAIN_CORRECTIONS)));
});

describe('the model and the code', () => {
  const folder = new URL('../../../src/stream/chain/', import.meta.url);
  const source = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8'));

  test('name the same steps', () => {
    const named = [...source.join('\n').matchAll(/\bstep\('([^']+)'\)/g)].map(([, step]) => step ?? '');
    expect(Object.keys(CHAIN_STEPS).sort(byText)).toEqual([...new Set(named)].sort(byText));
  });

  test('each step follows an operation that is there', () => {
    for (const [step, names] of Object.entries(CHAIN_STEPS)) {
      for (const name of names) expect(Object.keys(operations), step).toContain(name);
    }
  });
});

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
