/**
 *     npm run model -- [--minutes N] [--only TEXT]
 *
 * Explores everything: two runs, loss of power and each removed correction first, then three interleaved runs for the
 * time that is left, which the configurations share. Prints a line for each, and the trace of whatever is found.
 */
import { parseArgs } from 'node:util';
import { CHAIN_MUTANTS, CHAINS, describeChain, LONG_CHAINS } from './chain/configurations.ts';
import { exploreChain } from './chain/exploreChain.ts';
import { CHAIN_CORRECTIONS } from './chain/rules.ts';
import { AFTER_KILLED, MODES, MUTANTS, PAIRS, POWER_LOSSES, rulesOf, TARGETS, TRIPLES } from './configurations.ts';
import { type Exploration, explore, type Limits, type Result } from './explore.ts';
import { losePower } from './powerLoss.ts';
import { CORRECTIONS, type Rules } from './rules.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, only: { type: 'string', default: '' } },
});
const began = Date.now();
const endsAtMs = began + Number(values.minutes) * 60_000;
/** Of the memory for states: 24 bytes each and as much again while a table grows. */
const MOST_STATES = 60_000_000;
let unexpected = 0;
let total = 0;

function report(label: string, mustBreak: boolean, run: () => Result): void {
  if (!label.includes(values.only)) return;
  const startedAt = Date.now();
  const { states, worlds, reached, trace } = run();
  total += states;
  const isRight = (reached === 'violation') === mustBreak || (mustBreak && reached === 'limit');
  if (!isRight) unexpected += 1;
  const verdict = { all: 'explored whole', limit: 'as far as time and memory went', violation: 'VIOLATION' }[reached];
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  const count = (n: number): string => n.toLocaleString('en-US').padStart(11);
  process.stdout.write(
    `${label.padEnd(72)} ${count(states)} states ${count(worlds)} judged ${seconds.padStart(7)} s  ${verdict}` +
      `${isRight ? '' : '   <-- UNEXPECTED'}\n`,
  );
  for (const line of trace) process.stdout.write(`      ${line}\n`);
}

function labelOf({ mode, target, writeMode }: Rules, commands: readonly string[], more = ''): string {
  return `${mode} ${target} ${writeMode}: ${commands.join(', ')}${more}`;
}

function labelOfExploration({ rules, commands, order, hands, killed }: Exploration): string {
  const before = killed === null ? '' : `, after a killed ${killed}`;
  const falling = order === 'falling' ? ', run ids falling' : '';
  const listing = rules.atomicListing ? '' : ', listings that miss renames';
  return labelOf(rules, commands, `${before}${falling}${hands > 0 ? ', set by hand' : ''}${listing}`);
}

function exploreAndReport(exploration: Exploration, untilMs: number): void {
  const limits: Limits = { states: MOST_STATES, untilMs };
  report(labelOfExploration(exploration), false, () => explore(exploration, limits));
}

const kinds = MODES.flatMap((mode) => TARGETS.map((target) => rulesOf(mode, target)));
process.stdout.write('--- two runs\n');
for (const rules of kinds) {
  for (const commands of PAIRS) {
    for (const hands of [0, 1]) {
      for (const order of rules.mode === 'FILE' ? (['rising', 'falling'] as const) : (['rising'] as const)) {
        exploreAndReport({ rules, commands, order, hands, killed: null }, endsAtMs);
      }
    }
  }
}
process.stdout.write('--- two runs after one that was killed when it had prepared\n');
for (const rules of kinds) {
  for (const commands of AFTER_KILLED) {
    for (const killed of ['load', 'gapLoad'] as const) {
      exploreAndReport({ rules, commands, order: 'rising', hands: 0, killed }, endsAtMs);
    }
  }
}
process.stdout.write('--- loss of power in each of three runs\n');
for (const kind of kinds) {
  const rules = { ...kind, maxHighWatermark: 3 };
  for (const commands of POWER_LOSSES) {
    report(labelOf(rules, commands, ', power lost'), false, () => losePower(rules, commands, endsAtMs));
  }
}
process.stdout.write('--- without one correction: each must break\n');
for (const mutant of MUTANTS) {
  report(`without ${mutant.correction}: ${CORRECTIONS[mutant.correction]}`, true, () =>
    mutant.kind === 'runs'
      ? explore(mutant.exploration, { states: MOST_STATES, untilMs: endsAtMs })
      : losePower(mutant.rules, mutant.commands, endsAtMs),
  );
}
process.stdout.write('--- chains of streams\n');
for (const [index, rules] of [...CHAINS, ...LONG_CHAINS].entries()) {
  // At most a third of what is left, for all of them.
  const share = (endsAtMs - Date.now()) / 3 / (CHAINS.length + LONG_CHAINS.length - index);
  const limits: Limits = { states: MOST_STATES, untilMs: Date.now() + Math.max(0, share) };
  report(describeChain(rules), false, () => exploreChain(rules, limits));
}
for (const rules of CHAIN_MUTANTS) {
  const what = rules.without === null ? '' : CHAIN_CORRECTIONS[rules.without];
  report(`chain without ${rules.without}: ${what}`, true, () => {
    return exploreChain(rules, { states: MOST_STATES, untilMs: endsAtMs });
  });
}
process.stdout.write('--- three runs\n');
const triples = TRIPLES.flatMap((commands) =>
  kinds.map((rules): Exploration => ({ rules, commands, order: 'rising', hands: 0, killed: null })),
);
const slow = rulesOf('FILE', { target: 'folder', writeMode: 'Append' }, { atomicListing: false });
const last: Exploration = { rules: slow, commands: ['load', 'load'], order: 'rising', hands: 0, killed: null };
const chosen = [...triples, last].filter((exploration) => labelOfExploration(exploration).includes(values.only));
for (const [index, exploration] of chosen.entries()) {
  const share = (endsAtMs - Date.now()) / (chosen.length - index);
  exploreAndReport(exploration, Date.now() + Math.max(0, share));
}
const minutes = ((Date.now() - began) / 60_000).toFixed(1);
process.stdout.write(`${total.toLocaleString('en-US')} states in ${minutes} minutes, ${unexpected} unexpected\n`);
process.exitCode = unexpected > 0 ? 1 : 0;
