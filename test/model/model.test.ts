import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MODES, MUTANTS, rulesOf, TARGETS } from './configurations.ts';
import { type Exploration, explore, type Limits } from './explore.ts';
import { operations } from './operations.ts';
import { losePower } from './powerLoss.ts';
import { CORRECTIONS, type Command } from './rules.ts';
import { STEPS } from './steps.ts';

/** The part of `npm run model` that takes seconds: two runs, and what shows soonest that a correction is missing. */
const LIMITS: Limits = { states: 900_000, untilMs: Number.POSITIVE_INFINITY };

const KINDS = MODES.flatMap((mode) => TARGETS.map((target) => ({ mode, ...target })));

describe.each(KINDS)('$mode $target $writeMode', ({ mode, ...target }) => {
  const rules = rulesOf(mode, target);

  test.each<{ commands: Command[]; order?: Exploration['order']; hands?: number }>([
    { commands: ['load', 'load'] },
    { commands: ['load', 'load'], order: 'falling' },
    { commands: ['load', 'discard'], hands: 1 },
    { commands: ['load', 'set'] },
    { commands: ['freeLoad', 'load'] },
    { commands: ['gapLoad', 'discard'], hands: 1 },
  ])('two runs lose nothing and repeat nothing: $commands $order', ({ commands, order = 'rising', hands = 0 }) => {
    expect(explore({ rules, commands, order, hands, killed: null }, LIMITS)).toMatchObject({
      reached: 'all',
      trace: [],
    });
  });

  test('a loss of power in each of two runs costs nothing', () => {
    const result = losePower(rules, ['load', 'discard'], LIMITS.untilMs);
    expect(result).toMatchObject({ reached: 'all', trace: [] });
  });
});

/** It takes a minute: `npm run model`. */
const SLOW = 'listAgreed';

test.each(MUTANTS.filter(({ correction }) => correction !== SLOW))('without $correction it breaks', (mutant) => {
  const result =
    mutant.kind === 'runs'
      ? explore(mutant.exploration, LIMITS)
      : losePower(mutant.rules, mutant.commands, LIMITS.untilMs);
  expect(result.reached).toBe('violation');
  expect(result.trace.at(-1)).toContain('VIOLATION');
});

test('every correction is shown to be needed', () => {
  expect(new Set(MUTANTS.map(({ correction }) => correction))).toEqual(new Set(Object.keys(CORRECTIONS)));
});

describe('the model and the code', () => {
  const source = ['commit', 'sinks']
    .map((folder) => new URL(`../../src/${folder}/`, import.meta.url))
    .flatMap((folder) => readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8')))
    .join('\n');

  test('name the same steps', () => {
    const named = [...source.matchAll(/\bstep\('([^']+)'\)/g)].map(([, step]) => step);
    expect(Object.keys(STEPS).sort(byText)).toEqual([...new Set(named)].sort(byText));
  });

  test('each step follows an operation that is there', () => {
    for (const [step, names] of Object.entries(STEPS)) {
      for (const name of names) expect(Object.keys(operations), step).toContain(name);
    }
  });
});

function byText(a: string | undefined, b: string | undefined): number {
  return String(a) < String(b) ? -1 : 1;
}
